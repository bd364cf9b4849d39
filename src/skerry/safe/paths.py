"""The only door from names to the file system: a directory handle, one component at a time, no link followed.

Rules: (1) a name from outside passes ``component`` or ``blob_place`` first; (2) every open is relative to the handle of
its directory, with O_NOFOLLOW; (3) nothing is joined to a path. ``Directory`` is also the seam below which the
simulator and the power-cut harness put their own disk (``sim/disk.py``).
"""

import contextlib
import fcntl
import os
import re
import stat
from pathlib import Path
from typing import NewType, Protocol

from skerry.model.ids import is_digest
from skerry.safe.errors import StoreLocked, TooLarge, UnsafeName

#: A name from outside that has passed ``component``.
Component = NewType("Component", str)

_COMPONENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}|[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
# What a directory accepts at all: our own file names have suffixes ("core.db.snapshot.new.3") and blobs 64 digits.
_ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}(?:\.[a-z0-9-]{1,64}){0,6}", re.ASCII)

_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW


def component(name: str) -> Component:
    """Let ``name`` through when it is a name of the house or a ULID; raise ``UnsafeName`` otherwise."""
    if _COMPONENT.fullmatch(name) is None:
        raise UnsafeName(name)
    return Component(name)


def blob_place(digest: str) -> tuple[str, str, str]:
    """Return where the bytes of ``digest`` live, as components: algorithm, two digits, all digits."""
    if not is_digest(digest):
        raise UnsafeName(digest)
    algorithm, _, digits = digest.partition(":")
    return algorithm, digits[:2], digits


def entry(name: str) -> str:
    """Return ``name`` when a directory may have such an entry; the last check before the system call."""
    if _ENTRY.fullmatch(name) is None:
        raise UnsafeName(name)
    return name


class Source(Protocol):
    """Bytes that can be read in order."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, nothing at the end."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Sink(Protocol):
    """A file being written from its present end on. Nothing is durable before ``sync`` has returned."""

    def write(self, content: bytes, /) -> None:
        """Append all of ``content``."""
        ...

    def allocate(self, size: int, /) -> None:
        """Reserve ``size`` bytes on the disk, or raise OSError (ENOSPC)."""
        ...

    def sync(self) -> None:
        """Wait until the bytes are on the disk."""
        ...

    def close(self) -> None:
        """Let go; does not sync."""
        ...


class Lock(Protocol):
    """An exclusive lock; ends with the process at the latest."""

    def release(self) -> None:
        """Let the next one in."""
        ...


class Directory(Protocol):
    """One directory of one disk. Methods raise ``UnsafeName`` for a bad entry, OSError for the disk's troubles."""

    def enter(self, name: str, *, create: bool = False) -> "Directory":
        """Return the directory below; with ``create`` make it, durably, when it is missing."""
        ...

    def names(self) -> list[str]:
        """Return the entries, sorted."""
        ...

    def size(self, name: str) -> int | None:
        """Return the length of a regular file, None when there is none."""
        ...

    def read(self, name: str, *, limit: int) -> bytes | None:
        """Return the whole file, None when there is none; raise ``TooLarge`` above ``limit`` bytes."""
        ...

    def open(self, name: str) -> Source | None:
        """Open a regular file for reading, None when there is none."""
        ...

    def read_at(self, name: str, offset: int, size: int) -> bytes | None:
        """Return up to ``size`` bytes of a regular file from ``offset``, None when there is no file."""
        ...

    def create(self, name: str) -> Sink:
        """Make a new, empty file (FileExistsError when there is one)."""
        ...

    def append(self, name: str) -> Sink:
        """Open a file to write at its end; make it when it is missing."""
        ...

    def link(self, old: str, new: str) -> None:
        """Give the file a second name (FileExistsError when ``new`` is taken)."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Move the file to ``new``, replacing what is there, in one step."""
        ...

    def remove(self, name: str) -> None:
        """Remove the entry; a missing one is as good as removed."""
        ...

    def sync_file(self, name: str) -> None:
        """Wait until the bytes that somebody else wrote into the file are on the disk."""
        ...

    def sync(self) -> None:
        """Wait until the entries of this directory are on the disk."""
        ...

    def lock(self, name: str) -> Lock:
        """Take the lock file ``name`` or raise ``StoreLocked``."""
        ...

    def path_of(self, name: str) -> str:
        """Return a path for a library that opens files by path (SQLite); the library must refuse links itself."""
        ...

    def close(self) -> None:
        """Let go of the handle."""
        ...


def descend(directory: Directory, *names: str, create: bool = False) -> Directory | None:
    """Return the directory ``names`` levels below, None when it is missing; the caller closes it."""
    below: Directory | None = None
    for name in names:
        above, opened = below or directory, below
        try:
            below = above.enter(name, create=create)
        except FileNotFoundError:
            return None
        finally:
            if opened is not None:
                opened.close()
    return below


class _DescriptorSink:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: bytes, /) -> None:
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def allocate(self, size: int, /) -> None:
        os.posix_fallocate(self._descriptor, 0, size)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class _FileLock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


class RealDirectory:
    """A directory of this machine. The first one is opened by a path from the settings, all others from there."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    @classmethod
    def open_root(cls, path: Path) -> "RealDirectory":
        """Open the trusted ``path`` of the settings, made when it is missing; nobody else gets access to it."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Resolved once, so that SQLite can be told to refuse links in the paths that `path_of` gives it.
        path = path.resolve()
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)

    @classmethod
    def open_given(cls, path: Path) -> "RealDirectory":
        """Open a folder that a person named, as it is; OSError when it is not there, or no folder."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)

    def enter(self, name: str, *, create: bool = False) -> "RealDirectory":
        """See ``Directory.enter``."""
        entry(name)
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self._descriptor)
            # Also when it is there: whoever made it may have been killed before this sync.
            self.sync()
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _OPEN, dir_fd=self._descriptor)
        return RealDirectory(descriptor, self._path / name)

    def names(self) -> list[str]:
        """See ``Directory.names``."""
        # btrfs gives what was there when the handle was last at its beginning, and nothing that came later.
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - pathlib lists paths, not handles

    def _open(self, name: str) -> int | None:
        """Open a regular file for reading. O_NONBLOCK so that a planted pipe cannot hang us."""
        try:
            descriptor = os.open(entry(name), os.O_RDONLY | os.O_NONBLOCK | _OPEN, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnsafeName(name)
        return descriptor

    def size(self, name: str) -> int | None:
        """See ``Directory.size``."""
        # Not by opening it: closing any descriptor of a file ends the locks that SQLite holds on it in this process.
        try:
            status = os.stat(entry(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self, name: str, *, limit: int) -> bytes | None:
        """See ``Directory.read``."""
        descriptor = self._open(name)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as source:
            content = source.read(limit + 1)
        if len(content) > limit:
            raise TooLarge(name, limit)
        return content

    def open(self, name: str) -> Source | None:
        """See ``Directory.open``."""
        descriptor = self._open(name)
        return None if descriptor is None else os.fdopen(descriptor, "rb")

    def read_at(self, name: str, offset: int, size: int) -> bytes | None:
        """See ``Directory.read_at``."""
        descriptor = self._open(name)
        if descriptor is None:
            return None
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)

    def create(self, name: str) -> Sink:
        """See ``Directory.create``."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
        return _DescriptorSink(os.open(entry(name), flags, 0o600, dir_fd=self._descriptor))

    def append(self, name: str) -> Sink:
        """See ``Directory.append``."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | _OPEN
        return _DescriptorSink(os.open(entry(name), flags, 0o600, dir_fd=self._descriptor))

    def link(self, old: str, new: str) -> None:
        """See ``Directory.link``."""
        here = self._descriptor
        os.link(entry(old), entry(new), src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)

    def rename(self, old: str, new: str) -> None:
        """See ``Directory.rename``."""
        os.rename(entry(old), entry(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """See ``Directory.remove``."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry(name), dir_fd=self._descriptor)

    def sync_file(self, name: str) -> None:
        """See ``Directory.sync_file``."""
        descriptor = os.open(entry(name), os.O_RDONLY | _OPEN, dir_fd=self._descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync(self) -> None:
        """See ``Directory.sync``."""
        os.fsync(self._descriptor)

    def lock(self, name: str) -> Lock:
        """See ``Directory.lock``."""
        flags = os.O_RDWR | os.O_CREAT | _OPEN
        descriptor = os.open(entry(name), flags, 0o600, dir_fd=self._descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StoreLocked(name) from None
        return _FileLock(descriptor)

    def path_of(self, name: str) -> str:
        """See ``Directory.path_of``."""
        return str(self._path / entry(name))

    def close(self) -> None:
        """See ``Directory.close``."""
        os.close(self._descriptor)
