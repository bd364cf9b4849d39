"""What a node does next: ``plan_site(held, observed, history, now) -> SitePlan``.

Pure. The plan follows only from what is held (signed wishes), what is seen and what is remembered; it is made afresh
after every change, so crash, reboot, drift and a new document are one code path. Rules of this file:

1. Nothing that could not be read is taken for absent: an unavailable runtime gives waits, not actions.
2. What runs is stopped only when its successor can start, or when no unit wants it any more.
3. A volume goes only by a tombstone whose grace has passed and while nothing uses it.
4. Starting needs nothing from the core.
5. Of what may start now the highest priority comes first.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.app import AppRevision
from skerry.model.document import Assignment, assignment_instance, unit_id
from skerry.model.facts import Fact, InstanceFact, UnitFact
from skerry.model.ids import Digest, InstanceId, UnitId
from skerry.model.observed import ContainerSeen, Observation
from skerry.model.rollout import InSite
from skerry.model.uplinks import NO_BANDWIDTH, sum_rates
from skerry.model.withdrawal import is_kept_from_core
from skerry.plan import confirm, instances
from skerry.plan.actions import Action, FetchImage, RemoveContainer, StopContainer, instance_lane
from skerry.plan.again import Again
from skerry.plan.age import tell_age
from skerry.plan.autonomy import judge_autonomy
from skerry.plan.bindings import plan_bindings
from skerry.plan.by_hand import judge_by_hand
from skerry.plan.chains import plan_chains
from skerry.plan.companions import settle_companions
from skerry.plan.derive import Derived, Underivable, derive_instance, replicas_max
from skerry.plan.downs import find_over_budget
from skerry.plan.entrance import explain_entrance, plan_entrance
from skerry.plan.flows import plan_flows, sum_purposes
from skerry.plan.gates import judge_apps, return_to_proven
from skerry.plan.history import Ended, History, Traffic, app_id
from skerry.plan.host_ports import settle_ports
from skerry.plan.images import plan_eviction, plan_images
from skerry.plan.lans import leave_out
from skerry.plan.links import plan_links, plan_translation
from skerry.plan.names import plan_names
from skerry.plan.networks import list_plans, plan_networks, plan_rules
from skerry.plan.overlay import plan_overlay
from skerry.plan.passing import plan_passing
from skerry.plan.placement.request import read_room
from skerry.plan.places import find_certificates, find_lingering, settle_entrance
from skerry.plan.queues import plan_queues
from skerry.plan.reach import judge_reach
from skerry.plan.room import find_priority, judge_room
from skerry.plan.secrets import judge_secrets, read_limits
from skerry.plan.sharing import is_leaned_on
from skerry.plan.site_plan import ON_ITS_WAY, HeldSite, Now, PlanDraft, SitePlan
from skerry.plan.snapshots import find_plans, find_update_snapshot, hold_for_restores, plan_snapshots
from skerry.plan.turns import find_turns
from skerry.plan.uplinks import (
    find_lacking,
    find_percent,
    find_uplink,
    hold_bulk,
    is_worth_writing,
    name_month,
    note_moved,
)
from skerry.plan.volumes import (
    allocate_uids,
    find_lost_volumes,
    find_new_volumes,
    plan_tombstones,
    plan_volumes,
    settle_deletions,
    volume_facts,
)
from skerry.plan.windows import TIME_UNKNOWN, Deferred, defer_revisions

#: A runtime that does not answer is asked again this soon.
UNAVAILABLE_US = 5_000_000
#: A node's document and what it falls back to, and as much of some more nodes, where one process has many.
_NODES_KNOWN = 64

_DerivedUnits = tuple[dict[InstanceId, instances.Wanted], dict[UnitId, Underivable]]
_DERIVED: Again[_DerivedUnits] = Again(_NODES_KNOWN)


def plan_site(
    held: HeldSite, observed: Observation, history: History, now: Now, busy: frozenset[str] = frozenset()
) -> SitePlan:
    """Plan one node. ``observed`` is the merged observation of all its drivers.

    ``busy`` are the lanes in which an action was under way during the look.
    """
    draft = PlanDraft(history, now)
    network = _judge_network(draft, held)
    if observed.unavailable:
        draft.wait("runtime", observed.unavailable, now.boot_us + UNAVAILABLE_US)
        facts = _unseen_facts(return_to_proven(held, history.kept.judged), observed.unavailable)
        return SitePlan(
            waits=tuple(draft.waits),
            facts=tuple(facts),
            watches=history.watches,
            stands=history.stands,
            led=history.led,
            wake_us=draft.wake_us,
            confirming=network.confirming,
            told=_tell_network(held, network, history.kept.traffic, {}),
        )
    wished = held
    deferred = defer_revisions(held, observed, history, now)
    draft.wake(deferred.wake_us)
    for app, why in sorted(deferred.waiting.items()):
        draft.wait(f"window/{app}", why)
    if deferred.waiting and not now.trust_us:
        draft.wait(TIME_UNKNOWN, "no signed time has come since the agent was started; the next document brings one")
    held = return_to_proven(deferred.held, history.kept.judged)
    wanted, refused = derive_wanted(held)
    shut_out = {name: item for name, item in wanted.items() if app_id(item.assignment) in held.locked}
    wanted = {name: item for name, item in wanted.items() if name not in shut_out}
    contact = history.kept.contact
    counts = any(item.secret_limits for item in wanted.values())
    standing = judge_autonomy(wanted, contact, linked=held.linked, boot=history.boot, now_us=now.boot_us, counts=counts)
    away = (standing.contact or contact).away
    away_us = 0 if held.linked or away is None else away.until(history.boot, now.boot_us)
    withheld = judge_secrets(wanted, away_us)
    draft.wake(now.boot_us + withheld.next_us - away_us if withheld.next_us and not held.linked else 0)
    wanted = _hold_back(wanted, standing.held)
    by_hand = judge_by_hand(wanted, history.kept.said, observed.containers)
    wanted = _hold_back(wanted, by_hand.held)
    wanted = _hold_back(wanted, hold_for_restores(wanted, observed, history))
    wanted = _hold_back(wanted, judge_room(wanted, observed.node, sum_rates(network.uplinks)))
    for name, why in sorted(held.unsigned.items()):
        draft.wait(f"withdraw/{name.partition('/')[2]}", why)
    for wait in standing.waits:
        draft.wait(wait.subject, wait.reason)
    draft.wake(standing.wake_us)
    uid_ranges = allocate_uids(wanted, observed, history)
    uids = {**history.kept.uid_ranges, **uid_ranges}
    traffic = _count_traffic(draft, observed, network, held.link_moved)
    why_held = hold_bulk(network.uplinks, held.way, traffic.used)
    lacking = find_lacking(network.uplinks, observed.queues)
    for name, device in sorted(lacking.items()):
        draft.wait(f"uplink/{name}", f"this node has no device {device}: nothing goes by this uplink")
    have_images = plan_images(draft, held, wanted, observed, deferred.images)
    networks = plan_networks(draft, wanted, observed, held.units)
    lost = find_lost_volumes(observed, history)
    volumes = find_plans(wanted.values())
    usable_volumes = plan_volumes(draft, wanted, observed, uids, lost, volumes)
    snapshots = plan_snapshots(draft, volumes, observed)
    entrance = settle_entrance(
        *(wanted, observed.entrance, observed.certificates, held.site, away_us), find_lingering(held, refused)
    )
    guarded = plan_rules(draft, wanted, observed, held.units, entrance.claims)
    crossing = leave_out(wanted, observed)
    guarded = plan_chains(draft, wanted, crossing, history, held.node, shut_out) and guarded
    plan_translation(draft, crossing)
    plan_bindings(draft, wanted, crossing, held.units)
    links = plan_links(wanted, observed)
    plan_names(draft, held, wanted, crossing, links.found)
    plan_overlay(draft, held, observed.overlay, guarded=guarded)
    plan_passing(draft, held, observed.relay)
    plan_queues(draft, wanted, crossing, network.uplinks)
    plan_flows(draft, crossing, network.uplinks)
    turns = find_turns(
        wanted,
        observed.containers,
        history,
        observed.node,
        now.boot_us,
        find_over_budget(wanted, observed.containers, history),
    )
    draft.wake(turns.wake_us)
    ended: dict[InstanceId, Ended] = {}
    # They are ended by order, as what is withdrawn is, and may come back.
    forget_starts = set(shut_out.keys() & history.kept.started.keys())
    draft.facts += [_tell_held(item, held) for _, item in sorted(shut_out.items())]
    own: dict[InstanceId, list[ContainerSeen]] = {}
    for seen in observed.containers:
        own.setdefault(seen.instance, []).append(seen)
    for instance in sorted(wanted, key=lambda name: (-find_priority(wanted[name]).value, name)):
        containers = tuple(own.get(instance, ()))
        scene = instances.Scene(
            wanted=wanted,
            containers=containers,
            everyone=observed.containers,
            images=have_images,
            networks=networks,
            volumes=usable_volumes,
            lost=lost,
            uid_start=uids[wanted[instance].derived.spec.tenant],
            history=history,
            now_us=now.boot_us,
            node=held.node,
            guarded=guarded,
            links=links.found.get(instance, ()),
            unlinked=links.lacking.get(instance, ""),
            turn=turns.waiting.get(instance, ""),
            withheld=withheld.reasons.get(instance, "")
            or _closed(wanted[instance], deferred)
            or entrance.portless.get(instance, ""),
            busy=instance_lane(instance) in busy,
            snapshot=find_update_snapshot(wanted[instance], containers, observed.volumes, history, now),
        )
        step = instances.plan_instance(instance, scene)
        for action in step.actions:
            draft.add(action)
        for wait in step.waits:
            draft.wait(wait.subject, wait.reason, wait.until_us)
        draft.wake(step.wake_us)
        told = explain_entrance(step.fact, wanted[instance], entrance, observed.entrance, history)
        fact, older_us = tell_age(told, wanted[instance], scene.containers, history, now.boot_us)
        draft.wake(older_us)
        draft.facts.append(_explain(fact, draft, wanted[instance].derived.spec.image_config))
        ended.update(step.ended)
        if step.forget_start:
            forget_starts.add(instance)
    _plan_withdrawn(draft, held, wanted, refused, observed)
    plan_entrance(draft, entrance, wanted, crossing, held)
    graces, forget_volumes = plan_tombstones(draft, held, wanted, observed)
    deleted, spared = settle_deletions(held, observed, history, busy)
    plan_eviction(draft, held, wanted, observed)
    verdicts = judge_apps(draft, wished, history, draft.facts, deferred.waiting)
    draft.facts.extend(_plan_refusals(held, refused))
    draft.facts.extend(volume_facts(held, wanted, observed, volumes))
    if why_held and any(_is_bulk(each, held) for each in draft.actions):
        draft.wait("bulk", f"images wait: {why_held}")
        draft.actions = [each for each in draft.actions if not _is_bulk(each, held)]
    reaches = judge_reach(draft, deferred.held, held)
    return SitePlan(
        actions=tuple(draft.actions),
        waits=tuple(draft.waits),
        facts=tuple(draft.facts),
        uid_ranges=uid_ranges,
        ended=ended,
        forget_starts=frozenset(forget_starts),
        graces=graces,
        volumes=find_new_volumes(observed, history, busy),
        forget_volumes=forget_volumes,
        deleted=deleted,
        spared=spared,
        judged={**verdicts.judged, **reaches.judged},
        forget_judged=verdicts.gone,
        watches=verdicts.watches,
        contact=standing.contact,
        confirming=network.confirming,
        reach=reaches.reach,
        forget_reach=reaches.gone,
        stands=reaches.stands,
        led=draft.led,
        asks_parent=reaches.asks_parent,
        traffic=traffic if is_worth_writing(history.kept.traffic, traffic) else None,
        holds_bulk=bool(why_held),
        carried=held.carried,
        told=_tell_network(held, network, traffic, lacking),
        chains=draft.chains,
        doors=draft.doors,
        forget_said=by_hand.over,
        snapped=snapshots.snapped,
        forget_snapped=snapshots.forget_snapped,
        forget_restoring=snapshots.forget_restoring,
        wake_us=draft.wake_us,
        ahead=draft.ahead,
    )


def _is_bulk(action: Action, held: HeldSite) -> bool:
    """Whether an action has the link carry an image; from a bundle it costs nothing."""
    return isinstance(action, FetchImage) and action.image not in held.carried


def _judge_network(draft: PlanDraft, held: HeldSite) -> confirm.Standing:
    """Say which wishes about the node's own network hold, and why others do not."""
    now_us = draft.now.boot_us
    kept, boot = draft.history.kept.confirming, draft.history.boot
    linked_us = held.linked_us if held.linked else 0
    found = confirm.judge_wishes(
        held.record.uplinks or {}, kept, linked_us=linked_us, boot=boot, now_us=now_us, patience_us=held.patience_us
    )
    if found.refused_why:
        draft.wait("uplinks", found.refused_why)
    elif found.is_trial:
        draft.wait("uplinks", "new uplinks are tried: they hold once the core was heard under them")
    draft.wake(found.wake_us)
    return found


def _count_traffic(
    draft: PlanDraft, observed: Observation, network: confirm.Standing, linked: Mapping[str, int]
) -> Traffic:
    kept, seen = draft.history.kept.traffic, observed.queues
    if seen is None:
        return kept
    purposes = sum_purposes(observed, network.uplinks, linked)
    devices = [*(each.device for each in network.uplinks.values()), *purposes]
    return note_moved(kept, seen.moved | purposes, devices, draft.history.boot, name_month(draft.now.trust_us))


def _tell_network(
    held: HeldSite, network: confirm.Standing, traffic: Traffic, lacking: Mapping[str, str]
) -> dict[str, str]:
    """Say over which uplink the link goes, and which are at no device of the node.

    And how much of each budget is spent: in percent, to be told seldom.
    """
    uplink = find_uplink(network.uplinks, held.way)
    told = {"uplink": uplink} if uplink else {}
    spent = {
        f"uplink-{name}-spent": f"{find_percent(each, traffic.used)}%"
        for name, each in network.uplinks.items()
        if each.budget_bytes
    }
    return told | spent | {f"uplink-{name}-lacks": device for name, device in sorted(lacking.items())}


def _tell_held(item: instances.Wanted, held: HeldSite) -> InstanceFact:
    """Say of an instance that it is held, because the networks of its app cut the node off."""
    unit = item.assignment
    return InstanceFact(
        instance=assignment_instance(unit),
        node=held.node,
        revision=unit.revision,
        number=item.number,
        phase="held",
        reason=held.locked[app_id(unit)],
    )


def _closed(item: instances.Wanted, deferred: Deferred) -> str:
    app = app_id(item.assignment)
    return deferred.waiting[app] if app in deferred.stopped else ""


def _explain(fact: InstanceFact, draft: PlanDraft, image: Digest) -> InstanceFact:
    """Let an instance on its way say what is in its way, so that a person at the core sees it.

    Neither tries nor free bytes are counted here: a fact that changed with each look would cost a message each time.
    """
    if fact.phase not in ON_ITS_WAY:
        return fact
    if fact.phase == "waiting" and image in draft.too_large:
        return msgspec.structs.replace(fact, reason=f"disk full: its image needs {draft.too_large[image]} bytes")
    trouble = draft.history.troubles.get(instance_lane(fact.instance))
    if trouble is None or fact.reason:
        return fact
    return msgspec.structs.replace(fact, reason=f"{trouble.reason} ({trouble.code})")


def derive_wanted(held: HeldSite) -> tuple[dict[InstanceId, instances.Wanted], dict[UnitId, Underivable]]:
    """Derive every assignment of this node; return what is wanted, and which units cannot be followed and why."""
    name = held.site, held.node, held.returned
    arguments = (held.record, held.units, held.revisions, held.secrets, held.refused.keys())
    wanted, refused = _DERIVED.get(name, arguments, lambda: _derive_wanted(held))
    return dict(wanted), dict(refused)


def _derive_wanted(held: HeldSite) -> _DerivedUnits:
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
                    assignment=unit,
                    derived=derived,
                    number=revision.number,
                    internal=_internal_networks(revision),
                    plans=list_plans(revision, held.units),
                    policy=revision.services[unit.service].policy,
                    secret_limits=read_limits(revision),
                    in_site=_choose_order(revision, unit, held),
                    room=read_room(revision.services[unit.service]),
                    bandwidth=revision.services[unit.service].bandwidth or NO_BANDWIDTH,
                    copies=replicas_max(revision.services[unit.service].placement),
                    is_kept=is_kept_from_core(revision),
                    chains=revision.chains or (),
                    volumes=revision.volumes,
                    entrance=revision.services[unit.service].entrance or (),
                    certificates=find_certificates(revision, revision.services[unit.service], held.record, secrets),
                )
            case Underivable():
                refused[name] = derived
    settled, portless = settle_ports(wanted)
    return settle_companions(settled), {
        **refused,
        **{unit_id(wanted[name].assignment): why for name, why in portless.items()},
    }


def _choose_order(revision: AppRevision, unit: Assignment, held: HeldSite) -> InSite | UnsetType:
    """Return how its copies change: by its own word, which may differ on the way back, else by the app's."""
    service = revision.services[unit.service]
    if service.in_site_back and (unit.back or app_id(unit) in held.returned):
        return service.in_site_back
    return service.in_site or (revision.rollout.in_site if revision.rollout else UNSET)


def _hold_back(
    wanted: dict[InstanceId, instances.Wanted], held: dict[InstanceId, str]
) -> dict[InstanceId, instances.Wanted]:
    return {
        name: msgspec.structs.replace(item, held_why=held[name]) if name in held else item
        for name, item in wanted.items()
    }


def _internal_networks(revision: AppRevision) -> tuple[str, ...]:
    return tuple(sorted(name for name, network in revision.networks.items() if network.internal))


def _plan_withdrawn(
    draft: PlanDraft,
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
        if seen.state not in instances.LIVE and is_leaned_on(seen, observed.containers):
            continue
        draft.add(retire(seen))


def retire(seen: ContainerSeen) -> StopContainer | RemoveContainer:
    """Return the next step in getting rid of a container."""
    if seen.state in ("running", "paused", "stopping"):
        return StopContainer(container=seen.container, instance=seen.instance, grace_us=0)
    return RemoveContainer(container=seen.container, instance=seen.instance)


def _plan_refusals(held: HeldSite, refused: dict[UnitId, Underivable]) -> list[Fact]:
    facts: list[Fact] = [
        UnitFact(unit=name, code=held.refused[name][0], reason=held.refused[name][1]) for name in sorted(held.refused)
    ]
    facts.extend(UnitFact(unit=name, code="E-WITHDRAW", reason=held.unsigned[name]) for name in sorted(held.unsigned))
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
