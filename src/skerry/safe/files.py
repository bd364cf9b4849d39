"""Small durable files: written whole, never in place, read with a check (faults.md §3.3).

Rules: (1) a new version is complete and synced before it gets the name; (2) the version before stays as ``name.prev``;
(3) a write is done only after the directory is synced; (4) what fails its header is not there. Everything durable
outside SQLite and the blobs is written here and nowhere else.
"""

import contextlib
import errno
import hashlib
from collections.abc import Generator

import msgspec

from skerry.safe.errors import StoreFailed, StoreFull, TooLarge
from skerry.safe.paths import Directory, entry

#: Bytes kept back for the control plane on a full disk: a month of journal growth at an idle site (faults.md §3.3).
RESERVE_BYTES = 16 * 1024 * 1024
#: Unfinished versions of one file; they are removed at start, so more than a few means that nothing removes them.
LEFTOVERS_MAX = 16

_MAGIC = b"skerry-file 1 "
_HEADER_BYTES_MAX = len(_MAGIC) + 12 + 1 + 64 + 1


class Durable(msgspec.Struct, frozen=True):
    """What ``read_durable`` found."""

    content: bytes
    #: True when the newest version was missing or bad and the one before is returned.
    previous: bool


@contextlib.contextmanager
def disk_errors(what: str) -> Generator[None]:
    """Turn the disk's OSErrors into ``StoreFull`` or ``StoreFailed``, naming ``what`` was written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"No room to write {what}.") from error
        raise StoreFailed(f"Writing {what} failed: {error.strerror}.") from error


def write_durable(directory: Directory, name: str, content: bytes) -> None:
    """Make ``content`` the newest version of ``name``; on return it survives a power cut.

    Raises ``StoreFull`` (nothing changed) or ``StoreFailed`` (old or new, to be found out by a restart).
    """
    with disk_errors(name):
        fresh = _write_fresh(directory, name, frame(content))
        # A bad present version must not push out the good one before it.
        if _is_good(directory, name):
            directory.remove(f"{name}.prev")
            directory.link(name, f"{name}.prev")
        directory.rename(fresh, name)
        directory.sync()


def read_durable(directory: Directory, name: str, *, limit: int) -> Durable | None:
    """Return the newest good version of ``name`` with up to ``limit`` bytes; None when there is none.

    A bad pair reads as absent, and absence is never permission to delete anything (faults.md §3.5).
    """
    for candidate, previous in ((name, False), (f"{name}.prev", True)):
        content = _read_good(directory, candidate, limit)
        if content is not None:
            return Durable(content, previous)
    return None


def remove_durable(directory: Directory, name: str) -> None:
    """Remove ``name`` and its previous version, durably; the older one first, or a cut would bring it back."""
    with disk_errors(name):
        directory.remove(f"{name}.prev")
        directory.sync()
        directory.remove(name)
        directory.sync()


def settle(directory: Directory, prefix: str = "") -> list[str]:
    """Clean what writers of names with ``prefix`` left behind, before anything is read; return what was removed.

    Also syncs the entries: a writer that was killed before its last step left a version that one could read now and
    lose at the next power cut.
    """
    with disk_errors("a directory"):
        leftovers = [name for name in directory.names() if ".new." in name and name.startswith(prefix)]
        for name in leftovers:
            directory.remove(name)
        directory.sync()
    return leftovers


def frame(content: bytes) -> bytes:
    """Put the header in front: magic, length and SHA-256 on one readable line."""
    return _MAGIC + b"%d %s\n" % (len(content), hashlib.sha256(content).hexdigest().encode()) + content


def unframe(stored: bytes) -> bytes | None:
    """Return what ``frame`` was given, None when a bit of it has changed."""
    header, newline, content = stored[:_HEADER_BYTES_MAX].partition(b"\n")
    content += stored[_HEADER_BYTES_MAX:]
    return content if newline and frame(content) == header + newline + content else None


def _write_fresh(directory: Directory, name: str, stored: bytes) -> str:
    """Write and sync a complete version under a name of its own; without room, leave nothing."""
    for number in range(1, LEFTOVERS_MAX + 1):
        fresh = entry(f"{name}.new.{number}")
        try:
            sink = directory.create(fresh)
        except FileExistsError:
            continue
        try:
            sink.write(stored)
            sink.sync()
        except OSError:
            with contextlib.suppress(OSError):
                directory.remove(fresh)
            raise
        finally:
            sink.close()
        return fresh
    raise StoreFailed(f"{LEFTOVERS_MAX} unfinished versions of {name} are in the way.")


def _read_good(directory: Directory, name: str, limit: int) -> bytes | None:
    """Return the content of one version; an unreadable page is as bad as a changed one (faults.md D3)."""
    try:
        stored = directory.read(name, limit=limit + _HEADER_BYTES_MAX)
    except OSError:
        return None
    content = None if stored is None else unframe(stored)
    if content is not None and len(content) > limit:
        raise TooLarge(name, limit)
    return content


def _is_good(directory: Directory, name: str) -> bool:
    """Say whether the present version may become the previous one."""
    size = directory.size(name)
    return size is not None and _read_good(directory, name, size) is not None


class Reserve:
    """Room kept back on the disk, given up only for the control plane and taken again first."""

    def __init__(self, directory: Directory, size: int = RESERVE_BYTES) -> None:
        self._directory = directory
        self._size = size

    @property
    def held(self) -> bool:
        """Whether the room is kept back now."""
        return self._directory.size("reserve") == self._size

    def hold(self) -> bool:
        """Take the room; False when the disk has not enough. Called at start and whenever space may have returned."""
        if self.held:
            return True
        try:
            with disk_errors("the reserve"):
                self._directory.remove("reserve")
                sink = self._directory.create("reserve")
                try:
                    sink.allocate(self._size)
                    sink.sync()
                finally:
                    sink.close()
                self._directory.sync()
        except StoreFull:
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Give the room up for a write that met ``StoreFull``; False when there was none left to give."""
        held = self._directory.size("reserve") is not None
        with disk_errors("the reserve"):
            self._directory.remove("reserve")
            self._directory.sync()
        return held
