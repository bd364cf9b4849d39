import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.link.heads import Head, make_answer, parse_head, read_count, read_status


def test_a_request_is_read():
    head = parse_head(b"GET /v1/link HTTP/1.1\r\nHost: core\r\nX-Two: a\r\nx-two:  b \r\n\r\n")
    assert head == Head(("GET", "/v1/link", "HTTP/1.1"), {"host": "core", "x-two": "a, b"})


@pytest.mark.parametrize("phrase", [b" Switching Protocols", b" ", b""])
def test_a_response_is_read_with_or_without_a_phrase(phrase: bytes):
    assert read_status(parse_head(b"HTTP/1.1 101" + phrase + b"\r\n\r\n")) == 101


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: yes\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % number for number in range(65)) + b"\r\n",
    ],
)
def test_a_malformed_head_is_refused(head: bytes):
    with pytest.raises(ValueError, match=r"HTTP|header"):
        parse_head(head)


@given(st.binary(max_size=300))
def test_any_head_is_read_or_refused(content: bytes):
    try:
        head = parse_head(content + b"\r\n\r\n")
    except ValueError:
        return
    assert len(head.first) == 3


@pytest.mark.parametrize("first", [b"HTTP/1.1 0x1 a", b"HTTP/1.1 999 a", b"GET / HTTP/1.1", b"HTTP/1.1 20 a"])
def test_what_is_no_response_has_no_status(first: bytes):
    with pytest.raises(ValueError, match="not an HTTP response"):
        read_status(parse_head(first + b"\r\n\r\n"))


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("42", 42), ("", None), ("-1", None), ("٣", None), ("9" * 16, None)]
)
def test_counts_are_plain_digits(text: str, count: int | None):
    assert read_count(text) == count


def test_an_answer_ends_its_connection_and_says_how_long_it_is():
    assert make_answer("200 OK", b"abc", {"X": "y"}) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\nX: y\r\n\r\nabc"
    )
