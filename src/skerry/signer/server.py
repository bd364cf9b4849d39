"""The signer's socket: one line of JSON in, one line out, for whoever the file's permissions let in.

A Unix socket and nothing else: this file opens no port. Limits hold for connections, line length and patience; a line
that is no ask ends the connection after it was told so.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec

from skerry.clock import SECOND_US, Clock, ClockTimeout, Tasks
from skerry.model.errors import SkerryError, Unavailable
from skerry.model.signing import SIGNER_LINE_BYTES_MAX, Answer, Ask, Refusal
from skerry.safe.errors import StoreFailed
from skerry.signer.desk import SignerDesk

#: People and their scripts at one keyring at once; more wait at the door, which shuts again at once.
CONNECTIONS_MAX = 16
#: A client that says nothing for so long is gone.
IDLE_US_MAX = 60 * SECOND_US
#: The kernel's limit on a socket's path, its end included.
_PATH_BYTES_MAX = 107

_ASK: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)


class SignerServer:
    """Serves one desk."""

    def __init__(self, desk: SignerDesk, clock: Clock, tasks: Tasks) -> None:
        self._desk = desk
        self._clock = clock
        self._tasks = tasks
        self._connections = 0

    @contextlib.asynccontextmanager
    async def serve(self, path: Path, mode: int) -> AsyncGenerator[None]:
        """Listen at ``path`` with file mode ``mode`` while the block runs. The caller holds the keyring's lock."""
        door = _make_door(path, mode)
        try:
            server = await asyncio.start_unix_server(self._talk, sock=door, limit=SIGNER_LINE_BYTES_MAX)
            async with server:
                yield
        finally:
            _remove_door(door, path)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                # A client may go away at any time; there is nobody left to tell.
                with contextlib.suppress(ConnectionError, TimeoutError):
                    await self._converse(reader, writer)
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with ClockTimeout(self._clock, self._tasks, IDLE_US_MAX):
                line = await _read_line(reader)
                if line == b"":
                    return
                answer, good = self._answer(line)
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
            if not good:
                return

    def _answer(self, line: bytes | None) -> tuple[Answer, bool]:
        """Answer one line; the second value says whether the connection may go on."""
        if line is None:
            return Refusal(code="E-SIZE", reason=f"a line has at most {SIGNER_LINE_BYTES_MAX} bytes"), False
        try:
            ask = _ASK.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refusal(code="E-ASK", reason=f"the line is no ask: {error}"), False
        try:
            return self._desk.answer(ask), True
        except StoreFailed as error:
            # What is on the disk is not known any more: nothing is signed by this process again (faults.md §3.4).
            self._tasks.start("signer.store", _fail(error))
            return Refusal(code=error.code, reason=error.detail, hint=error.hint), False
        except SkerryError as error:
            return Refusal(code=error.code, reason=error.detail, hint=error.hint), True


async def _fail(error: StoreFailed) -> None:
    raise error


async def _read_line(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next line, empty at the end of the connection, None when it is too long."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return b""
    except asyncio.LimitOverrunError:
        return None


def _remove_door(door: socket.socket, path: Path) -> None:
    door.close()
    path.unlink(missing_ok=True)


def _make_door(path: Path, mode: int) -> socket.socket:
    """Bind the socket so that it never exists with wider permissions than ``mode``."""
    if len(os.fsencode(path)) > _PATH_BYTES_MAX:
        raise Unavailable("E-SIGNER", f"The path of the signer's socket is longer than {_PATH_BYTES_MAX} bytes: {path}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A socket that is left over from a killed signer: the lock on the keyring says that nobody listens there.
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        door.bind(os.fspath(path))
    except OSError as error:
        door.close()
        raise Unavailable("E-SIGNER", f"The signer's socket cannot be made at {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    return door
