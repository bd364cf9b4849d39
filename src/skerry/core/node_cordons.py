"""Keeping one node of a site free: as a site is kept free (``cordons.py``), and copies may go to another node there."""

from collections.abc import Callable, Iterable

import msgspec

from skerry.core.auth import Caller
from skerry.core.places import load_snapshot
from skerry.core.refusals import Clash, not_found
from skerry.core.state import Part, Stamp
from skerry.model.answers import DrainedInstance, NodeDrain, Recorded
from skerry.model.asks import DrainSite
from skerry.model.document import Assignment, Unit, assignment_instance
from skerry.model.ids import AppName, InstanceId, NodeName, ServiceName, SiteName, TenantName
from skerry.plan.fleet import FleetPlan, plan_fleet
from skerry.plan.snapshot import CordonMode, FleetSnapshot
from skerry.store import Connection, cordons, events, fleet, sites
from skerry.store.cordons import NodeCordon
from skerry.store.sites import SiteRow

_SAID: dict[CordonMode, str] = {
    "cordon": "An operator keeps new instances away from node {}.",
    "drain": "An operator has what may move leave node {}, and keeps new instances away.",
}

Place = tuple[SiteName, NodeName]


class NodeCordonsPart(Part):
    """Operations that keep nodes free."""

    async def cordon_node(self, caller: Caller, *, site: str, node: str) -> Recorded:
        """Place nothing new on a node; from one that is drained, nothing further moves away either."""
        return await self._say_of_node(caller, "cordon_node", site, node, "cordon")

    async def uncordon_node(self, caller: Caller, *, site: str, node: str) -> Recorded:
        """Place instances on a node again; what has moved away does not come back by itself."""

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row, name = _find(connection, caller, site, node)
            if name not in cordons.read_node_cordons(connection).get(row.site, {}):
                detail = f"Nothing keeps new instances away from node {node} of {site} alone."
                raise Clash("E-NOT-CORDONED", detail, hint=f"skerry node show {site}/{node}")
            cordons.end_node_cordon(connection, row.site, name)
            return _tell(connection, stamp, row, "node.uncordoned", f"An operator lets instances come to node {node}.")

        return await self._change_node(caller, "uncordon_node", site, node, job)

    async def drain_node(self, caller: Caller, *, site: str, node: str, body: DrainSite) -> NodeDrain:
        """Move away what may move; the answer says what a plan of now makes of it."""
        if not body.dry_run:
            await self._say_of_node(caller, "drain_node", site, node, "drain")
        place = SiteName(site), NodeName(node)

        def read(connection: Connection) -> FleetSnapshot:
            _find(connection, caller, site, node)
            return load_snapshot(self._core, connection)

        snapshot = _with_drain(await self._core.db.read(read), place)
        plan = await self._core.beside.work(lambda: plan_fleet(snapshot))
        return _describe(snapshot, plan, caller, place, dry_run=body.dry_run)

    async def _say_of_node(self, caller: Caller, operation: str, site: str, node: str, mode: CordonMode) -> Recorded:
        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row, name = _find(connection, caller, site, node)
            known = cordons.read_node_cordons(connection).get(row.site, {}).get(name)
            if known is not None and known.mode == mode:
                newest = events.newest_event_id(connection)
                return Recorded(name=row.site, number=row.number, cause=stamp.cause, event_id=newest)
            cordon = NodeCordon(site=row.site, node=name, mode=mode, since_us=stamp.now_us)
            cordons.record_node_cordon(connection, cordon)
            return _tell(connection, stamp, row, f"node.{mode}ed", _SAID[mode].format(node))

        return await self._change_node(caller, operation, site, node, job)

    async def _change_node(
        self, caller: Caller, operation: str, site: str, node: str, job: Callable[[Connection, Stamp], Recorded]
    ) -> Recorded:
        done = await self._core.change(caller, operation, f"node/{site}/{node}", job, chain="")
        self._core.changes.touch(SiteName(site))
        self._core.events.ring()
        self._core.wishes.ring()
        return done


def _with_drain(snapshot: FleetSnapshot, place: Place) -> FleetSnapshot:
    site, node = place
    views = (
        msgspec.structs.replace(each, node_cordons={**each.node_cordons, node: "drain"}) if each.site == site else each
        for each in snapshot.sites
    )
    return msgspec.structs.replace(snapshot, sites=tuple(views))


def _describe(snapshot: FleetSnapshot, plan: FleetPlan, caller: Caller, place: Place, *, dry_run: bool) -> NodeDrain:
    """Say of everything that is on a node where it goes, or why it stays, by a plan of the drained fleet."""
    site, node = place
    before = {view.site: _list_homes(view.units.values()) for view in snapshot.sites}
    after = before | {document.site: _list_homes(document.units.values()) for document in plan.documents}
    known = {
        InstanceId(f"{report.tenant}/{report.app}/{each.service}/{each.ordinal}"): each
        for report in plan.reports
        for each in report.staying
        if each.site == site
    }
    moving: list[DrainedInstance] = []
    staying: list[DrainedInstance] = []
    for instance in sorted(name for name, home in before.get(site, {}).items() if home == node):
        here = after.get(site, {}).get(instance)
        told = known.get(instance)
        if here == node:
            reason = told.reason if told is not None else "it waits for its turn"
            staying.append(_name(caller, instance, reason=reason, waits=told is None or told.waits))
        elif here is not None:
            moving.append(_name(caller, instance, to=site, to_node=here))
        else:
            homes = [each for each in sorted(after) if instance in after[each].keys() - before[each].keys()]
            moving += [_name(caller, instance, to=to, to_node=after[to][instance]) for to in homes[:1]]
    return NodeDrain(site=site, node=node, dry_run=dry_run, moving=tuple(moving), staying=tuple(staying))


def _list_homes(units: Iterable[Unit]) -> dict[InstanceId, NodeName]:
    return {assignment_instance(unit): unit.node for unit in units if isinstance(unit, Assignment)}


def _name(caller: Caller, instance: InstanceId, **words: object) -> DrainedInstance:
    """Name an instance; of another tenant's only its owner."""
    tenant, app, service, ordinal = instance.split("/")
    mine = tenant == caller.scope.tenant
    named = DrainedInstance(
        tenant=TenantName(tenant),
        app=AppName(app) if mine else "",
        service=ServiceName(service) if mine else "",
        ordinal=int(ordinal),
    )
    return msgspec.structs.replace(named, **words)


def _find(connection: Connection, caller: Caller, site: str, node: str) -> tuple[SiteRow, NodeName]:
    row = sites.find_site(connection, site, caller.scope)
    if row is None or node not in row.record.nodes:
        raise not_found()
    return row, NodeName(node)


def _tell(connection: Connection, stamp: Stamp, row: SiteRow, kind: str, message: str) -> Recorded:
    fleet.touch_fleet(connection)
    events.append_core_event(
        connection, kind, time_us=stamp.now_us, subject=f"site/{row.site}", cause=stamp.cause, message=message
    )
    newest = events.newest_event_id(connection)
    return Recorded(name=row.site, number=row.number, cause=stamp.cause, event_id=newest)
