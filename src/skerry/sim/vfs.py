"""A SQLite VFS over a ``MemoryDisk``: the library that the product uses, on a disk that remembers and fails on command.

Rule: it behaves as SQLite's own Unix VFS does: sector size and promises, and the sync of the directory after the first
sync of a new log. No shared memory, because the house opens files in exclusive mode. Neighbour: ``safe/sqlite.py``.
"""

# The method names are SQLite's, and so are their meanings.
# ruff: noqa: D102, N802

import contextlib
import errno
import itertools
from collections.abc import Generator

import apsw

from skerry.sim.disk import MemoryDisk

_NUMBERS = itertools.count(1)
_LOGS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


@contextlib.contextmanager
def _errors() -> Generator[None]:
    """Give SQLite the words for the disk's troubles."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise apsw.FullError(str(error)) from error
        raise apsw.IOError(str(error)) from error


class _DiskFile:
    """One open file. The method names are SQLite's."""

    def __init__(self, disk: MemoryDisk, directory: int, file: int, *, sync_directory: bool) -> None:
        self._disk = disk
        self._directory = directory
        self._file = file
        self._sync_directory = sync_directory

    def xRead(self, amount: int, offset: int) -> bytes:
        return self._disk.content(self._file, offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:
        with _errors():
            self._disk.write(self._file, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        with _errors():
            self._disk.truncate(self._file, size)

    def xSync(self, flags: int) -> None:
        with _errors():
            self._disk.sync(self._file)
            if self._sync_directory:
                self._disk.sync_directory(self._directory)
                self._sync_directory = False

    def xFileSize(self) -> int:
        return self._disk.length(self._file)

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE | apsw.SQLITE_IOCAP_SUBPAGE_READ

    def xFileControl(self, operation: int, pointer: int) -> bool:
        return False

    def xCheckReservedLock(self) -> bool:
        return False

    def xLock(self, level: int) -> None:
        """Nothing to do: the lock file of ``open_sqlite`` keeps others out."""

    def xUnlock(self, level: int) -> None:
        """As ``xLock``."""

    def xClose(self) -> None:
        """Nothing is held."""


class DiskVfs(apsw.VFS):
    """The VFS of one disk, registered under ``name`` until ``unregister``."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.name = f"disk-{next(_NUMBERS)}"
        self._disk = disk
        super().__init__(self.name, "")

    def xFullPathname(self, name: str) -> str:
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:
        return self._disk.find(*self._disk.locate(pathname)) is not None

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with _errors():
            directory, name = self._disk.locate(filename)
            self._disk.remove(directory, name)
            if syncdir:
                self._disk.sync_directory(directory)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _DiskFile:  # type: ignore[override]
        if name is None:
            raise apsw.CantOpenError("Temporary files belong in memory: temp_store is set.")
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        directory, entry = self._disk.locate(path)
        file = self._disk.find(directory, entry)
        created = file is None
        if file is None:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(path)
            with _errors():
                file = self._disk.create(directory, entry)
        flags[1] = flags[0]
        return _DiskFile(self._disk, directory, file, sync_directory=created and bool(flags[0] & _LOGS))


@contextlib.contextmanager
def mounted(disk: MemoryDisk) -> Generator[str]:
    """Register a VFS over ``disk`` for as long as the block lasts, and give its name for ``open_sqlite(vfs=…)``.

    The same work gives the same operations but for the salts in SQLite's logs, which it draws once per process.
    """
    vfs = DiskVfs(disk)
    try:
        yield vfs.name
    finally:
        vfs.unregister()
