"""Database files of simulated machines on a simulated disk: cuts tear them, the disk fails, fills up or is slow.

The twin of ``memory.py``, for storms in disk mode. A process that dies leaves what it has written; a power cut keeps,
loses or tears each write that nobody had synced, as ``disk.py`` says. ``Trouble`` is what is wrong with a disk now.
"""

import errno
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from skerry.clock import Clock, Mint
from skerry.safe.db import Db, plain
from skerry.safe.errors import StoreFailed
from skerry.safe.sqlite import Connection, Options, SqliteFile, open_sqlite
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Choose, Fate, Operation, Sync, Truncate, Write
from skerry.sim.vfs import DiskVfs

T = TypeVar("T")
_NAME = "store.db"


class Trouble(msgspec.Struct):
    """What is wrong with a machine's disk now."""

    #: Writes and syncs that still succeed before the first one fails with EIO; negative while none does.
    errors_after: int = -1
    #: Whether all fail from then on, or only that one.
    errors_stay: bool = False
    #: Bytes that can still be written to the store before there is no room; None means enough.
    room: int | None = None
    #: Every commit becomes known this much later.
    slow_us: int = 0

    def meet(self, operation: Operation) -> None:
        """Fail in place of an operation (faults.md D1, D3, D4)."""
        if not isinstance(operation, Write | Truncate | Sync):
            return
        if self.errors_after == 0:
            self.errors_after = 0 if self.errors_stay else -1
            raise OSError(errno.EIO, "Input/output error")
        if self.errors_after > 0:
            self.errors_after -= 1
        if self.room is not None and isinstance(operation, Write):
            if self.room < len(operation.content):
                raise OSError(errno.ENOSPC, "No space left on device")
            self.room -= len(operation.content)


def draw_fates(mint: Mint) -> Choose:
    """Return a chooser with a mood: some cuts lose all that may be lost, some nearly nothing, most a part."""
    kept = (0.0, 0.05, 0.5, 0.95, 1.0)[int(mint.uniform() * 5)]
    torn = (0.0, 0.1, 0.6)[int(mint.uniform() * 3)]

    def choose(fates: tuple[Fate, ...]) -> Fate:
        if len(fates) > 2 and mint.uniform() < torn:
            return fates[2 + int(mint.uniform() * (len(fates) - 2))]
        return "kept" if mint.uniform() < kept else "lost"

    return choose


def cut_disk(disk: MemoryDisk, choose: Choose, trouble: Trouble) -> MemoryDisk:
    """Return what a power cut leaves of a disk, with the same trouble."""
    after = disk.after_cut(len(disk.operations), choose)
    after.before = trouble.meet
    return after


class DiskFile:
    """The file; the methods are those of ``MemoryFile``, and ``cut``."""

    def __init__(self, options: Options, trouble: Trouble) -> None:
        self._options = options
        self._trouble = trouble
        self._file: SqliteFile | None = None
        self._disk = MemoryDisk()
        self._disk.before = trouble.meet
        self._vfs = DiskVfs(self._disk)

    @property
    def raw(self) -> Any:
        """The open file, for checkers that read it between two steps while its process lives."""
        assert self._file is not None, "the file was opened"
        return self._file.connection

    def open(self) -> SqliteFile:
        """Open as the product does; raises ``StoreFull`` or ``StoreFailed``."""
        self._file = open_sqlite(self._disk.root, _NAME, self._options, vfs=self._vfs.name)
        return self._file

    def cut(self, choose: Choose) -> None:
        """The power goes; only while no process has the file open."""
        self._put(cut_disk(self._disk, choose, self._trouble))

    def copy(self) -> MemoryDisk:
        """Return an image of the disk."""
        return self._disk.after_kill(len(self._disk.operations))

    def restore(self, backup: MemoryDisk) -> None:
        """Be as the image was; only while no process has the file open."""
        after = backup.after_kill(len(backup.operations))
        after.before = self._trouble.meet
        self._put(after)

    def _put(self, disk: MemoryDisk) -> None:
        self._vfs.unregister()
        self._disk = disk
        self._vfs = DiskVfs(disk)

    def close(self) -> None:
        """The machine is scrapped."""
        self._vfs.unregister()


class SlowDb(Db[Connection]):
    """A journal on a disk that may be slow: what is committed becomes known later, in the order of the commits."""

    def __init__(
        self, file: SqliteFile, clock: Clock, trouble: Trouble, on_failed: Callable[[StoreFailed], None]
    ) -> None:
        super().__init__(file, plain, group_s=0, inline=True, on_failed=on_failed)
        self._clock = clock
        self._trouble = trouble
        self._free_us = 0

    async def run(self, job: Callable[[Connection], T], *, soon: bool = False) -> T:
        """See ``Db.run``."""
        result = await super().run(job, soon=soon)
        if self._trouble.slow_us or self._free_us > self._clock.boot_us():
            self._free_us = max(self._free_us, self._clock.boot_us()) + self._trouble.slow_us
            await self._clock.sleep_until(self._free_us)
        return result
