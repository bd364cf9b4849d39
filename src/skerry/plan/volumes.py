"""Volumes of a node: whose uids own them, when one is made, when one may be mounted, and when one may go.

Rules: (1) a volume goes only by a tombstone whose grace has passed and while nothing uses it; (2) the grace is counted
by this node's own clock since it saw the tombstone, for the time in documents is the core's word; (3) a volume that was
here and is gone is not made anew, empty, until its owner or who keeps the box has said so.
"""

from collections.abc import Mapping

from skerry.model.document import TombstoneNotice
from skerry.model.facts import TOLD_SNAPSHOTS_MAX, Fact, VolumeFact
from skerry.model.ids import Digest, InstanceId, TenantName, VolumeId, volume_id
from skerry.model.observed import Observation, VolumeSeen
from skerry.model.signed import Tombstone
from skerry.model.site_match import site_unmet
from skerry.model.volume import VOLUME_BYTES, Volume
from skerry.plan.actions import CreateVolume, DeleteVolume, SizeVolume, about, volume_lane
from skerry.plan.history import Grace, History
from skerry.plan.instances import Wanted, explain_loss, volume_action
from skerry.plan.site_plan import HeldSite, PlanDraft
from skerry.plan.snapshots import explain_none

#: Host uids of tenants start here and are handed out in ranges of this size: 65,536 is what images expect.
UID_FIRST = 200_000
UID_COUNT = 65_536
#: Fact of a node whose pool holds volumes to their limits.
LIMITS_FACT = "pool.limits"
#: What has passed of a grace is journaled this often: so much of it a power cut can make pass again.
GRACE_MARK_US = 600_000_000


def allocate_uids(wanted: dict[InstanceId, Wanted], observed: Observation, history: History) -> dict[TenantName, int]:
    """Give each new tenant a range that no tenant and no volume on disk holds (I27)."""
    given = set(history.kept.uid_ranges.values())
    taken = given | {volume.uid_start for volume in observed.volumes}
    fresh: dict[TenantName, int] = {}
    for tenant in sorted({item.derived.spec.tenant for item in wanted.values()} - set(history.kept.uid_ranges)):
        # A lost journal: the tenant's own volumes still say which range is its.
        own = sorted(
            {
                volume.uid_start
                for volume in observed.volumes
                if volume.tenant == tenant and not volume.strange and volume.uid_start >= UID_FIRST
            }
        )
        # One that another tenant has by now is lost to it: its volume is then not mounted, and a person must decide.
        own = [start for start in own if not _overlaps(start, given)]
        start = own[0] if own else UID_FIRST
        while not own and _overlaps(start, taken):
            start += UID_COUNT
        taken.add(start)
        given.add(start)
        fresh[tenant] = start
    return fresh


def _overlaps(start: int, others: set[int]) -> bool:
    return any(abs(start - other) < UID_COUNT for other in others)


def plan_volumes(
    draft: PlanDraft,
    wanted: dict[InstanceId, Wanted],
    observed: Observation,
    uids: dict[TenantName, int],
    lost: frozenset[VolumeId],
    plans: Mapping[VolumeId, Volume],
) -> frozenset[str]:
    """Make missing volumes that never were here, and size those that are; return the ids that may be mounted.

    Those are seen, with a sound identity, in the tenant's range. ``plans`` are those of ``snapshots.find_plans``.
    """
    seen: dict[str, VolumeSeen] = {volume.volume: volume for volume in observed.volumes}
    needed: dict[str, CreateVolume] = {}
    for item in wanted.values():
        spec = item.derived.spec
        for mount in spec.mounts:
            if mount.kind == "volume":
                limit = plans[volume_id(spec.tenant, spec.app, mount.source)].size_bytes or VOLUME_BYTES
                action = volume_action(spec, mount.source, uids[spec.tenant], item.number, limit)
                known = needed.get(action.volume)
                if known is None or action.born < known.born:
                    needed[action.volume] = action
    usable: set[str] = set()
    holds = observed.node is not None and observed.node.facts.get(LIMITS_FACT) == "true"
    for name in sorted(needed):
        volume = seen.get(name)
        if volume is None and needed[name].volume in lost:
            draft.wait(f"volume/{name}", explain_loss(needed[name].volume))
        elif volume is None:
            draft.add(needed[name])
        elif volume.strange or volume.uid_start != needed[name].uid_start:
            draft.wait(f"volume/{name}", "another disk or a damaged identity file is in its place; it is not mounted")
        else:
            usable.add(name)
            _plan_size(draft, volume, needed[name].limit_bytes, holds=holds)
    return frozenset(usable)


def _plan_size(draft: PlanDraft, volume: VolumeSeen, limit_bytes: int, *, holds: bool) -> None:
    """Size a volume that has a limit, or, where limits hold now (``holds``), one that was made before they did."""
    can = volume.driver != "directory" and (holds or volume.limit_bytes > 0)
    if can and volume.limit_bytes != limit_bytes:
        draft.add(
            SizeVolume(
                **about(volume),
                limit_bytes=limit_bytes,
            )
        )


def find_lost_volumes(observed: Observation, history: History) -> frozenset[VolumeId]:
    """Return volumes that were here, that nobody deleted, and that are gone."""
    seen = {volume.volume for volume in observed.volumes}
    return frozenset(history.kept.volumes.keys() - seen - history.kept.deleting.keys())


def find_new_volumes(observed: Observation, history: History, busy: frozenset[str]) -> dict[VolumeId, int]:
    """Return volumes that are to be missed from now on when they are gone; none that is being deleted."""
    return {
        volume.volume: volume.born
        for volume in observed.volumes
        if not volume.strange
        and history.kept.volumes.get(volume.volume) != volume.born
        and volume.volume not in history.kept.deleting
        and volume_lane(volume.volume) not in busy
    }


def plan_tombstones(
    draft: PlanDraft, held: HeldSite, wanted: dict[InstanceId, Wanted], observed: Observation
) -> tuple[dict[Digest, Grace], frozenset[VolumeId]]:
    """Delete volumes that a signed tombstone names, once its grace has passed and nothing uses them.

    Return what has passed of which grace, where that is to be journaled, and lost volumes that a tombstone has ended.
    """
    boot, now_us = draft.history.boot, draft.now.boot_us
    lost = find_lost_volumes(observed, draft.history)
    graces: dict[Digest, Grace] = {}
    ended: set[VolumeId] = set()
    for digest, tombstone in _list_tombstones(held).items():
        grace = draft.history.kept.tombstones.get(digest, Grace(0, boot, now_us))
        passed_us = grace.until(boot, now_us)
        left_us = tombstone.grace_us - passed_us
        due = now_us - grace.mark_us >= GRACE_MARK_US and left_us > 0
        if digest not in draft.history.kept.tombstones or grace.boot != boot or due:
            graces[digest] = Grace(passed_us, boot, now_us)
        for volume in observed.volumes:
            if not _dooms(tombstone, volume.volume, volume.born) or volume.strange:
                continue
            name = f"volume/{volume.volume}"
            if _volume_in_use(volume, wanted, observed):
                draft.wait(name, "its tombstone waits until nothing uses the volume")
            elif digest not in draft.history.kept.tombstones:
                draft.wait(name, "its tombstone is being recorded", now_us + 1_000_000)
            elif left_us > 0:
                reason = f"kept until its tombstone's grace of {tombstone.grace_us // 1_000_000} s has passed"
                draft.wait(name, reason, now_us + left_us)
            else:
                draft.add(DeleteVolume(**about(volume), tombstone=digest))
        if digest in draft.history.kept.tombstones and left_us <= 0:
            ended |= {name for name in lost if _dooms(tombstone, name, draft.history.kept.volumes[name])}
    return graces, frozenset(ended)


def settle_deletions(
    held: HeldSite, observed: Observation, history: History, busy: frozenset[str]
) -> tuple[frozenset[VolumeId], frozenset[VolumeId]]:
    """Of the deletions that were begun, return those that are done and those that no tombstone wants any more."""
    seen = {volume.volume: volume for volume in observed.volumes}
    idle = {name for name in history.kept.deleting if volume_lane(name) not in busy}
    stones = _list_tombstones(held).values()
    spared = {name for name in idle & seen.keys() if not any(_dooms(stone, name, seen[name].born) for stone in stones)}
    return frozenset(idle - seen.keys()), frozenset(spared)


def _list_tombstones(held: HeldSite) -> dict[Digest, Tombstone]:
    """Return the tombstones that the document names, that were not refused and that are meant for this site."""
    notices = [held.units[name] for name in sorted(held.units) if name not in held.refused]
    return {
        unit.digest: held.tombstones[unit.digest]
        for unit in notices
        if isinstance(unit, TombstoneNotice)
        and unit.digest in held.tombstones
        and not site_unmet(held.tombstones[unit.digest].sites, held.record)
    }


def _dooms(tombstone: Tombstone, volume: VolumeId, born: int) -> bool:
    """Say whether a tombstone names a volume that was born before it."""
    tenant, app, name = volume.split("/")
    return (tenant, app) == (tombstone.tenant, tombstone.app) and name in tombstone.volumes and born < tombstone.number


def _volume_in_use(volume: VolumeSeen, wanted: dict[InstanceId, Wanted], observed: Observation) -> bool:
    """A container that mounts it, stopped or not, or an assignment that will."""
    owner = (volume.tenant, volume.app)
    if any((seen.tenant, seen.app) == owner and volume.name in seen.volumes for seen in observed.containers):
        return True
    return any(
        mount.kind == "volume" and mount.source == volume.name
        for item in wanted.values()
        if (item.derived.spec.tenant, item.derived.spec.app) == owner
        for mount in item.derived.spec.mounts
    )


def volume_facts(
    held: HeldSite, wanted: dict[InstanceId, Wanted], observed: Observation, plans: Mapping[VolumeId, Volume]
) -> list[Fact]:
    """Say of each volume here whether it is used, kept, doomed or not what it should be, and how it is kept."""
    stones = _list_tombstones(held).values()
    facts: list[Fact] = []
    for volume in sorted(observed.volumes, key=lambda volume: volume.volume):
        in_use = _volume_in_use(volume, wanted, observed)
        told = volume.snapshots[-TOLD_SNAPSHOTS_MAX:]
        dying = any(_dooms(stone, volume.volume, volume.born) for stone in stones)
        facts.append(
            VolumeFact(
                volume=volume.volume,
                born=volume.born,
                in_use=in_use,
                state="strange" if volume.strange else "doomed" if dying else "used" if in_use else "kept",
                driver=volume.driver,
                limit_bytes=volume.limit_bytes,
                snapshots=tuple((each.name, each.taken_us // 1_000_000) for each in told),
                snapshots_count=len(volume.snapshots),
                reason=explain_none(volume, plans.get(volume.volume, Volume())),
            )
        )
    return facts
