"""What a node does next: ``plan_site(held, observed, history, now) -> SitePlan``.

Pure. The plan follows only from what is held (signed wishes), what is seen and what is remembered; it is made afresh
after every change, so crash, reboot, drift and a new document are one code path. Rules of this file:

1. Nothing that could not be read is taken for absent: an unavailable runtime gives waits, not actions.
2. What runs is stopped only when its successor can start, or when no unit wants it any more.
3. A volume goes only by a tombstone whose grace has passed and while nothing uses it.
4. Starting needs nothing from the core.
"""

import hashlib

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import Assignment, ImageHold, TombstoneNotice, Unit, assignment_instance, unit_id
from skerry.model.ids import Digest, InstanceId, NodeName, SecretName, SiteName, TenantName, UnitId
from skerry.model.observed import (
    ContainerSeen,
    Fact,
    ImageFact,
    InstanceFact,
    NetworkSeen,
    Observation,
    UnitFact,
    VolumeFact,
    VolumeSeen,
)
from skerry.model.signed import SiteRecord, Tombstone
from skerry.plan import instances
from skerry.plan.actions import (
    Action,
    ApplyRules,
    AppRules,
    CheckHealth,
    CreateNetwork,
    CreateVolume,
    DeleteVolume,
    DropBlobs,
    FetchImage,
    LoadImage,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    StopContainer,
    instance_lane,
    lane,
)
from skerry.plan.derive import Derived, Underivable, derive_instance, site_unmet
from skerry.plan.history import Ended, History
from skerry.plan.report import Wait

#: Host uids of tenants start here and are handed out in ranges of this size: 65,536 is what images expect.
UID_FIRST = 200_000
UID_COUNT = 65_536
#: Bytes of disk that images never use, so that journal, logs and volumes go on when the disk fills (I15).
DISK_RESERVE_BYTES = 512 * 1024 * 1024
#: A runtime that does not answer is asked again this soon.
UNAVAILABLE_US = 5_000_000


_ON_ITS_WAY = ("waiting", "starting", "restarting")


class Now(msgspec.Struct, frozen=True):
    """The two times a plan may depend on, in microseconds."""

    boot_us: int
    trust_us: int


class HeldSite(msgspec.Struct, frozen=True, kw_only=True):
    """What a node holds durably and verified: its document's units and the signed objects they name."""

    site: SiteName
    node: NodeName
    record: SiteRecord
    #: Of the document; 0 while none is held.
    epoch: int = 0
    generation: int = 0
    units: dict[UnitId, Unit] = {}
    revisions: dict[Digest, AppRevision] = {}
    #: Sealed secrets held: tenant and name to the digest of the newest version.
    secrets: dict[tuple[TenantName, SecretName], Digest] = {}
    tombstones: dict[Digest, Tombstone] = {}
    #: Units refused when the document was verified: unit to (code, reason).
    refused: dict[UnitId, tuple[str, str]] = {}


class SitePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now, in order; what waits and why; what the site says of itself; what to remember first."""

    actions: tuple[Action, ...] = ()
    waits: tuple[Wait, ...] = ()
    facts: tuple[Fact, ...] = ()
    #: Uid ranges newly allocated: to be journaled before any action.
    uid_ranges: dict[TenantName, int] = {}
    #: Instances found to have ended for good: to be journaled.
    ended: dict[InstanceId, Ended] = {}
    #: Instances whose remembered start is void, to be journaled: it is stopped now by order, not by its own end.
    forget_starts: frozenset[InstanceId] = frozenset()
    #: Boot time at which to plan again even if nothing happens; 0 for none.
    wake_us: int = 0

    @property
    def settled(self) -> bool:
        """Nothing to do, nothing waited for, nothing on its way: the site is as its document wishes.

        Health checks go on for ever and do not count.
        """
        if self.waits or any(not isinstance(action, CheckHealth) for action in self.actions):
            return False
        return not any(isinstance(fact, InstanceFact) and fact.phase in _ON_ITS_WAY for fact in self.facts)


class _Draft:
    """The plan being written; ``add`` honours the back-off of an action's lane."""

    def __init__(self, history: History, now: Now) -> None:
        self.history = history
        self.now = now
        self.actions: list[Action] = []
        self.waits: list[Wait] = []
        self.facts: list[Fact] = []
        #: Config digests of images for which there is no room, with their bytes.
        self.too_large: dict[Digest, int] = {}
        self.wake_us = 0

    def add(self, action: Action) -> bool:
        """Plan ``action`` unless its lane failed recently; say whether it is planned."""
        trouble = self.history.troubles.get(lane(action))
        if trouble is not None and trouble.not_before_us > self.now.boot_us:
            self.wait(
                lane(action), f"{trouble.reason} ({trouble.code}, tried {trouble.count} times)", trouble.not_before_us
            )
            return False
        self.actions.append(action)
        return True

    def wait(self, subject: str, reason: str, until_us: int = 0) -> None:
        """Note that something cannot go on, and when to look again."""
        self.waits.append(Wait(subject=subject, reason=reason, until_us=until_us))
        self.wake(until_us)

    def wake(self, at_us: int) -> None:
        """Plan again at ``at_us`` at the latest."""
        if at_us > 0 and (self.wake_us == 0 or at_us < self.wake_us):
            self.wake_us = at_us


def _explain(fact: InstanceFact, draft: _Draft, image: Digest) -> InstanceFact:
    """Let an instance on its way say what is in its way, so that a person at the core sees it.

    Neither tries nor free bytes are counted here: a fact that changed with each look would cost a message each time.
    """
    if fact.phase not in _ON_ITS_WAY:
        return fact
    if fact.phase == "waiting" and image in draft.too_large:
        return msgspec.structs.replace(fact, reason=f"disk full: its image needs {draft.too_large[image]} bytes")
    trouble = draft.history.troubles.get(instance_lane(fact.instance))
    if trouble is None or fact.reason:
        return fact
    return msgspec.structs.replace(fact, reason=f"{trouble.reason} ({trouble.code})")


def plan_site(
    held: HeldSite, observed: Observation, history: History, now: Now, busy: frozenset[str] = frozenset()
) -> SitePlan:
    """Plan one node. ``observed`` is the merged observation of all its drivers.

    ``busy`` are the lanes in which an action was under way during the look.
    """
    draft = _Draft(history, now)
    if observed.unavailable:
        draft.wait("runtime", observed.unavailable, now.boot_us + UNAVAILABLE_US)
        facts = _unseen_facts(held, observed.unavailable)
        return SitePlan(waits=tuple(draft.waits), facts=tuple(facts), wake_us=draft.wake_us)
    wanted, refused = derive_wanted(held)
    uid_ranges = _allocate_uids(wanted, observed, history)
    uids = {**history.kept.uid_ranges, **uid_ranges}
    have_images = _plan_images(draft, held, wanted, observed)
    networks = _plan_networks(draft, wanted, observed)
    usable_volumes = _plan_volumes(draft, wanted, observed, uids)
    guarded = _plan_rules(draft, wanted, observed)
    ended: dict[InstanceId, Ended] = {}
    forget_starts: set[InstanceId] = set()
    for instance in sorted(wanted):
        scene = instances.Scene(
            wanted=wanted,
            containers=tuple(seen for seen in observed.containers if seen.instance == instance),
            everyone=observed.containers,
            images=have_images,
            networks=networks,
            volumes=usable_volumes,
            uid_start=uids[wanted[instance].derived.spec.tenant],
            history=history,
            now_us=now.boot_us,
            node=held.node,
            guarded=guarded,
            busy=instance_lane(instance) in busy,
        )
        step = instances.plan_instance(instance, scene)
        for action in step.actions:
            draft.add(action)
        for wait in step.waits:
            draft.wait(wait.subject, wait.reason, wait.until_us)
        draft.wake(step.wake_us)
        draft.facts.append(_explain(step.fact, draft, wanted[instance].derived.spec.image_config))
        ended.update(step.ended)
        if step.forget_start:
            forget_starts.add(instance)
    _plan_withdrawn(draft, held, wanted, refused, observed)
    _plan_tombstones(draft, held, wanted, observed)
    _plan_eviction(draft, held, wanted, observed)
    draft.facts.extend(_plan_refusals(held, refused))
    draft.facts.extend(_volume_facts(held, wanted, observed))
    return SitePlan(
        actions=tuple(draft.actions),
        waits=tuple(draft.waits),
        facts=tuple(draft.facts),
        uid_ranges=uid_ranges,
        ended=ended,
        forget_starts=frozenset(forget_starts),
        wake_us=draft.wake_us,
    )


def derive_wanted(held: HeldSite) -> tuple[dict[InstanceId, instances.Wanted], dict[UnitId, Underivable]]:
    """Derive every assignment of this node; return what is wanted, and which units cannot be followed and why."""
    wanted: dict[InstanceId, instances.Wanted] = {}
    refused: dict[UnitId, Underivable] = {}
    for name in sorted(held.units):
        unit = held.units[name]
        if not isinstance(unit, Assignment) or unit.node != held.node or name in held.refused:
            continue
        revision = held.revisions.get(unit.revision)
        if revision is None:
            refused[name] = Underivable("E-REFERENCE", f"the revision {unit.revision} is not held")
            continue
        secrets = {secret: version for (tenant, secret), version in held.secrets.items() if tenant == unit.tenant}
        derived = derive_instance(revision, unit, held.record, secrets)
        match derived:
            case Derived():
                wanted[assignment_instance(unit)] = instances.Wanted(
                    assignment=unit, derived=derived, number=revision.number, internal=_internal_networks(revision)
                )
            case Underivable():
                refused[name] = derived
    return wanted, refused


def _internal_networks(revision: AppRevision) -> tuple[str, ...]:
    return tuple(sorted(name for name, network in revision.networks.items() if network.internal))


def _allocate_uids(
    wanted: dict[InstanceId, instances.Wanted], observed: Observation, history: History
) -> dict[TenantName, int]:
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


def _plan_images(
    draft: _Draft, held: HeldSite, wanted: dict[InstanceId, instances.Wanted], observed: Observation
) -> frozenset[Digest]:
    """Bring and load what is needed; return config digests that the runtime has."""
    needed: dict[Digest, FetchImage] = {}
    for item in wanted.values():
        spec = item.derived.spec
        needed[spec.image] = FetchImage(image=spec.image, config=spec.image_config, size_bytes=spec.image_size_bytes)
    for unit in held.units.values():
        if isinstance(unit, ImageHold):
            needed.setdefault(
                unit.digest, FetchImage(image=unit.digest, config=unit.config, size_bytes=unit.size_bytes)
            )
    loaded = frozenset(image.config for image in observed.images)
    for image in observed.blobs:
        if image.config in loaded:
            draft.add(DropBlobs(image=image.digest, config=image.config))
    complete = {image.digest for image in observed.blobs}
    free = observed.node.disk_free_bytes if observed.node is not None else None
    for digest in sorted(observed.arriving.keys() - needed.keys()):
        # Begun and no longer wanted: nothing else would ever remove what came of it.
        draft.add(DropBlobs(image=digest, config=Digest(digest)))
    # What has begun to arrive goes first, and each takes its room from those after it.
    for digest in sorted(needed, key=lambda digest: (digest not in observed.arriving, digest)):
        fetch = needed[digest]
        arrived = fetch.size_bytes if fetch.config in loaded else observed.arriving.get(digest, 0)
        if fetch.config not in loaded:
            if digest in complete:
                draft.add(LoadImage(image=digest, config=fetch.config))
                arrived = fetch.size_bytes
            elif free is not None and free - (fetch.size_bytes - arrived) < DISK_RESERVE_BYTES:
                room = max(free - DISK_RESERVE_BYTES, 0)
                draft.too_large[fetch.config] = fetch.size_bytes
                draft.wait(
                    f"image/{digest}",
                    f"disk full: the image needs {fetch.size_bytes} bytes, {room} are free for images",
                )
            else:
                draft.add(fetch)
                free = None if free is None else free - (fetch.size_bytes - arrived)
        draft.facts.append(
            ImageFact(digest=digest, size_bytes=fetch.size_bytes, have_bytes=arrived, complete=fetch.config in loaded)
        )
    return loaded


def _plan_networks(
    draft: _Draft, wanted: dict[InstanceId, instances.Wanted], observed: Observation
) -> frozenset[tuple[str, str, str]]:
    """Make missing app networks, remove those that no assignment and no container needs any more."""
    needed: dict[tuple[str, str, str], CreateNetwork] = {}
    for item in wanted.values():
        spec = item.derived.spec
        for name in spec.networks:
            needed[(spec.tenant, spec.app, name)] = CreateNetwork(
                tenant=spec.tenant, app=spec.app, name=name, internal=name in item.internal
            )
    seen: dict[tuple[str, str, str], NetworkSeen] = {
        (network.tenant, network.app, network.name): network for network in observed.networks
    }
    for key in sorted(needed.keys() - seen.keys()):
        draft.add(needed[key])
    busy = {(container.tenant, container.app) for container in observed.containers}
    for key in sorted(seen.keys() & needed.keys()):
        if seen[key].internal != needed[key].internal:
            if key[:2] not in busy:
                draft.add(RemoveNetwork(tenant=seen[key].tenant, app=seen[key].app, name=seen[key].name))
            else:
                draft.wait(
                    f"network/{'/'.join(key)}",
                    "whether it has a way out changes only while no container of the app is here",
                )
    for key in sorted(seen.keys() - needed.keys()):
        if key[:2] not in busy:
            network = seen[key]
            draft.add(RemoveNetwork(tenant=network.tenant, app=network.app, name=network.name))
    return frozenset(seen)


def _plan_volumes(
    draft: _Draft,
    wanted: dict[InstanceId, instances.Wanted],
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
                action = instances.volume_action(spec, mount.source, uids[spec.tenant], item.number)
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


def _plan_rules(draft: _Draft, wanted: dict[InstanceId, instances.Wanted], observed: Observation) -> bool:
    """Make the node's firewall table say exactly what the networks that are here need; say whether it does.

    A network wished without a way out has none from now on, also while the runtime's own network still has one.
    """
    shut = {
        (item.derived.spec.tenant, item.derived.spec.app, name) for item in wanted.values() for name in item.internal
    }
    networks = tuple(
        sorted(
            AppRules(
                network.tenant,
                network.app,
                network.name,
                network.internal or (network.tenant, network.app, network.name) in shut,
            )
            for network in observed.networks
        )
    )
    digest = rules_digest(networks)
    if observed.rules == digest:
        return True
    draft.add(ApplyRules(networks=networks, digest=digest))
    return False


def rules_digest(networks: tuple[AppRules, ...]) -> Digest:
    """Name a firewall table by what it is made from."""
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode(networks)).hexdigest())


def _plan_withdrawn(
    draft: _Draft,
    held: HeldSite,
    wanted: dict[InstanceId, instances.Wanted],
    refused: dict[UnitId, Underivable],
    observed: Observation,
) -> None:
    """Stop and remove containers that no unit wants.

    A unit that is there but cannot be followed keeps what it had running: refusing a wish is no wish to stop.
    """
    doubtful = {str(name).removeprefix("assignment/") for name in (*refused, *held.refused)}
    for seen in observed.containers:
        if seen.instance in wanted or seen.instance in doubtful:
            continue
        draft.add(retire(seen))


def retire(seen: ContainerSeen) -> StopContainer | RemoveContainer:
    """Return the next step in getting rid of a container."""
    if seen.state in ("running", "paused", "stopping"):
        return StopContainer(container=seen.container, instance=seen.instance, grace_us=10_000_000)
    return RemoveContainer(container=seen.container, instance=seen.instance)


def _plan_tombstones(
    draft: _Draft, held: HeldSite, wanted: dict[InstanceId, instances.Wanted], observed: Observation
) -> None:
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


def _volume_in_use(volume: VolumeSeen, wanted: dict[InstanceId, instances.Wanted], observed: Observation) -> bool:
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


def _plan_eviction(
    draft: _Draft, held: HeldSite, wanted: dict[InstanceId, instances.Wanted], observed: Observation
) -> None:
    """When the disk runs short, evict images that no unit and no container needs (I14)."""
    if observed.node is None or observed.node.disk_free_bytes >= 2 * DISK_RESERVE_BYTES:
        return
    needed = {item.derived.spec.image_config for item in wanted.values()}
    needed |= {unit.config for unit in held.units.values() if isinstance(unit, ImageHold)}
    needed |= {seen.image_config for seen in observed.containers}
    for image in sorted((*observed.images, *observed.blobs), key=lambda image: image.digest):
        if image.config not in needed:
            draft.add(RemoveImage(image=image.digest, config=image.config))


def _plan_refusals(held: HeldSite, refused: dict[UnitId, Underivable]) -> list[Fact]:
    facts: list[Fact] = [
        UnitFact(unit=name, code=held.refused[name][0], reason=held.refused[name][1]) for name in sorted(held.refused)
    ]
    facts.extend(UnitFact(unit=name, code=refused[name].code, reason=refused[name].reason) for name in sorted(refused))
    for name in sorted(refused):
        unit = held.units[name]
        if isinstance(unit, Assignment):
            facts.append(
                InstanceFact(
                    instance=assignment_instance(unit),
                    node=held.node,
                    revision=unit.revision,
                    number=0,
                    phase="refused",
                    reason=refused[name].reason,
                )
            )
    return facts


def _unseen_facts(held: HeldSite, reason: str) -> list[Fact]:
    """Say what is wanted here while nobody can see it: a core that was set back must not take silence for absence."""
    wanted, refused = derive_wanted(held)
    facts: list[Fact] = [
        InstanceFact(
            instance=instance,
            node=held.node,
            revision=wanted[instance].assignment.revision,
            number=wanted[instance].number,
            phase="waiting",
            reason=reason,
        )
        for instance in sorted(wanted)
    ]
    return [*facts, *_plan_refusals(held, refused)]


def _volume_facts(held: HeldSite, wanted: dict[InstanceId, instances.Wanted], observed: Observation) -> list[Fact]:
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
