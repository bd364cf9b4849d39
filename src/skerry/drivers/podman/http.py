"""Plain HTTP/1.1 over podman's Unix socket: one request, one connection, standard library only (decision 0004).

Every read has a limit and every call a deadline. A runtime that does not answer is ``PodmanUnavailable``; an answer
that says no is ``PodmanRefusal`` with its status and words.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from skerry.clock import Tasks
from skerry.drivers.podman.answers import ErrorAnswer

T = TypeVar("T")
Query = dict[str, str | int | bool]

#: A list of a thousand containers is 2 MB; more in one answer is no answer we asked for.
ANSWER_BYTES_MAX = 16 * 1024 * 1024
_LINE_BYTES_MAX = 64 * 1024
#: One frame of a log or of a command's output: podman cuts both at 32 KiB, long log lines may be joined.
FRAME_BYTES_MAX = 4 * 1024 * 1024
#: Reads and small changes; podman answers in milliseconds and in seconds on a busy disk.
CALL_S = 30.0
#: Input is held back so long: of a command that ends at once and leaves input unread, podman loses the output.
UPWARD_AFTER_S = 0.3
API = "/v4.0.0/libpod"


class PodmanUnavailable(Exception):
    """The service does not answer, or not in time: then ``late`` is set."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class PodmanRefusal(Exception):
    """The service answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class PodmanHttp:
    """Calls podman at ``socket``."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Query | None = None,
        stream: Iterable[bytes] | None = None,
        deadline_s: float = CALL_S,
    ) -> bytes:
        """Make one call and return the answer's bytes. ``stream`` is sent chunk by chunk as a tar."""
        try:
            async with asyncio.timeout(deadline_s):
                async with self._connect() as (reader, writer):
                    status, length = await _ask(reader, writer, _write_head(method, path, query), body, stream)
                    content = await _read_all(reader, length)
        except TimeoutError as error:
            words = f"podman did not answer {method} {path} within {deadline_s:.0f} s"
            raise PodmanUnavailable(words, late=True) from error
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise PodmanUnavailable(f"podman does not answer: {type(error).__name__}: {error}") from error
        if status >= 400:
            raise PodmanRefusal(status, _error_words(content))
        return content

    async def read(self, into: type[T], path: str, *, query: Query | None = None, deadline_s: float = CALL_S) -> T:
        """GET ``path`` and read the answer as ``into``; podman's null is an empty one.

        No answer at all is none: a service that dies while it answers must not look like a node without containers.
        """
        content = await self.call("GET", path, query=query, deadline_s=deadline_s)
        try:
            return into() if content.strip() == b"null" else msgspec.json.decode(content, type=into)
        except msgspec.DecodeError as error:
            raise PodmanUnavailable(f"podman answered {path} in a way this driver does not know: {error}") from error

    async def stream(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Query | None = None,
        upward: AsyncIterator[bytes] | None = None,
    ) -> AsyncGenerator[bytes]:
        """Make a call whose answer goes on and on; give its bytes as they come. Close it to end the call.

        ``upward`` goes the other way on the same connection once podman has answered, as its ``exec`` wants it; its end
        shuts that way and leaves the other open.
        """
        tasks = Tasks()
        try:
            async with self._connect() as (reader, writer):
                status, length = await _ask(reader, writer, _write_head(method, path, query), body, None)
                if status >= 400:
                    async with asyncio.timeout(CALL_S):
                        content = await _read_all(reader, length)
                    raise PodmanRefusal(status, _error_words(content))
                if upward is not None:
                    tasks.start("podman input", _send_upward(writer, upward))
                async for piece in _read_pieces(reader, length):
                    yield piece
        except TimeoutError as error:
            raise PodmanUnavailable(f"podman did not end its answer to {path} within {CALL_S:.0f} s") from error
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise PodmanUnavailable(f"podman went away: {type(error).__name__}: {error}") from error
        finally:
            await tasks.stop()

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=_LINE_BYTES_MAX)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _write_head(method: str, path: str, query: Query | None) -> str:
    target = API + path
    if query:
        words = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
        target += "?" + urlencode(words)
    return f"{method} {target} HTTP/1.1\r\nHost: podman\r\nConnection: close\r\n"


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, body: object, stream: Iterable[bytes] | None
) -> tuple[int, int | None]:
    """Send a request and return the status of its answer and the length of what follows."""
    raw = b"" if body is None else json.dumps(body).encode()
    if stream is None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        writer.write(head.encode() + raw)
    else:
        head += "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        await _send_pieces(writer, stream)
    with contextlib.suppress(ConnectionError):  # it may have answered and closed before it had read all
        await writer.drain()
    return await _read_head(reader)


async def _send_upward(
    writer: asyncio.StreamWriter, pieces: AsyncIterator[bytes], wait_s: float = UPWARD_AFTER_S
) -> None:
    """Send what comes, as fast as it is read at the far end; a command that has ended reads nothing any more."""
    with contextlib.suppress(OSError):
        async for piece in pieces:
            if wait_s:
                await asyncio.sleep(wait_s)  # noqa: TID251 - a real runtime is waited for, in real time
                wait_s = 0.0
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


async def _send_pieces(writer: asyncio.StreamWriter, stream: Iterable[bytes]) -> None:
    """Send an archive; whoever makes it gives an empty piece whenever others may have a turn."""
    with contextlib.suppress(ConnectionError):  # as when its disk is full: the answer says why
        for piece in stream:
            if piece:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            await asyncio.sleep(0)  # noqa: TID251 - a turn for others, no time
        writer.write(b"0\r\n\r\n")


#: Length of a body that comes in chunks, each with its own.
_CHUNKED = -1


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    """Return the status and the length of the body: ``_CHUNKED``, or None when it goes on until the connection ends."""
    status_line = (await reader.readline()).decode("latin-1").split(" ", 2)
    if len(status_line) < 2 or not status_line[1].isdigit():
        raise ValueError("not an HTTP answer")
    length: int | None = None
    for _ in range(100):
        raw = await reader.readline()
        if not raw.endswith(b"\n"):
            raise ValueError("the answer ended in its head")
        line = raw.decode("latin-1").strip().lower()
        name, _, value = line.partition(":")
        if not line:
            return int(status_line[1]), length
        if name == "transfer-encoding" and "chunked" in value:
            length = _CHUNKED
        elif name == "content-length" and length is None:
            length = int(value)
    raise ValueError("too many header lines")


async def _read_pieces(reader: asyncio.StreamReader, length: int | None) -> AsyncGenerator[bytes]:
    if length is None:
        while piece := await reader.read(_LINE_BYTES_MAX):
            yield piece
        return
    while length > 0:
        piece = await reader.read(min(length, _LINE_BYTES_MAX))
        if not piece:
            raise asyncio.IncompleteReadError(b"", length)
        length -= len(piece)
        yield piece
    while length == _CHUNKED:
        size = int((await reader.readline()).split(b";")[0], 16)
        if size == 0:
            return
        while size > 0:
            piece = await reader.read(min(size, _LINE_BYTES_MAX))
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(piece)
            yield piece
        await reader.readline()


async def _read_all(reader: asyncio.StreamReader, length: int | None) -> bytes:
    pieces: list[bytes] = []
    total = 0
    async for piece in _read_pieces(reader, length):
        total += len(piece)
        if total > ANSWER_BYTES_MAX:
            raise ValueError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _error_words(content: bytes) -> str:
    try:
        answer = msgspec.json.decode(content, type=ErrorAnswer)
    except msgspec.DecodeError:
        return content[:300].decode("utf-8", "replace")
    return answer.message or answer.cause


def split_frames(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take whole frames of podman's log and exec streams off ``buffer``: channel and bytes.

    A frame is one byte of channel, three of nothing, four of length, then the bytes. A frame longer than any that
    podman makes raises ``PodmanUnavailable``: waiting for its end would keep all of it in memory.
    """
    frames: list[tuple[int, bytes]] = []
    while len(buffer) >= 8:
        size = int.from_bytes(buffer[4:8], "big")
        if size > FRAME_BYTES_MAX:
            raise PodmanUnavailable(f"podman sent a frame of {size} bytes")
        if len(buffer) < 8 + size:
            break
        frames.append((buffer[0], bytes(buffer[8 : 8 + size])))
        del buffer[: 8 + size]
    return frames
