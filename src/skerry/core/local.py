"""The core's own socket, in its data directory: what commands on its machine ask while it runs.

One word in a line, one JSON object back; who may enter the directory may ask. Needs no token and no API, so a backup
needs neither. Neighbours: ``keeping.py`` asks, ``host.py`` answers.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from skerry.model.errors import Refused, SkerryError

#: Name of the socket in the data directory.
SOCKET = "core.sock"
#: A snapshot of a gigabyte takes a minute on a slow disk.
ANSWER_S = 600.0
_WORD_BYTES_MAX = 64
_ANSWER_BYTES_MAX = 1024 * 1024

T = TypeVar("T")


class LocalAnswer(msgspec.Struct, frozen=True):
    """What the core says: an answer, or a problem in the words of its errors."""

    answer: msgspec.Raw = msgspec.Raw(b"null")
    code: str = ""
    detail: str = ""
    hint: str = ""


class LocalSocket:
    """Answers words."""

    def __init__(self, path: Path, words: Mapping[str, Callable[[], Awaitable[object]]]) -> None:
        self._path = path
        self._words = words
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket left by a killed predecessor is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_WORD_BYTES_MAX)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                writer.write(msgspec.json.encode(await self._answer(await reader.readline())) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, TimeoutError):
            pass  # whoever asked has gone, or says no word of ours
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> LocalAnswer:
        word = self._words.get(line.decode("ascii", "replace").strip())
        if word is None:
            return LocalAnswer(code="E-REQUEST", detail="The core's socket knows no such word.")
        try:
            return LocalAnswer(msgspec.Raw(msgspec.json.encode(await word())))
        except SkerryError as error:
            return LocalAnswer(code=error.code, detail=error.detail, hint=error.hint)


def ask(data: Path, word: str, kind: type[T]) -> T | None:
    """Ask the core that runs over ``data``; None when none does. Raises ``Refused`` with the core's words."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        opened.settimeout(ANSWER_S)
        content = bytearray()
        try:
            opened.connect(str(data / SOCKET))
            opened.sendall(word.encode() + b"\n")
            while (part := opened.recv(64 * 1024)) and len(content) <= _ANSWER_BYTES_MAX:
                content += part
        except OSError:
            return None
    if not content:
        return None
    found = msgspec.json.decode(content, type=LocalAnswer)
    if found.code:
        raise Refused(found.code, found.detail, hint=found.hint)
    return msgspec.json.decode(found.answer, type=kind)
