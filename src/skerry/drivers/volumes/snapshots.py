"""Volumes as subvolumes of btrfs: limits, snapshots and the way back, each step such that a power cut loses nothing.

Rules: (1) a snapshot is whole once its note is written, which is last, and no longer there once its note is gone, which
is first; (2) a restore says in ``restoring`` what it is about before it moves anything, and every state that it may be
cut in is told from the next by what is there; (3) what has no note and is not told of in ``restoring`` may go.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path

import msgspec

from skerry.drivers.volumes import btrfs
from skerry.drivers.volumes.btrfs import Btrfs, CommandFailed, NotPermitted
from skerry.drivers.volumes.layout import DATA, NOTE, SNAPSHOTS, list_half_made, read_notes, read_small
from skerry.model.observed import VolumeSeen
from skerry.model.volume import SnapshotName, SnapshotSeen, VolumeDriverName
from skerry.plan.actions import DONE, DropSnapshot, Outcome, RestoreVolume, SizeVolume, TakeSnapshot, failed
from skerry.safe.files import remove_durable, write_durable
from skerry.safe.paths import Directory, component, descend

_NEXT, _RESTORING = "data.next", "restoring"
#: A snapshot keeps what is overwritten afterwards: none is taken once this part of the disk is all that is left.
ROOM_PART = 16
_NO_QUOTAS = "quotas are off on this disk, so no limit holds"

#: Has a limit set by somebody who may: number of the subvolume and bytes; returns why not, empty when it is done, and
#: raises ``NotPermitted`` where nobody is there.
Asked = Callable[[int, int], Awaitable[str]]


class _Restoring(msgspec.Struct, frozen=True):
    """A restore that has begun."""

    snapshot: SnapshotName
    #: The note of what the volume held.
    aside: SnapshotSeen


class BtrfsStorage:
    """What is done to one volume whose ``data`` is a subvolume."""

    name: VolumeDriverName = "btrfs"

    def __init__(self, commands: Btrfs, ask: Asked) -> None:
        """``ask`` is used where this process may not set limits."""
        self._commands = commands
        self._ask = ask
        #: Why limits do not hold; empty while they do.
        self.flaw = ""

    async def make(self, volume: Directory, uid: int, limit_bytes: int) -> None:
        """Make ``data``, empty, as large as it may become, owned by ``uid``."""
        path = volume.path_of(DATA)
        if DATA in volume.names():
            _remove_empty(volume, DATA)  # of one that was half made: it is empty, or this fails
        await self._commands.make(path)
        await self._limit(path, limit_bytes)
        os.chown(path, uid, uid, follow_symlinks=False)

    def look(self, volume: Directory, seen: VolumeSeen) -> VolumeSeen:
        """Say of a volume how it is kept and what it may hold."""
        group = btrfs.read_group(volume.path_of(DATA))
        return msgspec.structs.replace(seen, driver=self.name, limit_bytes=0 if group is None else group.limit)

    async def size(self, volume: Directory, action: SizeVolume) -> Outcome:
        """Set another limit, unless more is held already."""
        path = volume.path_of(DATA)
        await self._commands.sync(path)
        group = btrfs.read_group(path)
        if group is None:
            return failed("E-STORAGE", _NO_QUOTAS)
        if action.limit_bytes < group.referenced:
            held = f"{action.volume} holds {group.referenced} bytes already"
            return failed("E-VOLUME", f"{held}: it stays at {group.limit} and does not shrink to {action.limit_bytes}")
        await self._limit(path, action.limit_bytes)
        return failed("E-STORAGE", self.flaw) if self.flaw else DONE

    async def take(self, volume: Directory, action: TakeSnapshot) -> Outcome:
        """Keep what a volume holds."""
        notes = read_notes(volume)
        if any(note.name == action.snapshot for note in notes):
            return DONE
        room = os.statvfs(volume.path_of(DATA))
        if room.f_bavail < room.f_blocks // ROOM_PART:
            free = f"only {room.f_bavail * room.f_frsize >> 20} MiB of the disk are free"
            return failed("E-DISK-FULL", f"{free}, and a snapshot keeps what is overwritten: let older ones go first")
        await self._clear(volume, action.snapshot)
        note = SnapshotSeen(name=action.snapshot, order=_next_order(notes), taken_us=action.taken_us)
        with _entered(volume, SNAPSHOTS, note.name) as folder:
            await self._commands.copy(volume.path_of(DATA), folder.path_of(DATA), is_read_only=True)
            _write_note(folder, note)
        return DONE

    async def drop(self, volume: Directory, action: DropSnapshot) -> Outcome:
        """Let a snapshot go."""
        await self._clear(volume, action.snapshot)
        return DONE

    async def restore(self, volume: Directory, action: RestoreVolume) -> Outcome:
        """Set a volume back, and keep what it held under the name ``aside``."""
        await self.settle(volume)
        notes = {note.name: note for note in read_notes(volume)}
        if action.aside in notes:
            return DONE
        if action.snapshot not in notes:
            return failed("E-SNAPSHOT", f"{action.volume} has no snapshot {action.snapshot}")
        async for _ in self.restore_by_steps(volume, action):
            pass
        return DONE

    async def restore_by_steps(self, volume: Directory, action: RestoreVolume) -> AsyncIterator[str]:
        """Do what ``restore`` does, and tell of each step once it is on the disk."""
        aside = SnapshotSeen(name=action.aside, order=_next_order(read_notes(volume)), taken_us=action.taken_us)
        group = btrfs.read_group(volume.path_of(DATA))
        write_durable(volume, _RESTORING, msgspec.json.encode(_Restoring(action.snapshot, aside)))
        yield "it is written down"
        with _entered(volume, SNAPSHOTS, component(action.snapshot)) as folder:
            await self._commands.copy(folder.path_of(DATA), volume.path_of(_NEXT), is_read_only=False)
        yield "what comes is made"
        if group is not None and group.limit:
            await self._limit(volume.path_of(_NEXT), group.limit)
        yield "what comes has its limit"
        with _entered(volume, SNAPSHOTS, aside.name) as folder:
            yield "what was has a place"
            _move_data(volume, folder)
            yield "what was is aside"
            volume.rename(_NEXT, DATA)
            volume.sync()
            yield "what comes is there"
            async for step in self._end(volume, folder, aside):
                yield step

    async def _end(self, volume: Directory, folder: Directory, aside: SnapshotSeen) -> AsyncIterator[str]:
        await self._commands.seal(folder.path_of(DATA))
        yield "what was is sealed"
        _write_note(folder, aside)
        yield "what was has its note"
        remove_durable(volume, _RESTORING)

    async def settle(self, volume: Directory) -> None:
        """End what a kill or a power cut has interrupted: a restore that moved data is finished, others never were."""
        begun = read_small(volume, _RESTORING, _Restoring)
        if begun is not None:
            with _entered(volume, SNAPSHOTS, component(begun.aside.name)) as folder:
                is_aside = DATA in folder.names()
                if is_aside and DATA not in volume.names():
                    self._bring(volume, folder, begun)
                if is_aside and DATA in folder.names():
                    async for _ in self._end(volume, folder, begun.aside):
                        pass
            remove_durable(volume, _RESTORING)
        if _NEXT in volume.names():
            await self._commands.remove(volume.path_of(_NEXT))
        if DATA in volume.names():
            for name in list_half_made(volume):
                await self._clear(volume, name)

    def _bring(self, volume: Directory, folder: Directory, begun: _Restoring) -> None:
        """Give a volume whose data are aside the data that were made for it; if they are gone, its own again."""
        if _NEXT in volume.names():
            volume.rename(_NEXT, DATA)
            volume.sync()
        else:
            _move_data(folder, volume)

    async def remove(self, volume: Directory) -> None:
        """Delete every subvolume of a volume that has lost its name; plain folders and files are left."""
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            contextlib.closing(volume.enter(SNAPSHOTS)) as snapshots,
        ):
            for name in snapshots.names():
                with contextlib.closing(snapshots.enter(name)) as folder:
                    await self._remove_data(folder, DATA)
        for name in (_NEXT, DATA):
            await self._remove_data(volume, name)

    async def _remove_data(self, folder: Directory, name: str) -> None:
        if name in folder.names() and _is_subvolume(folder.path_of(name)):
            await self._commands.remove(folder.path_of(name))

    async def _clear(self, volume: Directory, name: SnapshotName) -> None:
        """Remove a snapshot, whole or half made; its note first."""
        snapshots = descend(volume, SNAPSHOTS)
        if snapshots is None:
            return
        with contextlib.closing(snapshots):
            if component(name) not in snapshots.names():
                return
            with contextlib.closing(snapshots.enter(name)) as folder:
                remove_durable(folder, NOTE)
                await self._remove_data(folder, DATA)
                for left in folder.names():  # an unfinished version of its note
                    folder.remove(left)
            _remove_empty(snapshots, name)

    async def _limit(self, path: str, limit_bytes: int) -> None:
        """Set a limit where limits can be set; where they cannot, remember why."""
        self.flaw = ""
        place = btrfs.find_place(path)
        if place is None or not place.has_quotas:
            self.flaw = _NO_QUOTAS
            return
        try:
            await self._commands.limit(path, limit_bytes)
        except NotPermitted as error:
            try:
                trouble = await self._ask(place.subvolume, limit_bytes)
            except NotPermitted as nobody:
                self.flaw = f"the agent may set no limits ({error.detail}), and {nobody.detail}"
                return
            if trouble:
                raise CommandFailed("E-STORAGE", trouble) from error


async def ask_nobody(subvolume: int, limit_bytes: int) -> str:
    """Be the one to ask where there is none."""
    raise NotPermitted("E-STORAGE", "there is nobody to ask")


@contextlib.contextmanager
def _entered(volume: Directory, *names: str) -> Generator[Directory]:
    folder = descend(volume, *names, create=True)
    assert folder is not None
    with contextlib.closing(folder):
        yield folder


def _next_order(notes: tuple[SnapshotSeen, ...]) -> int:
    return 1 + max((note.order for note in notes), default=0)


def _write_note(folder: Directory, note: SnapshotSeen) -> None:
    write_durable(folder, NOTE, msgspec.json.encode(note))


def _move_data(old: Directory, new: Directory) -> None:
    Path(old.path_of(DATA)).rename(new.path_of(DATA))
    new.sync()
    old.sync()


def _remove_empty(folder: Directory, name: str) -> None:
    Path(folder.path_of(name)).rmdir()
    folder.sync()


def _is_subvolume(path: str) -> bool:
    place = btrfs.find_place(path)
    return place is not None and place.subvolume > 0
