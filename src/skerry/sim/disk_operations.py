"""What can happen to a disk in memory, one struct each, and what a power cut leaves of a write.

Neighbour: ``disk.py`` lists these operations and plays them.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

#: What a cut does to one operation that nobody had synced.
Fate = Literal["lost", "kept", "torn at 512", "torn at 4096"]
#: Picks one of the fates offered: at random, or in turn for all of them.
Choose = Callable[[tuple[Fate, ...]], Fate]

ROOT = 0


class Create(msgspec.Struct, frozen=True):
    """A new, empty file gets an entry."""

    directory: int
    name: str
    file: int


class MakeDirectory(msgspec.Struct, frozen=True):
    """A new directory gets an entry."""

    directory: int
    name: str
    made: int


class Link(msgspec.Struct, frozen=True):
    """A file gets one more entry."""

    directory: int
    name: str
    file: int


class Rename(msgspec.Struct, frozen=True):
    """An entry moves, in one step."""

    directory: int
    old: str
    new: str
    file: int


class Remove(msgspec.Struct, frozen=True):
    """An entry goes away."""

    directory: int
    name: str


class SyncDirectory(msgspec.Struct, frozen=True):
    """The entries of a directory become certain."""

    directory: int


class Write(msgspec.Struct, frozen=True):
    """Bytes are put at an offset."""

    file: int
    offset: int
    content: bytes


class Truncate(msgspec.Struct, frozen=True):
    """A file gets a length; new bytes are zero."""

    file: int
    size: int


class Sync(msgspec.Struct, frozen=True):
    """The bytes of a file become certain."""

    file: int


class Note(msgspec.Struct, frozen=True):
    """Something the world outside was told at this point, such as an acknowledgement."""

    what: str


EntryOperation = Create | MakeDirectory | Link | Rename | Remove
ContentOperation = Write | Truncate
Operation = EntryOperation | ContentOperation | SyncDirectory | Sync | Note


def survivors(operation: ContentOperation, choose: Choose) -> Sequence[ContentOperation]:
    """Return what a cut leaves of one write or truncation that was not synced."""
    if isinstance(operation, Truncate):
        return [operation] if choose(("lost", "kept")) == "kept" else []
    end = operation.offset + len(operation.content)
    fates: list[Fate] = ["lost", "kept"]
    if operation.offset // 512 != (end - 1) // 512:
        fates.append("torn at 512")
    if operation.offset // 4096 != (end - 1) // 4096:
        fates.append("torn at 4096")
    fate = choose(tuple(fates))
    if fate in ("lost", "kept"):
        return [operation] if fate == "kept" else []
    unit = 512 if fate == "torn at 512" else 4096
    parts: list[ContentOperation] = []
    start = operation.offset
    while start < end:
        stop = min(end, (start // unit + 1) * unit)
        if choose(("lost", "kept")) == "kept":
            parts.append(
                Write(operation.file, start, operation.content[start - operation.offset : stop - operation.offset])
            )
        start = stop
    return parts
