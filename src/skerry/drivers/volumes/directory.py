"""Volumes as plain folders, where the disk is no btrfs: no limit holds, and there are no snapshots."""

import contextlib
import os
import shutil

from skerry.drivers.base import Offload
from skerry.drivers.volumes.layout import DATA
from skerry.model.observed import VolumeSeen
from skerry.model.volume import VolumeDriverName
from skerry.plan.actions import DropSnapshot, Outcome, RestoreVolume, SizeVolume, TakeSnapshot, failed
from skerry.safe.paths import Directory

_WHY = "is a plain folder here, for this disk is no btrfs"


class DirectoryStorage:
    """What is done to one volume whose ``data`` is a plain folder."""

    name: VolumeDriverName = "directory"

    async def make(self, volume: Directory, uid: int, limit_bytes: int) -> None:
        """Make ``data``, owned by ``uid``; nothing holds it to a limit."""
        volume.enter(DATA, create=True).close()
        os.chown(volume.path_of(DATA), uid, uid, follow_symlinks=False)

    def look(self, volume: Directory, seen: VolumeSeen) -> VolumeSeen:
        """Say nothing more of a volume than its identity does."""
        return seen

    async def size(self, volume: Directory, action: SizeVolume) -> Outcome:
        """Refuse."""
        return failed("E-STORAGE", f"{action.volume} {_WHY}: no limit holds")

    async def take(self, volume: Directory, action: TakeSnapshot) -> Outcome:
        """Refuse: a copy of files that change meanwhile is none."""
        return failed("E-STORAGE", f"{action.volume} {_WHY}: it has no snapshots")

    async def drop(self, volume: Directory, action: DropSnapshot) -> Outcome:
        """Refuse, as ``take`` does."""
        return failed("E-STORAGE", f"{action.volume} {_WHY}: it has no snapshots")

    async def restore(self, volume: Directory, action: RestoreVolume) -> Outcome:
        """Refuse, as ``take`` does."""
        return failed("E-STORAGE", f"{action.volume} {_WHY}: it has no snapshots")

    async def settle(self, volume: Directory) -> None:
        """Nothing is ever half done but a deletion, which goes by its name."""

    async def remove(self, volume: Directory) -> None:
        """Nothing is there that does not go with its folder."""


async def remove_tree(path: str, offload: Offload) -> None:
    """Remove a folder with all that is in it; one that is not there is as good as removed."""

    def remove() -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    await offload(remove)
