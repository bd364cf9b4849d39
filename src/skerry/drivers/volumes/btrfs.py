"""btrfs as this room needs it: commands for what changes, and the kernel's own files for what is looked at.

Each change is one run of ``btrfs`` (4 ms, 3 MB, gone at once). A look starts no process: the number of a subvolume is
asked of the kernel, and its quota group lies in ``/sys``.
"""

import fcntl
import os
import shutil
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from skerry.drivers.base import Offload, run_inline, run_program

#: ``BTRFS_IOC_FS_INFO`` and ``BTRFS_IOC_INO_LOOKUP`` of linux/btrfs.h, as numbered on x86, ARM and RISC-V.
_FS_INFO, _FS_INFO_BYTES = 0x8400941F, 1024
_INO_LOOKUP, _INO_LOOKUP_BYTES = 0xD0009412, 4096
#: ``BTRFS_FIRST_FREE_OBJECTID``: the inode of the root of every subvolume.
_SUBVOLUME_INODE = 256
_SYS = Path("/sys/fs/btrfs")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Deleting what somebody has put into subvolumes within a volume ends here.
_NESTED_MAX = 64
#: A snapshot waits for what is written meanwhile: a slow card takes many seconds for it.
_COMMAND_S = 120.0

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class Place(msgspec.Struct, frozen=True):
    """A folder on a btrfs."""

    #: Its identity, as ``/sys`` writes it.
    file_system: str
    #: Number of the subvolume whose root it is; 0 for a plain folder.
    subvolume: int

    @property
    def has_quotas(self) -> bool:
        """Whether the kernel counts what each subvolume holds, without which no limit holds."""
        return (_SYS / self.file_system / "qgroups").is_dir()

    @property
    def label(self) -> str:
        """Label of the file system; empty where it has none."""
        try:
            return (_SYS / self.file_system / "label").read_text().strip()
        except OSError:
            return ""


class Group(msgspec.Struct, frozen=True):
    """The quota group of a subvolume, in bytes."""

    referenced: int
    #: 0 where there is none.
    limit: int


class CommandFailed(Exception):
    """``btrfs`` did not do what it was told; ``code`` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class NotPermitted(CommandFailed):
    """The process has no right to do it."""


def find_place(path: str) -> Place | None:
    """Say where on a btrfs the folder ``path`` is; None where another file system holds it, or it cannot be opened."""
    try:
        folder = os.open(path, _FOLDER)
    except OSError:
        return None
    try:
        answer = bytearray(_FS_INFO_BYTES)
        try:
            fcntl.ioctl(folder, _FS_INFO, answer)
        except OSError:
            return None
        file_system = _name(answer[16:32])
        if os.fstat(folder).st_ino != _SUBVOLUME_INODE:
            return Place(file_system, 0)
        answer = bytearray(struct.pack("=QQ", 0, _SUBVOLUME_INODE).ljust(_INO_LOOKUP_BYTES, b"\0"))
        fcntl.ioctl(folder, _INO_LOOKUP, answer)
        return Place(file_system, struct.unpack_from("=Q", answer)[0])
    finally:
        os.close(folder)


def _name(identity: bytearray) -> str:
    digits = identity.hex()
    return "-".join(digits[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


def read_group(path: str) -> Group | None:
    """Return what the kernel counts for the subvolume at ``path``; None where it counts nothing."""
    place = find_place(path)
    if place is None or not place.subvolume:
        return None
    folder = f"{_SYS}/{place.file_system}/qgroups/0_{place.subvolume}/"
    try:
        return Group(_read_number(folder + "referenced"), _read_number(folder + "max_referenced"))
    except (OSError, ValueError):
        return None


def _read_number(path: str) -> int:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(file, 32))
    finally:
        os.close(file)


class Btrfs:
    """Runs ``btrfs``. Paths are ours: a person's words never reach it but as names that ``skerry.safe`` let through."""

    def __init__(self, run: Run = run_program, offload: Offload = run_inline) -> None:
        self._run = run
        self._offload = offload

    async def make(self, path: str) -> None:
        """Make an empty subvolume."""
        await self._do("subvolume", "create", path)

    async def copy(self, source: str, path: str, *, is_read_only: bool) -> None:
        """Make a snapshot of the subvolume ``source``."""
        words = ("-r",) if is_read_only else ()
        await self._do("subvolume", "snapshot", *words, source, path)

    async def seal(self, path: str) -> None:
        """Make a subvolume read only."""
        await self._do("property", "set", "-ts", path, "ro", "true")

    async def limit(self, path: str, limit_bytes: int) -> None:
        """Let a subvolume hold so many bytes and no more; raises ``NotPermitted`` without CAP_SYS_ADMIN."""
        await self._do("qgroup", "limit", str(limit_bytes), path)

    async def sync(self, path: str) -> None:
        """Write what waits, so that the counts are true."""
        await self._do("filesystem", "sync", path)

    async def remove(self, path: str) -> None:
        """Delete a subvolume with all that is in it, also subvolumes that somebody has made there."""
        for _ in range(_NESTED_MAX):
            # Whoever may delete their own subvolumes may not delete a read-only one.
            await self._run("btrfs", "property", "set", "-ts", path, "ro", "false", limit_s=_COMMAND_S)
            code, said = await self._run("btrfs", "subvolume", "delete", path, limit_s=_COMMAND_S)
            if code == 0:
                return
            inner = await self._offload(lambda: _find_nested(path))
            if not inner:
                trouble = _explain(code, said)
                if not isinstance(trouble, NotPermitted):
                    raise trouble
                # Where the mount lets only root delete subvolumes, an empty one still goes like any folder.
                await self._offload(lambda: shutil.rmtree(path))
                return
            for each in inner:
                await self.remove(each)

    async def _do(self, *words: str) -> None:
        code, said = await self._run("btrfs", *words, limit_s=_COMMAND_S)
        if code != 0:
            raise _explain(code, said)


def _explain(code: int, said: bytes) -> CommandFailed:
    lines = said.decode("utf-8", "replace").strip().splitlines() or [f"btrfs ended with {code}"]
    detail = next((line for line in lines if "ERROR" in line), lines[0])[:300]
    if "not permitted" in detail:
        return NotPermitted("E-STORAGE", detail)
    if "No space left" in detail or "uota exceeded" in detail:
        return CommandFailed("E-DISK-FULL", detail)
    return CommandFailed("E-TIMEOUT" if code == 124 else "E-DISK", detail)


def _find_nested(path: str) -> list[str]:
    """Return the outermost subvolumes below a subvolume that nobody uses any more."""
    found: list[str] = []
    for folder, names, _ in os.walk(path):
        inner = [name for name in names if os.lstat(f"{folder}/{name}").st_ino == _SUBVOLUME_INODE]
        found += [f"{folder}/{name}" for name in inner]
        names[:] = [name for name in names if name not in inner]
    return found
