import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.model.variables import Reference, VariableError, expand, scan

VALUES = {"A": "one", "EMPTY": "", "DOLLAR": "$A ${A}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$A-${A}", "one-one"),
        ("$$A", "$A"),
        ("${NO:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NO-${A}}", "one"),
        ("${A:+y}", "y"),
        ("${EMPTY:+y}", ""),
        ("${EMPTY+y}", "y"),
        ("${A:?gone}", "one"),
        ("${DOLLAR}", "$A ${A}"),
    ],
)
def test_expand(text: str, expected: str):
    assert expand(text, VALUES.get) == expected


@pytest.mark.parametrize("text", ["$", "${A", "${}", "${A!x}", "${NO}", "${NO:?must be there}", "a $ b"])
def test_refused(text: str):
    with pytest.raises(VariableError):
        expand(text, VALUES.get)


def test_nesting_has_an_end():
    text = "x"
    for _ in range(20):
        text = "${NO:-" + text + "}"
    with pytest.raises(VariableError, match="nested"):
        expand(text, VALUES.get)


def test_scan_keeps_the_source():
    assert scan("a${B:-c}$$") == ("a", Reference("B", ":-", "c", "${B:-c}"), "$")


@given(st.text())
def test_text_without_dollars_is_itself_and_nothing_else_crashes(text: str):
    if "$" not in text:
        assert expand(text, VALUES.get) == text
        return
    try:
        expand(text, VALUES.get)
    except VariableError:
        return
