"""What the core measures and what sites tell of their use: for Prometheus, for ``skerry top`` and for charts.

Whoever reads here is watching: the sites shown are asked for quicker samples for a while (core/use.py). A reader sees
the sites and instances that its token sees everywhere else, and no more series than a limit says.
"""

import collections
import os
import resource
from pathlib import Path

import msgspec

from skerry import __version__
from skerry.clock import unhurried
from skerry.core import series, use, views
from skerry.core.auth import Caller
from skerry.core.exposition import Exposition
from skerry.core.refusals import not_found
from skerry.core.state import Core, Part
from skerry.model.answers import InstanceUseView, InstanceView, Page, ScrapeGroup, SiteUseView, UseHistory, UsePoint
from skerry.model.asks import HistoryQuery, InstanceQuery, MetricsQuery, SiteUseQuery, TargetQuery
from skerry.model.facts import ChainFact, NodeFact, SiteFact
from skerry.model.ids import InstanceId, SiteName, TenantName
from skerry.model.limits import METRICS_SITES_MAX
from skerry.model.relay import RelaySeen
from skerry.store import Connection, facts, sites
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.scope import PLATFORM
from skerry.store.sites import SiteRow, SiteState
from skerry.sync.classes import LINK_PLANS

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_MICRO = 1_000_000
#: Classes of codes, in the order of ``DoorUse.answers``.
_CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
#: Sites or instances written in one turn of the event loop, 0.1 ms each.
_WRITTEN_MAX = 50


class _Seen(msgspec.Struct, frozen=True):
    """What one reader may see of some sites, read at one moment."""

    rows: list[SiteRow]
    states: dict[SiteName, SiteState]
    told: dict[SiteName, tuple[list[NodeFact], SiteFact | None]]
    instances: list[views.Instance]
    #: Site to bytes by purpose: (purpose, sent, received); for operators.
    link: dict[SiteName, list[tuple[str, int, int]]]
    chains: list[tuple[SiteName, ChainFact]]
    #: Visible sites that are too many for one answer.
    left_out: int


class MetricsPart(Part):
    """Operations that show use."""

    async def read_metrics(self, caller: Caller, *, query: MetricsQuery) -> str:
        """Return OpenMetrics text: of the core to operators, of visible sites, of the caller's own instances."""
        text = Exposition()
        if caller.scope.platform and not query.site:
            await self._write_core(text)
        if query.only == "core":
            return text.write()

        def job(connection: Connection) -> _Seen:
            return self._see(connection, caller, query.site, detailed=True)

        seen = await self._core.db.read(job)
        if query.site and not seen.rows:
            raise not_found()
        self._core.watch_use([row.site for row in seen.rows], use.SCRAPED_US)
        if seen.left_out:
            text.add(series.LEFT_OUT, seen.left_out)
        async for row in unhurried(seen.rows, _WRITTEN_MAX):
            self._write_site(text, row, seen)
        newest = {row.site: self._fresh(row.site) for row in seen.rows}
        async for each in unhurried(seen.instances, _WRITTEN_MAX):
            _write_instance(text, caller.tenant, each, newest.get(each.view.site))
        async for row in unhurried(seen.rows, _WRITTEN_MAX):
            _write_networks(text, row.site, caller.tenant, newest[row.site])
            if caller.scope.platform:
                _write_links(text, row.site, newest[row.site])
        async for row in unhurried(seen.rows, _WRITTEN_MAX):
            _write_volumes(text, row.site, caller.tenant, newest[row.site])
            _write_doors(text, row.site, caller.tenant, newest[row.site])
        async for site, fact in unhurried(seen.chains, _WRITTEN_MAX):
            _write_chain(text, site, fact, newest.get(site))
        return await self._core.beside.work(text.write)

    async def list_scrape_targets(self, caller: Caller, *, query: TargetQuery) -> tuple[ScrapeGroup, ...]:
        """Name one target for the core, for operators, and one for each visible site."""
        rows = await self._core.db.read(lambda connection: sites.list_sites(connection, caller.scope))
        targets = (query.target,)
        groups = [_group(targets, "core", {"__param_only": "core"})] if caller.scope.platform else []
        for row in rows:
            labels = {f"__meta_skerry_label_{_label(key)}": value for key, value in row.record.labels.items()}
            groups.append(_group(targets, f"site/{row.site}", {"__param_site": row.site, **labels}))
        return tuple(groups)

    async def list_site_use(self, caller: Caller, *, query: SiteUseQuery) -> Page[SiteUseView]:
        """List sites by name with what they use."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> _Seen:
            after = position[0] if position else ""
            return self._see(connection, caller, query.site, after=after, limit=query.page_size + 1)

        seen = await self._core.db.read(job)
        rows = seen.rows[: query.page_size]
        self._core.watch_use([row.site for row in rows], use.WATCHED_US)
        more = len(seen.rows) > query.page_size
        items = tuple(self._view_site(row, seen) for row in rows)
        return Page(items=items, next_page_token=write_page_token(rows[-1].site) if more else "")

    async def list_instance_use(self, caller: Caller, *, query: InstanceQuery) -> Page[InstanceUseView]:
        """List instances by app, service, ordinal and site, with what they use."""
        position = read_page_token(query.page_token, 4, 2)

        def job(connection: Connection) -> list[views.Instance]:
            chosen = (query.site,) if query.site else ()
            return views.read_instances(self._core, connection, caller.scope, app=query.app, sites=chosen)

        found = [each.view for each in await self._core.db.read(job)]
        if position is not None:
            behind = (position[0], position[1], int(position[2]), position[3])
            found = [each for each in found if (each.app, each.service, each.ordinal, each.site) > behind]
        shown, more = found[: query.page_size], len(found) > query.page_size
        self._core.watch_use(sorted({each.site for each in shown}), use.WATCHED_US)
        last = shown[-1] if more else None
        token = "" if last is None else write_page_token(last.app, last.service, last.ordinal, last.site)
        return Page(items=tuple(view_instance_use(self._core, each) for each in shown), next_page_token=token)

    async def read_use_history(self, caller: Caller, *, query: HistoryQuery) -> UseHistory:
        """Return a span of a visible site, or of one of the caller's instances there."""
        site, instance = SiteName(query.site), InstanceId(query.instance)

        def job(connection: Connection) -> bool:
            if sites.find_site(connection, site, caller.scope) is None:
                return False
            owned = views.read_instances(self._core, connection, caller.scope, sites=(site,)) if instance else []
            return not instance or any(each.view.instance == instance for each in owned)

        if not await self._core.db.read(job):
            raise not_found()
        self._core.watch_use([site], use.WATCHED_US)
        points = tuple(
            UsePoint(
                time_s=point.time_s,
                cpu_used_m=point.cpu_m,
                memory_bytes=point.memory_bytes,
                disk_bytes=point.disk_bytes,
                bytes_moved=point.bytes_moved,
            )
            for point in self._core.use.history(site, instance or None, query.span)
        )
        return UseHistory(site=site, instance=instance, step_s=use.STEPS_S[query.span], points=points)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _see(
        self,
        connection: Connection,
        caller: Caller,
        site: str,
        *,
        after: str = "",
        limit: int = METRICS_SITES_MAX + 1,
        detailed: bool = False,
    ) -> _Seen:
        if site:
            row = sites.find_site(connection, site, caller.scope)
            rows = [] if row is None else [row]
        else:
            rows = sites.list_sites(connection, caller.scope, after, limit)
        if detailed and len(rows) > METRICS_SITES_MAX:
            count = len(sites.list_sites(connection, caller.scope))
            return _Seen([], {}, {}, [], {}, [], count)
        names = [row.site for row in rows]
        if not names:
            return _Seen([], {}, {}, [], {}, [], 0)
        link = sites.read_all_link_bytes(connection, names) if detailed and caller.scope.platform else {}
        return _Seen(
            rows,
            sites.read_states(connection, names),
            facts.read_site_facts(connection, names),
            views.read_instances(self._core, connection, caller.scope, sites=names),
            link,
            facts.list_chain_facts(connection, caller.scope, sites=names) if detailed and caller.tenant else [],
            0,
        )

    def _fresh(self, site: SiteName) -> use.Newest | None:
        """Return a sample that may still be true: not of a silent site, nor older than two of its slowest paces."""
        newest = self._core.use.newest(site)
        if newest is None or self._core.liveness(site) == "silent":
            return None
        pace_us = LINK_PLANS[self._core.link_classes.get(site, "wired")].samples_us
        return newest if self._core.clock.boot_us() - newest.boot_us <= 2 * pace_us else None

    def _view_site(self, row: SiteRow, seen: _Seen) -> SiteUseView:
        newest = self._core.use.newest(row.site)
        host = None if newest is None else newest.sample.host
        nodes, fact = seen.told.get(row.site, ([], None))
        here = [each for each in seen.instances if each.view.site == row.site and each.wanted]
        return SiteUseView(
            site=row.site,
            state=views.site_state(self._core, seen.states[row.site]),
            sampled_s_ago=None if newest is None else _age_s(self._core, newest),
            cpu_used_m=None if newest is None else newest.cpu_m,
            cpu_m=sum(node.cpu_m for node in nodes),
            load_m=0 if host is None else host.load_m,
            memory_used_bytes=0 if host is None else host.memory_bytes,
            memory_bytes=sum(node.memory_bytes for node in nodes),
            disk_used_bytes=0 if host is None else host.disk_bytes,
            disk_bytes=sum(node.disk_bytes for node in nodes),
            link_rtt_us=0 if newest is None else newest.rtt_us,
            files=0 if host is None else host.files,
            files_used=0 if host is None else host.files_used,
            temperature_m=0 if host is None else host.temperature_m,
            outbox_events=0 if newest is None or newest.sample.outbox is None else newest.sample.outbox.events,
            clock_off_ms=None if newest is None else newest.clock_off_ms,
            instances=len(here),
            ready=sum(each.ready for each in here),
            conditions=() if fact is None else tuple(sorted(fact.conditions)),
        )

    # --- writing -----------------------------------------------------------------------------------------------------

    async def _write_core(self, text: Exposition) -> None:
        def job(connection: Connection) -> collections.Counter[str]:
            states = sites.read_states(connection)
            standing = (row.site for row in sites.list_sites(connection, PLATFORM))
            return collections.Counter(views.site_state(self._core, states[site]) for site in standing)

        states = await self._core.db.read(job)
        text.add(series.BUILD, 1, __version__)
        for state, count in sorted(states.items()):
            text.add(series.SITES, count, state)
        text.add(series.SAMPLES, self._core.use.samples)
        text.add(series.PLAN_VERSION, self._core.planned)
        if self._core.relay is not None:
            _write_relay(text, self._core.see_relay())
        used = resource.getrusage(resource.RUSAGE_SELF)
        text.add(series.CPU, used.ru_utime + used.ru_stime)
        text.add(series.MEMORY, _read_resident())

    def _write_site(self, text: Exposition, row: SiteRow, seen: _Seen) -> None:
        site, state = row.site, seen.states[row.site]
        text.add(series.SITE_UP, int(views.site_state(self._core, state) == "online"), site)
        nodes, fact = seen.told.get(site, ([], None))
        if fact is not None:
            text.add(series.SITE_SETTLED, int(fact.settled), site)
            for condition in sorted(fact.conditions):
                text.add(series.SITE_CONDITION, 1, site, condition)
        text.add(series.SITE_REFUSES, int(bool(state.refused_code)), site)
        if nodes:
            text.add(series.HOST_CPUS, sum(node.cpu_m for node in nodes) / 1000, site)
            text.add(series.HOST_MEMORY, sum(node.memory_bytes for node in nodes), site)
            text.add(series.HOST_DISK, sum(node.disk_bytes for node in nodes), site)
        for purpose, sent, received in seen.link.get(site, ()):
            text.add(series.LINK_BYTES, sent, site, purpose, "down")
            text.add(series.LINK_BYTES, received, site, purpose, "up")
        text.add(series.LINK_SESSIONS, state.session_epoch, site)
        text.add(series.OUTBOX_DROPPED, state.events_dropped, site)
        newest = self._fresh(site)
        if newest is not None:
            text.add(series.SAMPLE_AGE, _age_s(self._core, newest), site)
            _write_sample(text, site, newest)


def view_instance_use(core: Core, view: InstanceView) -> InstanceUseView:
    """Say what an instance used by the newest sample of its site."""
    newest = core.use.newest(view.site)
    used = None if newest is None else newest.instances.get(view.instance)
    return InstanceUseView(
        instance=view.instance,
        app=view.app,
        service=view.service,
        ordinal=view.ordinal,
        site=view.site,
        phase=view.phase,
        restarts=view.restarts,
        sampled_s_ago=None if newest is None or used is None else _age_s(core, newest),
        cpu_used_m=None if newest is None else newest.instances_cpu_m.get(view.instance),
        memory_bytes=0 if used is None else used.memory_bytes,
        received_bytes=0 if used is None else used.received_bytes,
        sent_bytes=0 if used is None else used.sent_bytes,
        read_bytes=0 if used is None else used.read_bytes,
        written_bytes=0 if used is None else used.written_bytes,
    )


def _age_s(core: Core, newest: use.Newest) -> int:
    return (core.clock.boot_us() - newest.boot_us) // _MICRO


def _write_relay(text: Exposition, seen: RelaySeen | None) -> None:
    text.add(series.RELAY_UP, int(seen is not None))
    for each in seen.pairs if seen is not None else ():
        text.add(series.RELAY_BYTES, each.passed_bytes, *each.sites)
        text.add(series.RELAY_DROPPED, each.refused, *each.sites, "refused")
        text.add(series.RELAY_DROPPED, each.crowded, *each.sites, "crowded")


def _read_resident() -> int:
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES


def _write_sample(text: Exposition, site: SiteName, newest: use.Newest) -> None:
    if newest.rtt_us:
        text.add(series.LINK_ROUND_TRIP, newest.rtt_us / _MICRO, site)
    if newest.clock_off_ms is not None:
        text.add(series.HOST_CLOCK, newest.clock_off_ms / 1000, site)
    outbox, host = newest.sample.outbox, newest.sample.host
    if outbox is not None:
        text.add(series.OUTBOX_EVENTS, outbox.events, site)
        text.add(series.OUTBOX_BYTES, outbox.bytes, site)
    if host is None:
        return
    text.add(series.HOST_CPU, host.cpu_us / _MICRO, site)
    text.add(series.HOST_LOAD, host.load_m / 1000, site)
    text.add(series.HOST_MEMORY_USED, host.memory_bytes, site)
    text.add(series.HOST_DISK_USED, host.disk_bytes, site)
    if host.files:
        text.add(series.HOST_FILES, host.files, site)
        text.add(series.HOST_FILES_USED, host.files_used, site)
    if host.temperature_m:
        text.add(series.HOST_TEMPERATURE, host.temperature_m / 1000, site)


def _write_doors(text: Exposition, site: SiteName, tenant: TenantName | None, newest: use.Newest | None) -> None:
    """Show a tenant what people asked of its services over the site's entrance."""
    for each in newest.sample.doors if newest is not None else ():
        if each.tenant != tenant:
            continue
        labels = (site, each.tenant, each.app, each.service, str(each.port), each.kind)
        for code, count in zip(_CODES, each.answers, strict=False):
            text.add(series.DOOR_ANSWERS, count, *labels, code)
        text.add(series.DOOR_CONNECTIONS, each.connections, *labels)
        text.add(series.DOOR_OPEN, each.open, *labels)
        text.add(series.DOOR_RECEIVED, each.received_bytes, *labels)
        text.add(series.DOOR_SENT, each.sent_bytes, *labels)
        text.add(series.DOOR_TIME, each.answer_us / _MICRO, *labels)


def _write_chain(text: Exposition, site: SiteName, fact: ChainFact, newest: use.Newest | None) -> None:
    labels = (site, fact.node, fact.tenant, fact.app, fact.chain)
    text.add(series.CHAIN_PASSES, int(fact.state != "closed"), *labels)
    text.add(series.CHAIN_LATE, int(fact.late), *labels)
    if fact.path_us:
        text.add(series.CHAIN_LATENCY, fact.path_us / _MICRO, *labels, "")
    for step, latency_us in fact.latency_us.items():
        text.add(series.CHAIN_LATENCY, latency_us / _MICRO, *labels, step)
    for each in newest.sample.chains if newest is not None else ():
        if (each.tenant, each.app, each.chain) == (fact.tenant, fact.app, fact.chain):
            for step in each.steps:
                text.add(series.CHAIN_PACKETS, step.out, site, *labels[2:], step.service, "out")
                text.add(series.CHAIN_PACKETS, step.back, site, *labels[2:], step.service, "back")


def _write_networks(text: Exposition, site: SiteName, tenant: TenantName | None, newest: use.Newest | None) -> None:
    for each in newest.sample.networks if newest is not None else ():
        if each.tenant != tenant:
            continue
        labels = (site, each.tenant, each.app, each.network)
        for way, packets, moved in (
            ("sent", each.sent_packets, each.sent_bytes),
            ("received", each.received_packets, each.received_bytes),
            ("dropped", each.dropped_packets, each.dropped_bytes),
        ):
            text.add(series.NETWORK_PACKETS, packets, *labels, way)
            text.add(series.NETWORK_BYTES, moved, *labels, way)


def _write_links(text: Exposition, site: SiteName, newest: use.Newest | None) -> None:
    if newest is None:
        return
    for peer in newest.sample.peers:
        if peer.rtt_us:
            text.add(series.PEER_ROUND_TRIP, peer.rtt_us / _MICRO, site, peer.site)
        if peer.asked:
            text.add(series.PEER_QUESTIONS, peer.asked - min(peer.unanswered, peer.asked), site, peer.site, "answered")
            text.add(series.PEER_QUESTIONS, peer.unanswered, site, peer.site, "lost")
        text.add(series.PEER_BYTES, peer.received_bytes, site, peer.site, "received")
        text.add(series.PEER_BYTES, peer.sent_bytes, site, peer.site, "sent")
    for uplink in newest.sample.uplinks:
        for purpose, moved in uplink.purposes.items():
            text.add(series.UPLINK_BYTES, moved, site, uplink.uplink, purpose)
        other = uplink.used_bytes - sum(uplink.purposes.values())
        text.add(series.UPLINK_BYTES, max(other, 0), site, uplink.uplink, "other")


def _write_instance(
    text: Exposition, tenant: TenantName | None, each: views.Instance, newest: use.Newest | None
) -> None:
    view = each.view
    labels = (view.site, tenant or "", view.app, view.service, view.instance)
    text.add(series.READY, int(each.ready or view.phase == "held"), *labels)
    text.add(series.RESTARTS, view.restarts, *labels)
    used = None if newest is None else newest.instances.get(view.instance)
    if used is None:
        return
    text.add(series.INSTANCE_CPU, used.cpu_us / _MICRO, *labels)
    text.add(series.INSTANCE_MEMORY, used.memory_bytes, *labels)
    text.add(series.RECEIVED, used.received_bytes, *labels)
    text.add(series.SENT, used.sent_bytes, *labels)
    text.add(series.READ, used.read_bytes, *labels)
    text.add(series.WRITTEN, used.written_bytes, *labels)


def _write_volumes(text: Exposition, site: SiteName, tenant: TenantName | None, newest: use.Newest | None) -> None:
    for volume in () if newest is None else newest.sample.volumes:
        owner, _, rest = volume.volume.partition("/")
        app, _, name = rest.partition("/")
        if tenant and owner == tenant:
            text.add(series.VOLUME, volume.disk_bytes, site, owner, app, name)


def _group(targets: tuple[str, ...], instance: str, labels: dict[str, str]) -> ScrapeGroup:
    return ScrapeGroup(targets=targets, labels={"__metrics_path__": "/metrics", "instance": instance, **labels})


def _label(key: str) -> str:
    """Return a site's label as Prometheus can name it."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in key)
