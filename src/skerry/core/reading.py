"""Reading a tenant's apps: lists, details, history, why, and how far long work has come."""

import msgspec

from skerry.core import views
from skerry.core.auth import Caller
from skerry.core.refusals import not_found
from skerry.core.state import Core, Part
from skerry.model.answers import (
    AppDetail,
    AppSummary,
    Condition,
    InstanceView,
    OperationView,
    Page,
    PlaceView,
    RejectionView,
    RevisionSummary,
    Why,
)
from skerry.model.asks import InstanceQuery, PageQuery, WhyQuery
from skerry.model.ids import AppName, Digest
from skerry.model.signed import Envelope
from skerry.plan.placement.why import explain_site
from skerry.plan.snapshot import FleetSnapshot
from skerry.store import Connection, apps, events, facts, fleet, objects
from skerry.store.events import EventFilter
from skerry.store.rows import read_page_token, write_page_token

#: Events shown at the end of a detail (interfaces.md §1.1).
EVENTS_SHOWN = 10
#: Instances whose trouble is told by `why`; a person reads no more, and a listing has all.
TROUBLES_MAX = 20
#: Above every number an app can have: where a listing from the newest down begins.
_TOP = 2**63 - 1


class ReadingPart(Part):
    """Operations that show a tenant's apps."""

    async def list_apps(self, caller: Caller, *, query: PageQuery) -> Page[AppSummary]:
        """List apps that have not ended, by name."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[AppSummary]:
            rows = apps.list_apps(connection, caller.scope, position[0] if position else "", query.page_size + 1)
            summaries = _summarise(self._core, connection, caller, rows[: query.page_size])
            shown = tuple(each for each in summaries if each.state != "ended" or each.wanted)
            more = len(rows) > query.page_size
            return Page(items=shown, next_page_token=write_page_token(rows[-2].app) if more else "")

        return await self._core.db.read(job)

    async def show_app(self, caller: Caller, *, app: str) -> AppDetail:
        """Show one app; an ended one too, whose number its next revision must follow."""

        def job(connection: Connection) -> AppDetail:
            row = apps.find_app(connection, caller.owner(), app)
            if row is None:
                raise not_found()
            report = apps.read_reports(connection, row.tenant, app).get(row.app)
            instances = views.read_instances(self._core, connection, caller.scope, app=app)
            envelope = objects.read_object(connection, Digest(row.revision_digest)) if row.revision_number else None
            revision = None if envelope is None else fleet.decode_revision(envelope)
            logged = events.last_events(connection, caller.scope, EVENTS_SHOWN, EventFilter(app=app))
            return AppDetail(
                summary=views.summarise_app(row, instances, report),
                digest=Digest(row.revision_digest),
                description="" if revision is None else revision.description,
                labels={} if revision is None else revision.labels,
                services=() if revision is None else tuple(sorted(revision.services)),
                instances=tuple(each.view for each in instances),
                unplaced=views.list_unplaced(report) if row.revision_number else (),
                conditions=_list_conditions(connection, caller, row, instances),
                events=tuple(views.cloud_event(each) for each in logged),
            )

        return await self._core.db.read(job)

    async def list_revisions(self, caller: Caller, *, app: str, query: PageQuery) -> Page[RevisionSummary]:
        """List an app's numbers, newest first."""
        position = read_page_token(query.page_token, 1, 0)

        def job(connection: Connection) -> Page[RevisionSummary]:
            row = apps.find_app(connection, caller.owner(), app)
            if row is None:
                raise not_found()
            below = int(position[0]) if position else _TOP
            rows = apps.list_revisions(connection, row.tenant, app, below, query.page_size + 1)
            shown = rows[: query.page_size]
            held = objects.read_objects(connection, [each.digest for each in shown])
            items = tuple(_summarise_revision(each, held.get(each.digest), row) for each in shown)
            more = len(rows) > query.page_size
            return Page(items=items, next_page_token=write_page_token(shown[-1].number) if more else "")

        return await self._core.db.read(job)

    async def read_revision(self, caller: Caller, *, app: str, number: int) -> Envelope:
        """Return one number of an app's line as it was signed."""

        def job(connection: Connection) -> Envelope:
            row = apps.find_revision(connection, caller.owner(), app, number)
            envelope = None if row is None else objects.read_object(connection, row.digest)
            if envelope is None:
                raise not_found()
            return envelope

        return await self._core.db.read(job)

    async def explain_app(self, caller: Caller, *, app: str, query: WhyQuery) -> Why:
        """Say why instances are where they are, or why a site holds none."""
        tenant = caller.owner()

        def job(connection: Connection) -> tuple[Why, FleetSnapshot | None]:
            row = apps.find_app(connection, tenant, app)
            if row is None:
                raise not_found()
            report = apps.read_reports(connection, tenant, app).get(row.app)
            found = report or apps.AppReport(tenant=tenant, app=row.app, number=0)
            why = Why(
                app=row.app,
                number=found.number,
                placed=tuple(
                    PlaceView(**msgspec.structs.asdict(each)) for each in found.placed if _chosen(query, each)
                ),
                unplaced=tuple(each for each in views.list_unplaced(found) if _chosen(query, each)),
                rejections=tuple(
                    RejectionView(service=refused.service, **msgspec.structs.asdict(each))
                    for refused in found.refused
                    if query.service in ("", refused.service)
                    for each in refused.rejections
                    if query.site in ("", each.site)
                ),
                notes=_list_troubles(connection, caller, app, query),
            )
            if not query.site:
                return why, None
            core = self._core
            return why, fleet.load_snapshot(connection, frozenset(), core.clock.wall_us(), core.round_trips())

        why, snapshot = await self._core.db.read(job)
        if snapshot is None:
            return why
        explained = await self._core.beside.work(
            lambda: explain_site(snapshot, tenant, AppName(app), query.site, query.service)
        )
        if explained is None:
            raise not_found()
        rejections = tuple(
            RejectionView(service=service, **msgspec.structs.asdict(each)) for service, each in explained.rejections
        )
        return msgspec.structs.replace(why, rejections=rejections, notes=(*why.notes, *explained.notes))

    async def list_instances(self, caller: Caller, *, query: InstanceQuery) -> Page[InstanceView]:
        """List instances by app, service, ordinal and site."""
        position = read_page_token(query.page_token, 4, 2)

        def job(connection: Connection) -> Page[InstanceView]:
            chosen = (query.site,) if query.site else ()
            found = views.read_instances(self._core, connection, caller.scope, app=query.app, sites=chosen)
            instances = [each.view for each in found]
            if position is not None:
                behind = (position[0], position[1], int(position[2]), position[3])
                instances = [each for each in instances if _place(each) > behind]
            more = len(instances) > query.page_size
            shown = instances[: query.page_size]
            return Page(items=tuple(shown), next_page_token=write_page_token(*_place(shown[-1])) if more else "")

        return await self._core.db.read(job)

    async def list_operations(self, caller: Caller, *, query: PageQuery) -> Page[OperationView]:
        """List long work, newest first."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[OperationView]:
            before = position[0] if position else ""
            rows = apps.list_operations(connection, caller.scope, before, query.page_size + 1)
            shown = rows[: query.page_size]
            items = tuple(_view_operation(self._core, connection, caller, row) for row in shown)
            more = len(rows) > query.page_size
            return Page(items=items, next_page_token=write_page_token(shown[-1].operation) if more else "")

        return await self._core.db.read(job)

    async def show_operation(self, caller: Caller, *, operation: str) -> OperationView:
        """Show how far one piece of long work has come."""

        def job(connection: Connection) -> OperationView:
            row = apps.find_operation(connection, caller.scope, operation)
            if row is None:
                raise not_found()
            return _view_operation(self._core, connection, caller, row)

        return await self._core.db.read(job)


def read_summaries(core: Core, connection: Connection, caller: Caller) -> list[AppSummary]:
    """Sum all of the caller's apps up."""
    return _summarise(core, connection, caller, apps.list_apps(connection, caller.scope))


def summarise_app_named(core: Core, connection: Connection, caller: Caller, app: AppName) -> AppSummary | None:
    """Sum one of the caller's apps up; None when there is none of that name."""
    row = apps.find_app(connection, caller.owner(), app)
    return None if row is None else _summarise(core, connection, caller, [row])[0]


def _summarise(core: Core, connection: Connection, caller: Caller, rows: list[apps.AppRow]) -> list[AppSummary]:
    if not rows:
        return []
    reports = apps.read_reports(connection, caller.owner())
    instances: dict[AppName, list[views.Instance]] = {}
    only = rows[0].app if len(rows) == 1 else ""
    for each in views.read_instances(core, connection, caller.scope, app=only):
        instances.setdefault(each.view.app, []).append(each)
    return [views.summarise_app(row, instances.get(row.app, []), reports.get(row.app)) for row in rows]


def _summarise_revision(row: apps.RevisionRow, envelope: Envelope | None, app: apps.AppRow) -> RevisionSummary:
    revision = fleet.decode_revision(envelope) if envelope is not None and row.kind == "revision" else None
    return RevisionSummary(
        number=row.number,
        kind=row.kind,
        digest=row.digest,
        current=row.number == app.revision_number,
        source="" if revision is None else revision.source,
        description="" if revision is None else revision.description,
        actor=row.actor,
        recorded_us=row.recorded_us,
    )


def _view_operation(core: Core, connection: Connection, caller: Caller, row: apps.OperationRow) -> OperationView:
    app = apps.find_app(connection, row.tenant, row.app)
    report = apps.read_reports(connection, row.tenant, row.app).get(row.app)
    instances = views.read_instances(core, connection, caller.scope, app=row.app)
    return views.view_operation(row, app, instances, report, core.planned)


def _list_conditions(
    connection: Connection, caller: Caller, row: apps.AppRow, instances: list[views.Instance]
) -> tuple[Condition, ...]:
    """Say what is worth a person's eye, worst first."""
    found: list[Condition] = []
    if row.lost:
        reason = f"a site has revision {row.evidence_number}, the core knows {row.known_number}: apply the app again"
        found.append(Condition(kind="lost", reason=reason))
    for site, fact in facts.list_unit_facts(connection, caller.scope, app=row.app):
        found.append(Condition(kind="refused", reason=f"{site} refuses {fact.unit}: {fact.reason} ({fact.code})"))
    away = sorted({each.view.site for each in instances if each.wanted and each.view.site_state == "silent"})
    if away:
        found.append(Condition(kind="silent", reason=f"not heard from {', '.join(away[:5])}{' …' * (len(away) > 5)}"))
    return tuple(found)


def _list_troubles(connection: Connection, caller: Caller, app: str, query: WhyQuery) -> tuple[str, ...]:
    """Say of instances that are not as wished why, by their sites' word."""
    found = facts.list_instance_facts(connection, caller.scope, app=app, sites=(query.site,) if query.site else ())
    troubled: list[str] = []
    for site, fact in found:
        _, _, service, ordinal = fact.instance.split("/")
        if fact.reason and fact.phase not in ("ready", "done") and query.service in ("", service):
            troubled.append(f"{service}.{ordinal} at {site} is {fact.phase}: {fact.reason}")
    more = len(troubled) - TROUBLES_MAX
    return (*troubled[:TROUBLES_MAX], *((f"{more} more are not as wished: skerry app show {app}",) if more > 0 else ()))


def _chosen(query: WhyQuery, each: object) -> bool:
    service, site = getattr(each, "service", ""), getattr(each, "site", None)
    return query.service in ("", service) and query.site in ("", site)


def _place(view: InstanceView) -> tuple[str, str, int, str]:
    return (view.app, view.service, view.ordinal, view.site)
