"""The client's end of a signed call, over a WebSocket.

core    text    {"nonce": base64, "site": …, "node": …}
client  text    the signed call, as an envelope
core    binary  one byte of channel (1 stdout, 2 stderr), then output
client  binary  input;  text {"eof": true} ends it
core    text    {"exit_code": n}, or {"problem": …}; then the socket is closed
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from skerry.clock import SECOND_US, Clock, ClockTimeout, Tasks
from skerry.model.answers import ProblemDocument
from skerry.model.errors import Invalid, Refused
from skerry.model.ids import NodeName, SiteName
from skerry.model.signed import Envelope
from skerry.operations import ENVELOPE_BYTES_MAX
from skerry.trust.envelope import decode_envelope_json
from skerry.trust.verdict import Denied

#: A person may be asked for a passphrase by their signer.
_SIGN_US = 60 * SECOND_US
#: Bytes of input in one message.
_INPUT_BYTES_MAX = 64 * 1024

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

    async def send_exit(self, code: int) -> None:
        """See ``CallSocket``."""
        await self._send({"exit_code": code})

    async def receive_input(self) -> AsyncIterator[bytes]:
        """See ``CallSocket``."""
        while True:
            try:
                message = await self._socket.receive()
            except WebSocketDisconnect:
                return
            if message["type"] != "websocket.receive" or message.get("text"):
                return
            data = message.get("bytes") or b""
            for start in range(0, len(data), _INPUT_BYTES_MAX):
                yield data[start : start + _INPUT_BYTES_MAX]

    async def send_problem(self, problem: ProblemDocument) -> None:
        """Say why nothing more comes."""
        await self._send({"problem": problem})

    async def _send(self, message: dict[str, object]) -> None:
        await self._socket.send_data(msgspec.json.encode(message).decode(), "text")
