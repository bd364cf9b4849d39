"""Volumes of a node: whose uids own them, when one is made, when one may be mounted, and when one may go.

A volume goes only by a tombstone whose grace has passed and while nothing uses it.
"""

from skerry.model.document import TombstoneNotice, unit_id
from skerry.model.ids import Digest, InstanceId, TenantName
from skerry.model.observed import Fact, Observation, VolumeFact, VolumeSeen
from skerry.model.site_match import site_unmet
from skerry.plan.actions import CreateVolume, DeleteVolume
from skerry.plan.history import History
from skerry.plan.instances import Wanted, volume_action
from skerry.plan.site_plan import HeldSite, PlanDraft

#: Host uids of tenants start here and are handed out in ranges of this size: 65,536 is what images expect.
UID_FIRST = 200_000
UID_COUNT = 65_536


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
) -> frozenset[str]:
    """Make missing volumes; return the ids that may be mounted: seen, with a sound identity, in the tenant's range."""
    seen: dict[str, VolumeSeen] = {volume.volume: volume for volume in observed.volumes}
    needed: dict[str, CreateVolume] = {}
    for item in wanted.values():
        spec = item.derived.spec
        for mount in spec.mounts:
            if mount.kind == "volume":
                action = volume_action(spec, mount.source, uids[spec.tenant], item.number)
                known = needed.get(action.volume)
                if known is None or action.born < known.born:
                    needed[action.volume] = action
    usable: set[str] = set()
    for name in sorted(needed):
        volume = seen.get(name)
        if volume is None:
            draft.add(needed[name])
        elif volume.strange or volume.uid_start != needed[name].uid_start:
            draft.wait(f"volume/{name}", "another disk or a damaged identity file is in its place; it is not mounted")
        else:
            usable.add(name)
    return frozenset(usable)


def plan_tombstones(draft: PlanDraft, held: HeldSite, wanted: dict[InstanceId, Wanted], observed: Observation) -> None:
    """Delete volumes that a signed tombstone names, once its grace has passed and nothing uses them."""
    for name, doom, until_us in _doomed_volumes(held, observed, draft.history):
        tombstone = held.tombstones[doom]
        volume = next(seen for seen in observed.volumes if seen.volume == name)
        if _volume_in_use(volume, wanted, observed):
            draft.wait(f"volume/{name}", "its tombstone waits until nothing uses the volume")
        elif until_us is None:
            draft.wait(f"volume/{name}", "its tombstone is being recorded", draft.now.boot_us + 1_000_000)
        elif until_us > draft.now.trust_us:
            draft.wait(
                f"volume/{name}",
                f"kept until its tombstone's grace of {tombstone.grace_us // 1_000_000} s has passed",
                draft.now.boot_us + (until_us - draft.now.trust_us),
            )
        else:
            draft.add(
                DeleteVolume(
                    volume=volume.volume, tenant=volume.tenant, app=volume.app, name=volume.name, tombstone=doom
                )
            )


def _doomed_volumes(held: HeldSite, observed: Observation, history: History) -> list[tuple[str, Digest, int | None]]:
    """Volumes here that a held tombstone names: id, tombstone, trust time of deletion (None: not yet recorded)."""
    doomed: list[tuple[str, Digest, int | None]] = []
    for name in sorted(held.units):
        unit = held.units[name]
        if not isinstance(unit, TombstoneNotice) or name in held.refused:
            continue
        tombstone = held.tombstones.get(unit.digest)
        if tombstone is None or site_unmet(tombstone.sites, held.record):
            continue
        accepted = history.kept.tombstones.get(unit.digest)
        for volume in observed.volumes:
            if (
                (volume.tenant, volume.app) == (tombstone.tenant, tombstone.app)
                and volume.name in tombstone.volumes
                and volume.born < tombstone.number
                and not volume.strange
            ):
                until = None if accepted is None else accepted + tombstone.grace_us
                doomed.append((volume.volume, unit.digest, until))
    return doomed


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


def volume_facts(held: HeldSite, wanted: dict[InstanceId, Wanted], observed: Observation) -> list[Fact]:
    """Say of each volume here whether it is used, kept, doomed or not what it should be."""
    doomed = {
        unit.digest: held.tombstones[unit.digest]
        for unit in held.units.values()
        if isinstance(unit, TombstoneNotice) and unit.digest in held.tombstones and unit_id(unit) not in held.refused
    }
    facts: list[Fact] = []
    for volume in sorted(observed.volumes, key=lambda volume: volume.volume):
        in_use = _volume_in_use(volume, wanted, observed)
        dying = any(
            (volume.tenant, volume.app) == (tombstone.tenant, tombstone.app)
            and volume.name in tombstone.volumes
            and volume.born < tombstone.number
            for tombstone in doomed.values()
        )
        facts.append(
            VolumeFact(
                volume=volume.volume,
                born=volume.born,
                size_bytes=volume.size_bytes,
                in_use=in_use,
                state="strange" if volume.strange else "doomed" if dying else "used" if in_use else "kept",
            )
        )
    return facts
