"""The one request builder: an operation and its arguments in, method, path, headers and bytes out; and the way back.

Pure: both clients are thin faces of this file. What may be sent stands in ``operations.py`` and nowhere else;
``faces.py`` is generated from it.
"""

from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from skerry.clock import Mint
from skerry.model.errors import Unavailable
from skerry.model.ids import is_digest
from skerry.operations import Operation, find_operation

T = TypeVar("T")

#: Random bytes in the name of a change: two never draw the same.
KEY_BYTES = 16
#: Bytes of one answer that a client reads: 1,000 instances with reasons are under 1 MB.
ANSWER_BYTES_MAX = 64 * 1024 * 1024


class Request(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One call of one operation; ``T`` is what it answers with."""

    operation: Operation
    parameters: dict[str, str] = {}
    query: msgspec.Struct | None = None
    #: A struct to encode, or the exact bytes where the operation keeps them.
    body: msgspec.Struct | bytes | None = None
    #: The number that is to be replaced: 0 means that there must be none yet. None for operations without a guard.
    expect: int | None = None
    #: Id of the plan that the core must still hold to.
    plan: str = ""
    #: Names this request, so that a repeated POST is done once.
    idempotency_key: str = ""


def make_request(name: str, **more: Any) -> Request[Any]:
    """Make a request of the operation called ``name``; raise ValueError when an argument is missing or too much."""
    operation = find_operation(name)
    request: Request[Any] = Request(operation=operation, **more)
    if set(request.parameters) != set(operation.parameters):
        raise ValueError(f"{name} takes {operation.parameters}, not {tuple(request.parameters)}")
    if (request.expect is not None) != operation.guarded:
        raise ValueError(f"{name} {'needs an' if operation.guarded else 'takes no'} expected number")
    return request


def write_path(request: Request[Any]) -> str:
    """Return path and query. A parameter is one path segment whatever it holds: it can name no other route."""
    names = {key: value if is_digest(value) else quote(value, safe="") for key, value in request.parameters.items()}
    query = write_query(request.query)
    return request.operation.path.format(**names) + (f"?{query}" if query else "")


def write_query(query: msgspec.Struct | None) -> str:
    """Encode the fields that differ from their defaults; those without a default always."""
    if query is None:
        return ""
    pairs: list[tuple[str, str]] = []
    for field in msgspec.structs.fields(query):
        value = getattr(query, field.name)
        if value != field.default:
            pairs.append((field.encode_name, str(value).lower() if isinstance(value, bool) else str(value)))
    return urlencode(pairs)


def write_headers(request: Request[Any]) -> dict[str, str]:
    """Return the headers that the request itself decides: guard, plan, key and the form of the body."""
    headers = {"Accept": "application/json"}
    if request.operation.style == "events":
        headers["Accept"] = "text/event-stream"
    if request.body is not None:
        raw = request.operation.style == "upload"
        headers["Content-Type"] = "application/octet-stream" if raw else "application/json"
    if request.expect == 0:
        headers["If-None-Match"] = "*"
    elif request.expect is not None:
        headers["If-Match"] = f'"{request.expect}"'
    if request.plan:
        headers["Skerry-Plan"] = request.plan
    if request.idempotency_key:
        headers["Idempotency-Key"] = request.idempotency_key
    return headers


def write_body(request: Request[Any]) -> bytes | None:
    """Return the body's bytes; an envelope keeps its payload byte for byte inside base64."""
    body = request.body
    return body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)


def read_answer(request: Request[T], content: bytes) -> T:
    """Decode a success; unknown fields are a newer core's and are passed over."""
    try:
        return msgspec.json.decode(content, type=request.operation.result)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(
            "E-ANSWER",
            f"What answered {request.operation.name} is not a core of this release: {error}",
            hint="skerry version",
        ) from error


def name_subject(request: Request[Any]) -> str:
    """Say in words what a request is about: ``app shop``; empty for requests about everything."""
    return ", ".join(f"{noun.replace('_', ' ')} {name}" for noun, name in request.parameters.items())


def is_repeatable(request: Request[Any]) -> bool:
    """Say whether sending it twice does no more than sending it once."""
    read = request.operation.method == "GET" or request.operation.repeatable
    return read or request.expect is not None or bool(request.idempotency_key)


def name_change(request: Request[T], mint: Mint) -> Request[T]:
    """Give a change a key of its own, so that it is done once however often it is sent; others stay as they are."""
    if not request.operation.keyed or request.idempotency_key:
        return request
    return msgspec.structs.replace(request, idempotency_key=mint.draw(KEY_BYTES).hex())


def next_page(request: Request[Any], token: str) -> Request[Any]:
    """Return the request for the page after the one that gave ``token``."""
    assert request.query is not None, "only listings have pages"
    return msgspec.structs.replace(request, query=msgspec.structs.replace(request.query, page_token=token))
