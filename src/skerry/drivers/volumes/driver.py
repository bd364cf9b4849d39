"""The volumes of a node: where each is, and one step about it, whatever keeps it (``directory.py``, ``snapshots.py``).

New ones go to the first root. What is already in another one stays there and is used there.
"""

import asyncio
import contextlib
import errno
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from skerry.drivers.base import Measured, Offload, run_inline
from skerry.drivers.volumes import btrfs
from skerry.drivers.volumes.btrfs import Btrfs, CommandFailed
from skerry.drivers.volumes.directory import DirectoryStorage, remove_tree
from skerry.drivers.volumes.layout import (
    DATA,
    SNAPSHOTS,
    Identity,
    NotesKept,
    below,
    holds_anything,
    list_volumes,
    read_identity,
    see,
)
from skerry.drivers.volumes.measuring import DataPlace, Measuring
from skerry.drivers.volumes.pool import MIB, StatePool
from skerry.drivers.volumes.snapshots import ROOM_PART, Asked, BtrfsStorage, ask_nobody
from skerry.model.ids import VolumeId, volume_id
from skerry.model.observed import Observation, VolumeSeen
from skerry.model.volume import VolumeDriverName
from skerry.plan.actions import (
    DONE,
    Action,
    CreateVolume,
    DeleteVolume,
    DropSnapshot,
    Outcome,
    RestoreVolume,
    SizeVolume,
    TakeSnapshot,
    failed,
)
from skerry.safe.errors import StoreFailed, StoreFull
from skerry.safe.files import write_durable
from skerry.safe.paths import Directory, component, descend

#: Ending of a volume's name while it is being deleted; no name of the house has a dot.
_GONE = ".gone"
#: Room of the pool is told in such steps, and anew when it is off by one: what places apps needs it no finer.
_FREE_STEP_BYTES = 256 * MIB


class Storage(Protocol):
    """A way to keep volumes. ``CommandFailed`` and the disk's own errors are the driver's to explain."""

    name: VolumeDriverName

    async def make(self, volume: Directory, uid: int, limit_bytes: int) -> None:
        """Make ``data`` of a volume that has none yet, or an empty one."""
        ...

    def look(self, volume: Directory, seen: VolumeSeen) -> VolumeSeen:
        """Complete what the identity says of a volume."""
        ...

    async def size(self, volume: Directory, action: SizeVolume) -> Outcome:
        """Set another limit."""
        ...

    async def take(self, volume: Directory, action: TakeSnapshot) -> Outcome:
        """Take a snapshot."""
        ...

    async def drop(self, volume: Directory, action: DropSnapshot) -> Outcome:
        """Let one go."""
        ...

    async def restore(self, volume: Directory, action: RestoreVolume) -> Outcome:
        """Go back to one."""
        ...

    async def settle(self, volume: Directory) -> None:
        """End what was interrupted."""
        ...

    async def remove(self, volume: Directory) -> None:
        """Remove what does not go like a folder, before the folder goes."""
        ...


class VolumesDriver:
    """Driver over the directories that hold this node's volumes."""

    name = "volumes"
    performs = (CreateVolume, SizeVolume, DeleteVolume, TakeSnapshot, DropSnapshot, RestoreVolume)

    def __init__(
        self,
        root: Directory,
        offload: Offload = run_inline,
        pool: StatePool | None = None,
        commands: Btrfs | None = None,
        ask: Asked = ask_nobody,
    ) -> None:
        """With a ``pool``, new volumes are made there. ``ask`` sets limits where this process may not."""
        self._root = root
        self._pool = pool
        self._offload = offload
        self._removing = asyncio.Lock()
        #: One step about a volume at a time, the sweep's included.
        self._busy: defaultdict[VolumeId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._notes = NotesKept()
        self._measuring = Measuring(self._list_data)
        self._plain = DirectoryStorage()
        #: What the node tells of how it keeps volumes; as it was at the last look.
        self.facts: dict[str, str] = {}
        self._told_free = -_FREE_STEP_BYTES
        self.btrfs = BtrfsStorage(commands or Btrfs(offload=offload), ask)

    def data_path(self, tenant: str, app: str, name: str) -> str:
        """Return the path of a volume's data, for a runtime to mount."""
        with self._entered(tenant, app, name) as directory:
            if directory is None:
                raise FileNotFoundError(f"volume {volume_id(tenant, app, name)} is not here")
            return directory.path_of(DATA)

    async def observe(self) -> Observation:
        """List volumes with what their identity files say, their limits and their snapshots."""
        found: dict[VolumeId, VolumeSeen] = {}
        for root in self._open_roots():
            try:
                for seen, directory in list_volumes(root):
                    if seen.volume in found:
                        # Which of the two is the volume, a person has to say.
                        found[seen.volume] = msgspec.structs.replace(seen, strange=True, uid_start=0, born=0)
                    else:
                        found[seen.volume] = self._look(directory, seen)
            except OSError as error:
                if root is self._root or self._pool is None:
                    return Observation(driver=self.name, unavailable=f"the volumes cannot be read: {error}")
                # Its volumes are missed, and what mounts them waits; all else goes on.
                self._pool.trouble = f"the pool cannot be read: {error}"
            else:
                if root is not self._root and self._pool is not None:
                    self._pool.trouble = ""
        self._note_facts()
        return Observation(driver=self.name, volumes=tuple(found.values()))

    def _note_facts(self) -> None:
        self.facts.clear()
        state = None if self._pool is None else self._pool.read()
        if state is None:
            return
        if abs(state.free - self._told_free) >= _FREE_STEP_BYTES:
            self._told_free = state.free // _FREE_STEP_BYTES * _FREE_STEP_BYTES
        holds = state.has_limits and not self.btrfs.flaw
        self.facts |= {"pool.mib": str(state.size // MIB), "pool.free-mib": str(self._told_free // MIB)}
        self.facts |= {"pool.limits": "true"} if holds else {}

    def diagnose(self) -> tuple[Literal["good", "warning", "bad"], str, str]:
        """Say for a person at the box how volumes are kept: verdict, detail, and what to do."""
        again = "systemctl restart skerry-pool, and journalctl -u skerry-pool says why"
        if self._pool is not None and self._pool.absence:
            return "bad", self._pool.absence, again
        if self._pool is not None and self._pool.trouble:
            return "bad", self._pool.trouble, "look at the disk"
        state = None if self._pool is None else self._pool.read()
        if state is None:
            if self.btrfs.flaw:
                return "warning", self.btrfs.flaw, "btrfs quota enable on the disk of the state folder"
            return "good", "no pool", "" if _is_btrfs(self._root) else "pool_mib in agent.toml: limits and snapshots"
        free = f"{state.free // MIB} of {state.size // MIB} MiB free"
        if not state.has_limits:
            return "warning", f"pool: quotas are off, no limit holds; {free}", again
        if self.btrfs.flaw:
            return "warning", f"pool: {self.btrfs.flaw}; {free}", "systemctl status skerry-limits.socket"
        if state.free < state.size // ROOM_PART:
            return "warning", f"pool: nearly full, {free}", "let snapshots go, or raise pool_mib in agent.toml"
        return "good", f"pool: {free}", ""

    def _look(self, directory: Directory, seen: VolumeSeen) -> VolumeSeen:
        storage = self._choose(directory)
        if storage is self._plain:
            return seen
        return msgspec.structs.replace(
            storage.look(directory, seen), snapshots=self._notes.read(seen.volume, directory)
        )

    async def measure(self, entries_max: int) -> Measured:
        """Look at so many entries more, where the last turn ended; a volume that cannot be read is left out."""
        return await self._offload(lambda: self._measuring.go_on(entries_max))

    def _list_data(self) -> list[DataPlace]:
        with contextlib.suppress(OSError):
            return [
                DataPlace(seen.volume, directory.path_of(DATA))
                for root in self._open_roots()
                for seen, directory in list_volumes(root)
                if not seen.strange
            ]
        return []

    async def sweep(self) -> None:
        """End what a crash or a power cut interrupted, deletions and restores; once, at start."""
        for root in self._open_roots():
            with contextlib.suppress(OSError):
                await self._sweep(root)

    async def _sweep(self, root: Directory) -> None:
        for _, apps in below(root):
            for _, names in below(apps):
                for left in [name for name in names.names() if name.endswith(_GONE)]:
                    with contextlib.suppress(OSError, CommandFailed):
                        await self._remove(names, left)
        for seen, directory in list_volumes(root):
            if not seen.strange:
                # What a step has half done by now is not what a cut has left.
                async with self._busy[seen.volume]:
                    with contextlib.suppress(OSError, CommandFailed, StoreFailed, StoreFull):
                        await self._choose(directory).settle(directory)
                        self._notes.forget(seen.volume)

    async def perform(self, action: Action) -> Outcome:
        """Do one step about one volume."""
        try:
            match action:
                case CreateVolume():
                    return await self._create(action)
                case DeleteVolume():
                    async with self._busy[action.volume]:
                        return await self._delete(action)
                case SizeVolume() | TakeSnapshot() | DropSnapshot() | RestoreVolume():
                    async with self._busy[action.volume]:
                        return await self._change(action)
                case _:
                    return failed("E-DRIVER", f"the volume driver does not do {type(action).__name__}")
        except (StoreFull, StoreFailed) as error:
            return failed("E-DISK-FULL" if isinstance(error, StoreFull) else "E-DISK", error.detail)
        except CommandFailed as error:
            return failed(error.code, error.detail)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return failed("E-DISK-FULL" if is_full else "E-DISK", f"{type(error).__name__}: {error}")

    async def _change(self, action: SizeVolume | TakeSnapshot | DropSnapshot | RestoreVolume) -> Outcome:
        with self._entered(action.tenant, action.app, action.name) as directory:
            seen = None if directory is None else see(action.tenant, action.app, action.name, directory)
            if directory is None or seen is None:
                return failed("E-VOLUME", f"{action.volume} is not here")
            if seen.strange:
                return failed("E-VOLUME", f"{action.volume} has no sound identity; it is left alone")
            storage = self._choose(directory)
            try:
                match action:
                    case SizeVolume():
                        return await storage.size(directory, action)
                    case TakeSnapshot():
                        return await storage.take(directory, action)
                    case DropSnapshot():
                        return await storage.drop(directory, action)
                    case RestoreVolume():
                        return await storage.restore(directory, action)
            finally:
                self._notes.forget(action.volume)

    async def _create(self, action: CreateVolume) -> Outcome:
        names = component(action.tenant), component(action.app), component(action.name)
        with self._entered(*names, wants_all=True) as found:
            if found is not None:
                return self._judge(action, found)
        if self._pool is not None and self._pool.absence:
            return failed("E-STORAGE", f"{action.volume} is not made: {self._pool.absence}")
        with contextlib.closing(self._open_roots()) as roots:
            directory = descend(next(roots), *names, create=True)
        assert directory is not None
        with contextlib.closing(directory):
            await self._choose_new(directory).make(directory, action.uid_start, action.limit_bytes)
            identity = Identity(action.tenant, action.app, action.name, action.uid_start, action.born)
            write_durable(directory, "identity", msgspec.json.encode(identity))
        return DONE

    def _judge(self, action: CreateVolume, directory: Directory) -> Outcome:
        """Say whether what is there already is the volume that is to be made."""
        present = read_identity(directory)
        if present is None:
            return failed("E-VOLUME", f"{action.volume} has data but no sound identity; it is left alone")
        # Never written again: its range and the revision it was born with decide who may use and delete it.
        if (present.tenant, present.app, present.name) == (action.tenant, action.app, action.name):
            same = present.uid_start == action.uid_start
            return DONE if same else failed("E-VOLUME", f"{action.volume} belongs to another range of users")
        return failed("E-VOLUME", f"another volume's identity is in the place of {action.volume}")

    async def _delete(self, action: DeleteVolume) -> Outcome:
        name = component(action.name)
        gone = f"{name}{_GONE}"
        for root in self._open_roots():
            parent = descend(root, component(action.tenant), component(action.app))
            if parent is None:
                continue
            with contextlib.closing(parent):
                if name in parent.names():
                    await self._remove(parent, gone)
                    # Renamed first: a crash in the middle of deleting leaves no half volume under the old name.
                    parent.rename(name, gone)
                    parent.sync()
                await self._remove(parent, gone)
                parent.sync()
        self._notes.forget(action.volume)
        return DONE

    async def _remove(self, parent: Directory, gone: str) -> None:
        # One at a time: after a crash the sweep and a repeated deletion may be about the same tree.
        async with self._removing:
            try:
                left = parent.enter(gone)
            except FileNotFoundError:
                return
            with contextlib.closing(left):
                await self.btrfs.remove(left)
            await remove_tree(parent.path_of(gone), self._offload)

    def _open_roots(self) -> Generator[Directory]:
        """Give the roots, the one for new volumes first; each is closed, if it was opened for this, at the next."""
        pool = None if self._pool is None else self._pool.enter()
        if pool is not None:
            with contextlib.closing(pool):
                yield pool
        yield self._root

    @contextlib.contextmanager
    def _entered(self, tenant: str, app: str, name: str, *, wants_all: bool = False) -> Generator[Directory | None]:
        """Open the folder of a volume, where there is anything of it; None where there is nothing.

        A root that cannot be read has nothing, unless ``wants_all``: then it is an error.
        """
        for root in self._open_roots():
            try:
                directory = descend(root, component(tenant), component(app), component(name))
            except OSError:
                if wants_all:
                    raise
                continue
            if directory is None:
                continue
            with contextlib.closing(directory):
                if holds_anything(directory):
                    yield directory
                    return
        yield None

    def _choose(self, volume: Directory) -> Storage:
        """Return what keeps a volume: what its data are says it, whatever the disk could do by now."""
        place = btrfs.find_place(volume.path_of(DATA))
        if place is None:
            # In the middle of a restore there are no data.
            return self.btrfs if SNAPSHOTS in volume.names() else self._plain
        return self.btrfs if place.subvolume else self._plain

    def _choose_new(self, volume: Directory) -> Storage:
        """Return what is to keep a volume that is being made."""
        return self.btrfs if _is_btrfs(volume) else self._plain


def _is_btrfs(directory: Directory) -> bool:
    return btrfs.find_place(str(Path(directory.path_of(DATA)).parent)) is not None
