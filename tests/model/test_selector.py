import pytest

from skerry.model.selector import SelectorError, describe_term, first_unmet, matches, parse_selector

LABELS = {"tier": "store", "region": "north", "gpu.count": "2"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("tier=store", True),
        ("tier==store, region!=south", True),
        ("tier", True),
        ("!tier", False),
        ("!spare", True),
        ("region in (north, south)", True),
        ("region notin (north)", False),
        ("missing notin (a)", True),
        ("missing=a", False),
        ("missing!=a", True),
        ("gpu.count>1", True),
        ("gpu.count<2", False),
        ("tier>1", False),
    ],
)
def test_matches(text: str, holds: bool):
    assert matches(parse_selector(text), LABELS) is holds


@pytest.mark.parametrize("text", ["=", "a=", "a in b", "a in ()", "a,", "a=b c=d", "a>x", "x" * 2000, "a=b,,c"])
def test_refused(text: str):
    with pytest.raises(SelectorError):
        parse_selector(text)


def test_the_first_unmet_term_is_named_as_written():
    term = first_unmet(parse_selector("tier=store,region in (south,east)"), LABELS)
    assert term is not None
    assert describe_term(term) == "region in (east, south)"
