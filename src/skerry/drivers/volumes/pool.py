"""A pool: a btrfs of the node's own for its volumes, in a file that has all its room from the start.

    <state>/pool.btrfs    the file; its file system has the label ``skerry-pool``
    <state>/pool          where it is mounted

Rules: (1) the file is never sparse, or a full disk would break what the pool has promised, and nothing gives room of it
back to the disk; (2) a file without our label is never touched; (3) each step may be repeated, and making goes on where
it was cut; (4) nobody but a person who removes it ever makes a pool smaller.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from skerry.drivers.base import run_program
from skerry.drivers.volumes import btrfs
from skerry.drivers.volumes.btrfs import Run
from skerry.model.errors import Refused
from skerry.safe.files import disk_errors
from skerry.safe.paths import Directory

MIB = 1 << 20
#: Below that a btrfs with two copies of its tables has little left for data.
POOL_BYTES_MIN = 256 * MIB
_IMAGE, _PART, _PLACE, _LABEL = "pool.btrfs", "pool.btrfs.part", "pool", "skerry-pool"
#: The disk keeps a sixteenth of its room for journal, images and logs.
_LEFT_PART = 16
#: Of linux/btrfs_tree.h: where the superblock lies, and magic and label in it.
_SUPER, _MAGIC_AT, _LABEL_AT, _LABEL_BYTES, _MAGIC = 64 * 1024, 64, 299, 256, b"_BHRfS_M"
#: Number of the top of every btrfs.
_TOP = 5
#: No device files, as in every volume of a container; no write at each read; rule (1); deleting without CAP_SYS_ADMIN.
_OPTIONS = "nodev,nosuid,noatime,nodiscard,user_subvol_rm_allowed"
#: On a file system without fallocate every block is written, and an SD card writes 10 MB/s.
_MAKE_S = 600.0


class PoolState(msgspec.Struct, frozen=True):
    """How a mounted pool is, in bytes."""

    size: int
    free: int
    has_limits: bool


class StatePool:
    """The pool below a state folder, as the driver of volumes uses it."""

    def __init__(self, state: Directory, *, is_wished: bool = False) -> None:
        self._state = state
        self._is_wished = is_wished
        #: Why it could not be made or mounted at the start.
        self.trouble = ""

    def enter(self) -> Directory | None:
        """Open the pool; None while it is not mounted."""
        place = btrfs.find_place(self._state.path_of(_PLACE))
        # The label tells a pool from whatever else somebody mounts there; an empty mount point is on the state's disk.
        if place is None or place.subvolume != _TOP or place.label != _LABEL:
            return None
        return self._state.enter(_PLACE)

    @property
    def absence(self) -> str:
        """Why there is no pool although there should be one: new volumes wait for it, for they would stay folders."""
        if not self._is_wished and self._state.size(_IMAGE) is None:
            return ""
        pool = self.enter()
        if pool is not None:
            pool.close()
            return ""
        return f"the pool is not mounted{f': {self.trouble}' if self.trouble else ''}"

    def read(self) -> PoolState | None:
        """Return how the pool is; None while it is not mounted."""
        pool = self.enter()
        if pool is None:
            return None
        pool.close()
        path = self._state.path_of(_PLACE)
        room = os.statvfs(path)
        place = btrfs.find_place(path)
        has_limits = place is not None and place.has_quotas
        return PoolState(room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize, has_limits)


async def ensure_pool(state: Directory, wished_bytes: int, run: Run = run_program) -> str:
    """Make, grow and mount the pool of a state folder; return what is so now, for a person.

    With 0 ``wished_bytes`` a pool that is there is mounted, and none is made. Raises ``Refused`` with nothing changed
    but steps that the next run goes on from, ``StoreFull`` and ``StoreFailed``.
    """
    if btrfs.find_place(str(Path(state.path_of(_PLACE)).parent)) is not None:
        return "no pool is needed: the state's own disk is a btrfs, where volumes have snapshots"
    lock = state.lock("pool.lock")
    try:
        if state.size(_IMAGE) is None:
            if not wished_bytes:
                return "no pool is wished"
            await _make(state, wished_bytes, run)
        elif not _is_ours(state):
            raise Refused("E-POOL", f"{state.path_of(_IMAGE)} is no pool of ours; it is not touched.")
        elif wished_bytes > (state.size(_IMAGE) or 0):
            _allocate(state, _IMAGE, wished_bytes)
        await _mount(state, run)
        size = state.size(_IMAGE) or 0
        kept = " (a pool never becomes smaller)" if 0 < wished_bytes < size else ""
        return f"a pool of {size // MIB} MiB is mounted at {state.path_of(_PLACE)}{kept}"
    finally:
        lock.release()


def _is_ours(state: Directory) -> bool:
    head = state.read_at(_IMAGE, _SUPER, _LABEL_AT + _LABEL_BYTES) or b""
    label = head[_LABEL_AT:].split(b"\0")[0]
    return head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC and label == _LABEL.encode()


async def _make(state: Directory, wished_bytes: int, run: Run) -> None:
    if wished_bytes < POOL_BYTES_MIN:
        raise Refused("E-POOL", f"A pool has at least {POOL_BYTES_MIN // MIB} MiB.")
    state.remove(_PART)  # of a run that was cut
    try:
        state.create(_PART).close()
        _allocate(state, _PART, wished_bytes)
        await _do(run, "mkfs.btrfs", "--quiet", "--nodiscard", "--label", _LABEL, state.path_of(_PART))
        with disk_errors("the pool"):
            state.sync_file(_PART)
            state.rename(_PART, _IMAGE)
            state.sync()
    except Exception:
        with contextlib.suppress(OSError):
            state.remove(_PART)
        raise


def _allocate(state: Directory, name: str, wished_bytes: int) -> None:
    """Give the file all its room; refuse where the disk would have too little left."""
    room = os.statvfs(state.path_of(name))
    more = wished_bytes - (state.size(name) or 0)
    left = room.f_bavail * room.f_frsize - more
    least = room.f_blocks * room.f_frsize // _LEFT_PART
    if left < least:
        raise Refused(
            "E-POOL",
            f"There is no room for {wished_bytes // MIB} MiB: the disk would have {left // MIB} MiB left.",
            hint=f"Ask for {max(0, wished_bytes + left - least) // MIB} MiB at most.",
        )
    with disk_errors("the pool"):
        sink = state.append(name)
        try:
            sink.allocate(wished_bytes)
            sink.sync()
        finally:
            sink.close()


async def _mount(state: Directory, run: Run) -> None:
    """Mount the pool where it is not, as large as its file, and have the kernel count."""
    state.enter(_PLACE, create=True).close()
    image, path = state.path_of(_IMAGE), state.path_of(_PLACE)
    # A second device over one file would be two disks with one identity.
    device = (await _do(run, "losetup", "--noheadings", "--output", "NAME", "--associated", image)).split()[:1]
    place = btrfs.find_place(path)
    if place is None or place.subvolume != _TOP:
        if not device:
            # Straight to the disk: what the pool caches would be cached a second time.
            device = (await _do(run, "losetup", "--find", "--show", "--direct-io=on", image)).split()[:1]
        await _do(run, "mount", "-t", "btrfs", "-o", _OPTIONS, device[0], path)
        _close(path)
    if device:
        # It goes with the mount from now on.
        await _do(run, "losetup", "--detach", device[0])
        await _do(run, "losetup", "--set-capacity", device[0])
        await _do(run, "btrfs", "filesystem", "resize", "max", path)
    place = btrfs.find_place(path)
    if place is not None and not place.has_quotas:
        await _do(run, "btrfs", "quota", "enable", path)
    # Kernels before 6.11 keep the counts of subvolumes that are gone.
    await run("btrfs", "qgroup", "clear-stale", path, limit_s=_MAKE_S)


def _close(path: str) -> None:
    Path(path).chmod(0o700)


async def _do(run: Run, *words: str) -> str:
    code, said = await run(*words, limit_s=_MAKE_S)
    text = said.decode("utf-8", "replace").strip()
    if code != 0:
        hint = "apt install btrfs-progs" if code == 127 else ""
        raise Refused("E-POOL", f"{words[0]} failed: {text[-300:]}", hint=hint)
    return text
