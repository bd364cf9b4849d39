"""The on-site socket: what a person at the box can ask without the core (``skerry agent status|doctor|logs``).

HTTP/1.1 over a Unix socket of mode 0600, one request per connection, JSON answers. Only listed paths exist. It answers
from memory and journal, so it answers cut off, with a full disk and with a dead runtime (I21).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from skerry.model.errors import Unavailable

#: A request line and headers of our own client are under 300 bytes.
REQUEST_BYTES_MAX = 4096
#: Seconds for a request and its answer; joining waits for a person's signer elsewhere, everything else is quick.
REQUEST_S_MAX = 120
#: Clients at once; a person and a monitor need two.
CLIENTS_MAX = 16


class LocalProblem(msgspec.Struct, frozen=True):
    """An error on the socket, with the same words as the core's API."""

    code: str
    detail: str
    hint: str = ""


Handler = Callable[[dict[str, str]], Awaitable[msgspec.Struct | LocalProblem]]


class LocalServer:
    """Serves ``handlers``, each under its method and path such as ``GET /status``, on a Unix socket."""

    def __init__(self, path: Path, handlers: dict[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._clients = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket left by a killed predecessor is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=REQUEST_BYTES_MAX)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                status, body = await self._handle(reader)
            await self._answer(writer, status, body)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _handle(self, reader: asyncio.StreamReader) -> tuple[int, msgspec.Struct]:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            return 400, LocalProblem("E-REQUEST", "the request is not HTTP or too long")
        if self._clients > CLIENTS_MAX:
            return 503, LocalProblem("E-BUSY", "too many clients on the agent's socket")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or words[0] not in ("GET", "POST"):
            return 400, LocalProblem("E-REQUEST", "only GET and POST are served here")
        try:
            target = urlsplit(words[1])
        except ValueError:
            return 400, LocalProblem("E-REQUEST", "the path is not readable")
        handler = self._handlers.get(f"{words[0]} {target.path}")
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            return 404, LocalProblem("E-NOT-FOUND", f"nothing at {target.path[:80]!r}", hint=f"known: {known}")
        given = {key: values[-1] for key, values in parse_qs(target.query).items()}
        if words[0] == "POST":
            body = await self._read_body(reader, lines)
            if body is None:
                return 400, LocalProblem(
                    "E-REQUEST", f"the body is a JSON object of texts, at most {REQUEST_BYTES_MAX} bytes"
                )
            given |= body
        try:
            result = await handler(given)
        except Unavailable as error:
            return 503, LocalProblem(error.code, error.detail, error.hint)
        return (400 if isinstance(result, LocalProblem) else 200), result

    async def _read_body(self, reader: asyncio.StreamReader, lines: list[str]) -> dict[str, str] | None:
        """Read a small JSON object of texts; None when it is anything else."""
        size = next((line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("content-length:")), "")
        if not size.isdigit() or len(size) > 4 or int(size) > REQUEST_BYTES_MAX:
            return None
        try:
            return msgspec.json.decode(await reader.readexactly(int(size)), type=dict[str, str])
        except msgspec.DecodeError:
            return None

    async def _answer(self, writer: asyncio.StreamWriter, status: int, body: msgspec.Struct) -> None:
        content = msgspec.json.encode(body)
        head = f"HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + content)
        await writer.drain()
