"""The SDK's methods, one per built operation, for both clients: src/skerry/sdk/faces.py from src/skerry/operations.py.

Rule: nothing of an operation is restated by hand; its query and body become keywords, its line of help the docstring.
Streams (events, lines, bytes, sockets, uploads) are written by hand in ``sdk/client.py``: their methods do more than
send.
"""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from skerry.model.answers import Page
from skerry.model.app import AppRevision
from skerry.model.signed import Envelope
from skerry.operations import OPERATIONS, Operation

PLACE = "src/skerry/sdk/faces.py"

#: Collections of the API that have methods of their own under this name; all else is under ``core``.
NOUNS = {
    "apps": "app",
    "instances": "instance",
    "operations": "operation",
    "images": "image",
    "blobs": "blob",
    "networks": "network",
    "chains": "chain",
    "volumes": "volume",
    "secrets": "secret",
    "areas": "area",
    "user-groups": "user_group",
    "sites": "site",
    "nodes": "node",
    "profiles": "profile",
    "join-tokens": "join_token",
    "join-requests": "join_request",
    "tokens": "token",
    "users": "user",
    "tenants": "tenant",
    "rollouts": "rollout",
}
#: Where the operation's name without its noun would mislead, or its path begins with another noun.
RENAMED = {
    "apply_app": ("apps", "put"),
    "delete_app": ("apps", "put_tombstone"),
    "list_site_records": ("sites", "list_records"),
    "read_site_record": ("sites", "read_record"),
    "reject_join": ("join-requests", "reject"),
    "list_site_use": ("sites", "list_use"),
    "list_links": ("sites", "list_links"),
    "read_use_history": ("sites", "read_use_history"),
    "list_instance_use": ("instances", "list_use"),
    "show_instance": ("instances", "show"),
    "list_image_sites": ("images", "list_sites"),
    "list_seeds": ("images", "list_seeds"),
    "show_node": ("nodes", "show"),
    "cordon_node": ("nodes", "cordon"),
    "uncordon_node": ("nodes", "uncordon"),
    "drain_node": ("nodes", "drain"),
    "show_rollout": ("rollouts", "show"),
    "promote_rollout": ("rollouts", "promote"),
    "pause_rollout": ("rollouts", "pause"),
    "abort_rollout": ("rollouts", "abort"),
}

#: Nouns whose methods by hand, of several requests each, stand in ``sdk/acts.py``.
ACTS = {
    "apps": "AppActs",
    "operations": "OperationActs",
    "secrets": "SecretActs",
    "areas": "AreaActs",
    "user-groups": "UserGroupActs",
    "sites": "SiteActs",
    "profiles": "ProfileActs",
}

HEAD = '''"""One method per operation, for both clients. Made by ``./dev gen`` from ``operations.py``, never by hand.

A listing gives its items one by one and fetches further pages as they are asked for. What takes several requests and
a signature is inherited from ``acts.py``.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from skerry.model import answers, asks, signed
from skerry.sdk import acts
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import AsyncNoun, AsyncSender, Noun, Sender

'''


def place_operation(operation: Operation) -> tuple[str, str]:
    """Return the collection and the method that an operation is found under."""
    if operation.name in RENAMED:
        return RENAMED[operation.name]
    collection = operation.path.removeprefix("/v1/").partition("/")[0].partition(":")[0]
    if collection not in NOUNS:
        return "core", operation.name
    noun = NOUNS[collection]
    return collection, operation.name.removesuffix(f"_{noun}s").removesuffix(f"_{noun}")


def write_type(kind: Any) -> str:
    """Write a type as it stands in an annotation of the file."""
    if get_origin(kind) is Literal:
        return f"Literal[{', '.join(repr(value) for value in get_args(kind))}]"
    if get_origin(kind) is tuple:
        return f"tuple[{write_type(get_args(kind)[0])}, ...]"
    if get_origin(kind) is Page:
        return f"answers.Page[{write_type(get_args(kind)[0])}]"
    if isinstance(kind, types.UnionType):
        return " | ".join(write_type(part) for part in get_args(kind))
    room, _, module = kind.__module__.removeprefix("skerry.").partition(".")
    module = module.partition(".")[0]
    is_theirs = room == "model" and module in ("answers", "asks", "signed")
    return f"{module}.{kind.__name__}" if is_theirs else kind.__name__


def list_keywords(struct: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Return the fields of a query or body as parameters; where a page begins is the client's own affair."""
    hints = get_type_hints(struct)
    found: list[tuple[str, str]] = []
    for field in sorted(msgspec.structs.fields(struct), key=lambda field: not field.required):
        if field.name != "page_token":
            default = "" if field.required else f" = {field.default!r}"
            found.append((field.name, f"{field.name}: {write_type(hints[field.name])}{default}"))
    return found


def write_method(operation: Operation, *, is_async: bool) -> str:
    """Write one method."""
    name = place_operation(operation)[1]
    plain = [f"{parameter}: str" for parameter in operation.parameters]
    keywords: list[str] = []
    given: list[str] = []
    if operation.parameters:
        given.append("parameters={" + ", ".join(f'"{each}": {each}' for each in operation.parameters) + "}")
    if operation.body in (Envelope, AppRevision):
        plain.append("envelope: signed.Envelope" if operation.body is Envelope else "payload: bytes")
        given.append("body=envelope" if operation.body is Envelope else "body=payload")
    for word, struct in (("query", operation.query), ("body", operation.body)):
        if struct is not None and struct not in (Envelope, AppRevision):
            fields = list_keywords(struct)
            keywords += [text for _, text in fields]
            given.append(f"{word}=asks.{struct.__name__}({', '.join(f'{field}={field}' for field, _ in fields)})")
    if operation.guarded:
        keywords.append("expect: int")
        given.append("expect=expect")
    if operation.name == "apply_app":
        keywords.append("plan: str = ''")
        given.append("plan=plan")
    call = f"make_request({', '.join([repr(operation.name), *given])})"
    star = ["*"] if keywords else []
    head = f"{name}({', '.join(['self', *plain, *star, *keywords])})"
    if get_origin(operation.result) is Page:
        item = write_type(get_args(operation.result)[0])
        kind = "AsyncIterator" if is_async else "Iterator"
        lines = [
            f"def {head} -> {kind}[{item}]:",
            f'    """{operation.help}"""',
            f"    return self._client.pages({call})",
        ]
    else:
        start, wait = ("async def", "await ") if is_async else ("def", "")
        lines = [
            f"{start} {head} -> {write_type(operation.result)}:",
            f'    """{operation.help}"""',
            f"    asked: Request[{write_type(operation.result)}] = {call}",
            f"    return {wait}self._client.send(asked)",
        ]
    return "\n".join(f"    {line}" for line in lines)


def write_faces(operations: tuple[Operation, ...] = OPERATIONS) -> str:
    """Write the whole file, not yet laid out."""
    by_noun: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.built and operation.style in ("json", "raw"):
            by_noun.setdefault(place_operation(operation)[0], []).append(operation)
    parts = [HEAD]
    for is_async in (False, True):
        prefix, sender = ("Async", "AsyncSender") if is_async else ("", "Sender")
        names: list[tuple[str, str]] = []
        for noun, members in by_noun.items():
            attribute = noun.replace("-", "_")
            name = prefix + "".join(word.capitalize() for word in noun.split("-"))
            names.append((attribute, name))
            methods = [write_method(operation, is_async=is_async) for operation in members]
            what = "the core itself" if noun == "core" else noun.replace("-", " ")
            base = f"acts.{prefix}{ACTS[noun]}" if noun in ACTS else f"{prefix}Noun"
            parts.append(f'class {name}({base}):\n    """Operations on {what}."""\n\n' + "\n\n".join(methods) + "\n\n")
        rows = "\n".join(f"        self.{attribute} = {name}(client)" for attribute, name in names)
        parts.append(
            f'class {prefix}Faces:\n    """All operations, by noun."""\n\n'
            f"    def __init__(self, client: {sender}) -> None:\n{rows}\n\n"
        )
    return "\n".join(parts)


def make_faces(root: Path) -> str:
    """Return the file as the formatter lays it out; ``root`` is where the formatter finds its settings."""
    command = [sys.executable, "-m", "ruff", "--quiet"]
    fixed = [*command, "check", "--fix", "--select", "F401", "--stdin-filename", PLACE, "-"]
    text = write_faces()
    for step in (fixed, [*command, "format", "--stdin-filename", PLACE, "-"]):
        done = subprocess.run(step, cwd=root, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text
