"""A disk in memory that keeps a list of all its operations, so that every power cut can be played afterwards.

Rules of a cut, as strict as POSIX allows: bytes are certain only after ``sync`` of their file, entries only after
``sync`` of their directory; every other operation is kept, lost or, when a write, torn at 512 or 4,096 bytes, each
by itself; a rename is never half done. ``MemoryDirectory`` is the other implementation of ``safe.paths.Directory``.
"""

import errno
import io
from collections.abc import Callable

from skerry.safe.errors import StoreLocked, TooLarge
from skerry.safe.paths import Lock, Source, entry
from skerry.sim.disk_operations import (
    ROOT,
    Choose,
    ContentOperation,
    Create,
    EntryOperation,
    Link,
    MakeDirectory,
    Note,
    Operation,
    Remove,
    Rename,
    Sync,
    SyncDirectory,
    Truncate,
    Write,
    survivors,
)


class _Tree:
    """Files and directories at one moment."""

    def __init__(self) -> None:
        self.files: dict[int, bytearray] = {}
        self.directories: dict[int, dict[str, int]] = {ROOT: {}}

    def copy(self) -> "_Tree":
        tree = _Tree()
        tree.files = {number: bytearray(content) for number, content in self.files.items()}
        tree.directories = {number: dict(entries) for number, entries in self.directories.items()}
        return tree

    def apply_entry(self, operation: EntryOperation) -> None:
        entries = self.directories[operation.directory]
        match operation:
            case Create(name=name, file=file) | Link(name=name, file=file):
                entries[name] = file
            case MakeDirectory(name=name, made=made):
                entries[name] = made
            case Rename(old=old, new=new, file=file):
                entries.pop(old, None)
                entries[new] = file
            case Remove(name=name):
                entries.pop(name, None)

    def apply_content(self, operation: ContentOperation) -> None:
        content = self.files[operation.file]
        match operation:
            case Write(offset=offset, content=written):
                if len(content) < offset:
                    content.extend(bytes(offset - len(content)))
                content[offset : offset + len(written)] = written
            case Truncate(size=size):
                if size < len(content):
                    del content[size:]
                else:
                    content.extend(bytes(size - len(content)))

    def meet(self, operation: Operation) -> None:
        """Make room for what ``operation`` brings into being, whether or not its entry survives."""
        match operation:
            case Create(file=file):
                self.files.setdefault(file, bytearray())
            case MakeDirectory(made=made):
                self.directories.setdefault(made, {})
            case _:
                pass

    def reachable(self) -> list[int]:
        """Return the numbers of files and directories that have a path, sorted."""
        found, todo = {ROOT}, [ROOT]
        while todo:
            for number in self.directories.get(todo.pop(), {}).values():
                if number not in found:
                    found.add(number)
                    todo.append(number)
        return sorted(found)


class MemoryDisk:
    """One disk. ``before`` sees each operation first and may raise OSError in its place (faults.md D1–D8)."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.before: Callable[[Operation], None] = lambda _: None
        #: Bytes that all files together may hold; None means enough.
        self.capacity: int | None = None
        #: Bytes written since the disk was made: flash wear (faults.md D9).
        self.bytes_written = 0
        self._base = _Tree()
        self._now = _Tree()
        self._next = ROOT + 1
        self._locks: set[tuple[int, str]] = set()

    @property
    def root(self) -> "MemoryDirectory":
        """The top directory."""
        return MemoryDirectory(self, ROOT, "/")

    def bytes_held(self) -> int:
        """Bytes of all files together."""
        return sum(map(len, self._now.files.values()))

    def note(self, what: str) -> None:
        """Remember that the world outside was told ``what`` at this point."""
        self._perform(Note(what))

    def after_cut(self, count: int, choose: Choose) -> "MemoryDisk":
        """Return the disk after a power cut behind the first ``count`` operations, each fate chosen by ``choose``."""
        tree, contents, entries = self._sort(count)
        for directory in sorted(entries):
            for uncertain in entries[directory].values():
                if choose(("lost", "kept")) == "kept":
                    tree.apply_entry(uncertain)
        for number in tree.reachable():
            for uncertain in contents.get(number, {}).values():
                for part in survivors(uncertain, choose):
                    tree.apply_content(part)
        return self._successor(tree, [])

    def _sort(
        self, count: int
    ) -> tuple[_Tree, dict[int, dict[int, ContentOperation]], dict[int, dict[int, EntryOperation]]]:
        """Return what is certain after ``count`` operations, and what is not, by file or directory and position."""
        tree = self._base.copy()
        contents: dict[int, dict[int, ContentOperation]] = {}
        entries: dict[int, dict[int, EntryOperation]] = {}
        for position, operation in enumerate(self.operations[:count]):
            tree.meet(operation)
            match operation:
                case Write() | Truncate():
                    contents.setdefault(operation.file, {})[position] = operation
                case Sync(file=file):
                    for certain in contents.pop(file, {}).values():
                        tree.apply_content(certain)
                case SyncDirectory(directory=directory):
                    for certain in entries.pop(directory, {}).values():
                        tree.apply_entry(certain)
                case Note():
                    pass
                case _:
                    entries.setdefault(operation.directory, {})[position] = operation
        return tree, contents, entries

    def forget(self) -> None:
        """Drop from the list what is certain by now, for runs of many days; cuts before now are no longer possible."""
        self._base, contents, entries = self._sort(len(self.operations))
        left: dict[int, Operation] = {}
        for group in (*contents.values(), *entries.values()):
            left.update(group)
        self.operations = [left[position] for position in sorted(left)]

    def after_kill(self, count: int) -> "MemoryDisk":
        """Return the disk as another process finds it when the writer was killed behind ``count`` operations.

        The page cache survives: all is there, and what was not synced is still not.
        """
        return self._successor(self._base.copy(), self.operations[:count])

    def _successor(self, base: _Tree, operations: list[Operation]) -> "MemoryDisk":
        disk = MemoryDisk()
        disk.capacity = self.capacity
        disk._base, disk._now = base, base.copy()
        disk._next = self._next
        for operation in operations:
            disk._perform(operation)
        return disk

    def _perform(self, operation: Operation) -> None:
        self.before(operation)
        self._check_room(operation)
        self.operations.append(operation)
        self._now.meet(operation)
        match operation:
            case Write() | Truncate():
                self._now.apply_content(operation)
                self.bytes_written += len(operation.content) if isinstance(operation, Write) else 0
            case Create() | MakeDirectory() | Link() | Rename() | Remove():
                self._now.apply_entry(operation)
            case Sync() | SyncDirectory() | Note():
                pass

    def _check_room(self, operation: Operation) -> None:
        if self.capacity is None or not isinstance(operation, Write | Truncate):
            return
        end = operation.size if isinstance(operation, Truncate) else operation.offset + len(operation.content)
        growth = end - len(self._now.files[operation.file])
        used = sum(len(self._now.files[number]) for number in self._now.reachable() if number in self._now.files)
        if growth > 0 and used + growth > self.capacity:
            raise OSError(errno.ENOSPC, "No space left on device")

    # What a VFS needs: files by path and by number.

    def locate(self, path: str) -> tuple[int, str]:
        """Return the number of the directory that ``path`` names, and the entry in it."""
        *above, name = path.strip("/").split("/")
        directory = ROOT
        for step in above:
            directory = self._entry(directory, step)
            if directory not in self._now.directories:
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
        return directory, name

    def find(self, directory: int, name: str) -> int | None:
        """Return the number behind an entry, None when there is none."""
        return self._now.directories[directory].get(name)

    def _entry(self, directory: int, name: str) -> int:
        number = self.find(directory, name)
        if number is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        return number

    def entries(self, directory: int) -> list[str]:
        """Return the names in a directory, sorted."""
        return sorted(self._now.directories[directory])

    def is_file(self, number: int) -> bool:
        """Say whether ``number`` is a file."""
        return number in self._now.files

    def create(self, directory: int, name: str) -> int:
        """Make an empty file and return its number."""
        self._perform(Create(directory, name, self._next))
        self._next += 1
        return self._next - 1

    def make_directory(self, directory: int, name: str) -> int:
        """Make a directory and return its number."""
        self._perform(MakeDirectory(directory, name, self._next))
        self._next += 1
        return self._next - 1

    def link(self, directory: int, old: str, new: str) -> None:
        """Give a file one more name."""
        file = self._entry(directory, old)
        if self.find(directory, new) is not None:
            raise FileExistsError(errno.EEXIST, "File exists", new)
        self._perform(Link(directory, new, file))

    def rename(self, directory: int, old: str, new: str) -> None:
        """Move an entry, replacing what is there."""
        self._perform(Rename(directory, old, new, self._entry(directory, old)))

    def remove(self, directory: int, name: str) -> None:
        """Remove an entry; a missing one is as good as removed."""
        if self.find(directory, name) is not None:
            self._perform(Remove(directory, name))

    def sync_directory(self, directory: int) -> None:
        """Make the entries certain."""
        self._perform(SyncDirectory(directory))

    def length(self, file: int) -> int:
        """Return how many bytes the file has."""
        return len(self._now.files[file])

    def content(self, file: int, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset`` on."""
        return bytes(self._now.files[file][offset : offset + size])

    def write(self, file: int, offset: int, content: bytes) -> None:
        """Put bytes at an offset."""
        self._perform(Write(file, offset, content))

    def truncate(self, file: int, size: int) -> None:
        """Give a file a length."""
        self._perform(Truncate(file, size))

    def sync(self, file: int) -> None:
        """Make the bytes certain."""
        self._perform(Sync(file))

    def lock(self, directory: int, name: str) -> Lock:
        """Take a lock or raise ``StoreLocked``; locks do not outlive a cut or a kill."""
        if (directory, name) in self._locks:
            raise StoreLocked(name)
        if self.find(directory, name) is None:
            self.create(directory, name)
        self._locks.add((directory, name))
        return _MemoryLock(self._locks, (directory, name))


class _MemoryLock:
    def __init__(self, locks: set[tuple[int, str]], key: tuple[int, str]) -> None:
        self._locks = locks
        self._key = key

    def release(self) -> None:
        self._locks.discard(self._key)


class _MemorySink:
    def __init__(self, disk: MemoryDisk, file: int) -> None:
        self._disk = disk
        self._file = file

    def write(self, content: bytes, /) -> None:
        if content:
            self._disk.write(self._file, self._disk.length(self._file), bytes(content))

    def allocate(self, size: int, /) -> None:
        self._disk.truncate(self._file, size)

    def sync(self) -> None:
        self._disk.sync(self._file)

    def close(self) -> None:
        pass


class MemoryDirectory:
    """One directory of a ``MemoryDisk``; each method is that of ``safe.paths.Directory``."""

    def __init__(self, disk: MemoryDisk, number: int, path: str) -> None:
        self._disk = disk
        self._number = number
        self._path = path

    def enter(self, name: str, *, create: bool = False) -> "MemoryDirectory":
        """See ``Directory.enter``."""
        number = self._disk.find(self._number, entry(name))
        if create:
            if number is None:
                number = self._disk.make_directory(self._number, name)
            self._disk.sync_directory(self._number)
        if number is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        if self._disk.is_file(number):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", name)
        return MemoryDirectory(self._disk, number, f"{self._path}{name}/")

    def names(self) -> list[str]:
        """See ``Directory.names``."""
        return self._disk.entries(self._number)

    def _file(self, name: str) -> int | None:
        number = self._disk.find(self._number, entry(name))
        return number if number is not None and self._disk.is_file(number) else None

    def size(self, name: str) -> int | None:
        """See ``Directory.size``."""
        file = self._file(name)
        return None if file is None else self._disk.length(file)

    def read(self, name: str, *, limit: int) -> bytes | None:
        """See ``Directory.read``."""
        file = self._file(name)
        if file is None:
            return None
        if self._disk.length(file) > limit:
            raise TooLarge(name, limit)
        return self._disk.content(file, 0, limit)

    def open(self, name: str) -> Source | None:
        """See ``Directory.open``."""
        file = self._file(name)
        return None if file is None else io.BytesIO(self._disk.content(file, 0, self._disk.length(file)))

    def read_at(self, name: str, offset: int, size: int) -> bytes | None:
        """See ``Directory.read_at``."""
        file = self._file(name)
        return None if file is None else self._disk.content(file, offset, size)

    def create(self, name: str) -> _MemorySink:
        """See ``Directory.create``."""
        if self._disk.find(self._number, entry(name)) is not None:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        return _MemorySink(self._disk, self._disk.create(self._number, name))

    def append(self, name: str) -> _MemorySink:
        """See ``Directory.append``."""
        file = self._file(name)
        return _MemorySink(self._disk, self._disk.create(self._number, name) if file is None else file)

    def link(self, old: str, new: str) -> None:
        """See ``Directory.link``."""
        self._disk.link(self._number, entry(old), entry(new))

    def rename(self, old: str, new: str) -> None:
        """See ``Directory.rename``."""
        self._disk.rename(self._number, entry(old), entry(new))

    def remove(self, name: str) -> None:
        """See ``Directory.remove``."""
        self._disk.remove(self._number, entry(name))

    def sync_file(self, name: str) -> None:
        """See ``Directory.sync_file``."""
        file = self._file(name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        self._disk.sync(file)

    def sync(self) -> None:
        """See ``Directory.sync``."""
        self._disk.sync_directory(self._number)

    def lock(self, name: str) -> Lock:
        """See ``Directory.lock``."""
        return self._disk.lock(self._number, entry(name))

    def path_of(self, name: str) -> str:
        """See ``Directory.path_of``."""
        return self._path + entry(name)

    def close(self) -> None:
        """See ``Directory.close``."""
