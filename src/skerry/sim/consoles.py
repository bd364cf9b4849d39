"""What people meet inside a fake machine's containers: a shell that tells its size, a server of one page.

Both do what the contract of runtimes asks of the real ones (tests/contract/runtime.py), and no more.
"""

import asyncio
from collections.abc import AsyncIterator

from skerry.drivers.base import Chunk, Exit, Typed
from skerry.model.signed import Window

#: The one port at which anything in a fake container takes connections.
PAGE_PORT = 8080
PAGE = b"HTTP/1.0 200 OK\r\n\r\nhello\n"
#: What Ctrl-C sends, and the exit code of a command that it ends.
_INTERRUPT, _INTERRUPTED = b"\x03", 130


async def read_terminal(stdin: AsyncIterator[Typed], window: Window) -> AsyncIterator[Chunk | Exit]:
    """Say the terminal's rows and columns at the start and after each line; echo what is typed; end by Ctrl-C."""
    yield _tell_size(window)
    async for item in stdin:
        if not isinstance(item, bytes):
            window = item
            continue
        typed, interrupt, _ = item.partition(_INTERRUPT)
        yield Chunk(1, typed.replace(b"\n", b"\r\n"))
        for _ in range(typed.count(b"\n") + typed.count(b"\r")):
            yield _tell_size(window)
        if interrupt:
            yield Exit(_INTERRUPTED)
            return
    yield Exit(0)


def _tell_size(window: Window) -> Chunk:
    return Chunk(1, f"{window.rows} {window.columns}\r\n".encode())


class PagePipe:
    """A connection to a server that answers one request and ends its half."""

    def __init__(self) -> None:
        self._asked = b""
        self._changed = asyncio.Event()
        self._is_ended = False

    async def read(self) -> AsyncIterator[bytes]:
        """Give the page once the request is whole; nothing to a client that leaves before."""
        while b"\r\n\r\n" not in self._asked and not self._is_ended:
            await self._changed.wait()
            self._changed.clear()
        if b"\r\n\r\n" in self._asked:
            yield PAGE

    async def write(self, data: bytes) -> None:
        """Take a piece of the request."""
        self._asked += data
        self._changed.set()

    def end(self) -> None:
        """The client has said all."""
        self._is_ended = True
        self._changed.set()

    async def close(self) -> None:
        """The client leaves."""
        self.end()
