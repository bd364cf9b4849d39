"""What runs beside a session at the agent: calls that are being answered, and blobs that are being fetched.

A call lives in one task, from the request to the last piece of its stream; it is let go with its session. A fetch
outlives sessions: it waits while the link is down and goes on at the byte where it stopped.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from skerry import wire
from skerry.agent.desk import AgentDesk, CallAnswer
from skerry.clock import Tasks
from skerry.drivers.base import Typed
from skerry.drivers.images import BlobUnavailable
from skerry.model.errors import SkerryError
from skerry.model.ids import Digest
from skerry.sync import child_ports, ports
from skerry.sync.child_ports import ChildEvent


class ServedCall:
    """One call of the parent, answered by the desk."""

    def __init__(
        self,
        request: wire.CallRequest,
        desk: AgentDesk,
        feed: Callable[[ChildEvent], None],
        wait_room: Callable[[], Awaitable[None]],
    ) -> None:
        self._request = request
        self._desk = desk
        self._feed = feed
        self._wait_room = wait_room
        self._task: asyncio.Task[Any] | None = None
        #: How many bytes may be sent next; the queue holds at most the one answer to the last piece.
        self._allowed: asyncio.Queue[int] = asyncio.Queue()
        #: Input not yet read; bounded by the stream's window. None is its end.
        self._input: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()

    def begin(self, tasks: Tasks) -> None:
        """Start answering."""
        self._task = tasks.start(f"call {self._request.kind}", self._serve())

    def allow(self, count: int) -> None:
        """The parent's reader has room for ``count`` bytes: the next piece may go."""
        self._allowed.put_nowait(count)

    def deliver(self, channel: int, data: bytes, *, end: bool) -> None:
        """Take input for the desk to read."""
        if data:
            self._input.put_nowait((channel, data))
        if end:
            self._input.put_nowait(None)

    def end(self) -> None:
        """The call is over; whoever still works on it stops."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def _serve(self) -> None:
        call = self._request.call
        answer = await self._ask_desk()
        stream = answer.stream if answer.ok else None
        self._feed(
            child_ports.CallAnswered(
                call, answer.ok, answer.body, answer.code, answer.reason, stream=stream is not None
            )
        )
        if stream is not None:
            self._feed(ports.StreamFinished(call, await self._send_stream(stream)))

    async def _ask_desk(self) -> CallAnswer:
        try:
            return await self._desk.answer_call(self._request, self._read_input())
        except SkerryError as error:
            return CallAnswer(False, code=error.code, reason=error.detail)
        except Exception as error:
            # A call that meets a bug is refused, and the caller is told which; the site goes on.
            return CallAnswer(False, code="E-BROKEN", reason=f"the agent met {type(error).__name__}: {error}")

    async def _send_stream(self, stream: AsyncIterator[wire.StreamData]) -> str:
        """Send the stream's items as the parent's reader has room; return why it ended early, empty if it did not."""
        try:
            async for item in stream:
                await self._send_item(item)
        except SkerryError as error:
            return error.detail
        except Exception as error:
            return f"the agent met {type(error).__name__}: {error}"
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        return ""

    async def _send_item(self, item: wire.StreamData) -> None:
        data = item.data
        while True:
            count = await self._allowed.get()
            await self._wait_room()
            piece, data = data[:count], data[count:]
            if not data:
                break
            self._feed(ports.StreamRead(self._request.call, item.channel, piece))
        self._feed(ports.StreamRead(self._request.call, item.channel, piece, item.end, item.exit_code))

    async def _read_input(self) -> AsyncIterator[Typed]:
        while (item := await self._input.get()) is not None:
            channel, data = item
            self._feed(ports.StreamTaken(self._request.call, len(data)))
            if channel != wire.WINDOW_CHANNEL:
                yield data
                continue
            try:
                yield wire.decode_window(data)
            except wire.WireError as error:
                self._feed(ports.StreamFinished(self._request.call, str(error)))
                return


class _Fetch:
    """One blob on its way."""

    def __init__(self) -> None:
        #: Bounded by the window: the parent sends on only when what came was taken.
        self.items: asyncio.Queue[child_ports.DeliverBlob | child_ports.FailBlob] = asyncio.Queue()
        self.is_over = asyncio.Event()


class BlobFetcher:
    """Fetches blobs from the parent, over as many sessions as it takes."""

    def __init__(self, feed: Callable[[ChildEvent], None]) -> None:
        self._feed = feed
        self._fetches: dict[Digest, _Fetch] = {}

    def take(self, command: child_ports.DeliverBlob | child_ports.FailBlob) -> None:
        """Hand over what the child end has for a fetch."""
        fetch = self._fetches.get(command.blob)
        if fetch is not None:
            fetch.items.put_nowait(command)

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        """Give the bytes from ``offset`` on; raise BlobUnavailable when the parent will not give them.

        A second fetch of the same blob waits for the first to end.
        """
        while blob in self._fetches:
            await self._fetches[blob].is_over.wait()
        fetch = self._fetches[blob] = _Fetch()
        is_wanted = True
        self._feed(child_ports.BlobWanted(blob, offset))
        try:
            while is_wanted:
                item = await fetch.items.get()
                if isinstance(item, child_ports.FailBlob):
                    is_wanted = False
                    raise BlobUnavailable(f"{item.code}: {item.reason}")
                if item.data:
                    yield item.data
                is_wanted = not item.last
                self._feed(child_ports.BlobTaken(blob, item.offset + len(item.data)))
        finally:
            del self._fetches[blob]
            fetch.is_over.set()
            if is_wanted:
                self._feed(child_ports.BlobDropped(blob))
