"""One value at a time out of Compose's many notations, with a located problem where it is none.

A ``Reading`` goes through all readers of a manifest: it holds the findings, the client's variables, and the budget of
what may be read from files. Each method returns a harmless value after it has complained.
"""

from collections.abc import Callable
from collections.abc import Mapping as Variables
from typing import TypeVar

import msgspec

from skerry.manifest import quantities, scalars
from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Mapping, Place, Scalar, Sequence, describe_node
from skerry.manifest.quantities import QuantityError
from skerry.manifest.values import DefinitionUse, FileRead, FolderRead, ReadFile, Unreadable
from skerry.model import limits
from skerry.model.signed import DefinitionKind

T = TypeVar("T")


class Pair(msgspec.Struct, frozen=True):
    """One entry of a mapping or of a ``KEY=value`` list; ``text`` is None when only the key is given."""

    name: str
    text: str | None
    place: Place


class Reading:
    """What all readers share."""

    def __init__(self, findings: Findings, variables: Variables[str, str], read_file: ReadFile, root: str = "") -> None:
        """``root`` is the absolute path of the manifest's folder; empty where there is none."""
        self.root = root
        self.findings = findings
        self.variables = variables
        self._read_file = read_file
        self._inlined_bytes = 0
        #: What was named and is put in later.
        self.uses: list[DefinitionUse] = []

    def find(self, place: Place | None, *path: str) -> Place | None:
        """Return the field below ``place`` if it is given and sound; None for one that is null."""
        for name in path:
            place = place.find(name) if place is not None else None
        return place if place is not None and self.findings.is_sound(place) and not place.is_null else None

    def use(self, kind: DefinitionKind, place: Place) -> str:
        """Return the name of an area or of a group of users, and note where it stands."""
        name, mark = self.text(place), place.node.mark
        self.uses.append(DefinitionUse(kind, name, place.pointer, mark.file, mark.line, mark.column))
        return name

    def text(self, place: Place | None, default: str = "") -> str:
        """Return the text of a scalar."""
        if place is None:
            return default
        if isinstance(place.node, Scalar):
            return self._to_text(place, place.node)
        self.findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is not text")
        return default

    def texts(self, place: Place | None) -> list[Place]:
        """Return the items of a list, or the one value that stands for a list of one."""
        if place is None:
            return []
        return list(place.elements()) if isinstance(place.node, Sequence) else [place]

    def switch(self, place: Place | None) -> bool:
        """Return whether a switch is on."""
        return self._parse(place, quantities.parse_switch, False)

    def duration(self, place: Place | None, default: int) -> int:
        """Return microseconds."""
        return self._parse(place, lambda scalar: quantities.parse_duration(scalar.text), default)

    def size(self, place: Place | None, default: int = 0) -> int:
        """Return bytes."""
        return self._parse(place, quantities.parse_size, default)

    def size_of(self, place: Place, text: str) -> int:
        """Return the bytes of a size that stands inside the text at ``place``."""
        return self._parse(Place(Scalar(text, text, place.node.mark), place.pointer), quantities.parse_size, 0)

    def rate(self, place: Place | None) -> int:
        """Return bits per second; 0 when not given."""
        return self._parse(place, lambda scalar: quantities.parse_rate(scalar.text), 0)

    def cpus(self, place: Place | None) -> int:
        """Return millicores."""
        return self._parse(place, quantities.parse_cpus, 0)

    def mode(self, place: Place | None, default: int) -> int:
        """Return the permission bits of a file."""
        return self._parse(place, quantities.parse_mode, default)

    def whole(self, place: Place | None, low: int, high: int, default: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        number = self._parse(place, quantities.parse_whole, default)
        if place is None or low <= number <= high:
            return number
        self.findings.complain(place, "E-RANGE", f"{number} is out of range: {low} to {high}")
        return default

    def pairs(self, place: Place | None) -> list[Pair]:
        """Return what a mapping or a list of ``KEY=value`` says, in order; a key may come twice in a list."""
        if place is None:
            return []
        if isinstance(place.node, Mapping):
            return [Pair(name, self._text_or_none(child), child) for name, child in place.entries()]
        found: list[Pair] = []
        for item in place.elements():
            name, sign, value = self.text(item).partition("=")
            found.append(Pair(name, value if sign else None, item))
        return found

    def file(self, place: Place, path: str, *, is_optional: bool = False) -> FileRead | None:
        """Read a file beside the manifest into it; None after a complaint, or for an optional one that is not there."""
        read = self._read_file(path)
        if not isinstance(read, FileRead):
            if not (is_optional and isinstance(read, Unreadable) and read.is_missing):
                self.findings.complain(place, "E-REFERENCE", f"{path} {_reason(read)}")
            return None
        return read if self.count_inlined(place, len(read.content), path) else None

    def open_path(self, path: str) -> FileRead | str:
        """Read a file, or say why not; what of it goes into the manifest is counted by ``count_inlined``."""
        read = self._read_file(path)
        return read if isinstance(read, FileRead) else _reason(read)

    def open_tree(self, path: str) -> FileRead | FolderRead | Unreadable:
        """Read a file or a folder; what of it goes into the manifest is counted by ``count_inlined``."""
        return self._read_file(path)

    def count_inlined(self, place: Place, size: int, path: str) -> bool:
        """Count bytes of a file against what may be read in all; return whether they still fit."""
        self._inlined_bytes += size
        if self._inlined_bytes <= limits.INLINE_BYTES_MAX:
            return True
        detail = f"{path}: files read into a manifest have at most {limits.INLINE_BYTES_MAX} bytes in all"
        self.findings.complain(place, "E-LIMIT", detail)
        return False

    def _text_or_none(self, place: Place) -> str | None:
        return None if place.is_null else self.text(place)

    def _to_text(self, place: Place, scalar: Scalar) -> str:
        if scalars.is_ambiguous(scalar):
            detail = (
                f'{scalar.text} is one number to some programs and another to others: write "{scalar.text}" in quotes'
            )
            self.findings.complain(place, "E-TYPE", detail)
        return scalars.to_text(scalar)

    def _parse(self, place: Place | None, parse: Callable[[Scalar], T], default: T) -> T:
        if place is None:
            return default
        if not isinstance(place.node, Scalar):
            self.findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is not a single value")
            return default
        try:
            return parse(place.node)
        except QuantityError as error:
            self.findings.complain(place, "E-TYPE", str(error))
            return default


def _reason(read: FolderRead | Unreadable) -> str:
    return "is a folder" if isinstance(read, FolderRead) else read.reason
