"""One connection as both ends have it: a byte stream below, whole frames above, every buffer bounded.

An HTTP head comes first and is handed to the end that made the channel (client.py, server.py); from ``begin_frames``
on the stream is WebSocket frames. Reading pauses while received frames wait, ``send`` waits while written bytes do, and
a peer that takes nothing for long is given up.
"""

import asyncio
import collections
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from skerry.clock import SECOND_US
from skerry.link.frames import (
    CloseCode,
    Frame,
    FrameError,
    FrameReader,
    Opcode,
    decode_close,
    encode_close,
    encode_frame,
)
from skerry.link.ports import CloseReason, LinkClosed, Patience
from skerry.model import limits

HEAD_END = b"\r\n\r\n"
#: What a frame costs beside its bytes, so that endless empty frames fill the inbox too.
_FRAME_COST_BYTES = 128
#: Every channel of a process reads through this buffer: the event loop asks for it and hands it back filled without
#: running anything in between, so 10,000 idle children hold no read buffers of their own.
_READ_BUFFER = memoryview(bytearray(64 * 1024))


class _End(msgspec.Struct, frozen=True):
    """Why the connection is over, or is going to be."""

    reason: CloseReason
    detail: str
    code: int


class Channel(asyncio.BufferedProtocol):
    """Implements ``ports.Connection`` over an asyncio transport.

    ``take_head`` is called once, with the peer's HTTP head and what came behind it; an empty head means that the
    connection ended before. ``draw_mask`` is where a client gets its masks; a server has none.
    """

    def __init__(
        self,
        take_head: Callable[["Channel", bytes, bytes], None],
        patience: Patience,
        draw_mask: Callable[[], bytes] | None = None,
    ) -> None:
        self.nonce = b""
        self.server_digest = b""
        self.peer = ""
        self.bytes_sent = 0
        self.bytes_received = 0
        #: Called when the peer has proved itself; the listener counts who has not.
        self.on_proven: Callable[[], None] | None = None
        self._take_head: Callable[[Channel, bytes, bytes], None] | None = take_head
        self._patience = patience
        self._draw_mask = draw_mask
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._head = bytearray()
        self._reader: FrameReader | None = None
        self._inbox: collections.deque[bytes] = collections.deque()
        self._inbox_bytes = 0
        self._reading_paused = False
        self._writing_paused = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self._end: _End | None = None
        self._reading: asyncio.Future[None] | None = None
        self._senders: list[asyncio.Future[None]] = []
        self._lost: asyncio.Future[None] = self._loop.create_future()

    # --- ports.Connection --------------------------------------------------------------------------------------------

    async def send(self, frame: bytes) -> None:
        """Wait until the buffer has room, then send one frame."""
        if len(frame) > limits.FRAME_BYTES_MAX:
            raise ValueError(f"a frame of {len(frame)} bytes, at most {limits.FRAME_BYTES_MAX} may be sent")
        while self._writing_paused and self._end is None:
            waiter = self._loop.create_future()
            self._senders.append(waiter)
            try:
                await waiter
            finally:
                self._senders.remove(waiter)
        if self._end is not None:
            raise self._closed(self._end)
        self.bytes_sent += len(frame)
        self._write(Opcode.BINARY, frame)

    async def receive(self) -> bytes:
        """Return the next frame; raise LinkClosed when the connection is over and the inbox is empty."""
        await self.wait_frame()
        frame = self._inbox.popleft()
        self._inbox_bytes -= len(frame) + _FRAME_COST_BYTES
        self._pace_reading()
        return frame

    def raise_limit(self) -> None:
        """Accept frames up to FRAME_BYTES_MAX from now on."""
        if self._reader is not None:
            self._reader.limit = limits.FRAME_BYTES_MAX
        self._pace_reading()
        if self.on_proven is not None:
            self.on_proven()

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Say goodbye, wait shortly for the peer's, and drop the connection."""
        if self._reader is not None and self._end is None and not self._writing_paused:
            self._write(Opcode.CLOSE, encode_close(code, reason))
        elif self._transport is not None:
            self._transport.close()
        self._finish(CloseReason.OURS, reason, code)
        # Nobody receives any more; the peer's goodbye may stand behind frames that nobody wants.
        self._inbox.clear()
        self._inbox_bytes = 0
        self._pace_reading()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience.close_us / SECOND_US):
                    await self.wait_lost()
        finally:  # who cancels a goodbye wants it over, not left open
            if self._transport is not None:
                self._transport.abort()
        await self.wait_lost()

    # --- for the two ends --------------------------------------------------------------------------------------------

    def begin_frames(self, rest: bytes) -> None:
        """The upgrade is done: what comes now, ``rest`` first, are frames."""
        self._reader = FrameReader(masked=self._draw_mask is None, limit=limits.FRAME_BYTES_UNPROVEN_MAX)
        if rest:
            self._take_frames(memoryview(rest))

    async def wait_frame(self) -> None:
        """Return when ``receive`` would at once; raise LinkClosed when it would."""
        while not self._inbox:
            if self._end is not None:
                raise self._closed(self._end)
            if self._reading is not None:
                raise RuntimeError("one caller receives at a time")
            self._reading = self._loop.create_future()
            try:
                await self._reading
            finally:
                self._reading = None

    async def wait_lost(self) -> None:
        """Return when the stream below is gone."""
        await asyncio.shield(self._lost)

    def write_head(self, head: bytes) -> None:
        """Write HTTP, before the frames begin."""
        if self._transport is not None:
            self._transport.write(head)

    def end_after_writing(self) -> None:
        """Close once everything written has gone out, if the peer takes it."""
        if self._transport is not None:
            self._transport.close()

    def read_certificate(self) -> tuple[Mapping[str, object], bytes]:
        """Return the verified certificate of the peer, decoded and as DER; empty when it is gone."""
        tls: ssl.SSLObject | None = (
            self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        )
        if tls is None:
            return {}, b""
        return cast("Mapping[str, object]", tls.getpeercert() or {}), tls.getpeercert(binary_form=True) or b""

    def give_up(self, reason: CloseReason, detail: str) -> None:
        """Drop the connection at once."""
        self._finish(reason, detail, CloseCode.ABNORMAL)
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the stream."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(limits.LINK_UNSENT_BYTES_MAX)
        self.peer = name_address(self._transport.get_extra_info("peername"))
        self._socket = self._transport.get_extra_info("socket")

    def get_buffer(self, sizehint: int) -> memoryview:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Lend the buffer that all channels share."""
        return _READ_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take what arrived."""
        if self._reader is not None:
            self._take_frames(_READ_BUFFER[:nbytes])
        elif self._take_head is not None:
            self._take_head_bytes(_READ_BUFFER[:nbytes])

    def eof_received(self) -> bool:
        """The peer will write no more, so nothing more can come of this connection."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is gone."""
        self._finish(CloseReason.LOST, str(exc or "the stream ended"), CloseCode.ABNORMAL)
        self._transport = None
        if self._take_head is not None:
            self._hand_over_head(b"", b"")
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        """The network does not keep up: senders wait, and not for ever."""
        self._writing_paused = True
        self._stall_timer = self._loop.call_later(
            self._patience.stall_us / SECOND_US, self.give_up, CloseReason.STALLED, "written bytes do not get through"
        )

    def resume_writing(self) -> None:
        """There is room again."""
        self._writing_paused = False
        self._stop_stall_timer()
        self._wake_senders()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _take_head_bytes(self, data: memoryview) -> None:
        self._head += data
        end = self._head.find(HEAD_END)
        if end >= 0:
            end += len(HEAD_END)
            head, rest = bytes(self._head[:end]), bytes(self._head[end:])
            self._head = bytearray()
            self._hand_over_head(head, rest)
        elif len(self._head) > limits.LINK_HEAD_BYTES_MAX:
            self._head = bytearray()
            self._hand_over_head(HEAD_END, b"")  # a head without end is as good as one that says nothing

    def _hand_over_head(self, head: bytes, rest: bytes) -> None:
        take_head, self._take_head = self._take_head, None
        if take_head is not None:
            take_head(self, head, rest)

    def _take_frames(self, data: memoryview) -> None:
        if self._reader is None:
            return
        try:
            for frame in self._reader.feed(data):
                self._take_frame(frame)
        except FrameError as error:
            if self._end is None:
                self._write(Opcode.CLOSE, encode_close(error.code, error.detail))
            too_big = error.code == CloseCode.TOO_BIG
            self._finish(CloseReason.TOO_BIG if too_big else CloseReason.GARBAGE, error.detail, error.code)
            self._reader = None  # and with the head taken as well, nothing more is read
            self.end_after_writing()
        self._pace_reading()

    def _take_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.BINARY:
                if self._end is None:
                    self.bytes_received += len(frame.payload)
                    self._inbox.append(frame.payload)
                    self._inbox_bytes += len(frame.payload) + _FRAME_COST_BYTES
                    self._wake_reader()
            case Opcode.CLOSE:
                code, reason = decode_close(frame.payload)
                if self._end is None:
                    self._write(Opcode.CLOSE, frame.payload)
                self._finish(CloseReason.CLOSED, reason, code)
                self.end_after_writing()
            case Opcode.PING:
                # Only while there is room: pings whose pongs nobody reads must not fill the memory.
                if self._end is None and not self._writing_paused:
                    self._write(Opcode.PONG, frame.payload)
            case _:
                pass  # an unasked pong is a one-way sign of life and needs no answer

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        if self._transport is not None:
            mask = self._draw_mask() if self._draw_mask is not None else b""
            self._transport.write(encode_frame(opcode, payload, mask))
            self._let_answers_acknowledge()

    def _let_answers_acknowledge(self) -> None:
        """Have the kernel wait a moment with its acknowledgement of what comes next, so that our answer carries it.

        After a pause it would acknowledge at once, in a packet of its own: a fifth of an idle link's bytes. It returns
        to that habit whenever an answer takes longer than the moment, so this is said again with each frame.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the connection is going; whoever reads it hears why
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def _pace_reading(self) -> None:
        """Stop reading while a whole inbox waits to be received; go on when it has been."""
        if self._transport is None or self._reader is None or self._transport.is_closing():
            return
        full = self._inbox_bytes >= min(self._reader.limit, limits.LINK_INBOX_BYTES_MAX)
        if full and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        elif not full and self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    def _finish(self, reason: CloseReason, detail: str, code: int) -> None:
        if self._end is None:
            self._end = _End(reason, detail, code)
        self._stop_stall_timer()
        self._wake_reader()
        self._wake_senders()

    def _closed(self, end: _End) -> LinkClosed:
        return LinkClosed(end.reason, end.detail, code=end.code)

    def _wake_reader(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)

    def _wake_senders(self) -> None:
        for waiter in self._senders:
            if not waiter.done():
                waiter.set_result(None)

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def name_address(address: object) -> str:
    """Write a socket address as ``host:port``, version 6 in brackets; empty when there is none."""
    if not isinstance(address, tuple):
        return ""
    host, port = cast("tuple[str, int]", address[:2])
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
