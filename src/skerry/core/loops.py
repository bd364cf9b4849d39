"""The core's loops. Each body reads: load, decide, perform, record; none takes input, so a wake-up carries no news.

plan      wishes and facts -> units wished for each site        woken by a wish, and each minute
publish   sites whose document is not acknowledged -> a nudge   woken by the plan, and each minute
watch     sites that fell silent or came back -> an event       each five seconds
keep      counters into the store, old rows out, a snapshot     each minute, each hour
"""

import contextlib
from collections.abc import Sequence

import msgspec

from skerry.clock import SECOND_US, Alarm, unhurried
from skerry.core.once import KEPT_US
from skerry.core.state import Core
from skerry.model.ids import SiteName
from skerry.model.relay import RelayTable
from skerry.plan.fleet import FleetPlan, plan_fleet
from skerry.plan.liveness import pulse
from skerry.plan.relaying import make_table
from skerry.plan.report import AppReport
from skerry.safe.errors import StoreFull
from skerry.store import Connection, answers, apps, events, fleet, seeds, sites
from skerry.store.sites import SiteState

PLAN_US = 60 * SECOND_US
PUBLISH_US = 60 * SECOND_US
WATCH_US = 5 * SECOND_US
KEEP_US = 60 * SECOND_US
#: An hour between snapshots: what a restore may lose at most (faults.md §3.2).
SNAPSHOT_US = 3600 * SECOND_US
#: A dry run stands on a state that is soon gone.
PLAN_LIFE_US = 86_400 * SECOND_US
#: Events kept in the log: a year of a thousand quiet sites, about 400 MB.
EVENTS_KEPT = 1_000_000
#: Sites nudged in one turn of the event loop, 30 us each: heartbeats wait 3 ms.
NUDGES_MAX = 100
#: Plans made again because a wish moved meanwhile, before the loop takes a breath.
REPLANS_MAX = 20


class Planner:
    """Loop ``plan``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        #: Reports as recorded last, so that an unchanged plan writes nothing.
        self._reports: tuple[AppReport, ...] = ()
        #: What the relay was told last; nothing before this process has told it anything.
        self._table: RelayTable | None = None
        self._alarm = Alarm(core.clock, core.tasks, "rollout", core.wishes.ring)

    async def turn(self) -> None:
        """Plan until what is recorded stands on the newest wish."""
        for _ in range(REPLANS_MAX):
            silent, now_us = self._core.silent(), self._core.clock.wall_us()
            round_trips, away = self._core.round_trips(), self._core.away()

            def load(
                connection: Connection,
                silent: frozenset[SiteName] = silent,
                now_us: int = now_us,
                round_trips: dict[SiteName, int] = round_trips,
                away: dict[SiteName, int] = away,
            ) -> fleet.FleetSnapshot:
                found = fleet.load_snapshot(connection, silent, now_us, round_trips, away)
                return msgspec.structs.replace(found, relay=self._core.relay)

            snapshot = await self._core.db.read(load)
            plan = await self._core.beside.work(lambda snapshot=snapshot: plan_fleet(snapshot))
            self._set_alarm(plan, now_us)
            self._tell_relay(snapshot, plan)
            touched = [(report.tenant, report.app) for report in (*self._reports, *plan.reports)]
            if not (plan.documents or plan.understood or plan.rollouts) and plan.reports == self._reports:
                self._core.planned = plan.version
                self._core.changes.touch(*touched)
                return
            changed = await self._record(plan)
            if changed is None:
                continue
            self._core.planned = plan.version
            self._reports = plan.reports
            self._core.events.ring()
            self._core.changes.touch(*changed, *touched)
            await nudge_all(self._core, changed)
            if not plan.understood and not plan.rollouts:
                return
        self._core.wishes.ring()

    async def _record(self, plan: FleetPlan) -> tuple[SiteName, ...] | None:
        now_us = self._core.clock.wall_us()
        return await self._core.db.run(lambda connection: fleet.record_plan(connection, plan, now_us), soon=True)

    def _tell_relay(self, snapshot: fleet.FleetSnapshot, plan: FleetPlan) -> None:
        """Let the relay know of the pairs that documents name from now on, before any site does."""
        if snapshot.relay is None:
            return
        fresh = {document.site: document.units for document in plan.documents}
        views = [msgspec.structs.replace(each, units=fresh.get(each.site, each.units)) for each in snapshot.sites]
        table = make_table(snapshot.relay, views)
        if table != self._table:
            # A full disk leaves the relay with its last table until the next turn.
            with contextlib.suppress(OSError):
                self._core.tell_relay(table)
                self._table = table

    def _set_alarm(self, plan: FleetPlan, now_us: int) -> None:
        """Plan again when a canary has baked. The wall clock may be set meanwhile: then it is looked at again."""
        if plan.wake_us > now_us:
            self._alarm.set(self._core.clock.boot_us() + plan.wake_us - now_us)


async def publish(core: Core) -> None:
    """Nudge every site that does not hold what is wished of it and has not refused just that."""
    states = await core.db.read(sites.read_states)
    await nudge_all(core, [site for site in sorted(states) if _waits(states[site])])


def _waits(state: SiteState) -> bool:
    waits = not state.acknowledged and (state.pending or not state.refused_code) and not state.learning
    return waits and bool(state.session_epoch)


async def nudge_all(core: Core, names: Sequence[SiteName]) -> None:
    """Tell the sessions of many sites that there may be something new, some in each turn of the event loop."""
    async for site in unhurried(names, NUDGES_MAX):
        if core.sites is not None:
            core.sites.nudge(site)


class Watcher:
    """Loop ``watch``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._silent: frozenset[SiteName] = frozenset()

    async def turn(self) -> None:
        """Note that time passes here, and tell of sites that fell silent or came back."""
        self._core.watch = pulse(self._core.watch, self._core.clock.boot_us())
        silent = self._core.silent()
        if silent == self._silent:
            return
        now_us = self._core.clock.wall_us()
        changed = [(site, "site.silent") for site in sorted(silent - self._silent)]
        changed += [(site, "site.heard") for site in sorted(self._silent - silent) if site in self._core.heard]

        def record(connection: Connection) -> None:
            for site, kind in changed:
                # A core that was restarted does not tell again what its log tells already.
                if events.newest_of(connection, f"site/{site}", ("site.silent", "site.heard")) != kind:
                    events.append_core_event(connection, kind, time_us=now_us, subject=f"site/{site}")

        await self._core.db.run(record)
        self._silent = silent
        self._core.changes.touch(*(site for site, _ in changed))
        self._core.events.ring()
        self._core.wishes.ring()


class Keeper:
    """Loop ``keep``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._snapshot_due_us = core.clock.boot_us() + SNAPSHOT_US

    async def turn(self) -> None:
        """Write what is counted in memory, forget what is old, make a snapshot when one is due."""
        await flush_bytes(self._core)
        now_us = self._core.clock.wall_us()
        await self._core.db.run(lambda connection: _forget(connection, now_us))
        if self._core.clock.boot_us() >= self._snapshot_due_us:
            self._snapshot_due_us = self._core.clock.boot_us() + SNAPSHOT_US
            try:
                await self._core.db.snapshot()
            except StoreFull as full:
                now_us, detail = self._core.clock.wall_us(), full.detail
                await self._core.db.run(lambda connection: _tell_no_snapshot(connection, now_us, detail))


async def flush_bytes(core: Core) -> None:
    """Write link bytes counted since the last time."""
    counted, core.link_bytes = core.link_bytes, {}
    if not counted:
        return

    def record(connection: Connection) -> None:
        for site in sorted(counted):
            sent, received = counted[site]
            sites.add_link_bytes(connection, site, sent, received)

    await core.db.run(record)


def _forget(connection: Connection, now_us: int) -> None:
    events.trim_events(connection, EVENTS_KEPT)
    apps.trim_plans(connection, now_us - PLAN_LIFE_US)
    answers.trim_answers(connection, now_us - KEPT_US)
    for seed in seeds.end_overdue(connection, now_us):
        fleet.touch_fleet(connection)
        events.append_core_event(
            connection,
            "image.seed-ended",
            time_us=now_us,
            subject=f"image/{seed.digest}",
            tenant=seed.tenant,
            message="its time is over: sites keep it until they lack room",
        )


def _tell_no_snapshot(connection: Connection, now_us: int, detail: str) -> None:
    events.append_core_event(
        connection, "core.snapshot-failed", time_us=now_us, subject="core", klass="security", message=detail
    )
