"""From method and path to an operation and its path parameters; pure.

Compiled from ``OPERATIONS``: a path that is not there does not exist. A parameter that does not have its kind's form
matches nothing, so a hostile name reads like a missing one. Litestar's own routes know no ``name:verb``.
"""

import re
from typing import NamedTuple

from skerry.model.errors import Broken
from skerry.operations import OPERATIONS, Operation

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ULID = r"[0-9A-HJKMNP-TV-Z]{26}"
#: What a path parameter looks like; a new one needs a line here.
FORMS: dict[str, str] = {
    "app": _NAME,
    "site": _NAME,
    "network": _NAME,
    "chain": _NAME,
    "node": _NAME,
    "service": _NAME,
    "secret": _NAME,
    "profile": _NAME,
    "area": _NAME,
    "user_group": _NAME,
    "digest": r"sha256:[0-9a-f]{64}",
    "number": r"[1-9][0-9]{0,14}",
    "ordinal": r"(?:0|[1-9][0-9]{0,2})",
    "operation": _ULID,
    "request": _ULID,
    "token": r"[a-z2-7]{8,10}",
    "user": _NAME,
}
#: Parameters that are whole numbers, with the least and the largest.
WHOLE: dict[str, tuple[int, int]] = {"number": (1, 10**15 - 1), "ordinal": (0, 999)}
#: Longest path looked at: four names, or two and a digest, and the words between.
_PATH_CHARACTERS_MAX = 512


class Match(NamedTuple):
    """An operation and the values of its path parameters."""

    operation: Operation
    values: dict[str, str | int]


class Router:
    """All routes, by method and number of segments."""

    def __init__(self, operations: tuple[Operation, ...] = OPERATIONS) -> None:
        self._routes: dict[tuple[str, int], list[tuple[re.Pattern[str], Operation]]] = {}
        seen: set[tuple[str, str]] = set()
        for operation in operations:
            if (operation.method, operation.path) in seen:
                raise Broken("E-OPERATION", f"Two operations have the route {operation.method} {operation.path}.")
            seen.add((operation.method, operation.path))
            key = (operation.method, operation.path.count("/"))
            self._routes.setdefault(key, []).append((_compile(operation.path), operation))

    def match(self, method: str, path: str) -> Match | None:
        """Find the operation of a request; HEAD is answered as GET without its body."""
        if len(path) > _PATH_CHARACTERS_MAX:
            return None
        method = "GET" if method == "HEAD" else method
        for pattern, operation in self._routes.get((method, path.count("/")), ()):
            found = pattern.fullmatch(path)
            if found is not None:
                values = {name: int(text) if name in WHOLE else text for name, text in found.groupdict().items()}
                return Match(operation, values)
        return None


def _compile(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{([a-z_]+)\}", path)
    text = "".join(
        re.escape(part) if place % 2 == 0 else f"(?P<{part}>{FORMS[part]})" for place, part in enumerate(parts)
    )
    return re.compile(text, re.ASCII)
