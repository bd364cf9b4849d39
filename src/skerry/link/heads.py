"""The little HTTP/1.1 that a link needs besides WebSocket frames: reading heads and writing plain answers.

Strict and small: both ends and the proxy in between are programs, so what is odd is refused.
"""

import re

import msgspec

LINK_PATH = "/v1/link"
ROOTS_PATH = "/v1/roots"
#: Header of the 101 response: the parent's fresh bytes in base64, which the device proof signs (trust.md §9).
NONCE_HEADER = "Skerry-Nonce"
NONCE_BYTES = 32

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADERS_MAX = 64


class Head(msgspec.Struct, frozen=True):
    """The first line in its three words and the headers, names in lower case; repeated ones joined by a comma."""

    first: tuple[str, str, str]
    headers: dict[str, str]


def parse_head(head: bytes) -> Head:
    """Read a request's or response's head, its empty last line included; raise ValueError when it is malformed."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) == 2:
        words.append("")  # a response may leave out its phrase
    if len(words) != 3 or not (words[0].startswith("HTTP/1.") or words[2] in ("HTTP/1.1", "HTTP/1.0")):
        raise ValueError("not HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or len(headers) == _HEADERS_MAX:
            raise ValueError("a malformed header")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head((words[0], words[1], words[2]), headers)


def read_status(head: Head) -> int:
    """Return the status code of a response; raise ValueError when it is not one."""
    version, status, _phrase = head.first
    if not version.startswith("HTTP/1.") or not re.fullmatch(r"[1-5][0-9][0-9]", status, re.ASCII):
        raise ValueError("not an HTTP response")
    return int(status)


def read_count(text: str) -> int | None:
    """Read a header or query value that counts something; None unless it is 1 to 15 ASCII digits."""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) else None


def make_answer(status: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return a whole response that ends its connection; ``status`` is code and phrase."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body
