"""Volumes as plain directories: one per volume, with an identity file beside its data, out of any instance's reach.

    <root>/<tenant>/<app>/<volume>/identity     who it is; written durably, checked before each use
                                    data/       what services see; its owner is root of the tenant's uid range

The identity file decides: a directory without a sound one is ``strange``, never mounted, never deleted (faults.md D12).
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Generator, Iterator

import msgspec

from skerry.drivers.base import Measured, Offload, run_inline
from skerry.model.ids import AppName, TenantName, VolumeId, VolumeName, volume_id
from skerry.model.observed import Observation, VolumeSeen
from skerry.plan.actions import DONE, Action, CreateVolume, DeleteVolume, Outcome, failed
from skerry.safe.errors import StoreFailed, StoreFull, UnsafeName
from skerry.safe.files import read_durable, write_durable
from skerry.safe.paths import Directory, component, descend
from skerry.safe.trees import walk_sizes

_IDENTITY_BYTES_MAX = 4096
#: Ending of a volume's name while it is being deleted; no name of the house has a dot.
_GONE = ".gone"


class Identity(msgspec.Struct, frozen=True):
    """What a volume's identity file says."""

    tenant: TenantName
    app: AppName
    name: VolumeName
    uid_start: int
    born: int


class VolumesDriver:
    """Driver over the directory that holds this node's volumes."""

    name = "volumes"
    performs = (CreateVolume, DeleteVolume)

    def __init__(self, root: Directory, offload: Offload = run_inline) -> None:
        self._root = root
        self._offload = offload
        self._removing = asyncio.Lock()
        #: A measuring under way; only one turn of it runs at a time.
        self._round: Generator[tuple[VolumeId, int] | None] | None = None

    def data_path(self, tenant: str, app: str, name: str) -> str:
        """Return the path of a volume's data, for a runtime to mount."""
        directory = descend(self._root, component(tenant), component(app), component(name))
        if directory is None:
            raise FileNotFoundError(f"volume {volume_id(tenant, app, name)} is not here")
        try:
            return directory.path_of("data")
        finally:
            directory.close()

    async def observe(self) -> Observation:
        """List volumes with what their identity files say."""
        try:
            seen = [
                volume
                for tenant, apps in _below(self._root)
                for app, names in _below(apps)
                for name, directory in _below(names)
                if (volume := _see(tenant, app, name, directory)) is not None
            ]
        except OSError as error:
            return Observation(driver=self.name, unavailable=f"the volumes cannot be read: {error}")
        return Observation(driver=self.name, volumes=tuple(seen))

    async def measure(self, entries_max: int) -> Measured:
        """Look at so many entries more, where the last turn ended; a volume that cannot be read is left out."""
        return await self._offload(lambda: self._measure(entries_max))

    def _measure(self, entries_max: int) -> Measured:
        if self._round is None:
            self._round = _walk_volumes(self._list_data())
        sizes: dict[VolumeId, int] = {}
        for _ in range(entries_max):
            try:
                step = next(self._round)
            except StopIteration:
                self._round = None
                return Measured(sizes, True)
            if step is not None:
                sizes[step[0]] = step[1]
        return Measured(sizes, False)

    def _list_data(self) -> list[tuple[VolumeId, str]]:
        with contextlib.suppress(OSError):
            return [
                (seen.volume, directory.path_of("data"))
                for tenant, apps in _below(self._root)
                for app, names in _below(apps)
                for name, directory in _below(names)
                if (seen := _see(tenant, app, name, directory)) is not None and not seen.strange
            ]
        return []

    async def sweep(self) -> None:
        """Remove the rest of volumes whose deletion a crash or a power cut interrupted; once, at start."""
        for _, apps in _below(self._root):
            for _, names in _below(apps):
                for left in [name for name in names.names() if name.endswith(_GONE)]:
                    with contextlib.suppress(OSError):
                        await self._remove_tree(names.path_of(left))

    async def perform(self, action: Action) -> Outcome:
        """Make or delete one volume."""
        try:
            match action:
                case CreateVolume():
                    return self._create(action)
                case DeleteVolume():
                    return await self._delete(action)
                case _:
                    return failed("E-DRIVER", f"the volume driver does not do {type(action).__name__}")
        except StoreFull as error:
            return failed("E-DISK-FULL", error.detail)
        except StoreFailed as error:
            return failed("E-DISK", error.detail)
        except OSError as error:
            return failed("E-DISK-FULL" if error.errno == 28 else "E-DISK", f"{type(error).__name__}: {error}")

    def _create(self, action: CreateVolume) -> Outcome:
        directory = descend(
            self._root, component(action.tenant), component(action.app), component(action.name), create=True
        )
        assert directory is not None
        try:
            present = _read_identity(directory)
            if present is not None:
                # Never written again: its range and the revision it was born with decide who may use and delete it.
                if (present.tenant, present.app, present.name) == (action.tenant, action.app, action.name):
                    same = present.uid_start == action.uid_start
                    return DONE if same else failed("E-VOLUME", f"{action.volume} belongs to another range of users")
                return failed("E-VOLUME", f"another volume's identity is in the place of {action.volume}")
            if _holds_anything(directory):
                return failed("E-VOLUME", f"{action.volume} has data but no sound identity; it is left alone")
            directory.enter("data", create=True).close()
            path = directory.path_of("data")
            os.chown(path, action.uid_start, action.uid_start, follow_symlinks=False)
            identity = Identity(action.tenant, action.app, action.name, action.uid_start, action.born)
            write_durable(directory, "identity", msgspec.json.encode(identity))
        finally:
            directory.close()
        return DONE

    async def _remove_tree(self, path: str) -> None:
        # One at a time: after a crash the sweep and a repeated deletion may be about the same tree.
        async with self._removing:
            await self._offload(lambda: _remove_tree(path))

    async def _delete(self, action: DeleteVolume) -> Outcome:
        parent = descend(self._root, component(action.tenant), component(action.app))
        if parent is None:
            return DONE
        name = component(action.name)
        try:
            gone = f"{name}{_GONE}"
            if name in parent.names():
                await self._remove_tree(parent.path_of(gone))
                # Renamed first: a crash in the middle of deleting leaves no half volume under the old name.
                parent.rename(name, gone)
                parent.sync()
            await self._remove_tree(parent.path_of(gone))
            parent.sync()
        finally:
            parent.close()
        return DONE


def _below(directory: Directory) -> Iterator[tuple[str, Directory]]:
    """Give the directories below that have a name of the house; ``lost+found`` and files are none of ours."""
    for name in directory.names():
        try:
            below = directory.enter(component(name))
        except (UnsafeName, NotADirectoryError, FileNotFoundError):
            continue
        with contextlib.closing(below):
            yield name, below


def _see(tenant: str, app: str, name: str, directory: Directory) -> VolumeSeen | None:
    """Say what a volume's directory is: None while it is only half made, for then nothing is in it yet."""
    identity = _read_identity(directory)
    if identity is None and not _holds_anything(directory):
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


def _read_identity(directory: Directory) -> Identity | None:
    durable = read_durable(directory, "identity", limit=_IDENTITY_BYTES_MAX)
    if durable is None:
        return None
    try:
        return msgspec.json.decode(durable.content, type=Identity)
    except msgspec.DecodeError:
        return None


def _holds_anything(directory: Directory) -> bool:
    """Whether there is anything but an empty ``data``: a damaged identity, data, or what we know nothing of."""
    if [name for name in directory.names() if name != "data" and ".new." not in name]:
        return True
    try:
        data = descend(directory, "data")
    except NotADirectoryError:
        return True
    if data is None:
        return False
    with contextlib.closing(data):
        return bool(data.names())


def _remove_tree(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def _walk_volumes(data: list[tuple[VolumeId, str]]) -> Generator[tuple[VolumeId, int] | None]:
    """Give None for each entry that was looked at, and each volume with its size when its end was reached."""
    for volume, path in data:
        size = 0
        try:
            for entry in walk_sizes(path):
                size += entry
                yield None
        except OSError:
            continue
        yield volume, size
