"""What people do in a container that runs: a command with plain streams or a terminal, and connections to its ports.

podman 4.3.1 frames the output of plain streams and gives a terminal's as it is. Where the client of a terminal goes
away podman leaves the command running for ever, so it is ended here, with all that it started.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import msgspec

from skerry.drivers.base import Chunk, Exit, Pipe, PortRefused, Typed
from skerry.drivers.podman.answers import ExecMade, ExecState
from skerry.drivers.podman.http import PodmanHttp, PodmanRefusal, PodmanUnavailable, Query, split_frames
from skerry.drivers.podman.hung import end_session
from skerry.model.signed import Window

#: A port of the same machine answers at once, and one that drops what comes never does.
_CONNECT_S = 5.0
#: Time for what is left of a connection to be taken by the container.
_PART_S = 5.0
_PIECE_BYTES = 64 * 1024


class Inside:
    """Commands and connections by way of one podman service."""

    def __init__(self, http: PodmanHttp, find_addresses: Callable[[str], Awaitable[list[str]]]) -> None:
        """``find_addresses`` gives those of a running container as they are now."""
        self._http = http
        self._find_addresses = find_addresses

    async def run_command(
        self, container: str, argv: tuple[str, ...], stdin: AsyncIterator[Typed], terminal: Window | None
    ) -> AsyncIterator[Chunk | Exit]:
        """See ``drivers.base.Console``."""
        tty = terminal is not None
        body = {"AttachStdout": True, "AttachStderr": True, "AttachStdin": True, "Tty": tty, "Cmd": list(argv)}
        try:
            made = await self._http.call("POST", f"/containers/{container}/exec", body)
            session = msgspec.json.decode(made, type=ExecMade).id
            if terminal is None:
                chunks = self._run_plain(session, stdin)
            else:
                chunks = self._run_in_terminal(session, container, stdin, terminal)
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
            yield Exit((await self._look(session)).exit_code)
        except (PodmanUnavailable, PodmanRefusal) as error:
            yield Chunk(2, f"{error}\n".encode())
            yield Exit(126)

    async def _run_plain(self, session: str, stdin: AsyncIterator[Typed]) -> AsyncGenerator[Chunk]:
        """Start a command that was made, and stream its output to the end of the command."""
        buffer = bytearray()
        start = {"Detach": False, "Tty": False}
        typed = self._read_typed(session, stdin)
        try:
            async with aclosing(self._http.stream("POST", f"/exec/{session}/start", start, upward=typed)) as pieces:
                async for piece in pieces:
                    buffer += piece
                    for channel, data in split_frames(buffer):
                        yield Chunk(channel or 1, data)
        except PodmanUnavailable:
            # A command that ends with much of its input unread breaks the stream in podman, whatever it had to say.
            if (await self._look(session)).running:
                raise

    async def _run_in_terminal(
        self, session: str, container: str, stdin: AsyncIterator[Typed], terminal: Window
    ) -> AsyncGenerator[Chunk]:
        start = {"Detach": False, "Tty": True, "h": terminal.rows, "w": terminal.columns}
        typed = self._read_typed(session, stdin)
        is_over = False
        try:
            async with aclosing(self._http.stream("POST", f"/exec/{session}/start", start, upward=typed)) as pieces:
                async for piece in pieces:
                    yield Chunk(1, piece)
            is_over = True
        finally:
            if not is_over:
                await asyncio.to_thread(end_session, session, container)

    async def _read_typed(self, session: str, stdin: AsyncIterator[Typed]) -> AsyncIterator[bytes]:
        """Give what is typed; a change of the terminal's size is done in its turn."""
        async for item in stdin:
            if isinstance(item, bytes):
                yield item
                continue
            size: Query = {"w": item.columns, "h": item.rows}
            # The command may have just ended, and a size is nothing to fail for.
            with contextlib.suppress(PodmanRefusal, PodmanUnavailable):
                await self._http.call("POST", f"/exec/{session}/resize", query=size)

    async def _look(self, session: str) -> ExecState:
        return await self._http.read(ExecState, f"/exec/{session}/json")

    async def open_port(self, container: str, port: int) -> Pipe:
        """See ``drivers.base.Console``."""
        addresses = await self._list_addresses(container)
        if not addresses:
            raise PortRefused("the instance has no address of its own")
        for address in addresses:
            pipe = await _connect(address, port)
            if pipe is None:
                continue
            # An address that was given to another container while we dialled is another's.
            if address in await self._list_addresses(container):
                return pipe
            await pipe.close()
        raise PortRefused(f"nothing takes connections at port {port} of the instance's own address")

    async def _list_addresses(self, container: str) -> list[str]:
        try:
            return await self._find_addresses(container)
        except (PodmanUnavailable, PodmanRefusal) as error:
            raise PortRefused(str(error)) from error


class TcpPipe:
    """A ``Pipe`` over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> AsyncIterator[bytes]:
        """See ``Pipe``."""
        while data := await self._reader.read(_PIECE_BYTES):
            yield data

    async def write(self, data: bytes) -> None:
        """See ``Pipe``."""
        self._writer.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """See ``Pipe``."""
        self._writer.write_eof()

    async def close(self) -> None:
        """See ``Pipe``. What was written is still sent, for a while."""
        self._writer.close()
        try:
            async with asyncio.timeout(_PART_S):
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except OSError:
            return


async def _connect(address: str, port: int) -> TcpPipe | None:
    try:
        async with asyncio.timeout(_CONNECT_S):
            return TcpPipe(*await asyncio.open_connection(address, port, limit=_PIECE_BYTES))
    except OSError:  # which a timeout is too
        return None
