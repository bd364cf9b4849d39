"""A parsed YAML document that still knows where each of its parts was written.

Nodes are shared: an alias is the very node that its anchor names. ``Place`` is a node together with its JSON pointer,
so whoever finds a fault can say where it is in both senses.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

Value = None | bool | int | float | str

#: Compose's own tags: what a later file says of the same field in an earlier one.
Tag = Literal["", "reset", "override"]


class Mark(msgspec.Struct, frozen=True):
    """Where a node begins; line and column count from 1."""

    file: str
    line: int
    column: int


class Scalar(msgspec.Struct, frozen=True):
    """One value: its text as written, and what the YAML 1.2 core schema makes of it."""

    text: str
    value: Value
    mark: Mark
    #: Written without quotes and not as a block.
    plain: bool = False
    #: False when its variables could not be put in: nothing more is to be said about it.
    sound: bool = True
    tag: Tag = ""


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    items: "tuple[Node, ...]"
    mark: Mark
    tag: Tag = ""


class Entry(msgspec.Struct, frozen=True):
    """One value of a mapping, and where its key stands."""

    key_mark: Mark
    node: "Node"


class Mapping(msgspec.Struct, frozen=True):
    """A mapping with text keys, merge keys already merged in."""

    entries: dict[str, Entry]
    mark: Mark
    tag: Tag = ""


Node = Scalar | Sequence | Mapping


def escape_token(token: str) -> str:
    """Escape one part of a JSON pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


class Place(msgspec.Struct, frozen=True):
    """A node and the way to it."""

    node: Node
    #: JSON pointer from the top of the document.
    pointer: str = ""
    #: Where its key stands, for a value of a mapping.
    key_mark: Mark | None = None

    @property
    def name(self) -> str:
        """The last word of the pointer."""
        return self.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")

    def find(self, name: str) -> "Place | None":
        """Return the value under ``name``; None when this is no mapping or has no such key."""
        if not isinstance(self.node, Mapping) or (entry := self.node.entries.get(name)) is None:
            return None
        return Place(entry.node, f"{self.pointer}/{escape_token(name)}", entry.key_mark)

    def entries(self) -> "Iterator[tuple[str, Place]]":
        """Yield the entries of a mapping in the order they were written; nothing when this is no mapping."""
        if isinstance(self.node, Mapping):
            for name, entry in self.node.entries.items():
                yield name, Place(entry.node, f"{self.pointer}/{escape_token(name)}", entry.key_mark)

    def elements(self) -> "Iterator[Place]":
        """Yield the items of a list; nothing when this is no list."""
        if isinstance(self.node, Sequence):
            for index, item in enumerate(self.node.items):
                yield Place(item, f"{self.pointer}/{index}")

    @property
    def value(self) -> Value:
        """What a scalar says; None for lists, mappings and null."""
        return self.node.value if isinstance(self.node, Scalar) else None

    @property
    def is_null(self) -> bool:
        """Whether nothing stands here."""
        return isinstance(self.node, Scalar) and self.node.value is None


def to_plain(node: Node) -> Any:
    """Return the node as bare Python values, for the JSON Schema."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [to_plain(item) for item in node.items]
        case Mapping():
            return {name: to_plain(entry.node) for name, entry in node.entries.items()}


def describe_node(node: Node) -> str:
    """Name a node in a message: its text cut short, or what it is."""
    match node:
        case Scalar():
            if node.value is None:
                return "nothing"
            text = node.text if len(node.text) <= 60 else node.text[:57] + "…"
            return f'"{text}"' if isinstance(node.value, str) else text
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"
