"""Apps: the number line of signed revisions and tombstones, what is wished of each app, and the newest report."""

from collections.abc import Collection
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from skerry.model.ids import AppName, CauseId, Digest, OperationId, PlanId, ServiceName, TenantName
from skerry.plan.report import AppReport, Preempted
from skerry.store.rows import named, put_row
from skerry.store.schema import APPS, OPERATIONS, PLANS, REPORTS, RESTARTS, REVISIONS
from skerry.store.scope import Scope, owned

_APP = select(APPS).where(named(APPS, "tenant", "app"))
_ALL_APPS = select(APPS).order_by(APPS.c.tenant, APPS.c.app)
_REVISION = select(REVISIONS).where(named(REVISIONS, "tenant", "app", "number"))
_RESTARTS = select(RESTARTS).where(named(RESTARTS, "tenant", "app"))
_ALL_RESTARTS = select(RESTARTS)
_ALL_REPORTS = select(REPORTS.c.body)
_REPORTS = select(REPORTS).where(named(REPORTS, "tenant"))
_REPORT = _REPORTS.where(named(REPORTS, "app"))
_TRIM_PLANS = delete(PLANS).where(PLANS.c.made_us < bindparam("oldest_us"))

OperationKind = Literal["apply", "delete", "pause", "resume", "restart"]


class AppRow(msgspec.Struct, frozen=True, kw_only=True):
    """An app as wished now."""

    tenant: TenantName
    app: AppName
    known_number: int = 0
    evidence_number: int = 0
    revision_number: int = 0
    revision_digest: str = ""
    tombstone_digest: str = ""
    held: bool = False
    changed_us: int = 0

    @property
    def number(self) -> int:
        """What ``If-Match`` must name: the newest number known or reported by any site."""
        return max(self.known_number, self.evidence_number)

    @property
    def lost(self) -> bool:
        """Some site has a newer revision than the core: its owner must apply again."""
        return self.evidence_number > self.known_number


class RevisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One number of an app's line."""

    tenant: TenantName
    app: AppName
    number: int
    kind: Literal["revision", "tombstone"]
    digest: Digest
    actor: str
    cause: CauseId
    recorded_us: int


class OperationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Long work that was begun; how far it is follows from facts."""

    operation: OperationId
    tenant: TenantName
    kind: OperationKind
    app: AppName
    number: int
    #: Number of the whole core's wishes with this one.
    version: int
    cause: CauseId
    started_us: int


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dry run that an apply may be held to."""

    plan: PlanId
    tenant: TenantName
    app: AppName
    version: int
    number: int
    payload: Digest
    made_us: int


def find_app(connection: Connection, tenant: TenantName, app: str) -> AppRow | None:
    """Return one app of a tenant."""
    row = connection.execute(_APP, {"of_tenant": tenant, "of_app": app}).mappings().first()
    return None if row is None else AppRow(**row)


def list_apps(connection: Connection, scope: Scope, after: str = "", limit: int = 1_000_000) -> list[AppRow]:
    """Return a tenant's apps in the order of their names, ended ones too."""
    query = owned(select(APPS), APPS.c.tenant, scope).where(APPS.c.app > after)
    return [AppRow(**row) for row in connection.execute(query.order_by(APPS.c.app).limit(limit)).mappings()]


def list_all_apps(connection: Connection) -> list[AppRow]:
    """Return every app of every tenant, for planning."""
    return [AppRow(**row) for row in connection.execute(_ALL_APPS).mappings()]


def record_app(connection: Connection, row: AppRow) -> None:
    """Write what is wished of an app now."""
    values = msgspec.structs.asdict(row)
    key = {name: values.pop(name) for name in ("tenant", "app")}
    put_row(connection, APPS, key, values)


def record_revision(connection: Connection, row: RevisionRow) -> None:
    """Keep one number of an app's line; a number is written once."""
    connection.execute(insert(REVISIONS).values(**msgspec.structs.asdict(row)))


def find_revision(connection: Connection, tenant: TenantName, app: str, number: int) -> RevisionRow | None:
    """Return one number of an app's line."""
    row = connection.execute(_REVISION, {"of_tenant": tenant, "of_app": app, "of_number": number}).first()
    return None if row is None else _read_revision(row)


def list_revisions(connection: Connection, tenant: TenantName, app: str, below: int, limit: int) -> list[RevisionRow]:
    """Return an app's line below a number, newest first."""
    where = REVISIONS.c.tenant == tenant, REVISIONS.c.app == app, REVISIONS.c.number < below
    query = select(REVISIONS).where(*where).order_by(REVISIONS.c.number.desc()).limit(limit)
    return [_read_revision(row) for row in connection.execute(query)]


def read_numbers(connection: Connection, digests: Collection[Digest]) -> dict[Digest, int]:
    """Return the number of each revision that is known here."""
    wanted = sorted(set(digests))
    found: dict[Digest, int] = {}
    for start in range(0, len(wanted), 1000):
        query = select(REVISIONS.c.digest, REVISIONS.c.number)
        query = query.where(REVISIONS.c.digest.in_(wanted[start : start + 1000]))
        found |= {Digest(digest): number for digest, number in connection.execute(query)}
    return found


def raise_restart(connection: Connection, tenant: TenantName, app: str, service: str) -> None:
    """Have the instances of a service, or of all with ``service`` empty, started afresh."""
    restarts = read_restarts(connection, tenant, app)
    key = {"tenant": tenant, "app": app, "service": service}
    put_row(connection, RESTARTS, key, {"counter": restarts.get(ServiceName(service), 0) + 1})


def read_restarts(connection: Connection, tenant: TenantName, app: str) -> dict[ServiceName, int]:
    """Return the restart counters of an app by service."""
    rows = connection.execute(_RESTARTS, {"of_tenant": tenant, "of_app": app})
    return {ServiceName(row.service): row.counter for row in rows}


def read_all_restarts(connection: Connection) -> dict[tuple[TenantName, AppName], dict[ServiceName, int]]:
    """Return the restart counters of all apps."""
    found: dict[tuple[TenantName, AppName], dict[ServiceName, int]] = {}
    for row in connection.execute(_ALL_RESTARTS):
        found.setdefault((TenantName(row.tenant), AppName(row.app)), {})[ServiceName(row.service)] = row.counter
    return found


def record_report(connection: Connection, report: AppReport) -> None:
    """Keep the newest report of an app."""
    body = {"body": msgspec.json.encode(report)}
    put_row(connection, REPORTS, {"tenant": report.tenant, "app": report.app}, body)


def read_reports(connection: Connection, tenant: TenantName, app: str = "") -> dict[AppName, AppReport]:
    """Return the newest reports of a tenant's apps, or of one."""
    of = {"of_tenant": tenant}
    rows = connection.execute(_REPORT, of | {"of_app": app}) if app else connection.execute(_REPORTS, of)
    return {AppName(row.app): msgspec.json.decode(row.body, type=AppReport) for row in rows}


class _Yielded(msgspec.Struct, frozen=True):
    """The one part of a report that the next plan needs; the rest is long, and skipped."""

    tenant: TenantName
    app: AppName
    preempted: tuple[Preempted, ...] = ()


def read_preempted(connection: Connection) -> dict[tuple[TenantName, AppName], tuple[Preempted, ...]]:
    """Return which instances made room for others and have no place since, by app."""
    rows = connection.execute(_ALL_REPORTS)
    read = (msgspec.json.decode(row.body, type=_Yielded) for row in rows)
    return {(each.tenant, each.app): each.preempted for each in read if each.preempted}


def record_operation(connection: Connection, row: OperationRow) -> None:
    """Keep that long work was begun."""
    connection.execute(insert(OPERATIONS).values(**msgspec.structs.asdict(row)))


def find_operation(connection: Connection, scope: Scope, operation: str) -> OperationRow | None:
    """Return one piece of long work that the scope may see."""
    query = owned(select(OPERATIONS), OPERATIONS.c.tenant, scope).where(OPERATIONS.c.operation == operation)
    row = connection.execute(query).first()
    return None if row is None else _read_operation(row)


def list_operations(connection: Connection, scope: Scope, before: str, limit: int) -> list[OperationRow]:
    """Return long work below an id, newest first."""
    query = owned(select(OPERATIONS), OPERATIONS.c.tenant, scope)
    if before:
        query = query.where(OPERATIONS.c.operation < before)
    rows = connection.execute(query.order_by(OPERATIONS.c.operation.desc()).limit(limit))
    return [_read_operation(row) for row in rows]


def record_plan(connection: Connection, row: PlanRow) -> None:
    """Keep a dry run."""
    connection.execute(insert(PLANS).values(**msgspec.structs.asdict(row)))


def find_plan(connection: Connection, scope: Scope, plan: str) -> PlanRow | None:
    """Return a dry run that the scope may see."""
    query = owned(select(PLANS), PLANS.c.tenant, scope).where(PLANS.c.plan == plan)
    row = connection.execute(query).mappings().first()
    return None if row is None else PlanRow(**row)


def trim_plans(connection: Connection, oldest_us: int) -> None:
    """Forget dry runs made before a time."""
    connection.execute(_TRIM_PLANS, {"oldest_us": oldest_us})


def _read_revision(row: Row[Any]) -> RevisionRow:
    return RevisionRow(
        tenant=TenantName(row.tenant),
        app=AppName(row.app),
        number=row.number,
        kind=row.kind,
        digest=Digest(row.digest),
        actor=row.actor,
        cause=CauseId(row.cause),
        recorded_us=row.recorded_us,
    )


def _read_operation(row: Row[Any]) -> OperationRow:
    return OperationRow(
        operation=OperationId(row.operation),
        tenant=TenantName(row.tenant),
        kind=row.kind,
        app=AppName(row.app),
        number=row.number,
        version=row.version,
        cause=CauseId(row.cause),
        started_us=row.started_us,
    )
