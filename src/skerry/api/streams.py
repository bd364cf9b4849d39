"""Answers that go on: events as SSE, output as JSON lines. Encoding only; when a stream ends is for the core to say."""

from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from skerry.core.platform import EventItem, WatchItem
from skerry.core.readers import Reader
from skerry.model.answers import LogLine
from skerry.model.errors import SkerryError

EVENTS_TYPE = "text/event-stream"
LINES_TYPE = "application/jsonl"
BYTES_TYPE = "application/octet-stream"


def encode_end(error: SkerryError) -> bytes:
    """Write why a stream ends."""
    return b"event: end\ndata: %s\n\n" % msgspec.json.encode({"code": error.code, "detail": error.detail})


def encode_event(item: EventItem | WatchItem) -> bytes:
    """Write one step of the event stream; ``msgspec`` leaves no line break inside JSON, so a frame cannot be forged."""
    match item.kind:
        case "alive":
            return b": alive\n\n"
        case "reset":
            place = b"" if item.place is None else b"id: %d\n" % item.place
            return b"%sevent: reset\ndata: {}\n\n" % place
        case "event":
            assert item.event is not None
            data = msgspec.json.encode(item.event)
            return b"id: %s\nevent: cloudevent\ndata: %s\n\n" % (item.event.id.encode(), data)
        case "delta":
            return b"event: delta\ndata: %s\n\n" % msgspec.json.encode(item.delta)


async def stream_events(
    items: AsyncIterator[EventItem] | AsyncIterator[WatchItem], reader: Reader
) -> AsyncGenerator[bytes]:
    """Write events as they come; the first bytes go out at once, so that a client knows that it is connected.

    Nothing is read ahead of the connection: while its buffer is full this stands still, and the reader's clock runs.
    """
    try:
        reader.begin()
        yield b": connected\n\n"
        reader.take()
        async for item in items:
            reader.give()
            yield encode_event(item)
            reader.take()
    except SkerryError as error:
        # The headers have gone; a stream that ends makes the client connect again, which gets the plain answer.
        reader.give()
        yield encode_end(error)
    finally:
        reader.leave()


async def stream_bytes(pieces: AsyncIterator[bytes], reader: Reader) -> AsyncGenerator[bytes]:
    """Write bytes piece by piece, each when the one before has gone out; one that ends short says so by its length."""
    try:
        reader.begin()
        reader.take()
        async for piece in pieces:
            reader.give()
            yield piece
            reader.take()
    except SkerryError:
        return  # too slow: what came stays with whoever asked, and is gone on from
    finally:
        reader.leave()


async def stream_lines(lines: AsyncIterator[LogLine]) -> AsyncIterator[bytes]:
    """Write output line by line."""
    async for line in lines:
        yield msgspec.json.encode(line) + b"\n"
