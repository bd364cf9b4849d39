"""The streams of calls, as either end sees them: bytes both ways, each direction on credit.

Rules of this file: (1) it does not know which end it serves; (2) a sender begins with STREAM_WINDOW_BYTES of credit and
never runs further ahead than its reader granted; (3) a source is read only when there is credit, one piece at a time,
so nothing piles up; (4) one ``StreamClose`` from either side ends both directions, after everything sent before it.
"""

from collections.abc import Iterator

import msgspec

from skerry.model.ids import CallId
from skerry.model.limits import STREAM_CHUNK_BYTES, STREAM_WINDOW_BYTES
from skerry.sync.ports import (
    Close,
    DeliverStream,
    EndStream,
    ReadStream,
    Send,
    StreamCommand,
    StreamFinished,
    StreamRead,
    StreamTaken,
)
from skerry.wire import StreamClose, StreamData, StreamWindow

#: Credit is given back in pieces of this size, not for each byte.
_GRANT_BYTES = STREAM_WINDOW_BYTES // 4


class _Stream(msgspec.Struct):
    """One call's stream."""

    #: Bytes that this end may still send.
    credit: int = STREAM_WINDOW_BYTES
    is_reading: bool = False
    #: Bytes that the peer may still send, and bytes taken since credit was last given.
    allowed: int = STREAM_WINDOW_BYTES
    taken: int = 0


class Streams:
    """All streams of one session at one end."""

    def __init__(self) -> None:
        self._streams: dict[CallId, _Stream] = {}

    def __len__(self) -> int:
        """Count the open streams."""
        return len(self._streams)

    def open(self, call: CallId) -> Iterator[StreamCommand]:
        """A stream begins: this end's source may be read."""
        stream = self._streams[call] = _Stream()
        yield from self._read(call, stream)

    def read(self, event: StreamRead) -> Iterator[StreamCommand]:
        """The source of this end gave a piece."""
        stream = self._streams.get(event.call)
        if stream is None:
            return
        stream.is_reading = False
        stream.credit -= len(event.data)
        yield Send(StreamData(event.call, event.channel, event.data, event.end, event.exit_code))
        yield from self._read(event.call, stream)

    def finish(self, event: StreamFinished) -> Iterator[StreamCommand]:
        """The source of this end has ended, or gives up: so does the stream."""
        return self.close(event.call, event.reason)

    def close(self, call: CallId, reason: str) -> Iterator[StreamCommand]:
        """End a stream from this end."""
        if self._streams.pop(call, None) is not None:
            yield Send(StreamClose(call, reason))
            yield EndStream(call, reason)

    def receive(self, message: StreamData) -> Iterator[StreamCommand | Close]:
        """Bytes for the reader at this end; those of a stream that has ended meanwhile are nothing."""
        stream = self._streams.get(message.call)
        if stream is None:
            return
        stream.allowed -= len(message.data)
        if stream.allowed < 0:
            yield Close("E-PROTOCOL", "a stream runs ahead of its window")
            return
        yield DeliverStream(message.call, message.channel, message.data, message.end, message.exit_code)

    def take(self, event: StreamTaken) -> Iterator[StreamCommand]:
        """The reader at this end took bytes: give credit back, a piece at a time."""
        stream = self._streams.get(event.call)
        if stream is None:
            return
        stream.taken += event.count
        if stream.taken >= _GRANT_BYTES:
            stream.allowed += stream.taken
            yield Send(StreamWindow(event.call, stream.taken))
            stream.taken = 0

    def grant(self, message: StreamWindow) -> Iterator[StreamCommand | Close]:
        """The peer's reader took bytes."""
        stream = self._streams.get(message.call)
        if stream is None:
            return
        if message.credit < 0 or stream.credit + message.credit > STREAM_WINDOW_BYTES:
            yield Close("E-PROTOCOL", "credit for bytes that were not sent")
            return
        stream.credit += message.credit
        yield from self._read(message.call, stream)

    def end(self, message: StreamClose) -> Iterator[StreamCommand]:
        """The peer ends a stream."""
        if self._streams.pop(message.call, None) is not None:
            yield EndStream(message.call, message.reason)

    def cut(self, reason: str) -> Iterator[StreamCommand]:
        """The session is over, and with it every stream."""
        for call in self._streams:
            yield EndStream(call, reason)
        self._streams.clear()

    def _read(self, call: CallId, stream: _Stream) -> Iterator[StreamCommand]:
        if not stream.is_reading and stream.credit > 0:
            stream.is_reading = True
            yield ReadStream(call, min(stream.credit, STREAM_CHUNK_BYTES))
