"""Apply-time variables put into every scalar; ``SKERRY_*`` ones stay for the site, in the fields where they may stand.

Rules: a value is put in after parsing, so it cannot add YAML; in per-instance fields ``$$`` stays escaped and values
put in are escaped too, so nothing is expanded twice. Extension fields (``x-…``) are left alone: what of them is used
elsewhere through an alias is looked at there.
"""

from collections.abc import Callable
from collections.abc import Mapping as Variables

import msgspec

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Entry, Mapping, Node, Place, Scalar, Sequence
from skerry.model import limits
from skerry.model.app import PER_INSTANCE_FIELDS
from skerry.model.variables import INSTANCE_PREFIX, NESTING_MAX, VariableError, expand, scan, settle

Path = tuple[str, ...]

#: Fields whose keys are anything.
_MAPS_OF_TEXT = ("annotations", "args", "environment", "labels", "options", "sysctls")


class _TooMuchError(Exception):
    """A limit of the whole manifest is reached."""


class Budget:
    """Counts what the whole manifest may use: variables resolved, and bytes of text afterwards."""

    def __init__(self) -> None:
        self._variables = 0
        self._size = 0

    def count_variable(self, value: str | None) -> None:
        """Count one variable that was looked up."""
        self._variables += 1
        if self._variables > limits.VARIABLES_MAX:
            raise _TooMuchError(f"more than {limits.VARIABLES_MAX} variables")
        # Before the text is put together: a short scalar may name a long value a thousand times.
        self._count_bytes(len(value or ""))

    def count_text(self, text: str) -> None:
        """Count one text with its variables put in."""
        size = len(text.encode())
        if size > limits.SCALAR_BYTES_MAX:
            raise _TooMuchError(f"one value with its variables has at most {limits.SCALAR_BYTES_MAX} bytes")
        self._count_bytes(size)

    def _count_bytes(self, size: int) -> None:
        self._size += size
        if self._size > limits.MANIFEST_BYTES_MAX:
            raise _TooMuchError(f"more than {limits.MANIFEST_BYTES_MAX} bytes of text with variables put in")


def interpolate(top: Place, variables: Variables[str, str], findings: Findings, budget: Budget | None = None) -> Place:
    """Return ``top`` with the variables put in; problems have codes E-INTERPOLATION and E-LIMIT.

    A scalar that could not be resolved stays as it was and is marked unsound. ``budget`` is shared by the files of one
    manifest.
    """
    budget = budget or Budget()

    def walk(place: Place, path: Path) -> Node:
        match place.node:
            case Scalar():
                return put(place, path) if "$" in place.node.text else place.node
            case Sequence():
                items = tuple(walk(item, (*path, "[]")) for item in place.elements())
                return Sequence(items, place.node.mark, place.node.tag)
            case Mapping():
                entries = {name: enter(name, child, path) for name, child in place.entries()}
                return Mapping(entries, place.node.mark, place.node.tag)

    def enter(name: str, child: Place, path: Path) -> Entry:
        is_left_alone = name.startswith("x-") and name != "x-skerry" and not _is_free_text(path)
        mark = child.key_mark or child.node.mark
        return Entry(mark, child.node if is_left_alone else walk(child, (*path, name)))

    def put(place: Place, path: Path) -> Scalar:
        scalar = place.node
        assert isinstance(scalar, Scalar)
        try:
            text = resolve_text(scalar.text, variables, is_instance_field(path), budget.count_variable)
            budget.count_text(text)
        except (VariableError, _TooMuchError) as error:
            code = "E-LIMIT" if isinstance(error, _TooMuchError) else "E-INTERPOLATION"
            findings.complain(place, code, str(error))
            return msgspec.structs.replace(scalar, sound=False)
        return Scalar(text, text, scalar.mark, tag=scalar.tag)

    return msgspec.structs.replace(top, node=walk(top, ()))


def is_instance_field(path: Path) -> bool:
    """Say whether ``SKERRY_*`` variables may stand at ``path``; list items are ``[]`` in it."""
    match path:
        case ("services", _, "healthcheck", *rest):
            return rest[:1] == ["test"]
        case ("services", _, "x-skerry", "cloud-init", *_) | ("services", _, "cloud-init", *_):
            return True
        case ("services", _, str(field), *_):
            return field in PER_INSTANCE_FIELDS
        case ("configs", _, "content"):
            return True
        case _:
            return False


def _is_free_text(path: Path) -> bool:
    """Say whether the keys below ``path`` are people's own names, so that ``x-`` has no meaning there."""
    return (path[:1] == path and path != ()) or (len(path) > 2 and path[-1] in _MAPS_OF_TEXT)


def read_variable(variables: Variables[str, str], name: str) -> str | None:
    """Return a variable's value, None when it is not set; raise ``VariableError`` when no text can hold it."""
    value = variables.get(name)
    if value is not None and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise VariableError(f"variable {name} holds what is not text in UTF-8")
    return value


def escape_text(text: str) -> str:
    """Write literal text so that expansion at the site gives it back."""
    return text.replace("$", "$$")


def resolve_text(
    text: str, variables: Variables[str, str], keep: bool, count: Callable[[str | None], None] = lambda value: None
) -> str:
    """Resolve the variables of one text; raise ``VariableError`` for what cannot be.

    With ``keep`` the result is for a per-instance field: ``SKERRY_*`` references stay, everything else is escaped.
    ``count`` is called with each value looked up.
    """

    def lookup(name: str) -> str | None:
        if name.startswith(INSTANCE_PREFIX):
            raise VariableError(f"{name} differs from site to site, and this is the same at all of them")
        value = read_variable(variables, name)
        count(value)
        return value

    return _keep_text(text, lookup, 0) if keep else expand(text, lookup)


def _keep_text(text: str, lookup: Callable[[str], str | None], depth: int) -> str:
    """Resolve what can be, and write the rest so that ``expand`` at the site finishes it; ``depth`` counts nesting."""
    if depth > NESTING_MAX:
        raise VariableError(f"defaults are nested deeper than {NESTING_MAX}")
    parts: list[str] = []
    for part in scan(text):
        if isinstance(part, str):
            parts.append(escape_text(part))
        elif part.name.startswith(INSTANCE_PREFIX):
            argument = _keep_text(part.argument, lookup, depth + 1)
            if _ends_early(argument):
                raise VariableError(f"a value with a closing brace cannot stand in the default of {part.name}")
            parts.append(f"${{{part.name}{part.operator}{argument}}}")
        else:
            chosen, is_argument = settle(part, lookup, depth)
            parts.append(_keep_text(chosen, lookup, depth + 1) if is_argument else escape_text(chosen))
    return "".join(parts)


def _ends_early(argument: str) -> bool:
    """Say whether a brace in the text would close the reference around it; braces of references in it are whole."""
    return any(isinstance(part, str) and "}" in part for part in scan(argument))
