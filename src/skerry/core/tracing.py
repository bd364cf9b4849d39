"""``network trace``: the way between two ends, from what the core knows and what the sites at both ends see now.

The decision is ``plan/trace/``. Here wishes, documents and facts are read, and the sites are asked over their own
links; one that does not answer costs the asker ``LOOK_US`` and is told of by what it should have.
"""

import asyncio
from collections.abc import Iterable

import msgspec

from skerry.clock import SECOND_US
from skerry.core.auth import Caller
from skerry.core.refusals import forbidden
from skerry.core.state import Core, Part, Sites
from skerry.model.answers import TraceAnswer
from skerry.model.app import AppRevision
from skerry.model.asks import TraceQuery
from skerry.model.document import assignment_instance
from skerry.model.errors import NotFound, SkerryError
from skerry.model.facts import ChainFact
from skerry.model.ids import AppName, ServiceName, SiteName, TenantName
from skerry.model.trace import NodeView, TraceAsk
from skerry.plan.trace.ends import BadEnd, End, There, read_end
from skerry.plan.trace.known import Known, Placed, Standing, expect_view, is_sound
from skerry.plan.trace.packet import Told
from skerry.plan.trace.way import Trace, Way, choose_place, list_sites, trace_way
from skerry.plan.trace.wish import Wish
from skerry.store import Connection, documents, facts, sites
from skerry.store.fleet import read_newest_revisions
from skerry.store.sites import SiteRow

#: Time until a site has looked and answered: a busy runtime is looked at for seconds.
LOOK_US = 10 * SECOND_US


class TracingPart(Part):
    """The operation that traces."""

    async def trace_network(self, caller: Caller, *, query: TraceQuery) -> TraceAnswer:
        """Follow packets from one end to another."""
        tenant = caller.owner()
        known, start, end = await self._core.db.read(lambda connection: _read(self._core, connection, caller, query))
        if start.kind == end.kind == "site" and not caller.scope.platform:
            raise forbidden("operate")
        way = Way(start=start, end=end, start_at=choose_place(known, start), wish=Wish(query.protocol, query.port))
        way = msgspec.structs.replace(way, end_at=choose_place(known, end, await self._list_near(tenant, way, known)))
        wanted = list_sites(way)
        views_told = await asyncio.gather(*(self._ask(tenant, way, known, site) for site in wanted))
        return _answer(way, trace_way(way, known, dict(zip(wanted, views_told, strict=True))))

    async def _list_near(self, tenant: TenantName, way: Way, known: Known) -> tuple[SiteName, ...]:
        """Return the sites that the other end is preferred at: the start's own, then where names lead from there."""
        start = way.start_at
        if start is None or way.end.kind != "instance":
            return (way.start.site,) if way.start.kind == "site" else ()
        places = {each.site for each in known.list_places(way.end.app, way.end.service)}
        if way.end.site or start.site in places or len(places) < 2 or start.unit.app != way.end.app:
            return (start.site,)
        told = await self._ask(tenant, way, known, start.site)
        return (start.site, *(site for each in told.view.names for site in each.sites))

    async def _ask(self, tenant: TenantName, way: Way, known: Known, site: SiteName) -> Told:
        """Have a site look; return what it should have where it does not answer."""
        apps = [each.app for each in (way.start, way.end) if each.app]
        here = [each for each in (way.start_at, way.end_at) if each is not None and each.site == site]
        app = here[0].unit.app if here else apps[0] if apps else AppName("")
        others = [each for each in list_sites(way) if each != site]
        other = others[0] if others else way.end.site or ""
        ask = TraceAsk(
            tenant,
            app,
            tuple(dict.fromkeys(each.unit.service for each in here if each.unit.app == app)),
            other=other,
            name=way.end.service if way.end.kind == "instance" else "",
            target=way.end.address,
        )
        reachable: Sites | None = self._core.sites
        try:
            if reachable is not None:
                call = await reachable.call(site, "trace", msgspec.msgpack.encode(ask), LOOK_US)
                await call.close()
                if call.reply.ok:
                    view = msgspec.msgpack.decode(call.reply.body, type=NodeView)
                    if view.site == site and is_sound(view):
                        return Told(view, f"the node {view.node} itself")
        except (SkerryError, msgspec.DecodeError):
            pass  # cut off, busy, of an older release, or it does not know what it says: the document is what is left
        return expect_view(known, known.revisions.get(app), site, other)


def _read(core: Core, connection: Connection, caller: Caller, query: TraceQuery) -> tuple[Known, End, End]:
    rows = {row.site: row for row in sites.list_sites(connection, caller.scope)}
    there = _list_there(connection, caller, rows, (query.start, query.end))
    ends: list[End] = []
    for word, text in (("from", query.start), ("to", query.end)):
        try:
            ends.append(read_end(text, there))
        except BadEnd as error:
            raise NotFound(
                "E-NOT-FOUND",
                f"The end that it goes {word} means nothing here: {error}.",
                hint="An end is APP/SERVICE[-ORDINAL][@SITE], APP/interface:DEVICE[@SITE], a site, internet, an address"
                " or a host name.",
            ) from None
    revisions: dict[AppName, AppRevision] = {}
    placed: list[Placed] = []
    for app in sorted({each.app for each in ends if each.app}):
        revisions |= {each.app: each for each in read_newest_revisions(connection, caller.scope, app=app)}
        told = {
            (site, fact.instance): fact for site, fact in facts.list_instance_facts(connection, caller.scope, app=app)
        }
        placed += [
            Placed(site, unit, told.get((site, assignment_instance(unit))))
            for site, unit in documents.list_assignments(connection, caller.scope, app=app)
            if site in rows
        ]
    known = Known(
        revisions=revisions,
        placed=tuple(placed),
        sites={site: _stand(core, row) for site, row in rows.items()},
        units=documents.list_ways(connection, caller.owner(), revisions.keys()),
        chains=_list_chains(connection, caller, revisions),
    )
    return known, ends[0], ends[1]


def _list_there(connection: Connection, caller: Caller, rows: dict[SiteName, SiteRow], texts: Iterable[str]) -> There:
    """Read what the texts may name; host names only where one has a dot and is nothing else."""
    named = {text.partition("/")[0] for text in texts}
    is_host = any("." in text and "/" not in text for text in texts)
    services: dict[AppName, tuple[ServiceName, ...]] = {}
    hosts: dict[str, tuple[AppName, ServiceName]] = {}
    devices: dict[AppName, set[str]] = {}
    for app in ("",) if is_host else sorted(named - rows.keys() - {"internet"}):
        for revision in read_newest_revisions(connection, caller.scope, app=app):
            services[revision.app] = tuple(sorted(revision.services))
            ends = (end for chain in revision.chains or () for end in (chain.start, chain.end))
            devices[revision.app] = {end.name for end in ends if end.kind == "interface"}
            for name, service in revision.services.items():
                hosts |= {each.host: (revision.app, name) for each in service.entrance or () if each.host}
    return There(services=services, sites=rows.keys(), hosts=hosts, devices=devices)


def _stand(core: Core, row: SiteRow) -> Standing:
    heard = core.heard.get(row.site)
    return Standing(
        state=core.liveness(row.site),
        heard_s=None if heard is None else (core.clock.boot_us() - heard) // SECOND_US,
        uplinks=row.record.uplinks or {},
    )


def _list_chains(
    connection: Connection, caller: Caller, revisions: Iterable[AppName]
) -> dict[SiteName, tuple[ChainFact, ...]]:
    found: dict[SiteName, list[ChainFact]] = {}
    for app in revisions:
        for site, fact in facts.list_chain_facts(connection, caller.scope, app=app):
            found.setdefault(site, []).append(fact)
    return {site: tuple(each) for site, each in found.items()}


def _answer(way: Way, trace: Trace) -> TraceAnswer:
    return TraceAnswer(
        start=way.start.text,
        end=way.end.text,
        start_site=way.start_at.site if way.start_at is not None else way.start.site,
        end_site=way.end_at.site if way.end_at is not None else way.end.site,
        port=str(way.wish) if way.wish.port else "",
        verdict=trace.verdict,
        reason=trace.reason,
        lines=trace.lines,
    )
