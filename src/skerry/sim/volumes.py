"""Volumes of a fake machine: what they hold, their limits and their snapshots, in memory."""

from typing import Any

import msgspec

from skerry.model.observed import VolumeSeen
from skerry.model.volume import SnapshotSeen, VolumeDriverName
from skerry.plan.actions import (
    DONE,
    CreateVolume,
    DeleteVolume,
    DropSnapshot,
    Outcome,
    RestoreVolume,
    SizeVolume,
    TakeSnapshot,
    failed,
)

#: Steps about volumes that a fake machine does.
VolumeAction = CreateVolume | SizeVolume | DeleteVolume | TakeSnapshot | DropSnapshot | RestoreVolume


class FakeVolumes:
    """The volumes of one machine. ``driver`` is how those that are made from now on are kept."""

    def __init__(self, driver: VolumeDriverName) -> None:
        self.driver: VolumeDriverName = driver
        self.seen: dict[str, VolumeSeen] = {}
        #: What services wrote: volume id to content, to see that nothing is lost.
        self.contents: dict[str, str] = {}
        #: Bytes that services wrote and nobody has to read again: volume id to count.
        self.grown: dict[str, int] = {}
        #: What snapshots hold, by volume id and name.
        self.kept: dict[tuple[str, str], str] = {}

    def image(self) -> dict[str, Any]:
        """Return a copy of what is on the disk."""
        return {"seen": dict(self.seen), "contents": dict(self.contents), "kept": dict(self.kept)}

    def put_back(self, image: dict[str, Any]) -> None:
        """Be as an image says."""
        self.seen, self.contents, self.kept = (dict(image[name]) for name in ("seen", "contents", "kept"))

    def do(self, action: VolumeAction) -> Outcome:
        """Perform one action at once; idempotent, as the drivers' contract says."""
        if isinstance(action, CreateVolume):
            return self._create(action)
        if isinstance(action, DeleteVolume):
            self.seen.pop(action.volume, None)
            self.contents.pop(action.volume, None)
            self.grown.pop(action.volume, None)
            self.kept = {key: held for key, held in self.kept.items() if key[0] != action.volume}
            return DONE
        seen = self.seen.get(action.volume)
        if seen is None:
            return failed("E-VOLUME", f"{action.volume} is not here")
        if seen.driver == "directory":
            return failed("E-STORAGE", f"{action.volume} is a plain folder here: no limit holds, no snapshots")
        match action:
            case SizeVolume():
                return self._size(action, seen)
            case TakeSnapshot():
                if (action.volume, action.snapshot) not in self.kept:
                    self._keep(seen, action, self.contents[action.volume], action.snapshot)
            case DropSnapshot():
                self.kept.pop((action.volume, action.snapshot), None)
                left = tuple(each for each in seen.snapshots if each.name != action.snapshot)
                self.seen[action.volume] = msgspec.structs.replace(seen, snapshots=left)
            case RestoreVolume():
                if (action.volume, action.snapshot) not in self.kept:
                    return failed("E-SNAPSHOT", f"{action.volume} has no snapshot {action.snapshot}")
                if (action.volume, action.aside) not in self.kept:
                    self._keep(seen, action, self.contents[action.volume], action.aside)
                    self.contents[action.volume] = self.kept[action.volume, action.snapshot]
        return DONE

    def _create(self, action: CreateVolume) -> Outcome:
        if action.volume not in self.seen:
            self.seen[action.volume] = VolumeSeen(
                volume=action.volume,
                tenant=action.tenant,
                app=action.app,
                name=action.name,
                uid_start=action.uid_start,
                born=action.born,
                driver=self.driver,
                limit_bytes=action.limit_bytes if self.driver != "directory" else 0,
            )
            self.contents[action.volume] = ""
        return DONE

    def _size(self, action: SizeVolume, seen: VolumeSeen) -> Outcome:
        if action.limit_bytes < self.grown.get(action.volume, 0):
            return failed("E-VOLUME", f"{action.volume} holds more than {action.limit_bytes} bytes already")
        self.seen[action.volume] = msgspec.structs.replace(seen, limit_bytes=action.limit_bytes)
        return DONE

    def _keep(self, seen: VolumeSeen, action: TakeSnapshot | RestoreVolume, held: str, name: str) -> None:
        self.kept[action.volume, name] = held
        order = 1 + max((each.order for each in seen.snapshots), default=0)
        added = SnapshotSeen(
            name=action.aside if isinstance(action, RestoreVolume) else action.snapshot,
            order=order,
            taken_us=action.taken_us,
        )
        self.seen[action.volume] = msgspec.structs.replace(seen, snapshots=(*seen.snapshots, added))
