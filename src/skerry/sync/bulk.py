"""Blobs over a link: both ends of a stream that resumes by offset and keeps out of everybody's way.

Rules of this file: (1) blobs are immutable, so the offset of the last byte that arrived says all a new session needs;
(2) the sender is never more than its window ahead of what the receiver took; (3) the window follows the link: it starts
at one small chunk, doubles while chunks are taken quickly and halves when they are not, so that on 64 kbit/s a
heartbeat still waits under 10 s (faults.md N9) and 20 Mbit/s with 600 ms of round trip is still filled.
"""

import collections
from collections.abc import Iterator

import msgspec

from skerry.model.ids import Digest
from skerry.model.limits import BULK_CHUNK_BYTES, BULK_CHUNK_BYTES_MIN, BULK_STREAMS_MAX, BULK_WINDOW_CHUNKS
from skerry.sync.child_ports import BlobWanted, DeliverBlob, FailBlob
from skerry.sync.parent_ports import BlobRead, BlobSized, ReadBlob, SizeBlob
from skerry.sync.ports import Close, Send
from skerry.wire import BulkData, BulkEnd, BulkMore, BulkOpen

_WINDOW_BYTES_MAX = BULK_WINDOW_CHUNKS * BULK_CHUNK_BYTES
#: A chunk taken within this time lets the window grow; one that took longer than the other shrinks it.
_QUICK_US = 2_000_000
_SLOW_US = 4_000_000


class _Fetch(msgspec.Struct):
    """One blob that somebody at the child wants."""

    #: What has arrived, and what of it has been taken.
    arrived: int
    taken: int
    #: Known with the first chunk.
    size: int | None = None
    is_open: bool = False


class BulkReceiver:
    """The child's side, across sessions: a few blobs at once, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._fetches: dict[Digest, _Fetch] = {}
        self._is_up = False

    @property
    def is_waiting(self) -> bool:
        """Say whether bytes are owed by the parent: a stream is open and everything that arrived was taken."""
        return any(fetch.is_open and fetch.taken == fetch.arrived for fetch in self._fetches.values())

    def begin(self) -> Iterator[Send]:
        """A session stands: open streams where the last one ended."""
        self._is_up = True
        for fetch in self._fetches.values():
            fetch.is_open = False
        return self._open_next()

    def end(self) -> None:
        """The session is over."""
        self._is_up = False
        for fetch in self._fetches.values():
            fetch.is_open = False

    def want(self, event: BlobWanted) -> Iterator[Send]:
        """Somebody wants a blob."""
        self._fetches[event.blob] = _Fetch(event.offset, event.offset)
        return self._open_next()

    def drop(self, blob: Digest) -> Iterator[Send]:
        """Nobody wants it any more."""
        fetch = self._fetches.pop(blob, None)
        if fetch is not None and fetch.is_open:
            yield Send(BulkEnd(blob, "E-CANCELLED", "nobody wants it any more"))
        yield from self._open_next()

    def receive(self, message: BulkData) -> Iterator[DeliverBlob | Close]:
        """Take a chunk; one that nobody asked for, or that was on its way when its stream ended, is nothing."""
        fetch = self._fetches.get(message.blob)
        if fetch is None or not fetch.is_open:
            return
        end = message.offset + len(message.data)
        fetch.size = message.total if fetch.size is None else fetch.size
        if message.total != fetch.size:
            yield Close("E-PROTOCOL", "a blob that changes its size")
        elif message.offset != fetch.arrived or end > fetch.size or (not message.data and end < fetch.size):
            yield Close("E-PROTOCOL", "a chunk of a blob that does not follow the one before")
        elif end - fetch.taken > _WINDOW_BYTES_MAX:
            yield Close("E-PROTOCOL", "a blob runs ahead of its window")
        else:
            fetch.arrived = end
            yield DeliverBlob(message.blob, message.offset, message.data, end == fetch.size)

    def take(self, blob: Digest, offset: int) -> Iterator[Send]:
        """Everything up to ``offset`` has been taken: the parent may go on; a finished blob makes room for the next."""
        fetch = self._fetches.get(blob)
        if fetch is None:
            return
        fetch.taken = offset
        if fetch.is_open:
            yield Send(BulkMore(blob, offset))
        if offset == fetch.size:
            del self._fetches[blob]
            yield from self._open_next()

    def finish(self, message: BulkEnd) -> Iterator[FailBlob | Send]:
        """The parent gives the stream up."""
        fetch = self._fetches.get(message.blob)
        if fetch is not None and fetch.is_open:
            del self._fetches[message.blob]
            yield FailBlob(message.blob, message.code or "E-BLOB", message.reason)
            yield from self._open_next()

    def _open_next(self) -> Iterator[Send]:
        if not self._is_up:
            return
        count = sum(fetch.is_open for fetch in self._fetches.values())
        for blob, fetch in self._fetches.items():
            if count >= BULK_STREAMS_MAX:
                return
            # What has arrived whole and is not taken yet needs nothing from the parent.
            if not fetch.is_open and fetch.arrived != fetch.size:
                fetch.is_open = True
                count += 1
                yield Send(BulkOpen(blob, fetch.arrived))


class _Stream(msgspec.Struct):
    """One blob on its way to a child."""

    sent: int
    taken: int
    window: int = BULK_CHUNK_BYTES_MIN
    size: int | None = None
    is_reading: bool = False
    #: (end offset, time of sending) of the chunks not yet taken.
    chunks: collections.deque[tuple[int, int]] = msgspec.field(default_factory=collections.deque[tuple[int, int]])


class BulkSender:
    """The parent's side of one session."""

    def __init__(self) -> None:
        self._streams: dict[Digest, _Stream] = {}

    def open(self, message: BulkOpen) -> Iterator[Send | SizeBlob]:
        """The child wants a blob from an offset on."""
        if message.blob in self._streams or len(self._streams) >= BULK_STREAMS_MAX or message.offset < 0:
            yield Send(BulkEnd(message.blob, "E-BUSY", "too many streams of this site are open, or this one is"))
            return
        self._streams[message.blob] = _Stream(message.offset, message.offset)
        yield SizeBlob(message.blob)

    def size(self, event: BlobSized) -> Iterator[Send | ReadBlob]:
        """How long the blob is, or that the site may not have it."""
        stream = self._streams.get(event.blob)
        if stream is None:
            return
        if event.size is None or stream.sent > event.size:
            del self._streams[event.blob]
            why = "no such blob for this site" if event.size is None else "the offset is beyond the end"
            yield Send(BulkEnd(event.blob, "E-NOT-FOUND", why))
            return
        stream.size = event.size
        if stream.sent == event.size:
            # Nothing is left to send, which the child learns from an empty chunk.
            del self._streams[event.blob]
            yield Send(BulkData(event.blob, event.size, b"", event.size))
        yield from self._read(event.blob, stream)

    def send(self, event: BlobRead, now: int) -> Iterator[Send | ReadBlob]:
        """Bytes were read: send them, and read on while the window allows."""
        stream = self._streams.get(event.blob)
        if stream is None or stream.size is None or event.offset != stream.sent:
            return
        stream.is_reading = False
        if not event.data:
            del self._streams[event.blob]
            yield Send(BulkEnd(event.blob, "E-BLOB", "the blob ends before its size"))
            return
        stream.sent += len(event.data)
        stream.chunks.append((stream.sent, now))
        yield Send(BulkData(event.blob, event.offset, event.data, stream.size))
        yield from self._read(event.blob, stream)

    def more(self, message: BulkMore, now: int) -> Iterator[ReadBlob | Close]:
        """The child took everything up to an offset."""
        stream = self._streams.get(message.blob)
        if stream is None or stream.size is None:
            return
        if not stream.taken <= message.offset <= stream.sent:
            yield Close("E-PROTOCOL", "an acknowledgement of bytes that were not sent")
            return
        while stream.chunks and stream.chunks[0][0] <= message.offset:
            _, sent_at = stream.chunks.popleft()
            self._pace(stream, now - sent_at)
        stream.taken = message.offset
        if message.offset == stream.size:
            del self._streams[message.blob]
        else:
            yield from self._read(message.blob, stream)

    def drop(self, blob: Digest) -> None:
        """The child does not want it any more."""
        self._streams.pop(blob, None)

    def _pace(self, stream: _Stream, took_us: int) -> None:
        if took_us <= _QUICK_US:
            # One chunk more for each chunk taken: the window doubles with each round trip.
            stream.window = min(stream.window + _chunk_bytes(stream), _WINDOW_BYTES_MAX)
        elif took_us >= _SLOW_US:
            stream.window = max(stream.window // 2, BULK_CHUNK_BYTES_MIN)

    def _read(self, blob: Digest, stream: _Stream) -> Iterator[ReadBlob]:
        """Ask for the next chunk, one at a time, once it fits into the window."""
        if stream.size is None or stream.is_reading or stream.sent == stream.size:
            return
        count = min(_chunk_bytes(stream), stream.size - stream.sent)
        if stream.sent + count - stream.taken <= stream.window:
            stream.is_reading = True
            yield ReadBlob(blob, stream.sent, count)


def _chunk_bytes(stream: _Stream) -> int:
    """A quarter of the window, so that several chunks are on their way, within what a chunk may be."""
    return min(max(stream.window // 4, BULK_CHUNK_BYTES_MIN), BULK_CHUNK_BYTES)
