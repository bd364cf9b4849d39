import base64

import pytest

from skerry.model.errors import Refused
from skerry.store.rows import read_page_token, write_page_token


def encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_page_token_is_read_as_it_was_written():
    assert read_page_token(write_page_token("shop", "web", 7, "oslo"), 4, 2) == ["shop", "web", "7", "oslo"]
    assert read_page_token("", 4, 2) is None


@pytest.mark.parametrize(
    "token",
    [
        *("~", "a", "zzz", "\u00e4", "a b", encode("shop")),
        *(encode(f"a\x1fb\x1f{number}\x1fc") for number in ("x", "-1", "9" * 19, "\u0663", "")),
    ],
)
def test_a_damaged_page_token_is_refused_and_breaks_nothing(token):
    with pytest.raises(Refused) as refused:
        read_page_token(token, 4, 2)
    assert refused.value.code == "E-PAGE"
