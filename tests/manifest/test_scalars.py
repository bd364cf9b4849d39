import math

import pytest

from skerry.manifest.nodes import Mark, Scalar
from skerry.manifest.scalars import is_ambiguous, resolve_plain, to_text


def plain(text):
    return Scalar(text, resolve_plain(text), Mark("x", 1, 1), True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("8080", "8080"),
        ("0x10", "16"),
        ("true", "true"),
        ("FALSE", "false"),
        ("~", ""),
        ("1.0", "1"),
        ("1.10", "1.1"),
        ("0.5", "0.5"),
        ("-2.50", "-2.5"),
        ("100000.0", "100000"),
        ("1000000.0", "1e+06"),
        ("1234567.5", "1.2345675e+06"),
        ("0.00001", "1e-05"),
        ("0.0001", "0.0001"),
        ("-0.0", "-0"),
        (".inf", "+Inf"),
        ("-.inf", "-Inf"),
        (".nan", "NaN"),
        ("yes", "yes"),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
        (".", "."),
    ],
)
def test_numbers_become_text_as_compose_writes_them(text, shown):
    assert to_text(plain(text)) == shown


def test_endless_digits_cost_no_endless_time():
    assert resolve_plain("9" * 100_000) == math.inf
    assert resolve_plain("-" + "9" * 100_000) == -math.inf
    assert resolve_plain("9" * 100_000 + ".5") == math.inf


@pytest.mark.parametrize(("text", "is_two_things"), [("0755", True), ("-010", True), ("0", False), ("755", False)])
def test_an_old_octal_number_is_ambiguous(text, is_two_things):
    assert is_ambiguous(plain(text)) is is_two_things


def test_in_quotes_nothing_is_ambiguous():
    assert not is_ambiguous(Scalar("0755", "0755", Mark("x", 1, 1)))
