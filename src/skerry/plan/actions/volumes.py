"""Steps about volumes: to make, to size and to delete one, to take a snapshot, to go back to one and to let one go."""

from typing import TypedDict

from skerry.model.ids import AppName, Digest, TenantName, VolumeId, VolumeName
from skerry.model.observed import VolumeSeen
from skerry.model.volume import VOLUME_BYTES, SnapshotName
from skerry.plan.actions.base import BaseAction


class _VolumeAction(BaseAction, frozen=True, kw_only=True):
    """What is done to one volume."""

    volume: VolumeId
    tenant: TenantName
    app: AppName
    name: VolumeName


class About(TypedDict):
    """Which volume an action is about."""

    volume: VolumeId
    tenant: TenantName
    app: AppName
    name: VolumeName


def about(seen: VolumeSeen) -> About:
    """Say that an action is about a volume that was seen."""
    return About(volume=seen.volume, tenant=seen.tenant, app=seen.app, name=seen.name)


class CreateVolume(_VolumeAction, frozen=True, kw_only=True, tag="create-volume"):
    """Make a volume with its identity file, owned by the tenant's uid range. Proof: it is seen with that identity."""

    uid_start: int
    born: int
    #: Bytes that it shall not grow beyond, where the storage can hold it to that.
    limit_bytes: int = VOLUME_BYTES


class SizeVolume(_VolumeAction, frozen=True, kw_only=True, tag="size-volume"):
    """Let a volume grow to another limit. Proof: it is seen with that limit."""

    limit_bytes: int


class DeleteVolume(_VolumeAction, frozen=True, kw_only=True, tag="delete-volume"):
    """Delete a volume whose tombstone's grace has passed, with its snapshots. Proof: it is no longer seen."""

    #: Digest of the tombstone's payload that permits it.
    tombstone: Digest


class TakeSnapshot(_VolumeAction, frozen=True, kw_only=True, tag="take-snapshot"):
    """Keep what a volume holds now. Proof: a snapshot of that name is seen; one that is there is left as it is."""

    snapshot: SnapshotName
    #: By the trust clock, since 1970; 0 where it does not know the time.
    taken_us: int = 0


class DropSnapshot(_VolumeAction, frozen=True, kw_only=True, tag="drop-snapshot"):
    """Let a snapshot go. Proof: none of that name is seen."""

    snapshot: SnapshotName


class RestoreVolume(_VolumeAction, frozen=True, kw_only=True, tag="restore-volume"):
    """Set a volume, which nothing uses, back to a snapshot. Proof: what it held is seen as a snapshot."""

    snapshot: SnapshotName
    #: Name of the snapshot that what it held becomes.
    aside: SnapshotName
    taken_us: int = 0
