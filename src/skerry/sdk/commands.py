"""A command in an instance or a connection to it: the node's nonce comes first, a signed call answers it, then bytes
go both ways.

The core passes all of it on and can make none of it (trust.md §5). Opened by ``Client.run_command`` and
``Client.forward_port``.
"""

import contextlib
import socket
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from skerry.model.answers import ProblemDocument
from skerry.model.errors import SkerryError, Unavailable
from skerry.model.ids import NodeName, SiteName
from skerry.model.signed import Envelope, Window
from skerry.sdk import policy
from skerry.sdk.errors import read_problem

if TYPE_CHECKING:
    import httpx2
    from httpx2.websockets import WebSocketSession

#: Bytes of one message of the core: a chunk of a stream and its frame.
MESSAGE_BYTES_MAX = 256 * 1024
#: Bytes of input in one message.
INPUT_BYTES_MAX = 32 * 1024


class Nonce(msgspec.Struct, frozen=True):
    """What a call must name to be good once, for one node."""

    nonce: bytes
    site: SiteName
    node: NodeName


class _Told(msgspec.Struct, frozen=True):
    """A text message of the core: one of its fields is set."""

    nonce: bytes | None = None
    site: SiteName = SiteName("")
    node: NodeName = NodeName("")
    eof: bool = False
    exit_code: int | None = None
    problem: ProblemDocument | None = None


class Command:
    """A command that runs, or a connection. ``exit_code`` is known once ``output`` has ended."""

    def __init__(self, session: "WebSocketSession") -> None:
        self._session = session
        self.exit_code: int | None = None

    def write(self, data: bytes) -> None:
        """Send bytes to its standard input, or into the connection."""
        for start in range(0, len(data), INPUT_BYTES_MAX):
            self._send(lambda piece=data[start : start + INPUT_BYTES_MAX]: self._session.send_bytes(piece))

    def end(self) -> None:
        """Close its standard input, or our half of the connection."""
        self._send(lambda: self._session.send_text('{"eof":true}'))

    def resize(self, window: Window) -> None:
        """Tell its terminal a new size."""
        self._send(lambda: self._session.send_text(msgspec.json.encode({"window": window}).decode()))

    def leave(self) -> None:
        """Break the connection off, from any thread: who reads or writes then raises ``Unavailable``."""
        found = _socket_of(self._session)
        if found is not None:
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def _send(self, send: Callable[[], None]) -> None:
        """Send; raises ``Unavailable`` once the connection is over, also when that is because the command has ended."""
        from httpx2 import websockets
        from wsproto.utilities import LocalProtocolError

        try:
            send()
        except (websockets.HTTPXWSException, LocalProtocolError, OSError) as error:
            raise Unavailable("E-CUT", "The connection to the core is over.") from error

    def output(self) -> Iterator[tuple[int, bytes]]:
        """Give ``(1 or 2, bytes)`` for its standard output and error; raises ``Unavailable`` when the link is cut.

        The far end of a connection that sends no more is told as ``(1, b"")``.
        """
        while self.exit_code is None:
            message = receive(self._session)
            if isinstance(message, bytes):
                yield message[0], message[1:]
            elif message.eof:
                yield 1, b""
            else:
                self.exit_code = message.exit_code


@contextlib.contextmanager
def open_command(http: "httpx2.Client", url: str, path: str, sign: Callable[[Nonce], Envelope]) -> Generator[Command]:
    """Open the socket, have the nonce signed, and give the running command."""
    import httpx2
    from httpx2 import websockets

    # A scheme of its own makes the library take it for a WebSocket; the connection is that of the client.
    address = url.replace("http", "ws", 1) + path
    try:
        # No pings of ours: their answers would wait behind what nobody reads. The kernel asks instead.
        with http.websocket(
            address, max_message_size_bytes=MESSAGE_BYTES_MAX, keepalive_ping_interval_seconds=None
        ) as session:
            _watch_peer(session)
            told = receive(session)
            if isinstance(told, bytes) or told.nonce is None:
                raise Unavailable("E-ANSWER", "What answers is not a core of this release.")
            session.send_text(msgspec.json.encode(sign(Nonce(told.nonce, told.site, told.node))).decode())
            yield Command(session)
    except websockets.WebSocketUpgradeError as error:
        response = error.response
        raise read_problem(response.status_code, _read_rest(response)) from error
    except (websockets.WebSocketNetworkError, httpx2.TransportError) as error:
        raise policy.unreachable(url, error) from error


def _socket_of(session: "WebSocketSession") -> socket.socket | None:
    found: Any = session.stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None


def _watch_peer(session: "WebSocketSession") -> None:
    """Have the kernel end a connection whose other end is gone; one that only says nothing stays."""
    found = _socket_of(session)
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 4)):
            found.setsockopt(socket.IPPROTO_TCP, option, value)


def receive(session: "WebSocketSession") -> bytes | _Told:
    """Return the next message; raises what the core tells as a problem."""
    from httpx2 import websockets

    try:
        event: Any = session.receive()
    except websockets.WebSocketDisconnect as error:
        detail = f"The core ended the connection before the command had ended ({error.code} {error.reason})."
        raise Unavailable("E-CUT", detail) from error
    data: str | bytes = event.data
    if isinstance(data, bytes):
        if not data:
            raise Unavailable("E-ANSWER", "An empty message came.")
        return data
    try:
        told = msgspec.json.decode(data, type=_Told)
    except msgspec.DecodeError as error:
        raise Unavailable("E-ANSWER", f"What answers is not a core of this release: {error}") from error
    if told.problem is not None:
        raise refusal_of(told.problem)
    return told


def refusal_of(problem: ProblemDocument) -> SkerryError:
    """Return the error that a problem document describes."""
    return read_problem(problem.status, msgspec.json.encode(problem))


def _read_rest(response: "httpx2.Response") -> bytes:
    import httpx2

    try:
        return response.read()
    except (httpx2.TransportError, httpx2.StreamError):
        return b""
