"""Keeping sites free: an operator's word that nothing new comes to a site, or that what may move leaves it.

What runs at such a site stays wished there and new revisions reach it; placement heeds the word (plan/placement/).
"""

import datetime
from collections.abc import Callable, Iterable

import msgspec

from skerry.clock import SECOND_US
from skerry.core.auth import Caller
from skerry.core.places import load_snapshot
from skerry.core.refusals import Clash, not_found
from skerry.core.state import Part, Stamp
from skerry.model.answers import Condition, DrainedInstance, Recorded, SiteDrain
from skerry.model.asks import DrainSite
from skerry.model.ids import AppName, InstanceId, ServiceName, SiteName, TenantName
from skerry.plan.fleet import FleetPlan, plan_fleet
from skerry.plan.report import AppReport
from skerry.plan.snapshot import CordonMode, FleetSnapshot
from skerry.store import Connection, apps, cordons, events, fleet, sites
from skerry.store.cordons import Cordon, NodeCordon
from skerry.store.sites import SiteRow

_SAID: dict[CordonMode, str] = {
    "cordon": "An operator keeps new instances away.",
    "drain": "An operator has what may move go elsewhere, and keeps new instances away.",
}


class CordonsPart(Part):
    """Operations that keep sites free."""

    async def cordon_site(self, caller: Caller, *, site: str) -> Recorded:
        """Place nothing new at a site; at one that is drained, nothing further moves away either."""
        return await self._set(caller, "cordon_site", site, "cordon")

    async def uncordon_site(self, caller: Caller, *, site: str) -> Recorded:
        """Place instances at a site again; what has moved away does not come back by itself."""

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = _find(connection, caller, site)
            if row.site not in cordons.read_cordons(connection):
                detail = f"Nothing keeps new instances away from {site}."
                raise Clash("E-NOT-CORDONED", detail, hint=f"skerry site show {site}")
            cordons.end_cordon(connection, row.site)
            fleet.touch_fleet(connection)
            return _tell(connection, stamp, row, "site.uncordoned", "An operator lets new instances come again.")

        return await self._change(caller, "uncordon_site", site, job)

    async def drain_site(self, caller: Caller, *, site: str, body: DrainSite) -> SiteDrain:
        """Move away what may move; the answer says what a plan of now makes of it."""
        if not body.dry_run:
            await self._set(caller, "drain_site", site, "drain")

        def read(connection: Connection) -> FleetSnapshot:
            _find(connection, caller, site)
            return load_snapshot(self._core, connection)

        snapshot = _with_drain(await self._core.db.read(read), SiteName(site))
        plan = await self._core.beside.work(lambda: plan_fleet(snapshot))
        return _describe(plan, caller, SiteName(site), dry_run=body.dry_run)

    async def _set(self, caller: Caller, operation: str, site: str, mode: CordonMode) -> Recorded:
        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = _find(connection, caller, site)
            known = cordons.read_cordons(connection).get(row.site)
            if known is not None and known.mode == mode:
                return _recorded(connection, row, stamp)
            cordon = Cordon(site=row.site, mode=mode, since_us=stamp.now_us)
            cordons.record_cordon(connection, cordon)
            fleet.touch_fleet(connection)
            return _tell(connection, stamp, row, f"site.{mode}ed", _SAID[mode])

        return await self._change(caller, operation, site, job)

    async def _change(
        self, caller: Caller, operation: str, site: str, job: Callable[[Connection, Stamp], Recorded]
    ) -> Recorded:
        done = await self._core.change(caller, operation, f"site/{site}", job, chain="")
        self._core.changes.touch(SiteName(site))
        self._core.events.ring()
        self._core.wishes.ring()
        return done


def view_cordon(cordon: Cordon | NodeCordon) -> Condition:
    """Say as a condition of its site or node what an operator wishes."""
    since = datetime.datetime.fromtimestamp(cordon.since_us // SECOND_US, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if cordon.mode == "cordon":
        return Condition(kind="cordoned", reason=f"nothing new is placed here, since {since}")
    return Condition(kind="drained", reason=f"what may move goes elsewhere, since {since}")


def list_staying(connection: Connection, caller: Caller, site: SiteName) -> tuple[DrainedInstance, ...]:
    """List what of the caller's apps a drained site still has, by the newest plan."""
    if not caller.scope.tenant:
        return ()
    return _list_staying(apps.read_reports(connection, caller.scope.tenant).values(), caller, site)


def _with_drain(snapshot: FleetSnapshot, site: SiteName) -> FleetSnapshot:
    views = (msgspec.structs.replace(each, cordon="drain") if each.site == site else each for each in snapshot.sites)
    return msgspec.structs.replace(snapshot, sites=tuple(views))


def _describe(plan: FleetPlan, caller: Caller, site: SiteName, *, dry_run: bool) -> SiteDrain:
    added = {change.instance: change.site for change in plan.changes if change.kind == "add"}
    gone = (change.instance for change in plan.changes if change.kind == "remove" and change.site == site)
    return SiteDrain(
        site=site,
        dry_run=dry_run,
        moving=tuple(_name(caller, instance, added[instance]) for instance in gone if instance in added),
        staying=_list_staying(plan.reports, caller, site),
    )


def _list_staying(reports: Iterable[AppReport], caller: Caller, site: SiteName) -> tuple[DrainedInstance, ...]:
    return tuple(
        DrainedInstance(
            tenant=report.tenant,
            app=report.app if report.tenant == caller.scope.tenant else "",
            service=each.service if report.tenant == caller.scope.tenant else "",
            ordinal=each.ordinal,
            reason=each.reason,
            waits=each.waits,
        )
        for report in reports
        for each in report.staying
        if each.site == site
    )


def _name(caller: Caller, instance: InstanceId, to: SiteName) -> DrainedInstance:
    tenant, app, service, ordinal = instance.split("/")
    mine = tenant == caller.scope.tenant
    return DrainedInstance(
        tenant=TenantName(tenant),
        app=AppName(app) if mine else "",
        service=ServiceName(service) if mine else "",
        ordinal=int(ordinal),
        to=to,
    )


def _find(connection: Connection, caller: Caller, site: str) -> SiteRow:
    row = sites.find_site(connection, site, caller.scope)
    if row is None:
        raise not_found()
    return row


def _recorded(connection: Connection, row: SiteRow, stamp: Stamp) -> Recorded:
    newest = events.newest_event_id(connection)
    return Recorded(name=row.site, number=row.number, cause=stamp.cause, event_id=newest)


def _tell(connection: Connection, stamp: Stamp, row: SiteRow, kind: str, message: str) -> Recorded:
    events.append_core_event(
        connection, kind, time_us=stamp.now_us, subject=f"site/{row.site}", cause=stamp.cause, message=message
    )
    return _recorded(connection, row, stamp)
