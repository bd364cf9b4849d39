"""Snapshots of volumes: which are due by time, before an update or for a restore, and which are let go.

Pure. Rules: (1) time is counted by the node's own clock, as a grace is, so neither a core nor a set clock makes a site
take many or none; (2) only snapshots that the site took by itself are let go by itself, and only as many as the signed
plan says; what a person asked for and what a restore set aside stays until a person says otherwise; (3) a restore waits
until nothing uses the volume, and keeps what it held; (4) a snapshot before an update that cannot be taken is told of
and does not keep a service down.
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.ids import InstanceId, VolumeId, VolumeName, volume_id
from skerry.model.observed import ContainerSeen, Observation, VolumeSeen
from skerry.model.volume import BEFORE_UPDATE, BY_TIME, SET_ASIDE, SnapshotName, SnapshotPlan, Volume
from skerry.plan.actions import DropSnapshot, RestoreVolume, TakeSnapshot, about, volume_lane
from skerry.plan.history import Grace, History, Restoring, Snapped
from skerry.plan.instances import LIVE, Wanted
from skerry.plan.site_plan import Now, PlanDraft

#: Snapshots before updates that are kept: the way back from the newest version, and from the one before it.
UPDATES_KEPT = 2
#: What has passed since the newest snapshot by time is journaled this often: a power cut makes so much pass again.
MARK_US = 600_000_000


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be journaled of snapshots."""

    snapped: dict[VolumeId, Snapped] = {}
    forget_snapped: frozenset[VolumeId] = frozenset()
    #: Restores that are done, or that no snapshot is there for any more.
    forget_restoring: frozenset[VolumeId] = frozenset()


def find_plans(wanted: Iterable[Wanted]) -> dict[VolumeId, Volume]:
    """Return what the newest wanted revision says of each volume that a wanted instance mounts."""
    found: dict[VolumeId, tuple[int, Volume]] = {}
    for item in wanted:
        spec = item.derived.spec
        for mount in spec.mounts:
            if mount.kind == "volume":
                name = volume_id(spec.tenant, spec.app, mount.source)
                if name not in found or found[name][0] < item.number:
                    found[name] = item.number, item.volumes.get(VolumeName(mount.source), Volume())
    return {name: volume for name, (_, volume) in found.items()}


def next_order(volume: VolumeSeen) -> int:
    """Return the number of the next snapshot of a volume."""
    return 1 + max((each.order for each in volume.snapshots), default=0)


def hold_for_restores(
    wanted: Mapping[InstanceId, Wanted], observed: Observation, history: History
) -> dict[InstanceId, str]:
    """Say which instances must not run because a volume of theirs goes back to a snapshot."""
    if not history.kept.restoring:
        return {}
    over = _find_over(observed, history)
    held: dict[InstanceId, str] = {}
    for name, item in wanted.items():
        for volume in _list_mounted(item):
            restoring = history.kept.restoring.get(volume)
            if restoring is not None and volume not in over:
                held[name] = f"{_tell(restoring)} its volume {volume.rpartition('/')[2]} back to {restoring.snapshot}"
    return held


def plan_snapshots(draft: PlanDraft, plans: Mapping[VolumeId, Volume], observed: Observation) -> Remembered:
    """Plan the restores that may be made now, the snapshots due by time, and what is let go; say what to remember.

    ``plans`` are those of ``find_plans``.
    """
    history = draft.history
    seen = {volume.volume: volume for volume in observed.volumes if not volume.strange}
    snapped: dict[VolumeId, Snapped] = {}
    for name in sorted(plans.keys() & seen.keys()):
        if name in history.kept.restoring:
            continue
        note = _plan_by_time(draft, seen[name], plans[name].snapshot or SnapshotPlan())
        if note is not None and note != history.kept.snapped.get(name):
            snapped[name] = note
    over = _find_over(observed, history)
    for name in sorted((history.kept.restoring.keys() - over) & seen.keys()):
        _plan_restore(draft, seen[name], observed.containers)
    # Of a volume that cannot be seen now nothing is forgotten: it may only be out of reach.
    forget = {name for name in history.kept.snapped if name in seen and not _goes_by_time(plans.get(name))}
    return Remembered(snapped=snapped, forget_snapped=frozenset(forget), forget_restoring=over)


def find_update_snapshot(
    item: Wanted, others: Iterable[ContainerSeen], volumes: Iterable[VolumeSeen], history: History, now: Now
) -> TakeSnapshot | None:
    """Return the snapshot to be taken before a container of a new specification starts over volumes of the old one.

    ``others`` are the containers of the same instance that are to go; none of them runs any more.
    """
    if not any(seen.spec != item.derived.digest for seen in others):
        return None
    mounted = {volume_id(*_owner(item), mount.source): mount for mount in item.derived.spec.mounts}
    name = SnapshotName(f"{BEFORE_UPDATE}{item.number}")
    for volume in volumes:
        plan = item.volumes.get(volume.name, Volume()).snapshot or SnapshotPlan()
        if volume.volume not in mounted or not plan.before_update or not can_snapshot(volume):
            continue
        if volume.born >= item.number or any(each.name == name for each in volume.snapshots):
            continue
        if volume_lane(volume.volume) not in history.troubles:
            return take(volume, name, now.trust_us)
    return None


def can_snapshot(volume: VolumeSeen) -> bool:
    """Say whether a snapshot costs next to nothing and may be taken under what runs."""
    return volume.driver != "directory" and not volume.strange


def explain_none(volume: VolumeSeen, plan: Volume) -> str:
    """Say why a volume that is to have snapshots by time has none; empty when it has."""
    if can_snapshot(volume) or not _goes_by_time(plan):
        return ""
    return "no snapshots by time: it is a plain folder here, where one is a whole copy of files that change meanwhile"


def take(volume: VolumeSeen, name: SnapshotName, trust_us: int) -> TakeSnapshot:
    """Return the action that keeps what a volume holds under ``name``."""
    return TakeSnapshot(
        **about(volume),
        snapshot=name,
        taken_us=trust_us,
    )


def drop(volume: VolumeSeen, name: SnapshotName) -> DropSnapshot:
    """Return the action that lets a snapshot go."""
    return DropSnapshot(**about(volume), snapshot=name)


def aside_name(volume: VolumeSeen) -> SnapshotName:
    """Name the snapshot that what a volume holds becomes when it is set back now."""
    return SnapshotName(f"{SET_ASIDE}{next_order(volume)}")


def _plan_by_time(draft: PlanDraft, volume: VolumeSeen, plan: SnapshotPlan) -> Snapped | None:
    """Take what is due of one volume and let go what is too old; return what to remember, None for nothing."""
    by_time = [each.name for each in volume.snapshots if each.name.startswith(BY_TIME)]
    updates = [each.name for each in volume.snapshots if each.name.startswith(BEFORE_UPDATE)]
    doomed = [*(by_time[: -plan.keep] if plan.keep else ()), *updates[:-UPDATES_KEPT]]
    if doomed:
        draft.add(drop(volume, doomed[0]))  # the next look finds the next one
    if not _goes_by_time(plan) or not can_snapshot(volume):
        return None
    boot, now_us = draft.history.boot, draft.now.boot_us
    newest = by_time[-1] if by_time else SnapshotName("")
    known = draft.history.kept.snapped.get(volume.volume)
    if known is None or known.newest != newest:
        known = Snapped(newest, Grace(0, boot, now_us))
    passed_us = known.since.until(boot, now_us)
    left_us = plan.every_us - passed_us
    if left_us > 0:
        draft.wake(now_us + left_us)
    elif not doomed:
        draft.add(take(volume, SnapshotName(f"{BY_TIME}{next_order(volume)}"), draft.now.trust_us))
    stale = known.since.boot != boot or now_us - known.since.mark_us >= MARK_US
    return Snapped(newest, Grace(passed_us, boot, now_us)) if stale else known


def _goes_by_time(plan: SnapshotPlan | Volume | None) -> bool:
    if isinstance(plan, Volume):
        plan = plan.snapshot or None
    return plan is not None and plan.every_us > 0


def _find_over(observed: Observation, history: History) -> frozenset[VolumeId]:
    """Return restores that were made, which the set-aside proves, or never can be: the snapshot is not there."""
    over = history.kept.restoring.keys() - history.kept.volumes.keys()
    for volume in observed.volumes:
        restoring = history.kept.restoring.get(volume.volume)
        if restoring is not None and not volume.strange:
            names = {each.name for each in volume.snapshots}
            if restoring.aside in names or restoring.snapshot not in names:
                over.add(volume.volume)
    return frozenset(over)


def _plan_restore(draft: PlanDraft, volume: VolumeSeen, containers: Iterable[ContainerSeen]) -> None:
    restoring = draft.history.kept.restoring[volume.volume]
    users = [
        seen.instance
        for seen in containers
        if (seen.tenant, seen.app) == (volume.tenant, volume.app) and volume.name in seen.volumes and seen.state in LIVE
    ]
    if users:
        draft.wait(f"volume/{volume.volume}", f"it goes back to {restoring.snapshot} once {users[0]} has stopped")
        return
    draft.add(
        RestoreVolume(
            **about(volume),
            snapshot=restoring.snapshot,
            aside=restoring.aside,
            taken_us=draft.now.trust_us,
        )
    )


def _list_mounted(item: Wanted) -> list[VolumeId]:
    return [volume_id(*_owner(item), mount.source) for mount in item.derived.spec.mounts if mount.kind == "volume"]


def _owner(item: Wanted) -> tuple[str, str]:
    return item.derived.spec.tenant, item.derived.spec.app


def _tell(restoring: Restoring) -> str:
    who = f"its owner ({restoring.by})" if restoring.by else "its owner"
    return f"{who} sets"
