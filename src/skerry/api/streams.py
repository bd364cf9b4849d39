"""Answers that go on: events as SSE, output as JSON lines. Encoding only; when a stream ends is for the core to say."""

from collections.abc import AsyncIterator

import msgspec

from skerry.core.platform import EventItem, WatchItem
from skerry.model.answers import LogLine
from skerry.model.errors import SkerryError

EVENTS_TYPE = "text/event-stream"
LINES_TYPE = "application/jsonl"


def encode_event(item: EventItem | WatchItem) -> bytes:
    """Write one step of the event stream; ``msgspec`` leaves no line break inside JSON, so a frame cannot be forged."""
    match item.kind:
        case "alive":
            return b": alive\n\n"
        case "reset":
            return b"event: reset\ndata: {}\n\n"
        case "event":
            assert item.event is not None
            data = msgspec.json.encode(item.event)
            return b"id: %s\nevent: cloudevent\ndata: %s\n\n" % (item.event.id.encode(), data)
        case "delta":
            return b"event: delta\ndata: %s\n\n" % msgspec.json.encode(item.delta)


async def stream_events(items: AsyncIterator[EventItem] | AsyncIterator[WatchItem]) -> AsyncIterator[bytes]:
    """Write events as they come; the first bytes go out at once, so that a client knows that it is connected."""
    yield b": connected\n\n"
    try:
        async for item in items:
            yield encode_event(item)
    except SkerryError as error:
        # The headers have gone; a stream that ends makes the client connect again, which gets the plain answer.
        yield b"event: end\ndata: %s\n\n" % msgspec.json.encode({"code": error.code, "detail": error.detail})


async def stream_lines(lines: AsyncIterator[LogLine]) -> AsyncIterator[bytes]:
    """Write output line by line."""
    async for line in lines:
        yield msgspec.json.encode(line) + b"\n"
