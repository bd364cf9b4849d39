import pytest

from skerry.manifest.suggest import describe_unknown, suggest_word

KNOWN = ("canary", "health", "match", "max", "image", "in-site", "waves")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("cannary", "canary"),
        ("canray", "canary"),
        ("haelth", "health"),
        ("heelt", ""),
        ("healthy", "health"),
        ("mx", ""),
        ("mxx", "max"),
        ("imge", "image"),
        ("wave", "waves"),
        ("", ""),
        ("canary-canary", ""),
        ("x" * 5000, ""),
    ],
)
def test_near_is_two_letters_and_a_third(word, near):
    assert suggest_word(word, KNOWN) == near


def test_a_word_of_elsewhere_is_named_with_its_place():
    assert describe_unknown("tier", KNOWN, ["a service"]) == "unknown word here. It belongs to a service"
    assert describe_unknown("wibble", KNOWN) == "unknown word"
