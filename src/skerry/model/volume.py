"""Volumes as their tenant wishes them and as a disk has them: how large, and when copies of their state are made.

A snapshot is what a volume held at one moment, on the same disk: it helps against a wrong step, not against the loss of
the disk.
"""

from typing import Literal, NewType

import msgspec
from msgspec import UNSET, UnsetType

#: Name of a snapshot, its own in one volume.
SnapshotName = NewType("SnapshotName", str)

#: Begins the names of snapshots that the site takes by time, before an update, and of what a restore set aside.
BY_TIME, BEFORE_UPDATE, SET_ASIDE = "auto-", "update-", "aside-"

#: Room of a volume of which nothing else is said (manifest.md §6.7).
VOLUME_BYTES = 10 << 30
#: The least that a volume may have: a file system needs some of it for itself.
VOLUME_BYTES_MIN = 16 << 20
#: Snapshots by time come at most this often: each writes the disk's tables anew.
SNAPSHOT_EVERY_US_MIN = 60_000_000
#: Snapshots of one volume: with hundreds of them, deleting one becomes work for minutes on a slow card.
SNAPSHOTS_MAX = 256

#: How a node keeps a volume. ``directory``: a plain folder; no limit holds, and a snapshot is a whole copy.
VolumeDriverName = Literal["directory", "btrfs"]


class SnapshotPlan(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True
):
    """When the site takes snapshots of a volume by itself; signed, as a part of a revision."""

    #: Time between two; 0 for none by time.
    every_us: int = 0
    #: How many of them are kept, the newest.
    keep: int = 0
    #: One before each change of a service that mounts it; the newest two are kept.
    before_update: bool = True


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """Durable storage of an app at each of its sites; never deleted but by a signed tombstone."""

    labels: dict[str, str] = {}
    #: ``VOLUME_BYTES`` where nothing is said; holds where the node's storage has limits.
    size_bytes: int | UnsetType = UNSET
    #: ``SnapshotPlan()`` where nothing is said.
    snapshot: SnapshotPlan | UnsetType = UNSET
    #: ``delete``: the tombstone that is signed at the end of its app names it, without being told to.
    on_delete: Literal["delete"] | UnsetType = UNSET


class SnapshotSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that is whole, as its note beside it says."""

    name: SnapshotName
    #: Grows by one with each snapshot of the volume.
    order: int
    #: By the site's trust clock, since 1970; 0 where it did not know the time.
    taken_us: int = 0


def find_volume_flaw(volume: Volume) -> str:
    """Return what is wrong with the words of a volume; empty when nothing is."""
    if volume.size_bytes is not UNSET and volume.size_bytes < VOLUME_BYTES_MIN:
        return f"a volume has at least {VOLUME_BYTES_MIN >> 20} MiB"
    plan = volume.snapshot or SnapshotPlan()
    if plan.every_us and plan.every_us < SNAPSHOT_EVERY_US_MIN:
        return f"snapshots come at most every {SNAPSHOT_EVERY_US_MIN // 1_000_000} s"
    if bool(plan.every_us) != bool(plan.keep):
        return "every and keep of a snapshot go together"
    if not 0 <= plan.keep <= SNAPSHOTS_MAX:
        return f"at most {SNAPSHOTS_MAX} snapshots are kept"
    return ""
