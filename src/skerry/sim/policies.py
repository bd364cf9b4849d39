"""Invariants of what owners sign beyond what runs where: ground, room, hands at boxes, silence and secrets.

They stand beside those of ``checkers.py`` and ``effects.py``; I37 to I40 are of these words alone. Every judgement here
is made from signed words, the truth about links, and the map of ``grounds.py``.
"""

import re
from collections.abc import Callable, Iterator

from skerry.clock import SECOND_US
from skerry.model.app import Service
from skerry.model.document import Assignment
from skerry.model.geography import Region
from skerry.model.ids import AppName, InstanceId, TenantName, UnitId
from skerry.model.policy import Autonomy, Policy
from skerry.model.signed import SiteRecord
from skerry.plan.actions import Action, CreateContainer, RenewSecrets, StartContainer
from skerry.plan.site import derive_wanted
from skerry.sim.effects import Run
from skerry.sim.grounds import find_place, holds
from skerry.sim.parts import SimSite
from skerry.sim.rests import find_priority, is_above
from skerry.sim.windows import list_meanings
from skerry.sim.world import World
from skerry.store import events
from skerry.store.events import EventFilter, LoggedEvent
from skerry.store.scope import Scope

#: A site counts as cut off only after it has missed a few heartbeats, and a start takes a moment.
_AWAY_SLACK_US = 150 * SECOND_US
#: What the core decided is read so often.
_LOOK_US = 60 * SECOND_US
_PREEMPTED = re.compile(r"(\S+) leaves (\S+): it makes room for (\S+), which has priority (\d+) over its (\d+)")
_REPLACED = re.compile(r"(\S+) copy (\d+) comes to (\S+) in place of the one at (\S+), which is silent")


# --- before each effect ----------------------------------------------------------------------------------------------


def check_i28_nothing_starts_on_forbidden_ground(run: Run, site: SimSite, action: Action) -> str:
    """No placement, replica, cache, log or backup leaves its geofence, not for a moment and not on the core's order."""
    if not isinstance(action, CreateContainer | StartContainer) or site.machine.faults.slow_us:
        return ""  # what a slow runtime was asked for before the site was signed anew cannot be asked back
    record, unit = site.record, _find_meant(run, site, action)
    revision = None if unit is None else run.world.revisions.get(unit.revision)
    if record is None or unit is None or revision is None:
        return ""
    forbidden = find_forbidden(revision.services[unit.service], record)
    return f"{site.name} in {find_place(record)} starts {action.spec.id}: {forbidden}" if forbidden else ""


def find_forbidden(service: Service, record: SiteRecord) -> str:
    """Say by which word a site is forbidden ground for a service, by the map; empty when it is not."""
    rules = service.placement.rules
    if not rules:
        return ""
    if not all(holds(region, record) for region in rules.geofence):
        return "outside of its geofence"
    kept = {"logs", *(("volumes",) if any(mount.kind == "volume" for mount in service.mounts) else ())}
    for words in rules.residency:
        if words.covers and kept.isdisjoint(words.covers):
            continue
        if words.region != Region() and not holds(words.region, record):
            return "outside of its residency"
        if words.jurisdictions and record.labels.get("jurisdiction", "") not in words.jurisdictions:
            return "under another law than its residency's"
    return ""


def check_i38_what_a_person_stopped_stays_stopped(run: Run, site: SimSite, action: Action) -> str:
    """What a person at the box stopped stays stopped until somebody there says start, or its owner says otherwise."""
    if not isinstance(action, StartContainer):
        return ""
    key = (site.name, action.instance)
    stopped, unit = run.world.hands.stopped.get(key), find_unit(site, action.instance)
    if stopped is None or unit is None:
        return ""
    since = [signed for signed in run.world.signed.values() if signed.key == (unit.tenant, unit.app)]
    takes_back = (signed.at_us >= stopped.at_us and _grants_less(run.world, signed.digest) for signed in since)
    if unit.restart > stopped.counter or any(takes_back):
        del run.world.hands.stopped[key]
        return ""
    return f"{site.name} starts {action.instance}, which a person there has stopped"


def _grants_less(world: World, digest: str) -> bool:
    revision = world.revisions.get(digest)  # type: ignore[arg-type]
    services = () if revision is None else revision.services.values()
    return revision is None or any(find_autonomy(each).local_control != "full" for each in services)


def check_i40_secrets_end_with_their_time(run: Run, site: SimSite, action: Action) -> str:
    """A site that is cut off for longer than a secret's owner allows gives it to nothing that it starts."""
    if not isinstance(action, StartContainer | RenewSecrets) or not action.spec.secrets:
        return ""
    unit = _find_meant(run, site, action)
    revision = None if unit is None else run.world.revisions.get(unit.revision)
    limits = [use.policy.max_offline_us for use in revision.secrets.values() if use.policy] if revision else []
    # Time in which the machine was off does not count, and what passed before a reboot is known only roughly.
    away_us = min(run.world.silence.lasts_us(site.name, False, run.world.loop.now_us), site.clock.boot_us())
    if any(limits) and away_us > max(limits) + _AWAY_SLACK_US:
        return f"{site.name} gives {action.spec.id} a secret after {away_us // SECOND_US} s without its core"
    return ""


def _find_meant(run: Run, site: SimSite, action: CreateContainer | StartContainer | RenewSecrets) -> Assignment | None:
    """Return the assignment that an instance is made by: of the revision of before where it is made from that."""
    held = site.followed()
    item = None if held is None else derive_wanted(held)[0].get(action.spec.id)
    meanings = [] if item is None else list_meanings(run.world, site, item)
    made = (each.assignment for each in meanings if each.derived.digest == action.spec_digest)
    return next(made, find_unit(site, action.spec.id))


EFFECT_CHECKS: tuple[Callable[[Run, SimSite, Action], str], ...] = (
    check_i28_nothing_starts_on_forbidden_ground,
    check_i38_what_a_person_stopped_stays_stopped,
    check_i40_secrets_end_with_their_time,
)


# --- at each step: what the core has decided since the one before ----------------------------------------------------


class Decisions:
    """Reads what the core tells of its placements, each once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._after: dict[TenantName, int] = {}
        self._looked_us = 0

    def judge(self) -> Iterator[tuple[str, str]]:
        """Judge what is new: pairs of invariant and complaint."""
        world = self._world
        if not world.core.running or world.loop.now_us < self._looked_us + _LOOK_US:
            return
        for tenant in sorted(world.people.tenants):
            after = self._after.get(tenant, 0)
            scope = Scope(tenant=tenant)
            for each in events.list_events(world.core.view, scope, after, 1_000, EventFilter(kind="placement.")):
                self._after[tenant] = each.id
                complaint = self._judge_one(each)
                if complaint:
                    yield complaint
        self._looked_us = world.loop.now_us

    def forget(self) -> None:
        """The core was set back: its log begins anew somewhere."""
        self._after = {}

    def _judge_one(self, logged: LoggedEvent) -> tuple[str, str] | None:
        tenant = TenantName(logged.event.tenant)
        app = AppName(logged.event.subject.partition("/")[2])
        preempted = _PREEMPTED.fullmatch(logged.event.message)
        replaced = _REPLACED.fullmatch(logged.event.message)
        detail = ""
        if preempted is not None:
            detail = self._judge_preempted(tenant, app, preempted)
            return ("I37", f"{logged.event.message}: {detail}") if detail else None
        if replaced is not None:
            detail = self._judge_replaced(tenant, app, replaced)
        return ("I39", f"{logged.event.message}: {detail}") if detail else None

    def _judge_preempted(self, tenant: TenantName, app: AppName, said: re.Match[str]) -> str:
        """Room is taken only by a higher priority of the same tenant, of what its owner calls preemptible (I37)."""
        by_tenant, by_app, by_service, _ = said[3].split("/")
        if by_tenant != tenant:
            return "it is another tenant's"
        victims = [find_priority(each) for each in self._list(tenant, app, said[1])]
        takers = [find_priority(each) for each in self._list(tenant, AppName(by_app), by_service)]
        pairs = [
            (one, other)
            for one in takers
            for other in victims
            if (one.value, other.value) == (int(said[4]), int(said[5]))
        ]
        return "" if any(is_above(*pair) for pair in pairs) else "no signed words let it"

    def _judge_replaced(self, tenant: TenantName, app: AppName, said: re.Match[str]) -> str:
        """A copy gets a second one only where its owner bears that, and after the silence that he named (I39)."""
        world = self._world
        waits = [find_autonomy(each).replace_after_us for each in self._list(tenant, app, said[1])]
        if not any(waits):
            return "its owner never said replace-after"
        home = next(name for name in world.sites if name == said[4])
        silent_us = world.silence.longest_us(home, True, self._looked_us, world.loop.now_us)
        least_us = min(wait for wait in waits if wait)
        return (
            ""
            if silent_us >= least_us
            else f"it was silent for {silent_us // SECOND_US} s, not {least_us // SECOND_US}"
        )

    def _list(self, tenant: TenantName, app: AppName, service: str) -> list[Service]:
        """Every service of that name that its owner ever signed."""
        revisions = [each for each in self._world.revisions.values() if (each.tenant, each.app) == (tenant, app)]
        return [each for revision in revisions for name, each in revision.services.items() if name == service]


def find_doubles(world: World) -> str:
    """Say which copy runs at two sites although both are heard (I39); empty when none does.

    Under ``withdraw: tenant`` no core may end a copy, so those that a smaller wish left over stay where they are. Only
    what stands in for another may be ended, and has to be. Sites that went back to an older revision keep what they
    have.
    """
    newest = {(each.tenant, each.app): 0 for each in world.revisions.values()}
    for each in world.revisions.values():
        newest[each.tenant, each.app] = max(newest[each.tenant, each.app], each.number)
    seen: dict[str, tuple[str, bool]] = {}
    for name, site in sorted(world.sites.items()):
        held = site.followed()
        for unit in held.units.values() if held is not None else ():
            if not isinstance(unit, Assignment):
                continue
            revision = world.revisions.get(unit.revision)
            if revision is None or not revision.services[unit.service].placement.replicas.total:
                continue
            if revision.number < newest[unit.tenant, unit.app]:
                continue
            copy = f"{unit.tenant}/{unit.app}/{unit.service}/{unit.ordinal}"
            may_end = revision.withdraw != "tenant" or bool(unit.instead_of)
            other, other_may_end = seen.setdefault(copy, (name, may_end))
            if other != name and (may_end or other_may_end):
                return f"{copy} is wanted at {other} and at {name}"
    return ""


def forget_what_left(world: World) -> None:
    """What a person said of an instance ends when its site is not to have it any more: what comes later is another."""
    for name, instance in list(world.hands.stopped):
        site = world.sites[name]
        if site.followed() is not None and find_unit(site, instance) is None:
            del world.hands.stopped[name, instance]


def find_unit(site: SimSite, instance: InstanceId) -> Assignment | None:
    """The assignment of an instance in what its site follows."""
    held = site.followed()
    unit = None if held is None else held.units.get(UnitId(f"assignment/{instance}"))
    return unit if isinstance(unit, Assignment) else None


def find_autonomy(service: Service) -> Autonomy:
    """What the owner of a service wishes of sites that are cut off."""
    return (service.policy or Policy()).autonomy
