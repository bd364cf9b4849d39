"""WebSocket frames (RFC 6455 §5) without I/O: bytes in, whole messages out; one function for the way back.

Rules of this file: a length is compared with the limit as soon as its bytes are there, before anything of that size is
held; what is held is at most one message and one buffer. Only binary messages exist on a link; no extensions.
Opening handshakes are the websockets library's (client.py, server.py). Measured reasons: docs/decisions/0012.
"""

import enum
from collections.abc import Iterator

import msgspec

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled wheel
    from websockets.utils import apply_mask


class Opcode(enum.IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class CloseCode(enum.IntEnum):
    """Close codes that a link uses (RFC 6455 §7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    ABNORMAL = 1006
    TOO_BIG = 1009


#: Codes that a peer may write into a close frame; the others are reserved or mean "there was none".
_SENDABLE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
#: Bytes of a control frame's payload, by the standard.
_CONTROL_BYTES_MAX = 125


class FrameError(Exception):
    """The peer broke the framing; ``code`` is what to close with."""

    def __init__(self, code: CloseCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A whole message (BINARY) or a control frame."""

    opcode: Opcode
    payload: bytes


class FrameReader:
    """Turns one direction of a connection into frames.

    ``masked`` says whether the peer is the client, which must mask. ``limit`` is the largest message in bytes and may
    be changed between calls.
    """

    def __init__(self, *, masked: bool, limit: int) -> None:
        self.limit = limit
        self._masked = masked
        #: Bytes of a frame that is not complete, and how many are needed to get on.
        self._held = bytearray()
        self._needed = 2
        #: The fragments of a message that is not complete, in one piece: their number then costs nothing.
        self._message = bytearray()
        self._fragmented = False

    def feed(self, data: memoryview) -> Iterator[Frame]:
        """Take what arrived and yield the frames that it completes; raise FrameError where the peer breaks a rule.

        To be run to its end: what is left of ``data`` is kept only then.
        """
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return
            data = memoryview(self._held)
        at = 0
        while (end := self._find_end(data, at)) is not None:
            frame = self._take(data, at, end)
            at = end
            if frame is not None:
                yield frame
        if self._held or at < len(data):
            self._held = bytearray(data[at:])

    def _find_end(self, data: memoryview, at: int) -> int | None:
        """Return where the frame at ``at`` ends, None (and what is needed) when that lies beyond ``data``."""
        available = len(data) - at
        self._needed = 2
        if available < 2:
            return None
        first, second = data[at], data[at + 1]
        size = second & 0x7F
        head = 2
        if size >= 126:
            head = 4 if size == 126 else 10
            self._needed = head
            if available < head:
                return None
            size = int.from_bytes(data[at + 2 : at + head], "big")
        self._check(first, second, size)
        self._needed = head + (4 if self._masked else 0) + size
        return at + self._needed if available >= self._needed else None

    def _check(self, first: int, second: int, size: int) -> None:
        if first & 0x70:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "reserved bits are set")
        if bool(second & 0x80) != self._masked:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "masking is for clients, and obligatory for them")
        opcode = first & 0x0F
        if opcode >= 8:
            if opcode > Opcode.PONG:
                raise FrameError(CloseCode.PROTOCOL_ERROR, f"unknown frame {opcode}")
            if not first & 0x80 or size > _CONTROL_BYTES_MAX:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "a control frame is short and whole")
            return
        if opcode not in (Opcode.CONTINUATION, Opcode.BINARY):
            raise FrameError(CloseCode.UNSUPPORTED, "a link carries binary messages only")
        if (opcode == Opcode.CONTINUATION) != self._fragmented:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "fragments out of order")
        if (total := len(self._message) + size) > self.limit:
            raise FrameError(CloseCode.TOO_BIG, f"a message of {total} bytes, at most {self.limit} are allowed")

    def _take(self, data: memoryview, at: int, end: int) -> Frame | None:
        first, size = data[at], data[at + 1] & 0x7F
        start = at + (2 if size < 126 else 4 if size == 126 else 10)
        if self._masked:
            payload = apply_mask(data[start + 4 : end], bytes(data[start : start + 4]))
        else:
            payload = bytes(data[start:end])
        opcode = Opcode(first & 0x0F)
        if opcode >= Opcode.CLOSE:
            return Frame(opcode, payload)
        if first & 0x80 and not self._fragmented:
            return Frame(Opcode.BINARY, payload)
        self._fragmented = not first & 0x80
        self._message += payload
        if self._fragmented:
            return None
        whole, self._message = bytes(self._message), bytearray()
        return Frame(Opcode.BINARY, whole)


def encode_frame(opcode: Opcode, payload: bytes, mask: bytes = b"") -> bytes:
    """Return the bytes of one whole frame; ``mask`` is 4 unpredictable bytes at a client, empty at a server."""
    size = len(payload)
    masked = 0x80 if mask else 0
    if size < 126:
        head = bytes((0x80 | opcode, masked | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, masked | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, masked | 127)) + size.to_bytes(8, "big")
    return head + mask + apply_mask(payload, mask) if mask else head + payload


def encode_close(code: int, reason: str) -> bytes:
    """Return the payload of a close frame; an overlong reason is cut."""
    return code.to_bytes(2, "big") + reason.encode()[: _CONTROL_BYTES_MAX - 2].decode(errors="ignore").encode()


def decode_close(payload: bytes) -> tuple[int, str]:
    """Return (code, reason) of a close frame's payload; raise FrameError when it is malformed."""
    if not payload:
        return 1005, ""
    code = int.from_bytes(payload[:2], "big")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "a close reason that is not UTF-8") from None
    if len(payload) < 2 or code not in _SENDABLE_CODES:
        raise FrameError(CloseCode.PROTOCOL_ERROR, f"close code {code}")
    return code, reason
