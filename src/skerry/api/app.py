"""The ASGI application: one handler for every operation, one for every socket, and the console beside them.

A request is matched, authenticated, allowed, read and answered in this order, so that nothing of a stranger's body is
looked at. An operation without a permission cannot be declared, and one without a method keeps the core from starting.
"""

import gzip
import inspect
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import msgspec
import structlog
from litestar import Litestar, Request, Response, WebSocket, route, websocket
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException, WebSocketDisconnect
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from skerry.api import browser, problems, requests, streams
from skerry.api.openapi import write_description
from skerry.api.pages import PREFIX, Pages
from skerry.api.router import Match, Router
from skerry.api.sockets import ClientSocket
from skerry.clock import make_ulid
from skerry.core.auth import Caller, check_allowed
from skerry.core.carrying import Bytes
from skerry.core.exposition import MEDIA_TYPE
from skerry.core.once import KeptAnswer, name_change
from skerry.core.refusals import Unbuilt, not_found, unproven
from skerry.core.service import Service, check_complete
from skerry.core.state import Core
from skerry.manifest.editor import write_schema
from skerry.model.asks import EventQuery
from skerry.model.errors import Broken, Refused, SkerryError
from skerry.operations import OPERATIONS, OPERATOR_ROLES, TENANT_ROLES, Operation, Permission

AnyRequest = Request[Any, Any, Any]
AnyResponse = Response[Any] | Stream

_METHODS = [HttpMethod(name) for name in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")]
#: Where the console's login begins and ends a browser's session; no operation, because only browsers have one.
SESSION = f"{PREFIX}session"
#: A token and its frame of JSON.
_LOGIN_BYTES_MAX = 1_024
#: 10,000 points in 6 ms, and a fifth of their bytes.
_PACK_LEVEL = 1
#: Headers that make a change another one.
_GUARDS = ("if-match", "if-none-match", "skerry-plan")
#: Close code of a socket whose problem was told: a policy forbids it.
_POLICY = 1008

_log = structlog.get_logger("skerry.api")


def make_app(core: Core, service: Service, *, more: tuple[ControllerRouterHandler, ...] = ()) -> Litestar:
    """Build the application; raises ``Broken`` when operations and methods do not fit. ``more`` are pages beside it."""
    check_permissions(OPERATIONS)
    check_complete(Service)
    door = Door(core, service)

    @route(["/", "/{path:path}"], http_method=_METHODS)
    async def answer(request: AnyRequest) -> AnyResponse:
        return await door.answer(request)

    @websocket("/{path:path}")
    async def converse(socket: WebSocket[Any, Any, Any]) -> None:
        await door.converse(socket)

    return Litestar(
        [*more, answer, converse],
        openapi_config=None,
        # Each operation has its own limit, kept while reading (requests.py).
        request_max_body_size=None,
        logging_config=None,
        exception_handlers={HTTPException: door.answer_exception, Exception: door.answer_exception},
    )


def check_permissions(operations: tuple[Operation, ...]) -> None:
    """Raise ``Broken`` for an operation that no role, or anybody by mistake, could use."""
    roles = (*TENANT_ROLES.values(), *OPERATOR_ROLES.values())
    granted: set[Permission] = {permission for role in roles for permission in role}
    for operation in operations:
        public = (operation.permission == "public", operation.audience == "public")
        if public == (True, True) or (public == (False, False) and operation.permission in granted):
            continue
        raise Broken("E-OPERATION", f"Operation {operation.name} has no permission that makes sense.")


class Door:
    """Turns requests into calls of the service and results into responses."""

    def __init__(self, core: Core, service: Service) -> None:
        self._core = core
        self._service = service
        self._router = Router()
        self._pages = Pages()

    async def answer(self, request: AnyRequest) -> AnyResponse:
        """Answer one request."""
        path = request.scope["path"]
        try:
            if path == "/openapi.json" and request.method in ("GET", "HEAD"):
                return Response(write_description(), media_type="application/json", status_code=200)
            if path == "/schemas/app.json" and request.method in ("GET", "HEAD"):
                return Response(write_schema().encode(), media_type="application/schema+json", status_code=200)
            if path == "/" and request.method in ("GET", "HEAD"):
                return Response(b"", status_code=303, headers={"Location": PREFIX})
            if path == SESSION and request.method in ("POST", "DELETE"):
                return await self._change_session(request)
            if f"{path}/".startswith(PREFIX) and request.method in ("GET", "HEAD"):
                served = self._pages.serve(path, request.headers)
                return Response(
                    served.content,
                    status_code=served.status,
                    media_type=served.headers["Content-Type"],
                    headers=served.headers,
                )
            return await self._answer(request, path)
        except SkerryError as error:
            return self._tell(error, path)

    async def _answer(self, request: AnyRequest, path: str) -> AnyResponse:
        match = self._router.match(request.method, path)
        if match is None or match.operation.style == "socket":
            raise not_found()
        operation = match.operation
        header = requests.first_of(request.headers.getall("authorization", []))
        token = requests.read_token(header)
        if header is None and (token := browser.read_session(request.headers)):
            browser.check_page(request.method, request.headers)
        caller = await self._service.authenticate(token)
        if operation.audience != "public" and not caller.token_id:
            raise unproven()
        check_allowed(operation, caller)
        if not operation.built:
            raise unbuilt(operation)
        arguments, content = await self._read(request, match)
        key = requests.read_key(request.headers.getall("idempotency-key", [])) if operation.keyed else ""
        if not key:
            return await self._act(request, operation, caller, arguments)
        target = f"{request.method} {path}?{request.scope['query_string'].decode('ascii', 'replace')}"
        guards = (f"{name}:{request.headers.get(name, '')}" for name in _GUARDS)
        asked = [part.encode() for part in (target, *guards)] + [content]
        once = name_change(caller.tenant or "", caller.token_id, token, key, asked)
        repeats = self._core.repeats
        async with repeats.hold(once) as kept:
            if kept is not None:
                return _repeat(kept)
            response = await self._act(request, operation, msgspec.structs.replace(caller, once=once), arguments)
            assert isinstance(response, Response), "no change answers with a stream"
            await repeats.keep(
                once, KeptAnswer(response.status_code or 200, response.headers, cast("bytes", response.content))
            )
            return response

    async def _act(
        self, request: AnyRequest, operation: Operation, caller: Caller, arguments: Mapping[str, Any]
    ) -> AnyResponse:
        if operation.style == "events":
            return await self._follow(operation, caller, arguments)
        if operation.style == "bytes":
            return await self._hand_out(operation, caller, arguments, with_body=request.method != "HEAD")
        result = getattr(self._service, operation.name)(caller, **arguments)
        if inspect.isawaitable(result):
            result = await result
        return self._respond(operation, result, packed="gzip" in request.headers.get("accept-encoding", ""))

    async def _follow(self, operation: Operation, caller: Caller, arguments: Mapping[str, Any]) -> AnyResponse:
        """Give a reader its place, then its stream; raises ``TooMany`` where there is no place."""
        reader = self._core.readers.admit(caller.token_id)
        try:
            items = await getattr(self._service, operation.name)(caller, **arguments)
        except BaseException:
            reader.leave()
            raise
        body = streams.stream_events(items, reader)
        headers = {"Cache-Control": "no-store"}
        return Stream(body, media_type=streams.EVENTS_TYPE, headers=headers, status_code=200)

    async def _hand_out(
        self, operation: Operation, caller: Caller, arguments: Mapping[str, Any], *, with_body: bool
    ) -> AnyResponse:
        """Give bytes one piece after the other, in a place among the readers."""
        reader = self._core.readers.admit(caller.token_id)
        try:
            found: Bytes = await getattr(self._service, operation.name)(caller, **arguments)
        except BaseException:
            reader.leave()
            raise
        headers = {"Cache-Control": "no-store", "Content-Length": str(found.size)}
        if not with_body:
            reader.leave()
            await found.pieces.aclose()
            return Response(b"", media_type=streams.BYTES_TYPE, headers=headers, status_code=operation.status)
        body = streams.stream_bytes(found.pieces, reader)
        return Stream(body, media_type=streams.BYTES_TYPE, headers=headers, status_code=operation.status)

    async def _change_session(self, request: AnyRequest) -> AnyResponse:
        """Begin a browser's session with a token, or end it: the one thing here that a person types a token into."""
        browser.check_page(request.method, request.headers)
        declared, clock, tasks = request.headers.get("content-length"), self._core.clock, self._core.tasks
        content = await requests.read_body(request.stream(), declared, _LOGIN_BYTES_MAX, clock, tasks)
        token = ""
        if request.method == "POST":
            token = requests.read_login(content)
            caller = await self._service.authenticate(token)
            if not caller.token_id:
                raise unproven()
        headers = {"Set-Cookie": browser.write_cookie(token, request.headers), "Cache-Control": "no-store"}
        return Response(None, status_code=204, headers=headers)

    async def _read(self, request: AnyRequest, match: Match) -> tuple[dict[str, Any], bytes]:
        """Read what the operation takes besides the caller, and the body's bytes where they are not a stream."""
        content = b""
        operation, clock, tasks = match.operation, self._core.clock, self._core.tasks
        headers = request.headers
        arguments: dict[str, Any] = dict(match.values)
        query = requests.read_query(operation, request.scope["query_string"].decode("ascii", "replace"))
        if isinstance(query, EventQuery) and (last := headers.get("last-event-id")):
            if not last.isdecimal() or len(last) > 15:
                raise Refused("E-HEADER", "Last-Event-ID is the number of an event.")
            query = msgspec.structs.replace(query, after=int(last))
        if query is not None:
            arguments["query"] = query
        if operation.guarded:
            arguments["expect"] = requests.read_precondition(
                headers.get("if-match"), headers.get("if-none-match"), headers.get("skerry-plan")
            )
        declared = headers.get("content-length")
        if operation.style == "upload":
            stream = requests.limit_stream(request.stream(), declared, operation.body_bytes_max, clock, tasks)
            arguments["body"] = stream
        elif operation.body is not None:
            limit = operation.body_bytes_max
            content = await requests.read_body(request.stream(), declared, limit, clock, tasks)
            raw = operation.style == "raw"
            arguments["body"] = content if raw else requests.read_json(operation, content)
        else:
            await requests.read_body(request.stream(), declared, 0, clock, tasks)
        return arguments, content

    def _respond(self, operation: Operation, result: Any, *, packed: bool = False) -> AnyResponse:
        headers = {"Cache-Control": "no-store"}
        match operation.style:
            case "lines":
                body = streams.stream_lines(cast("AsyncIterator[Any]", result))
                return Stream(body, media_type=streams.LINES_TYPE, headers=headers, status_code=200)
            case "text":
                return Response(result, media_type=MEDIA_TYPE, headers=headers, status_code=200)
            case _:
                pass
        if operation.etag:
            headers["ETag"] = f'"{_follow(result, operation.etag)}"'
        if cause := getattr(result, "cause", ""):
            headers["Skerry-Cause"] = str(cause)
        status = 503 if operation.name == "check_ready" and not result.ok else operation.status
        content = msgspec.json.encode(result)
        if operation.zipped:
            headers["Vary"] = "Accept-Encoding"
            if packed:
                headers["Content-Encoding"] = "gzip"
                content = gzip.compress(content, _PACK_LEVEL)
        return Response(content, media_type="application/json", headers=headers, status_code=status)

    async def converse(self, socket: WebSocket[Any, Any, Any]) -> None:
        """Carry one socket from its upgrade to its end."""
        await socket.accept()
        path = socket.scope["path"]
        client = ClientSocket(socket, self._core.clock, self._core.tasks)
        code = 1000
        try:
            match = self._router.match("GET", path)
            if match is None or match.operation.style != "socket":
                raise not_found()
            operation = match.operation
            header = requests.first_of(socket.headers.getall("authorization", []))
            caller = await self._service.authenticate(requests.read_token(header))
            if not caller.token_id:
                raise unproven()
            check_allowed(operation, caller)
            if not operation.built:
                raise unbuilt(operation)
            query = requests.read_query(operation, socket.scope["query_string"].decode("ascii", "replace"))
            arguments: Mapping[str, Any] = match.values | ({} if query is None else {"query": query})
            await getattr(self._service, operation.name)(caller, socket=client, **arguments)
        except WebSocketDisconnect:
            return
        except SkerryError as error:
            await client.send_problem(problems.describe_error(error, instance=path))
            code = _POLICY
        await socket.close(code)

    def answer_exception(self, request: AnyRequest, error: Exception) -> AnyResponse:
        """Answer what went wrong below or beside us: the framework's own refusals, and our defects."""
        path = request.scope["path"]
        if isinstance(error, HTTPException) and error.status_code < 500:
            known = not_found() if error.status_code in (404, 405) else Refused("E-MALFORMED", "That is no request.")
            return self._tell(known, path)
        cause = make_ulid(self._core.mint, self._core.clock.wall_us())
        _log.error("request failed", path=path, cause=cause, exc_info=error)
        broken = Broken("E-BROKEN", "Something inside the core is wrong; it was written to its log.")
        return self._tell(broken, path, cause)

    def _tell(self, error: SkerryError, path: str, cause: str = "") -> AnyResponse:
        problem = problems.describe_error(error, instance=path, cause=cause)
        return Response(
            msgspec.json.encode(problem),
            media_type=problems.MEDIA_TYPE,
            status_code=problem.status,
            headers={"Cache-Control": "no-store"} | problems.headers_of(error),
        )


def unbuilt(operation: Operation) -> Unbuilt:
    """Say that an operation is declared and not built yet."""
    return Unbuilt("E-NOT-YET", f"{operation.name} is not built yet: {operation.help}")


def _repeat(kept: KeptAnswer) -> AnyResponse:
    return Response(kept.content, media_type="application/json", headers=dict(kept.headers), status_code=kept.status)


def _follow(result: object, path: str) -> object:
    for name in path.split("."):
        result = getattr(result, name)
    return result
