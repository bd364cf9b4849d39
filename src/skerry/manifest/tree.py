"""From the bytes of a file to nodes, with every limit checked before a node is built.

Rules: an alias is the node of its anchor and counts with everything below it, so a small file cannot stand for a big
tree; what contains itself is refused; only the core schema's tags exist, and Compose's ``!reset`` and ``!override``.
Neighbours: ``events.py`` reads the text, ``nodes.py`` has the shapes.
"""

import msgspec

from skerry.manifest.events import Event, RefusedError, read_events
from skerry.manifest.nodes import Entry, Mapping, Mark, Node, Scalar, Sequence, Tag, Value
from skerry.manifest.scalars import resolve_plain
from skerry.model import limits
from skerry.model.errors import Problem

_CORE = "tag:yaml.org,2002:"
#: Compose's tags for files that are merged (``merge.py``).
_OWN_TAGS: dict[str, Tag] = {"!reset": "reset", "!override": "override"}
_SCALAR_TAGS: dict[str, type] = {"null": type(None), "bool": bool, "int": int, "float": float, "str": str}
#: Complaints about YAML itself, after which the rest is not read: one habit makes them all.
_COMPLAINTS_MAX = 100


class _Frame:
    """A list or mapping that is not finished."""

    def __init__(self, event: Event, nodes: int, size: int) -> None:
        self.mark = event.mark
        self.is_mapping = event.kind == "mapping"
        self.anchor = event.anchor
        self.tag: Tag = _OWN_TAGS.get(event.tag, "")
        #: Counts of the reader before this began.
        self.nodes = nodes
        self.size = size
        self.height = 1
        self.items: list[Node] = []
        self.entries: dict[str, Entry] = {}
        self.merged: list[Mapping] = []
        #: Key that waits for its value, and whether it is ``<<``.
        self.key: Scalar | None = None
        self.is_merge = False

    def finish(self) -> Node:
        """Return the node; what stands in the mapping itself wins over what is merged in, and the first merge wins."""
        if not self.is_mapping:
            return Sequence(tuple(self.items), self.mark, self.tag)
        entries: dict[str, Entry] = {}
        for mapping in reversed(self.merged):
            entries.update(mapping.entries)
        entries.update(self.entries)
        return Mapping(entries, self.mark, self.tag)


class _Anchored(msgspec.Struct, frozen=True):
    """A finished node that aliases may name, and what each use of it costs."""

    node: Node
    nodes: int
    size: int
    height: int


def read_documents(content: bytes, file: str) -> tuple[list[Node], list[Problem]]:
    """Read every document of a YAML stream, and what is wrong with it: E-YAML, E-LIMIT, or E-TYPE for a key.

    A file that could not be read to its end has no documents.
    """
    start = Mark(file, 1, 1)
    if len(content) > limits.MANIFEST_FILE_BYTES_MAX:
        detail = f"a file has at most {limits.MANIFEST_FILE_BYTES_MAX} bytes, this has {len(content)}"
        return [], [_problem("E-LIMIT", detail, start)]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return [], [_problem("E-YAML", "the file is not UTF-8", Mark(file, line, column))]
    reader = _Reader()
    try:
        for event in read_events(text, file):
            reader.take(event)
    except RefusedError as refusal:
        return [], [*reader.problems, _problem(refusal.code, str(refusal), refusal.mark)]
    return reader.documents, reader.problems


def _problem(code: str, detail: str, mark: Mark) -> Problem:
    return Problem(code=code, detail=detail, file=mark.file, line=mark.line, column=mark.column)


class _Reader:
    """Builds nodes from events, one at a time, without recursion."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        #: None stands for an anchor whose node is not finished.
        self._anchors: dict[str, _Anchored | None] = {}
        self._documents_begun = 0
        #: Nodes, bytes of text and alias references so far, aliases counted with what they stand for.
        self._nodes = 0
        self._size = 0
        self._aliases = 0

    def take(self, event: Event) -> None:
        """Take the next event; raise ``RefusedError`` when the file is not to be read on."""
        match event.kind:
            case "document":
                self._begin_document(event)
            case "scalar":
                self._take_scalar(event)
            case "alias":
                self._take_alias(event)
            case "mapping" | "sequence":
                self._begin(event)
            case "end":
                self._end()
            case "other":
                pass

    def _begin_document(self, event: Event) -> None:
        self._documents_begun += 1
        if self._documents_begun > limits.MANIFEST_DOCUMENTS_MAX:
            detail = f"a stream has at most {limits.MANIFEST_DOCUMENTS_MAX} documents"
            raise RefusedError("E-LIMIT", detail, event.mark)
        if event.is_other_version:
            raise RefusedError("E-YAML", "files are read as YAML 1.2: take the %YAML line away", event.mark)
        self._anchors = {}

    def _begin(self, event: Event) -> None:
        self._refuse_as_key(event.mark)
        self._check_depth(1, event.mark)
        if event.tag not in ("", "!", *_OWN_TAGS, _CORE + ("map" if event.kind == "mapping" else "seq")):
            self._complain("E-YAML", f"the tag {event.tag} is not one of YAML's own", event.mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(event, self._nodes, self._size))
        self._count(1, 0, event.mark)

    def _end(self) -> None:
        frame = self._stack.pop()
        node = frame.finish()
        if frame.anchor:
            costs = (self._nodes - frame.nodes, self._size - frame.size)
            self._anchors[frame.anchor] = _Anchored(node, *costs, frame.height)
        self._place(node, frame.height, frame.mark)

    def _take_scalar(self, event: Event) -> None:
        size = _check_text(event)
        self._count(1, size, event.mark)
        scalar = Scalar(event.text, self._resolve(event), event.mark, event.plain, tag=_OWN_TAGS.get(event.tag, ""))
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(scalar, 1, size, 0)
        if self._stack and self._stack[-1].is_mapping and self._stack[-1].key is None:
            self._take_key(self._stack[-1], scalar, size)
        else:
            self._place(scalar, 0, event.mark)

    def _resolve(self, event: Event) -> Value:
        if not event.tag or event.tag in _OWN_TAGS:
            return resolve_plain(event.text) if event.plain else event.text
        if event.tag in ("!", _CORE + "str"):
            return event.text
        kind = _SCALAR_TAGS.get(event.tag.removeprefix(_CORE)) if event.tag.startswith(_CORE) else None
        if kind is None:
            self._complain("E-YAML", f"the tag {event.tag} is not one of YAML's own", event.mark)
            return event.text
        value = resolve_plain(event.text)
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            self._complain("E-YAML", f"the text is not of its tag !!{event.tag.removeprefix(_CORE)}", event.mark)
        return value

    def _take_key(self, frame: _Frame, scalar: Scalar, size: int) -> None:
        if size > limits.MANIFEST_KEY_BYTES_MAX:
            detail = f"a key has at most {limits.MANIFEST_KEY_BYTES_MAX} bytes, this has {size}"
            raise RefusedError("E-LIMIT", detail, scalar.mark)
        frame.key = scalar
        frame.is_merge = scalar.plain and scalar.text == "<<"
        if not isinstance(scalar.value, str):
            self._complain("E-TYPE", f'a key is text: write "{scalar.text}" in quotes', scalar.mark)

    def _take_alias(self, event: Event) -> None:
        self._aliases += 1
        if self._aliases > limits.MANIFEST_ALIASES_MAX:
            detail = f"a file has at most {limits.MANIFEST_ALIASES_MAX} alias references"
            raise RefusedError("E-LIMIT", detail, event.mark)
        self._refuse_as_key(event.mark)
        if event.anchor not in self._anchors:
            raise RefusedError("E-YAML", f"no anchor is called {event.anchor[:80]}", event.mark)
        found = self._anchors[event.anchor]
        if found is None:
            raise RefusedError("E-YAML", f"*{event.anchor[:80]} stands inside what it names", event.mark)
        self._check_depth(found.height, event.mark)
        self._count(found.nodes, found.size, event.mark)
        self._place(found.node, found.height, event.mark)

    def _place(self, node: Node, height: int, mark: Mark) -> None:
        """Put a finished node into the list or mapping around it; without one it is a document."""
        if not self._stack:
            self.documents.append(node)
            return
        frame = self._stack[-1]
        frame.height = max(frame.height, height + 1)
        key, frame.key = frame.key, None
        if key is None:
            frame.items.append(node)
        elif frame.is_merge:
            self._merge(frame, node, mark)
        elif key.text in frame.entries:
            first = frame.entries[key.text].key_mark
            self._complain("E-YAML", f'the key "{key.text}" stands here twice, first in line {first.line}', key.mark)
        else:
            frame.entries[key.text] = Entry(key.mark, node)

    def _merge(self, frame: _Frame, node: Node, mark: Mark) -> None:
        for source in node.items if isinstance(node, Sequence) else (node,):
            if not isinstance(source, Mapping):
                self._complain("E-YAML", "<< takes a mapping or a list of mappings", mark)
                return
            frame.merged.append(source)

    def _refuse_as_key(self, mark: Mark) -> None:
        if self._stack and self._stack[-1].is_mapping and self._stack[-1].key is None:
            raise RefusedError("E-YAML", "a key is text, not a list, a mapping or an alias", mark)

    def _check_depth(self, height: int, mark: Mark) -> None:
        if len(self._stack) + height > limits.MANIFEST_DEPTH_MAX:
            raise RefusedError("E-LIMIT", f"nested deeper than {limits.MANIFEST_DEPTH_MAX}", mark)

    def _count(self, nodes: int, size: int, mark: Mark) -> None:
        self._nodes += nodes
        self._size += size
        if self._nodes > limits.MANIFEST_NODES_MAX:
            detail = f"more than {limits.MANIFEST_NODES_MAX} values, aliases and merge keys counted with what they name"
            raise RefusedError("E-LIMIT", detail, mark)
        if self._size > limits.MANIFEST_BYTES_MAX:
            detail = f"more than {limits.MANIFEST_BYTES_MAX} bytes of text, aliases counted with what they name"
            raise RefusedError("E-LIMIT", detail, mark)

    def _complain(self, code: str, detail: str, mark: Mark) -> None:
        if len(self.problems) >= _COMPLAINTS_MAX:
            raise RefusedError(code, f"{detail}; the rest was not read", mark)
        self.problems.append(_problem(code, detail, mark))


def _check_text(event: Event) -> int:
    """Return the bytes of a scalar's text; raise ``RefusedError`` for what no program could use."""
    text = event.text
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        raise RefusedError("E-YAML", "the text holds half a character", event.mark) from error
    if size > limits.SCALAR_BYTES_MAX:
        detail = f"one value has at most {limits.SCALAR_BYTES_MAX} bytes, this has {size}"
        raise RefusedError("E-LIMIT", detail, event.mark)
    if "\0" in text:
        raise RefusedError("E-YAML", "the text holds a zero byte", event.mark)
    return size
