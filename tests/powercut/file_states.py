"""Every state that a power cut can leave of what `safe/files.py` and `safe/blobs.py` write, one after the other.

A script is a list of steps, each of which makes one state durable. For every cut behind every operation, with every
combination of fates, what is read afterwards must be the state of the last finished step or of the one under way; and
the steps that are left must then lead to the last state. The same after a kill: what it shows must outlive the cut.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from skerry.model.ids import digest_of
from skerry.safe import blobs, files
from skerry.safe.paths import Directory, descend
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Fate, Note

Step = Callable[[Directory], None]


class Script(msgspec.Struct, frozen=True):
    """A writer at work: what `look` shows before the first step, and after each."""

    name: str
    steps: tuple[tuple[str, Step], ...]
    look: Callable[[Directory], str]
    #: What the product does at start, before it looks.
    settle: Callable[[Directory], object] = files.settle
    first: str = "absent"
    prepare: Callable[[MemoryDisk], None] = lambda _: None

    @property
    def states(self) -> list[str]:
        return [self.first, *(state for state, _ in self.steps)]


class Found(msgspec.Struct):
    """What an enumeration saw."""

    script: str
    states: int = 0
    violations: list[str] = []


def list_cuts(disk: MemoryDisk, count: int) -> Iterator[MemoryDisk]:
    """Return the disk after a cut behind `count` operations, once for each combination of fates."""
    taken: list[int] = []
    offered: list[int] = []

    def choose(fates: tuple[Fate, ...]) -> Fate:
        depth = len(offered)
        offered.append(len(fates))
        if depth == len(taken):
            taken.append(0)
        return fates[taken[depth]]

    while True:
        offered.clear()
        yield disk.after_cut(count, choose)
        while taken and taken[-1] == offered[len(taken) - 1] - 1:
            taken.pop()
        if not taken:
            return
        taken[-1] += 1


def play(script: Script, through: Callable[[Directory], Directory] = lambda directory: directory) -> Found:
    """Enumerate all cuts of `script`; `through` plants a mistake between the writer and the disk."""
    found = Found(script.name)
    disk = MemoryDisk()
    script.prepare(disk)
    start = len(disk.operations)
    directory = through(disk.root)
    for number, (_, step) in enumerate(script.steps, 1):
        step(directory)
        disk.note(str(number))
    for count in range(start, len(disk.operations) + 1):
        done = max([int(note.what) for note in disk.operations[:count] if isinstance(note, Note)], default=0)
        for cut in list_cuts(disk, count):
            found.states += 1
            _judge(script, cut, done, f"cut at {count}", found, through)
        killed = disk.after_kill(count)
        script.settle(through(killed.root))
        shown = script.look(killed.root)
        for cut in list_cuts(killed, len(killed.operations)):
            found.states += 1
            seen = script.look(cut.root)
            if seen != shown:
                found.violations.append(f"killed at {count}: showed {shown!r}, after the cut {seen!r}")
    return found


def _judge(
    script: Script,
    disk: MemoryDisk,
    done: int,
    story: str,
    found: Found,
    through: Callable[[Directory], Directory],
) -> None:
    directory = through(disk.root)
    script.settle(directory)
    seen = script.look(directory)
    allowed = script.states[done : done + 2]
    if seen not in allowed:
        found.violations.append(f"{story}: {seen!r} is none of {allowed}")
        return
    for _, step in script.steps[done:]:
        step(directory)
    if script.look(directory) != script.states[-1]:
        found.violations.append(f"{story}: going on ends in {script.look(directory)!r}")
    if any(".new." in name for name in directory.names()):
        found.violations.append(f"{story}: leftovers stay: {directory.names()}")


def _write(content: bytes) -> Step:
    return lambda directory: files.write_durable(directory, "record", content)


def _read(directory: Directory) -> str:
    found = files.read_durable(directory, "record", limit=4096)
    return "absent" if found is None else found.content.decode()[:8]


def _write_nested(directory: Directory) -> None:
    files.write_durable(directory.enter("a", create=True).enter("b", create=True), "record", b"nested")


def _read_nested(directory: Directory) -> str:
    try:
        return _read(directory.enter("a").enter("b"))
    except FileNotFoundError:
        return "absent"


def _settle_nested(directory: Directory) -> None:
    nested = descend(directory, "a", "b")
    if nested is not None:
        files.settle(nested)


def _damage_newest(disk: MemoryDisk) -> None:
    """Two good versions, and then a bit of the newer one flips: the older one is what counts now."""
    for content in (b"one", b"two"):
        files.write_durable(disk.root, "record", content)
    file = disk.find(0, "record")
    assert file is not None
    disk.write(file, 5, b"#")
    disk.sync(file)


_BLOB = b"layer" * 150
_DIGEST = digest_of(_BLOB)


def _put_blob(directory: Directory) -> None:
    """Receive a blob in two pieces with a pause, as over a link that is cut; go on from wherever it stands."""
    while True:
        for size in (400, len(_BLOB)):
            writer = blobs.BlobDirectory(directory).begin(_DIGEST, size_max=10_000)
            writer.write(_BLOB[writer.offset : size])
            if writer.offset < len(_BLOB):
                writer.pause()
        if writer.finish():
            return


def _look_at_blob(directory: Directory) -> str:
    source = blobs.BlobDirectory(directory).open(_DIGEST)
    if source is None:
        return "absent"
    return "whole" if source.read(10_000) == _BLOB else "damaged"


SCRIPTS = (
    Script(
        "three versions",
        (
            ("first", _write(b"first")),
            ("second x", _write(b"second " + b"x" * 1200)),
            ("third", _write(b"third")),
        ),
        _read,
    ),
    Script("a file in new directories", (("nested", _write_nested),), _read_nested, _settle_nested),
    Script("the newest version is bad", (("three", _write(b"three")),), _read, first="one", prepare=_damage_newest),
    Script(
        "write twice and remove",
        (
            ("first", _write(b"first")),
            ("second", _write(b"second")),
            ("absent", lambda directory: files.remove_durable(directory, "record")),
        ),
        _read,
    ),
    Script("a blob in two pieces", (("whole", _put_blob),), _look_at_blob, lambda at: blobs.BlobDirectory(at).settle()),
)


class _Forgetful:
    """Passes everything on but `sync`."""

    def __init__(self, below: Any) -> None:
        self._below = below

    def sync(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)


class ForgetfulDirectory(_Forgetful):
    """A mistake that the enumeration must find: entries are never synced."""

    def enter(self, name: str, *, create: bool = False) -> "ForgetfulDirectory":
        return ForgetfulDirectory(self._below.enter(name, create=create))


class HastyDirectory(_Forgetful):
    """A mistake that the enumeration must find: files get their names before their bytes are synced."""

    def create(self, name: str) -> Any:
        return _Forgetful(self._below.create(name))

    def append(self, name: str) -> Any:
        return _Forgetful(self._below.append(name))

    def enter(self, name: str, *, create: bool = False) -> "HastyDirectory":
        return HastyDirectory(self._below.enter(name, create=create))

    def sync(self) -> None:
        self._below.sync()
