"""What is wanted beside what is: answers computed from wishes and facts in one read, never stored.

An instance is *ready* when its site says so of exactly the revision that is wanted, in a fact that stands on the newest
document: an old *ready* does not answer a new wish.
"""

import datetime
from collections.abc import Collection

import msgspec

from skerry.core.state import Core
from skerry.core.wishes import app_state
from skerry.model.answers import (
    AppSummary,
    CloudEvent,
    InstanceView,
    NodeView,
    OperationView,
    SiteState,
    Unplaced,
)
from skerry.model.document import Assignment, assignment_instance
from skerry.model.facts import InstanceFact, NodeFact
from skerry.model.ids import AppName, InstanceId, NodeName, ServiceName, SiteName
from skerry.model.signed import SiteRecord
from skerry.plan.report import AppReport
from skerry.store import Connection, apps, documents, facts
from skerry.store import sites as site_store
from skerry.store.apps import AppRow, OperationRow
from skerry.store.events import LoggedEvent
from skerry.store.scope import Scope
from skerry.trust.keys import key_id

_READY = ("ready", "done")
_SITES_NAMED_MAX = 1_000


class Instance(msgspec.Struct, frozen=True):
    """An instance as shown, and whether it is as wanted."""

    view: InstanceView
    ready: bool
    #: Part of the newest wish; False for what a site still reports.
    wanted: bool


def site_state(core: Core, state: site_store.SiteState) -> SiteState:
    """Say in one word how a site is."""
    if state.session_epoch == 0:
        return "joining"
    return core.liveness(state.site)


def read_instances(
    core: Core, connection: Connection, scope: Scope, *, app: str = "", sites: Collection[str] = ()
) -> list[Instance]:
    """Merge assignments and facts, in the order of app, service, ordinal and site."""
    wanted = {
        (site, assignment_instance(unit)): unit
        for site, unit in documents.list_assignments(connection, scope, app=app, sites=sites)
    }
    seen = {
        (site, fact.instance): fact for site, fact in facts.list_instance_facts(connection, scope, app=app, sites=sites)
    }
    numbers = apps.read_numbers(connection, {unit.revision for unit in wanted.values()})
    involved = {site for site, _ in wanted.keys() | seen.keys()}
    # Beyond some sites it is cheaper to read all than to name each, and SQLite's placeholders have an end.
    few = len(involved) <= _SITES_NAMED_MAX
    states = site_store.read_states(connection, involved if few else None)
    told = facts.read_site_facts(connection, involved if few else ()) if involved else {}
    found: list[Instance] = []
    for site, instance in wanted.keys() | seen.keys():
        unit, fact = wanted.get((site, instance)), seen.get((site, instance))
        state = states[site]
        about = told.get(site, ([], None))[1]
        current = not state.pending and about is not None and about.generation >= state.generation
        number = 0 if unit is None else numbers.get(unit.revision, 0)
        view = _view(site, instance, unit, fact, site_state(core, state), number)
        found.append(Instance(view, _is_ready(unit, fact) and current, unit is not None))
    found.sort(key=lambda each: (each.view.app, each.view.service, each.view.ordinal, each.view.site))
    return found


def summarise_app(row: AppRow, instances: list[Instance], report: AppReport | None) -> AppSummary:
    """Sum an app up in one line."""
    wanted = [each for each in instances if each.wanted]
    return AppSummary(
        app=row.app,
        number=row.number,
        revision=row.revision_number,
        state=app_state(row),
        wanted=len(wanted),
        ready=sum(each.ready for each in wanted),
        refused=0 if report is None or not row.revision_number else len(report.refused),
        sites=len({each.view.site for each in wanted}),
        changed_us=row.changed_us,
    )


def is_as_wanted(summary: AppSummary) -> bool:
    """Say whether nothing of the app is missing, refused or lost."""
    return summary.state != "lost" and summary.ready == summary.wanted and not summary.refused


def list_unplaced(report: AppReport | None) -> tuple[Unplaced, ...]:
    """Return what has no place, from the newest report."""
    refused = () if report is None else report.refused
    return tuple(Unplaced(service=each.service, site=each.site, reason=each.reason) for each in refused)


def view_operation(
    row: OperationRow, app: AppRow | None, instances: list[Instance], report: AppReport | None, planned: int
) -> OperationView:
    """Compute how far long work has come; ``planned`` is the version that the newest plan stands on."""
    ended = app is None or not app.revision_number
    chosen = [each for each in instances if each.wanted or (ended and each.view.phase)]
    waiting = [each for each in chosen if not each.ready]
    silent = sum(each.view.site_state != "online" for each in waiting)
    considered = planned >= row.version
    refused = len(report.refused) if considered and report is not None and not ended else 0
    moved_on = app is not None and app.number > row.number
    over = considered and len(waiting) == silent and not refused
    return OperationView(
        operation=row.operation,
        kind=row.kind,
        app=row.app,
        number=row.number,
        state="superseded" if moved_on else "done" if over else "running",
        wanted=len(chosen),
        ready=len(chosen) - len(waiting),
        silent=silent,
        refused=refused,
        started_us=row.started_us,
        cause=row.cause,
    )


def view_node(record: SiteRecord, name: NodeName, fact: NodeFact | None) -> NodeView:
    """Show a node of a site's record beside what it reported of itself."""
    node = record.nodes[name]
    view = NodeView(
        node=name,
        key_class=node.key_class,
        device_key=key_id(node.device),
        sealing_key=key_id(node.sealing),
        reported=fact is not None,
    )
    return view if fact is None else msgspec.structs.replace(view, **msgspec.structs.asdict(fact))


def cloud_event(logged: LoggedEvent) -> CloudEvent:
    """Write an event as CloudEvents has it."""
    event = logged.event
    return CloudEvent(
        id=str(logged.id),
        source=f"/sites/{logged.site}" if logged.site else "/core",
        type=f"dev.skerry.{event.type}.v1",
        subject=event.subject,
        time=_write_time(event.time_us),
        cause=event.cause,
        sequence=event.sequence,
        data=event.data | ({"message": event.message} if event.message else {}),
    )


def _write_time(wall_us: int) -> str:
    """Write RFC 3339; a clock beyond the calendar is shown as its beginning rather than refused."""
    try:
        found = datetime.datetime.fromtimestamp(wall_us / 1_000_000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        found = datetime.datetime.fromtimestamp(0, datetime.UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_ready(unit: Assignment | None, fact: InstanceFact | None) -> bool:
    if unit is None or fact is None or fact.revision != unit.revision:
        return False
    return fact.phase == "held" if unit.state == "hold" else fact.phase in _READY


def _view(
    site: SiteName,
    instance: InstanceId,
    unit: Assignment | None,
    fact: InstanceFact | None,
    state: SiteState,
    number: int,
) -> InstanceView:
    _, app, service, ordinal = instance.split("/")
    node = fact.node if unit is None and fact is not None else unit.node if unit is not None else ""
    view = InstanceView(
        instance=instance,
        app=AppName(app),
        service=ServiceName(service),
        ordinal=int(ordinal),
        site=site,
        node=node,  # type: ignore[arg-type]
        site_state=state,
        wanted=number,
        reported=0 if fact is None else fact.number,
        phase="unknown" if fact is None else fact.phase,
    )
    if fact is None:
        return view
    return msgspec.structs.replace(
        view, health=fact.health, reason=fact.reason, restarts=fact.restarts, ports=fact.ports
    )
