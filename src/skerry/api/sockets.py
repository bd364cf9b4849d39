"""The client's end of a signed call, over a WebSocket.

core    text    {"nonce": base64, "site": …, "node": …}
client  text    the signed call, as an envelope
core    binary  one byte of channel (1 stdout, 2 stderr; a connection's bytes come on 1), then output
client  binary  input;  text {"eof": true} ends it;  text {"window": {"columns": …, "rows": …}}: a terminal's new size
core    text    {"eof": true}: the far end of a connection sends no more
core    text    {"exit_code": n}, or {"problem": …}; then the socket is closed
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from skerry.clock import SECOND_US, Clock, ClockTimeout, Tasks
from skerry.model.answers import ProblemDocument
from skerry.model.errors import Invalid, Refused, Unavailable
from skerry.model.ids import NodeName, SiteName
from skerry.model.limits import WINDOW_SIDE_MAX
from skerry.model.signed import Envelope, Window
from skerry.operations import ENVELOPE_BYTES_MAX
from skerry.trust.envelope import decode_envelope_json
from skerry.trust.verdict import Denied
from skerry.wire import WINDOW_CHANNEL, encode_window

#: A person may be asked for a passphrase by their signer.
_SIGN_US = 60 * SECOND_US
#: Bytes of input in one message.
_INPUT_BYTES_MAX = 64 * 1024
#: Characters of a text message that follows the call.
_TEXT_CHARACTERS_MAX = 256

Socket = WebSocket[Any, Any, Any]


class ClientSocket:
    """Implements ``core.calls.CallSocket`` on an accepted WebSocket."""

    def __init__(self, socket: Socket, clock: Clock, tasks: Tasks) -> None:
        self._socket = socket
        self._clock = clock
        self._tasks = tasks

    async def send_nonce(self, site: SiteName, node: NodeName, nonce: bytes) -> None:
        """See ``CallSocket``."""
        await self._send({"nonce": nonce, "site": site, "node": node})

    async def receive_call(self) -> Envelope:
        """See ``CallSocket``."""
        try:
            async with ClockTimeout(self._clock, self._tasks, _SIGN_US):
                text = await self._socket.receive_data("text")
        except TimeoutError:
            raise Refused("E-SLOW", "The signed call did not come in time.") from None
        content = text.encode()
        if len(content) > ENVELOPE_BYTES_MAX:
            raise Invalid("E-TOO-LARGE", "The signed call is too large.")
        envelope = decode_envelope_json(content)
        if isinstance(envelope, Denied):
            raise Invalid(envelope.code, f"The envelope cannot be read: {envelope.reason}.")
        return envelope

    async def send_output(self, channel: int, data: bytes) -> None:
        """See ``CallSocket``."""
        await self._socket.send_data(bytes((channel,)) + data, "binary")

    async def send_end(self) -> None:
        """See ``CallSocket``."""
        await self._send({"eof": True})

    async def send_exit(self, code: int) -> None:
        """See ``CallSocket``."""
        await self._send({"exit_code": code})

    async def receive_input(self) -> AsyncIterator[tuple[int, bytes]]:
        """See ``CallSocket``."""
        while True:
            message = await self._receive()
            if message is None:
                raise Unavailable("E-CUT", "The client has gone.")
            if text := message.get("text"):
                window = _read_window(text)
                if window is None:
                    return
                yield WINDOW_CHANNEL, window
            data = message.get("bytes") or b""
            for start in range(0, len(data), _INPUT_BYTES_MAX):
                yield 0, data[start : start + _INPUT_BYTES_MAX]

    async def wait_left(self) -> None:
        """See ``CallSocket``."""
        while await self._receive() is not None:
            pass

    async def _receive(self) -> Mapping[str, Any] | None:
        """Return the next message; None when there will be none."""
        try:
            message: Mapping[str, Any] = await self._socket.receive()
        except WebSocketDisconnect:
            return None
        return message if message["type"] == "websocket.receive" else None

    async def send_problem(self, problem: ProblemDocument) -> None:
        """Say why nothing more comes."""
        await self._send({"problem": problem})

    async def _send(self, message: dict[str, object]) -> None:
        await self._socket.send_data(msgspec.json.encode(message).decode(), "text")


class _Said(msgspec.Struct, frozen=True):
    """A text message of the client after its call; without a window it ends the input."""

    window: Window | None = None


def _read_window(text: str) -> bytes | None:
    """Return a terminal's new size as the link carries it; None for what ends the input."""
    if len(text) > _TEXT_CHARACTERS_MAX:
        raise Invalid("E-TOO-LARGE", "A message about the terminal is too large.")
    try:
        said = msgspec.json.decode(text, type=_Said)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid("E-MALFORMED", f"A message about the input cannot be read: {error}.") from error
    if said.window is None:
        return None
    if not all(1 <= side <= WINDOW_SIDE_MAX for side in (said.window.columns, said.window.rows)):
        raise Invalid("E-MALFORMED", f"A terminal has 1 to {WINDOW_SIDE_MAX} columns and rows.")
    return encode_window(said.window)
