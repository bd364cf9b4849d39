"""``plan_fleet``: from every wish and every site to one map of units per site, with reasons.

Pure and total: the same snapshot gives the same plan in any order of its sites and apps, and planning again with the
result yields nothing new. A map is complete; the core gives it a generation only when it differs from the one before
and the site asks for it (core/delivery.py), so what a site holds is never behind what the core remembers having sent.
"""

from collections.abc import Iterable

import msgspec

from skerry.model.app import ImageRef
from skerry.model.document import Assignment, ImageHold, RevisionNotice, SecretHold, Unit, unit_id
from skerry.model.ids import InstanceId, SecretName, SiteName, TenantName, UnitId, instance_id
from skerry.model.site_match import service_unmet
from skerry.model.withdrawal import is_kept_from_core
from skerry.plan.notices import notify_revisions, notify_tombstones
from skerry.plan.placement.drain import find_wake
from skerry.plan.placement.seats import seat_all
from skerry.plan.placement.table import Table
from skerry.plan.report import AppReport, Change, Preempted
from skerry.plan.rollout import Progress
from skerry.plan.seeds import find_end, list_seeded
from skerry.plan.snapshot import FleetSnapshot, SiteView
from skerry.plan.stretching import stretch_networks
from skerry.plan.waves import settle_rollouts

#: Rounds until nothing changes. The second one shows that the first was stable; more are needed only when room that
#: one app gave back lets another one move, which two further rounds have always been enough for.
ROUNDS_MAX = 6
#: Links measure round trips every quarter of an hour at most; a third of it is soon enough to see one.
LATENCY_LOOK_US = 300_000_000

#: Who made room for others in a plan, by the place that it had.
Yielded = dict[tuple[SiteName, InstanceId], Preempted]


class SiteUnits(msgspec.Struct, frozen=True):
    """Everything one site should do: its whole new map of units."""

    site: SiteName
    units: dict[UnitId, Unit]


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish and why."""

    #: Version of the snapshot this stands on.
    version: int
    #: Only sites whose map differs from the present one, in the order of their names.
    documents: tuple[SiteUnits, ...]
    reports: tuple[AppReport, ...]
    changes: tuple[Change, ...]
    #: Learning sites about which the core knows enough again (``is_understood``).
    understood: tuple[SiteName, ...] = ()
    notes: tuple[str, ...] = ()
    #: Rollouts that came further.
    rollouts: tuple[Progress, ...] = ()
    #: Wall time at which a rollout is to be looked at again; 0 for none.
    wake_us: int = 0
    #: Instances that this plan makes yield to others of a higher priority.
    yielded: Yielded = {}
    #: Instances that this plan adds in place of those at a silent site, each with that site.
    replaced: dict[tuple[SiteName, InstanceId], SiteName] = {}


def plan_fleet(snapshot: FleetSnapshot) -> FleetPlan:
    """Plan the whole fleet. Nothing here depends on chance, and on time only how long a canary bakes."""
    before = {view.site: view.units for view in snapshot.sites}
    waves = settle_rollouts(snapshot)
    snapshot = waves.snapshot
    current = snapshot
    reports: tuple[AppReport, ...] = ()
    yielded: Yielded = {}
    replaced: dict[tuple[SiteName, InstanceId], SiteName] = {}
    wake_us = 0
    for _ in range(ROUNDS_MAX):
        planned, reports, table = _plan_once(current)
        yielded |= _list_yielded(table)
        replaced |= table.replaced
        if all(planned[view.site] == view.units for view in current.sites if not view.learning):
            wake_us = table.wake_us
            break
        current = _with_units(current, planned, reports)
    after = {view.site: view.units for view in current.sites}
    changed = [site for site in sorted(after) if after[site] != before[site]]
    return FleetPlan(
        version=snapshot.version,
        yielded=yielded,
        replaced=replaced,
        documents=tuple(SiteUnits(site, after[site]) for site in changed),
        reports=reports,
        changes=tuple(change for site in changed for change in compare_units(site, before[site], after[site], yielded)),
        understood=tuple(
            sorted(view.site for view in snapshot.sites if view.learning and is_understood(view, snapshot))
        ),
        notes=_note(snapshot),
        rollouts=waves.progress,
        wake_us=_find_wake(
            (waves.wake_us, wake_us, find_end(snapshot.seeds, snapshot.now_us)), reports, snapshot.now_us
        ),
    )


def compare_units(
    site: SiteName,
    before: dict[UnitId, Unit],
    after: dict[UnitId, Unit],
    yielded: Yielded | None = None,
) -> tuple[Change, ...]:
    """Say what differs between two maps of a site, for people: instances only."""
    changes: list[Change] = []
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        unit = new or old
        if not isinstance(unit, Assignment):
            continue
        instance = instance_id(unit.tenant, unit.app, unit.service, unit.ordinal)
        if old is None:
            stands_in = f", in place of the one at {unit.instead_of}, which is silent" if unit.instead_of else ""
            changes.append(Change(kind="add", site=site, instance=instance, detail=f"on {unit.node}{stands_in}"))
        elif new is None:
            taken = (yielded or {}).get((site, instance))
            makes_room = "" if taken is None else f": {describe_yielded(taken)}"
            changes.append(Change(kind="remove", site=site, instance=instance, detail=f"from {unit.node}{makes_room}"))
        elif old != new and isinstance(old, Assignment) and isinstance(new, Assignment):
            changes.append(Change(kind="change", site=site, instance=instance, detail=_describe(old, new)))
        else:
            changes.append(Change(kind="keep", site=site, instance=instance, detail=f"on {unit.node}"))
    return tuple(changes)


def describe_yielded(taken: Preempted) -> str:
    """Say for whom an instance makes room, and why it and no other has to."""
    return f"it makes room for {taken.by}, which has priority {taken.over} over its {taken.priority}"


def is_understood(view: SiteView, snapshot: FleetSnapshot) -> bool:
    """Say whether the core again knows a wish at least as new for everything a learning site reports.

    Then its owners have spoken since (applied or deleted), and publishing orders nothing out of mere ignorance.
    """
    if not view.learning or not view.facts_current:
        return False
    numbers = {(wish.tenant, wish.app): wish.number for wish in snapshot.apps}
    for fact in view.instances:
        tenant, app, _, _ = fact.instance.split("/")
        if numbers.get((tenant, app), 0) < fact.number:  # type: ignore[arg-type]
            return False
    return True


def _list_yielded(table: Table) -> Yielded:
    return {
        (each.site, instance_id(*key, each.service, each.ordinal)): each
        for key, taken in table.yielded.items()
        for each in taken
    }


def _plan_once(
    snapshot: FleetSnapshot,
) -> tuple[dict[SiteName, dict[UnitId, Unit]], tuple[AppReport, ...], Table]:
    table = Table(snapshot)
    seated, reports = seat_all(table)
    planned: dict[SiteName, dict[UnitId, Unit]] = {}
    stretched = stretch_networks(snapshot, seated)
    keeps = any(map(is_kept_from_core, snapshot.revisions.values()))
    for view in snapshot.sites:
        if view.learning:
            planned[view.site] = view.units
            continue
        units: list[Unit] = list(seated.get(view.site, ()))
        units += _hold_images(view, seated.get(view.site, []), snapshot)
        units += _hold_secrets(view, seated.get(view.site, []), snapshot)
        units += notify_tombstones(view, snapshot)
        units += notify_revisions(view, seated.get(view.site, ()), snapshot) if keeps or _is_told(view) else ()
        units += stretched.get(view.site, [])
        planned[view.site] = {unit_id(unit): unit for unit in sorted(units, key=unit_id)}
    return planned, reports, table


def _is_told(view: SiteView) -> bool:
    return any(isinstance(unit, RevisionNotice) for unit in view.units.values())


def _hold_images(view: SiteView, assignments: list[Assignment], snapshot: FleetSnapshot) -> list[Unit]:
    """Hold what the assignments run from, what a rollout will bring next, and what is wanted ahead of need."""
    images: list[ImageRef] = []
    for assignment in assignments:
        revision = snapshot.revisions.get(assignment.revision)
        service = None if revision is None else revision.services.get(assignment.service)
        images += [] if service is None else [service.image]
    for wish in snapshot.apps:
        if wish.prefetch and view.site in wish.waiting and wish.revision is not None:
            services = snapshot.revisions[wish.revision].services.values()
            images += [each.image for each in services if not service_unmet(each, view.record)]
    images += list_seeded(view, snapshot.seeds, snapshot.now_us)
    return list({image.digest: ImageHold(image.digest, image.config, image.size_bytes) for image in images}.values())


def _hold_secrets(view: SiteView, assignments: list[Assignment], snapshot: FleetSnapshot) -> list[Unit]:
    """Hold the newest version sealed for every node that needs it; until there is one, the version held before."""
    users: dict[tuple[TenantName, SecretName], set[str]] = {}
    for assignment in assignments:
        revision = snapshot.revisions.get(assignment.revision)
        if revision is None or assignment.service not in revision.services:
            continue
        for source in revision.services[assignment.service].secret_sources:
            name = revision.secrets[source].name
            users.setdefault((assignment.tenant, name), set()).add(assignment.node)
    present = {(unit.tenant, unit.name): unit for unit in view.units.values() if isinstance(unit, SecretHold)}
    holds: list[Unit] = []
    for (tenant, name), nodes in sorted(users.items()):
        wish = snapshot.secrets.get((tenant, name))
        keys = {view.sealing.get(node) for node in view.record.nodes if node in nodes}
        if wish is not None and keys <= wish.sealed_for:
            holds.append(SecretHold(tenant, name, wish.digest))
        elif (tenant, name) in present:
            holds.append(present[tenant, name])
    return holds


def _with_units(
    snapshot: FleetSnapshot, planned: dict[SiteName, dict[UnitId, Unit]], reports: Iterable[AppReport]
) -> FleetSnapshot:
    preempted = {(report.tenant, report.app): report.preempted for report in reports}
    apps = tuple(
        wish
        if wish.preempted == preempted.get((wish.tenant, wish.app), ())
        else msgspec.structs.replace(wish, preempted=preempted.get((wish.tenant, wish.app), ()))
        for wish in snapshot.apps
    )
    sites = tuple(
        view
        if planned[view.site] == view.units
        else msgspec.structs.replace(view, units=planned[view.site], acknowledged=False)
        for view in snapshot.sites
    )
    return msgspec.structs.replace(snapshot, sites=sites, apps=apps)


def _find_wake(due_us: tuple[int, ...], reports: tuple[AppReport, ...], now_us: int) -> int:
    """Return when to plan again because of time alone, also for a round trip that was in the way; 0 for never."""
    words = (each.constraint for report in reports for refused in report.refused for each in refused.rejections)
    look_us = now_us + LATENCY_LOOK_US if "latency" in words else 0
    return min(filter(None, (*due_us, find_wake(reports, now_us), look_us)), default=0)


def _describe(old: Assignment, new: Assignment) -> str:
    parts: list[str] = []
    if old.revision != new.revision:
        parts.append("new revision")
    if old.node != new.node:
        parts.append(f"from {old.node} to {new.node}")
    if old.state != new.state:
        parts.append("paused" if new.state == "hold" else "resumed")
    if old.restart != new.restart:
        parts.append("started afresh")
    if old.instead_of and not new.instead_of:
        parts.append(f"stands in for the one at {old.instead_of} no more")
    return ", ".join(parts)


def _note(snapshot: FleetSnapshot) -> tuple[str, ...]:
    notes: list[str] = []
    for view in sorted(snapshot.sites, key=lambda item: item.site):
        if view.learning:
            notes.append(f"{view.site} holds a newer document than the core knows: nothing is published to it")
        unheard = sorted(node for node in view.record.nodes if node not in view.nodes)
        notes += [f"{view.site}/{node} has not reported its size: everything is admitted there" for node in unheard]
    return tuple(notes)
