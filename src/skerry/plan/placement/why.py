"""Why a site holds no instance of a service: every node of it against the first constraint that fails there now."""

import msgspec

from skerry.model.ids import AppName, ServiceName, TenantName
from skerry.plan.placement.choose import make_judge, reject_new, reject_room, reject_wish
from skerry.plan.placement.seats import seat_all
from skerry.plan.placement.table import Table
from skerry.plan.report import Rejection
from skerry.plan.snapshot import FleetSnapshot


class Explained(msgspec.Struct, frozen=True):
    """Per service and node what keeps an instance away; ``notes`` say what no constraint explains."""

    rejections: tuple[tuple[ServiceName, Rejection], ...]
    notes: tuple[str, ...]


def explain_site(
    snapshot: FleetSnapshot, tenant: TenantName, app: AppName, site: str, service: str = ""
) -> Explained | None:
    """Explain one site for an app, or for one service of it; None when the app, service or site is not there."""
    wish = next((each for each in snapshot.apps if (each.tenant, each.app) == (tenant, app)), None)
    view = next((each for each in snapshot.sites if each.site == site), None)
    if wish is None or view is None or tenant not in view.record.tenants or wish.revision is None:
        return None
    table = Table(snapshot)
    seated, reports = seat_all(table)
    here = {unit.service for unit in seated.get(view.site, ()) if (unit.tenant, unit.app) == (wish.tenant, wish.app)}
    secrets = {(str(owner), str(name)): sealed for (owner, name), sealed in snapshot.secrets.items()}
    rejections: list[tuple[ServiceName, Rejection]] = []
    notes: list[str] = []
    if view.learning:
        notes.append(f"{site} holds a newer document than the core knows: nothing is published to it")
    staying: dict[ServiceName, list[tuple[int, str]]] = {}
    for each in next((each.staying for each in reports if (each.tenant, each.app) == (tenant, app)), ()):
        if each.site == site:
            staying.setdefault(each.service, []).append((each.ordinal, each.reason))
    revision = snapshot.revisions.get(wish.revision)
    for name in sorted(() if revision is None else revision.services):
        request = table.request(wish.revision, name)
        if request is None or (service and name != service):
            continue
        if name in here:
            notes.append(f"{name} is wanted at {site}")
            notes += [f"{name}.{ordinal} is still at {site}: {reason}" for ordinal, reason in staying.get(name, ())]
            continue
        judge = make_judge(table.estate, request, secrets)
        found = [
            reject_wish(request, slot)
            or reject_new(slot)
            or (None if judge is None else judge.reject(slot))
            or reject_room(request, slot, secrets)
            for slot in table.estate.by_site.get(view.site, [])
        ]
        rejections += [(name, each) for each in found if each is not None]
        if not found:
            notes.append(f"{site} has no node yet")
        elif any(each is None for each in found):
            notes.append(
                f"{name} could run at {site}: its {request.wish.placement.replicas.total} copies are elsewhere"
            )
    return Explained(tuple(rejections), tuple(notes))
