import pytest

from skerry.__main__ import is_program, run_program


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["core", "--settings", "/x"], True),
        (["agent", "--state=/x"], True),
        (["signer", "--keyring", "/x"], True),
        (["core"], False),
        (["core", "--help"], False),
        (["agent", "status"], False),
        (["site", "--settings"], False),
        ([], False),
    ],
)
def test_a_program_is_its_name_and_then_options(arguments, expected):
    assert is_program(arguments) is expected


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("core", ["--prot", "1"], "a flag has an unknown setting 'prot'"),
        ("core", ["--api-port", "many", "--data", "/x"], "Expected `int`"),
        ("agent", ["--node", "n"], "missing required field `state`"),
        ("signer", ["--settings", "/nowhere.toml"], "cannot be read"),
        ("core", ["status"], "is no setting"),
    ],
)
def test_wrong_settings_end_a_program_before_it_begins(capsys, name, arguments, words):
    assert run_program(name, arguments) == 64
    assert words in capsys.readouterr().err
