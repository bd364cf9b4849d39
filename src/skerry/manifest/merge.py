"""How one Compose file is laid over another: Compose's own rules, field by field.

Mappings are merged, lists are added to, single values are replaced; the table below says where a field is different.
``!reset`` takes a field away and ``!override`` replaces it whole. Nothing is judged here: what comes of it is held
against schema and field table like any single file. Neighbour: ``combine.py`` says which files are merged.
"""

from collections.abc import Callable, Iterator

from skerry.manifest.nodes import Entry, Mapping, Node, Scalar, Sequence
from skerry.model.limits import MANIFEST_MERGED_MAX

Path = tuple[str, ...]
#: Names an item of a list, so that a later file replaces it instead of adding a second one.
Key = Callable[[Node], str]

#: Fields of a service that a later file replaces whole.
_REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test")}
#: ``KEY=value`` lists that are mappings for all that matters.
_PAIRS = {"environment", "labels", "annotations", "sysctls", "args", "driver_opts", "storage_opt"}


class MergeLimitError(Exception):
    """Merging would make more values than a manifest may have."""


class Merger:
    """Merges, and counts what it makes: a chain of services that extend each other must not grow without end."""

    def __init__(self) -> None:
        self._made = 0

    def merge(self, base: Node, over: Node, path: Path = ()) -> Node:
        """Return ``over`` laid over ``base``, both found at ``path``; raise ``MergeLimitError``."""
        if over.tag == "override":
            return _without_tag(over)
        if _is_null(over) and not _is_null(base):
            return base
        inner = path[2:] if path[:1] == ("services",) else ()
        if inner in _REPLACED or inner[:1] == ("x-skerry",) or path[:1] == ("x-skerry",):
            # Our own words replace each other whole, as an overlay's do.
            is_words = path == ("x-skerry",) or inner == ("x-skerry",)
            return self._merge_mappings(base, over, path) if is_words else over
        if inner == ("logging",) and _differ_in(base, over, "driver"):
            return over
        base, over = _normalise(base, path, inner), _normalise(over, path, inner)
        if isinstance(base, Mapping) and isinstance(over, Mapping):
            return self._merge_mappings(base, over, path)
        if isinstance(base, Sequence) and isinstance(over, Sequence):
            return self._join(base, over, _KEYS.get(inner, _key_subnet if path[-1:] == ("config",) else _text_of))
        return over

    def strip(self, node: Node) -> Node:
        """Carry out the tags of a file that is laid over nothing."""
        match node:
            case Scalar():
                return _without_tag(node)
            case Sequence():
                kept = tuple(self.strip(item) for item in node.items if item.tag != "reset")
                return Sequence(kept, node.mark)
            case Mapping():
                entries = {
                    name: Entry(entry.key_mark, self.strip(entry.node))
                    for name, entry in node.entries.items()
                    if entry.node.tag != "reset"
                }
                return Mapping(entries, node.mark)

    def _merge_mappings(self, base: Node, over: Node, path: Path) -> Node:
        if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
            return over
        entries = dict(base.entries)
        for name, entry in over.entries.items():
            if entry.node.tag == "reset":
                entries.pop(name, None)
                continue
            known = entries.get(name)
            node = self.strip(entry.node) if known is None else self.merge(known.node, entry.node, (*path, name))
            entries[name] = Entry(entry.key_mark, node)
        self._count(len(entries))
        return Mapping(entries, over.mark)

    def _join(self, base: Sequence, over: Sequence, name: Key) -> Node:
        found: dict[str, Node] = {}
        for number, item in enumerate((*base.items, *over.items)):
            if item.tag != "reset":
                found[name(item) or f"\0{number}"] = self.strip(item)
        self._count(len(found))
        return Sequence(tuple(found.values()), over.mark)

    def _count(self, made: int) -> None:
        self._made += made
        if self._made > MANIFEST_MERGED_MAX:
            raise MergeLimitError(f"merging would make more than {MANIFEST_MERGED_MAX} values")


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None and node.sound


def _without_tag(node: Node) -> Node:
    match node:
        case Scalar():
            return Scalar(node.text, node.value, node.mark, node.plain, node.sound)
        case Sequence():
            return Sequence(node.items, node.mark)
        case Mapping():
            return Mapping(node.entries, node.mark)


def _field(node: Node, name: str) -> str:
    if isinstance(node, Mapping) and name in node.entries:
        return _text_of(node.entries[name].node)
    return ""


def _differ_in(one: Node, other: Node, name: str) -> bool:
    first, second = _field(one, name), _field(other, name)
    return bool(first and second) and first != second


def _text_of(node: Node) -> str:
    match node:
        case Scalar():
            return node.text
        case Sequence():
            return "\1" + "\2".join(map(_text_of, node.items)) + "\3"
        case Mapping():
            return "\1" + "\2".join(f"{name}\4{_text_of(entry.node)}" for name, entry in node.entries.items()) + "\3"


def _normalise(node: Node, path: Path, inner: Path) -> Node:
    """Return the long form of a field that has a short one, where the two are merged."""
    name = path[-1] if path else ""
    match node:
        case Sequence() if name in _PAIRS and len(path) > 2:
            return Mapping(dict(_split_pairs(node)), node.mark)
        case Sequence() if inner in (("depends_on",), ("networks",)):
            return Mapping(dict(_name_items(node, inner[0])), node.mark)
        case Scalar() if inner == ("build",):
            return Mapping({"context": Entry(node.mark, node)}, node.mark)
        case Scalar() if inner in _LISTS and not _is_null(node):
            return Sequence((node,), node.mark)
        case _:
            return node


def _split_pairs(node: Sequence) -> Iterator[tuple[str, Entry]]:
    for item in node.items:
        text = _text_of(item)
        name, sign, value = text.partition("=")
        sound = not isinstance(item, Scalar) or item.sound
        yield name, Entry(item.mark, Scalar(value, value if sign else None, item.mark, sound=sound))


def _name_items(node: Sequence, field: str) -> Iterator[tuple[str, Entry]]:
    for item in node.items:
        started = Scalar("service_started", "service_started", item.mark)
        long: Node = Scalar("", None, item.mark)
        if field == "depends_on":
            long = Mapping({"condition": Entry(item.mark, started)}, item.mark)
        yield _text_of(item), Entry(item.mark, long)


def _key_port(node: Node) -> str:
    if isinstance(node, Mapping):
        parts = [_field(node, name) for name in ("host_ip", "published", "target", "protocol")]
        return "/".join((*parts[:3], parts[3] or "tcp"))
    rest, _, protocol = _text_of(node).partition("/")
    before, _, target = rest.rpartition(":")
    address, _, published = before.rpartition(":")
    return "/".join((address, published, target, protocol or "tcp"))


def _key_target(node: Node) -> str:
    """Return where a mount or device is seen inside."""
    if isinstance(node, Mapping):
        found = _field(node, "target") or _field(node, "source")
    else:
        words = _text_of(node).split(":")
        found = words[0] if len(words) == 1 else words[1]
    return found.rstrip("/")


def _key_path(node: Node) -> str:
    return _field(node, "path") or _text_of(node)


def _key_subnet(node: Node) -> str:
    return _field(node, "subnet") or _text_of(node)


#: Fields of a service that are one text or a list of them.
_LISTS = {(name,) for name in ("dns", "dns_opt", "dns_search", "tmpfs", "env_file", "label_file", "group_add")}
_KEYS: dict[Path, Key] = {
    ("ports",): _key_port,
    ("volumes",): _key_target,
    ("devices",): _key_target,
    ("configs",): _key_target,
    ("secrets",): _key_target,
    ("env_file",): _key_path,
}
