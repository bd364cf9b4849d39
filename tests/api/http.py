"""Speaks ASGI to the real application in the same event loop: plain requests, streams that go on, and sockets."""

import asyncio
from typing import Any

import msgspec
from tests.core.cores import Rig

from skerry.api.app import make_app
from skerry.core.auth import make_token
from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.ids import TenantName
from skerry.store import access
from skerry.trust.envelope import encode_envelope_json


class Answer:
    """What came back: status, headers, and pieces of the body as they come."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.started = asyncio.Event()
        #: Cleared by a client that takes nothing for a while.
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.content = b""

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)

    @property
    def code(self) -> str:
        return self.json["code"]


class Api:
    """A rig with its application and tokens for every role."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.app = make_app(rig.core, rig.service)
        self.tokens: dict[str, str] = {}

    async def token(self, tenant: str = "", tenant_role: TenantRole = "", operator_role: OperatorRole = "") -> str:
        name = f"{tenant}-{tenant_role}-{operator_role}"
        if name not in self.tokens:
            text, identity, hashed = make_token(self.rig.core.mint)
            row = access.TokenRow(
                token_id=identity,
                tenant=TenantName(tenant),
                name="test",
                tenant_role=tenant_role,
                operator_role=operator_role,
                secret_hash=hashed,
                created_us=0,
            )
            await self.rig.core.db.run(lambda c: access.record_token(c, row))
            self.tokens[name] = text
        return self.tokens[name]

    async def admin(self, tenant: str = "default") -> str:
        return await self.token(tenant, "admin")

    async def operator(self) -> str:
        return await self.token(operator_role="operator")

    def begin(
        self, method: str, target: str, *, token: str = "", body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[Answer, asyncio.Task[None], asyncio.Event]:
        """Send a request; a body may be bytes, something to encode, or a queue of pieces that ends with None."""
        path, _, query = target.partition("?")
        sent = dict(headers or {})
        if token:
            sent["authorization"] = f"Bearer {token}"
        pieces: asyncio.Queue[bytes | None]
        if isinstance(body, asyncio.Queue):
            pieces = body
        else:
            content = body if isinstance(body, bytes) else b"" if body is None else encode(body)
            pieces = asyncio.Queue()
            pieces.put_nowait(content)
            pieces.put_nowait(None)
            sent.setdefault("content-length", str(len(content)))
        answer, gone = Answer(), asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        over = False

        async def receive() -> dict[str, Any]:
            nonlocal over
            if over:
                await gone.wait()
                return {"type": "http.disconnect"}
            piece = await pieces.get()
            over = piece is None
            return {"type": "http.request", "body": piece or b"", "more_body": not over}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
                answer.started.set()
            else:
                await answer.has_room.wait()
                if message.get("body"):
                    answer.pieces.put_nowait(message["body"])
                if not message.get("more_body"):
                    answer.pieces.put_nowait(None)
                    gone.set()  # as a server does once the answer is complete

        task = self.rig.tasks.start("request", self.app(scope, receive, send))  # type: ignore[arg-type]
        return answer, task, gone

    async def ask(self, method: str, target: str, **words: Any) -> Answer:
        """Send a request and read the whole answer."""
        answer, task, gone = self.begin(method, target, **words)
        while (piece := await answer.pieces.get()) is not None:
            answer.content += piece
        gone.set()
        await task
        return answer


def encode(body: Any) -> bytes:
    return encode_envelope_json(body) if type(body).__name__ == "Envelope" else msgspec.json.encode(body)


class Conversation:
    """A WebSocket to the application."""

    def __init__(self, api: Api, target: str, token: str, more: dict[str, str] | None = None) -> None:
        path, _, query = target.partition("?")
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        headers += [(name.encode(), value.encode()) for name, value in (more or {}).items()]
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
            "state": {},
        }
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task = api.rig.tasks.start("socket", api.app(scope, self._to_app.get, self.from_app.put))  # type: ignore[arg-type]

    async def receive(self) -> Any:
        """Return the next message: decoded JSON, bytes, or the close code."""
        message = await self.from_app.get()
        if message["type"] == "websocket.accept":
            return await self.receive()
        if message["type"] == "websocket.close":
            return message["code"]
        return message["bytes"] if message.get("bytes") is not None else msgspec.json.decode(message["text"])

    def send(self, text: str | None = None, data: bytes | None = None) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "text": text, "bytes": data})

    def leave(self) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
