"""Whether an app has a place: the fleet as the planner sees it now, with one wish changed.

Neighbours: ``planning.py`` shows the whole plan, ``wishes.py`` refuses what says ``if-none: fail`` and has no place.
"""

import msgspec

from skerry.core.state import Core
from skerry.model.app import AppRevision, Service
from skerry.model.errors import Problem
from skerry.model.ids import AppName, ServiceName, TenantName, digest_of
from skerry.plan.report import AppReport
from skerry.plan.snapshot import AppWish, FleetSnapshot
from skerry.store import Connection, apps, fleet
from skerry.store.apps import AppRow
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied


def load_snapshot(core: Core, connection: Connection) -> FleetSnapshot:
    """Read the fleet as the planner of this core sees it now."""
    snapshot = fleet.load_snapshot(connection, core.silent(), core.clock.wall_us(), core.round_trips(), core.away())
    return msgspec.structs.replace(snapshot, relay=core.relay)


def find_nowhere(
    core: Core, connection: Connection, tenant: TenantName, app: str, body: bytes
) -> tuple[AppRevision, FleetSnapshot] | None:
    """Return what has to be planned before the payload ``body`` may be recorded; None where it may without a place.

    It may not where a service says ``if-none: fail``, unless it is recorded already.
    """
    revision = parse_payload(body, AppRevision)
    if isinstance(revision, Denied) or not any(map(_fails_without, revision.services.values())):
        return None
    row = apps.find_app(connection, tenant, app) or AppRow(tenant=tenant, app=AppName(app))
    if row.revision_digest == digest_of(body):
        return None
    return revision, with_wish(load_snapshot(core, connection), row, revision, body)


#: Constraints that say that somebody else has something, and the word of the service that asks for it.
_CLASHES = {"port": "ports", "entrance": "entrance"}


def list_nowhere(report: AppReport | None, revision: AppRevision) -> tuple[Problem, ...]:
    """Return a problem for each service that says ``if-none: fail`` and has no place.

    Of copies counted in all each needs one; of copies per site there have to be some.
    """
    placed = {each.service for each in report.placed} if report is not None else set[ServiceName]()
    refusals = report.refused if report is not None else ()
    found: dict[ServiceName, Problem] = {}
    for each in refusals:
        service = revision.services.get(each.service)
        if service is None or not _fails_without(service):
            continue
        if service.placement.replicas.per_site and each.service in placed:
            continue
        detail = f"{each.service} has no place: {each.reason}"
        problem = Problem(code="E-PLACEMENT", detail=detail, pointer=f"/services/{each.service}/placement")
        found.setdefault(each.service, problem)
    return tuple(found.values())


def list_clashes(report: AppReport | None, revision: AppRevision) -> tuple[Problem, ...]:
    """Return a problem for each service that has no place at all, and at some place only because somebody has its port.

    Who has a host name or a port keeps it, so waiting does not help. Names of other tenants are not told.
    """
    placed = {each.service for each in report.placed} if report is not None else set[ServiceName]()
    found: dict[ServiceName, Problem] = {}
    for each in report.refused if report is not None else ():
        clash = next((one for one in each.rejections if one.constraint in _CLASHES), None)
        if clash is None or each.service in placed or each.service not in revision.services:
            continue
        pointer = f"/services/{each.service}/{_CLASHES[clash.constraint]}"
        detail = f"{each.service} has no place: {clash.detail}"
        found.setdefault(each.service, Problem(code="E-CONFLICT", detail=detail, pointer=pointer))
    return tuple(found.values())


def _fails_without(service: Service) -> bool:
    rules = service.placement.rules
    return bool(rules) and rules.if_none == "fail"


def with_wish(snapshot: FleetSnapshot, row: AppRow, revision: AppRevision, body: bytes) -> FleetSnapshot:
    """Return the fleet with one app's newest revision replaced by the payload ``body``."""
    digest = digest_of(body)
    key = (row.tenant, row.app)
    before = next((wish for wish in snapshot.apps if (wish.tenant, wish.app) == key), None)
    wish = before or AppWish(tenant=row.tenant, app=row.app, number=0, revision=None)
    wish = msgspec.structs.replace(wish, number=revision.number, revision=digest, revision_number=revision.number)
    others = tuple(each for each in snapshot.apps if (each.tenant, each.app) != key)
    return msgspec.structs.replace(snapshot, apps=(*others, wish), revisions=snapshot.revisions | {digest: revision})
