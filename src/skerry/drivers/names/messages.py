"""As much of DNS (RFC 1035, RFC 6891) as asking for addresses needs: one question out, an answer in. No I/O."""

import ipaddress
import struct
from typing import Literal

import msgspec

Kind = Literal["A", "AAAA"]
TYPES: dict[Kind, int] = {"A": 1, "AAAA": 28}
#: What fits into one datagram over any path (RFC 9715, and the DNS flag day of 2020).
DATAGRAM_BYTES_MAX = 1_232
_IN = 1
_OPT = 41
_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
#: A question with recursion desired; a response; the low bits of the flags are its code.
_RECURSE, _RESPONSE, _TRUNCATED, _CODE = 0x0100, 0x8000, 0x0200, 0x000F
NO_ERROR, NO_SUCH_NAME = 0, 3


class Answer(msgspec.Struct, frozen=True):
    """What a server answered: the code of RFC 1035 section 4.1.1, and the addresses, in its order."""

    number: int
    code: int
    addresses: tuple[str, ...]


def write_question(number: int, name: str, kind: Kind) -> bytes:
    """Return the message that asks for the addresses of a name; raises ``ValueError`` for what is no name."""
    labels = name.encode("ascii").split(b".")
    if not all(0 < len(label) < 64 for label in labels) or len(name) > 253:
        raise ValueError(f"{name[:80]!r} is no name")
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack(">HH", TYPES[kind], _IN)
    more = b"\0" + _RECORD.pack(_OPT, DATAGRAM_BYTES_MAX, 0, 0)
    return _HEADER.pack(number, _RECURSE, 1, 0, 0, 1) + question + more


def read_answer(message: bytes, question: bytes) -> Answer | None:
    """Read the answer to a question that was written here; None where it is none, or is cut or broken."""
    try:
        number, flags, asked, answers, _, _ = _HEADER.unpack_from(message)
        asked_end = len(question) - 1 - _RECORD.size
        if not flags & _RESPONSE or flags & _TRUNCATED or asked != 1 or message[:2] != question[:2]:
            return None
        if message[_HEADER.size : asked_end].lower() != question[_HEADER.size : asked_end].lower():
            return None
        wanted = struct.unpack_from(">H", question, asked_end - 4)[0]
        addresses: list[str] = []
        at = asked_end
        for _ in range(answers):
            at = _skip_name(message, at)
            kind, _, _, size = _RECORD.unpack_from(message, at)
            at += _RECORD.size
            data = message[at : at + size]
            at += size
            if kind == wanted and len(data) == (4 if wanted == TYPES["A"] else 16):
                addresses.append(str(ipaddress.ip_address(data)))
    except (struct.error, IndexError):
        return None
    return Answer(number, flags & _CODE, tuple(addresses))


def _skip_name(message: bytes, at: int) -> int:
    """Return where a name ends: it is never followed, so it cannot lead round in circles."""
    while (size := message[at]) != 0:
        if size >= 0xC0:
            return at + 2
        at += size + 1
    return at + 1
