"""OpenAPI 3.1 from ``OPERATIONS`` and the structs' own schemas; pure. The same declaration answers and describes."""

import functools
from typing import Any

import msgspec

from skerry import __version__
from skerry.api.router import FORMS, WHOLE
from skerry.core.exposition import MEDIA_TYPE
from skerry.model.answers import ProblemDocument
from skerry.operations import OPERATIONS, Operation

#: Schema of what an operation takes or gives, by its name and ``query``, ``body`` or ``result``.
Refs = dict[tuple[str, str], Any]

_REF = "#/components/schemas/{name}"
_RAW = {"type": "string", "format": "binary"}
_TYPES = {
    "json": "application/json",
    "lines": "application/jsonl",
    "events": "text/event-stream",
    "text": MEDIA_TYPE,
}
#: What a ``bytes`` operation gives.
_BYTES = {"application/octet-stream": {"schema": _RAW}}


def describe_api(operations: tuple[Operation, ...] = OPERATIONS) -> dict[str, Any]:
    """Return the description of all built operations that speak plain HTTP."""
    shown = tuple(each for each in operations if each.built)
    words = {
        (each.name, word): found
        for each in shown
        for word, found in (("query", each.query), ("body", each.body), ("result", each.result))
        if found is not None
    }
    schemas, components = msgspec.json.schema_components([*words.values(), ProblemDocument], ref_template=_REF)
    refs: Refs = dict(zip(words, schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for operation in shown:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, refs, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Skerry", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


@functools.cache
def write_description() -> bytes:
    """Return the description as the API gives it: made when it is first asked for, a tenth of a second, and once."""
    return msgspec.json.encode(describe_api())


def _describe(operation: Operation, refs: Refs, components: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.help,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": _describe_parameter(name)}
                for name in operation.parameters
            ),
            *_query_parameters(operation, refs, components),
            *_guards(operation),
        ],
        "responses": _responses(operation, refs),
        "security": [] if operation.audience == "public" else [{"token": []}],
        "x-skerry-permission": operation.permission,
        "x-skerry-audience": operation.audience,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": refs[operation.name, "body"]}},
        }
    elif operation.style == "upload":
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": _RAW}}}
    return described


def _responses(operation: Operation, refs: Refs) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": operation.help}
    if operation.result is not None:
        kind = _TYPES.get(operation.style, "application/json")
        answer["content"] = {kind: {"schema": refs[operation.name, "result"]}}
    if operation.style == "bytes":
        answer["content"] = _BYTES
    if operation.etag:
        answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="ProblemDocument")}}}
    return {str(operation.status): answer, "default": {"description": "A problem.", "content": problem}}


def _query_parameters(operation: Operation, refs: Refs, components: dict[str, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = components[refs[operation.name, "query"]["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": found}
        for name, found in schema["properties"].items()
    ]


def _guards(operation: Operation) -> list[dict[str, Any]]:
    words = ("If-Match", "If-None-Match") if operation.guarded else ()
    words += ("Skerry-Plan",) if operation.name == "apply_app" else ()
    words += ("Idempotency-Key",) if operation.keyed else ()
    return [{"name": word, "in": "header", "required": False, "schema": {"type": "string"}} for word in words]


def _describe_parameter(name: str) -> dict[str, Any]:
    if name in WHOLE:
        least, largest = WHOLE[name]
        return {"type": "integer", "minimum": least, "maximum": largest}
    return {"type": "string", "pattern": f"^{FORMS[name]}$"}
