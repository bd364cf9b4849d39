"""Volumes as plain directories: one per volume, with an identity file beside its data, out of any instance's reach.

    <root>/<tenant>/<app>/<volume>/identity     who it is; written durably, checked before each use
                                    data/       what services see; its owner is root of the tenant's uid range

The identity file decides: a directory without a sound one is ``strange``, never mounted, never deleted (faults.md D12).
"""

import os
import shutil

import msgspec

from skerry.model.ids import AppName, TenantName, VolumeName, volume_id
from skerry.model.observed import Observation, VolumeSeen
from skerry.plan.actions import DONE, Action, CreateVolume, DeleteVolume, Outcome, failed
from skerry.safe.errors import StoreFailed, StoreFull
from skerry.safe.files import read_durable, write_durable
from skerry.safe.paths import Directory, component, descend

_IDENTITY_BYTES_MAX = 4096


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

    def __init__(self, root: Directory) -> None:
        self._root = root

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
        volumes: list[VolumeSeen] = []
        for tenant in self._root.names():
            apps = self._root.enter(tenant)
            for app in apps.names():
                names = apps.enter(app)
                for name in names.names():
                    if name.endswith(".gone"):
                        continue
                    directory = names.enter(name)
                    volumes.append(_see(tenant, app, name, directory))
                    directory.close()
                names.close()
            apps.close()
        return Observation(driver=self.name, volumes=tuple(volumes))

    async def perform(self, action: Action) -> Outcome:
        """Make or delete one volume."""
        try:
            match action:
                case CreateVolume():
                    return self._create(action)
                case DeleteVolume():
                    return self._delete(action)
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
            if directory.names() and not _is(directory, action):
                if read_durable(directory, "identity", limit=_IDENTITY_BYTES_MAX) is not None:
                    return failed("E-VOLUME", f"another volume's identity is in the place of {action.volume}")
                if _has_data(directory):
                    return failed("E-VOLUME", f"{action.volume} has data but no sound identity; it is left alone")
            directory.enter("data", create=True).close()
            path = directory.path_of("data")
            os.chown(path, action.uid_start, action.uid_start, follow_symlinks=False)
            identity = Identity(action.tenant, action.app, action.name, action.uid_start, action.born)
            write_durable(directory, "identity", msgspec.json.encode(identity))
        finally:
            directory.close()
        return DONE

    def _delete(self, action: DeleteVolume) -> Outcome:
        parent = descend(self._root, component(action.tenant), component(action.app))
        if parent is None:
            return DONE
        name = component(action.name)
        try:
            gone = f"{name}.gone"
            if name in parent.names():
                if gone in parent.names():
                    shutil.rmtree(parent.path_of(gone))
                # Renamed first: a crash in the middle of deleting leaves no half volume under the old name.
                parent.rename(name, gone)
                parent.sync()
            if gone in parent.names():
                shutil.rmtree(parent.path_of(gone))
                parent.sync()
        finally:
            parent.close()
        return DONE


def _see(tenant: str, app: str, name: str, directory: Directory) -> VolumeSeen:
    durable = read_durable(directory, "identity", limit=_IDENTITY_BYTES_MAX)
    strange = VolumeSeen(
        volume=volume_id(tenant, app, name),
        tenant=TenantName(tenant),
        app=AppName(app),
        name=VolumeName(name),
        uid_start=0,
        born=0,
        strange=True,
    )
    if durable is None:
        return strange
    try:
        identity = msgspec.json.decode(durable.content, type=Identity)
    except msgspec.DecodeError:
        return strange
    if (identity.tenant, identity.app, identity.name) != (tenant, app, name):
        return strange
    return msgspec.structs.replace(strange, uid_start=identity.uid_start, born=identity.born, strange=False)


def _is(directory: Directory, action: CreateVolume) -> bool:
    durable = read_durable(directory, "identity", limit=_IDENTITY_BYTES_MAX)
    if durable is None:
        return False
    try:
        identity = msgspec.json.decode(durable.content, type=Identity)
    except msgspec.DecodeError:
        return False
    return (identity.tenant, identity.app, identity.name) == (action.tenant, action.app, action.name)


def _has_data(directory: Directory) -> bool:
    data = descend(directory, "data")
    if data is None:
        return False
    try:
        return bool(data.names())
    finally:
        data.close()
