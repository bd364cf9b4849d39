"""What a volume's folder holds, on every kind of storage, and how it is read.

    <root>/<tenant>/<app>/<volume>/identity     who it is; written durably, checked before each use
                                    data        what services see; its owner is root of the tenant's uid range
                                    snapshots/<name>/data    what it held, read only
                                                     note    written durably last: without one it is half made
                                    restoring   a restore that has begun (``snapshots.py``)
                                    data.next   what becomes ``data`` at the end of it

The identity file decides: a folder without a sound one is ``strange``, never mounted, never deleted (faults.md D12).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from skerry.model.ids import AppName, TenantName, VolumeId, VolumeName, volume_id
from skerry.model.observed import VolumeSeen
from skerry.model.volume import SnapshotName, SnapshotSeen
from skerry.safe.errors import UnsafeName
from skerry.safe.files import read_durable
from skerry.safe.paths import Directory, component, descend

DATA, SNAPSHOTS, NOTE = "data", "snapshots", "note"
#: Five names of 63 letters and a few numbers fit ten times.
_NOTE_BYTES_MAX = 4096
T = TypeVar("T")


class Identity(msgspec.Struct, frozen=True):
    """What a volume's identity file says."""

    tenant: TenantName
    app: AppName
    name: VolumeName
    uid_start: int
    born: int


def below(directory: Directory) -> Iterator[tuple[str, Directory]]:
    """Give the directories below that have a name of the house; ``lost+found`` and files are none of ours."""
    for name in directory.names():
        try:
            inner = directory.enter(component(name))
        except (UnsafeName, NotADirectoryError, FileNotFoundError):
            continue
        with contextlib.closing(inner):
            yield name, inner


def list_volumes(root: Directory) -> Iterator[tuple[VolumeSeen, Directory]]:
    """Give every volume of a root as its identity says, with its folder, which is closed afterwards."""
    for tenant, apps in below(root):
        for app, names in below(apps):
            for name, directory in below(names):
                seen = see(tenant, app, name, directory)
                if seen is not None:
                    yield seen, directory


def see(tenant: str, app: str, name: str, directory: Directory) -> VolumeSeen | None:
    """Say what a volume's directory is: None while it is only half made, for then nothing is in it yet."""
    identity = read_identity(directory)
    if identity is None and not holds_anything(directory):
        return None
    strange = identity is None or (identity.tenant, identity.app, identity.name) != (tenant, app, name)
    return VolumeSeen(
        volume=volume_id(tenant, app, name),
        tenant=TenantName(tenant),
        app=AppName(app),
        name=VolumeName(name),
        uid_start=0 if identity is None or strange else identity.uid_start,
        born=0 if identity is None or strange else identity.born,
        strange=strange,
    )


def read_identity(directory: Directory) -> Identity | None:
    """Return what a volume's identity file says; None without a sound one."""
    return read_small(directory, "identity", Identity)


def read_small(directory: Directory, name: str, kind: type[T]) -> T | None:
    """Return what a small file beside a volume's data says; None where it is not there, or not sound."""
    durable = read_durable(directory, name, limit=_NOTE_BYTES_MAX)
    try:
        return None if durable is None else msgspec.json.decode(durable.content, type=kind)
    except msgspec.DecodeError:
        return None


def holds_anything(directory: Directory) -> bool:
    """Whether there is anything but an empty ``data``: a damaged identity, data, or what we know nothing of."""
    if [name for name in directory.names() if name != DATA and ".new." not in name]:
        return True
    try:
        data = descend(directory, DATA)
    except NotADirectoryError:
        return True
    if data is None:
        return False
    with contextlib.closing(data):
        return bool(data.names())


def read_notes(volume: Directory) -> tuple[SnapshotSeen, ...]:
    """Return the snapshots of a volume that are whole, oldest first."""
    snapshots = descend(volume, SNAPSHOTS)
    if snapshots is None:
        return ()
    with contextlib.closing(snapshots):
        found = [note for name, folder in below(snapshots) if (note := read_note(name, folder)) is not None]
    return tuple(sorted(found, key=lambda note: (note.order, note.name)))


def read_note(name: str, folder: Directory) -> SnapshotSeen | None:
    """Return what the note of a snapshot says; None where it is half made."""
    note = read_small(folder, NOTE, SnapshotSeen)
    is_whole = note is not None and note.name == name and DATA in folder.names()
    return note if is_whole else None


def list_half_made(volume: Directory) -> list[SnapshotName]:
    """Return the names of the snapshots of a volume that have no sound note."""
    snapshots = descend(volume, SNAPSHOTS)
    if snapshots is None:
        return []
    with contextlib.closing(snapshots):
        return [SnapshotName(name) for name, folder in below(snapshots) if read_note(name, folder) is None]


class NotesKept:
    """Notes that were read before: they change by our own hand alone, and reading thousands at each look is dear."""

    def __init__(self) -> None:
        self._kept: dict[VolumeId, tuple[tuple[int, int, int], tuple[SnapshotSeen, ...]]] = {}

    def read(self, volume: VolumeId, directory: Directory) -> tuple[SnapshotSeen, ...]:
        """Return the snapshots of a volume, read anew where an entry has come or gone."""
        try:
            status = Path(directory.path_of(SNAPSHOTS)).lstat()
        except FileNotFoundError:
            return ()
        mark = (status.st_dev, status.st_ino, status.st_mtime_ns)
        kept = self._kept.get(volume)
        if kept is None or kept[0] != mark:
            kept = self._kept[volume] = mark, read_notes(directory)
        return kept[1]

    def forget(self, volume: VolumeId) -> None:
        """Read the notes of a volume anew at the next look."""
        self._kept.pop(volume, None)
