"""What concerns everybody: the stream of events, one screen of status, version and health."""

from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

from skerry import __version__
from skerry.clock import SECOND_US, ClockTimeout
from skerry.core import views
from skerry.core.auth import Caller
from skerry.core.changes import Changed, LinksOf
from skerry.core.enrolment import summarise_sites
from skerry.core.links import view_links
from skerry.core.members import MembersPart
from skerry.core.reading import read_summaries, summarise_app_named
from skerry.core.state import Core
from skerry.model.answers import CloudEvent, Condition, Health, SiteCounts, Status, Version, WatchDelta
from skerry.model.asks import EventQuery, WatchQuery
from skerry.model.ids import SiteName
from skerry.store import Connection, events, sites
from skerry.store.events import EventFilter
from skerry.wire import FORMAT

#: Events read at a time: one slow reader holds the store no longer than that.
_BATCH = 500
#: Changes are gathered for so long before a screen hears of them.
_WATCH_US = 250_000
#: Pause between two deltas of one kind: an app is summed up over all of its sites, which is not free.
#: What names of each kind are in the list of changes.
_KINDS: dict[str, type] = {"site": str, "app": tuple, "link": LinksOf}
_PACE_US = {"site": 250_000, "app": 2 * SECOND_US, "link": 2 * SECOND_US}
#: Objects that changed at once and are told one by one; above it listing again is cheaper for both ends.
_WATCHED_MAX = 500
#: Proxies cut connections that say nothing (interfaces.md §2).
_COMMENT_US = 15 * SECOND_US
_WARNINGS_SHOWN = 5


class WatchItem(msgspec.Struct, frozen=True):
    """One step of a watch: ``reset`` says that everything must be listed (it comes first, and after a flood)."""

    kind: Literal["delta", "reset", "alive"]
    delta: WatchDelta | None = None
    place: None = None


class EventItem(msgspec.Struct, frozen=True):
    """One step of the stream: an event, a ``reset`` (that place is not in the log: list again), or a sign of life."""

    kind: Literal["event", "reset", "alive"]
    event: CloudEvent | None = None
    #: With ``reset``: the id after which the stream goes on.
    place: int | None = None


class PlatformPart(MembersPart):
    """Operations on the core as a whole."""

    async def follow_events(self, caller: Caller, *, query: EventQuery) -> AsyncIterator[EventItem]:
        """Return visible events in order; a token that ends meanwhile ends the stream within 30 s (trust.md T28)."""
        return self._follow(caller, query)

    async def _follow(self, caller: Caller, query: EventQuery) -> AsyncIterator[EventItem]:
        chosen = EventFilter(site=query.site, app=query.app, kind=query.kind, cause=query.cause)
        after = query.after
        if query.tail:
            after = await self._core.db.read(lambda c: events.find_tail(c, caller.scope, query.tail, chosen))
        oldest = await self._core.db.read(events.oldest_event_id)
        last = await self._core.db.read(events.newest_event_id)
        if after > last or (after and oldest > after + 1):
            # Forgotten, or numbered by a core that was restored since from an older backup.
            after = last if after > last else oldest - 1
            yield EventItem("reset", place=after)
        while True:
            seen = self._core.events.rings
            newest = await self._core.db.read(events.newest_event_id)
            place = after

            def job(connection: Connection, place: int = place) -> list[events.LoggedEvent]:
                return events.list_events(connection, caller.scope, place, _BATCH, chosen)

            found = await self._core.db.read(job)
            for logged in found:
                yield EventItem("event", views.cloud_event(logged))
                after = logged.id
            if len(found) < _BATCH:
                after = max(after, newest)
                if not query.follow:
                    return
                try:
                    async with ClockTimeout(self._core.clock, self._core.tasks, _COMMENT_US):
                        await self._core.events.wait(seen)
                except TimeoutError:
                    yield EventItem("alive")
            await self.recheck(caller)

    async def watch(self, caller: Caller, *, query: WatchQuery) -> AsyncIterator[WatchItem]:
        """Return the newest state of whatever changes; an ended token ends it as it ends the stream of events."""
        return self._watch(caller, query.kinds.split(","))

    async def _watch(self, caller: Caller, kinds: list[str]) -> AsyncIterator[WatchItem]:
        changes, clock = self._core.changes, self._core.clock
        seen = dict.fromkeys(_PACE_US, changes.number)
        due_us = dict.fromkeys(seen, 0)
        yield WatchItem("reset")
        while True:
            rings = changes.bell.rings
            waiting = [kind for kind in kinds if _pick(changes.since(seen[kind]), kind)]
            if not waiting:
                try:
                    async with ClockTimeout(clock, self._core.tasks, _COMMENT_US):
                        await changes.bell.wait(rings)
                except TimeoutError:
                    yield WatchItem("alive")
                    await self.recheck(caller)
                continue
            await clock.sleep_until(max(min(due_us[kind] for kind in waiting), clock.boot_us() + _WATCH_US))
            await self.recheck(caller)
            for kind in waiting:
                if due_us[kind] > clock.boot_us():
                    continue
                names = _pick(changes.since(seen[kind]), kind)
                seen[kind] = changes.number
                due_us[kind] = clock.boot_us() + _PACE_US[kind]
                if len(names) > _WATCHED_MAX:
                    yield WatchItem("reset")
                    continue
                for delta in await self._core.db.read(_reader(self._core, caller, kind, names)):
                    yield WatchItem("delta", delta)

    async def show_status(self, caller: Caller) -> Status:
        """Sum everything up that the caller may see."""

        def job(connection: Connection) -> Status:
            counts, learning = self._count_sites(connection, caller)
            apps = read_summaries(self._core, connection, caller) if caller.tenant_role else []
            shown = [each for each in apps if each.state != "ended"]
            conditions: list[Condition] = []
            if not self._core.roots:
                conditions.append(Condition(kind="no-root", reason="the core has no root document yet"))
            if learning:
                reason = f"{learning} sites hold newer documents than the core knows"
                conditions.append(Condition(kind="learning", reason=reason))
            warnings = events.last_events(connection, caller.scope, _WARNINGS_SHOWN, EventFilter(warnings=True))
            return Status(
                version=__version__,
                root=bool(self._core.roots),
                sites=msgspec.convert(counts | {"learning": learning}, SiteCounts),
                apps=tuple(shown),
                not_as_wanted=sum(not views.is_as_wanted(each) for each in shown),
                warnings=tuple(views.cloud_event(each) for each in warnings),
                conditions=tuple(conditions),
            )

        return await self._core.db.read(job)

    def _count_sites(self, connection: Connection, caller: Caller) -> tuple[dict[str, int], int]:
        states = sites.read_states(connection)
        counts: dict[str, int] = {}
        learning = 0
        for row in sites.list_sites(connection, caller.scope):
            word = views.site_state(self._core, states[row.site])
            counts[word] = counts.get(word, 0) + 1
            learning += states[row.site].learning
        return counts, learning

    async def show_version(self, caller: Caller) -> Version:
        """Say which release answers."""
        return Version(version=__version__, format=FORMAT)

    async def check_live(self, caller: Caller) -> Health:
        """Say that the process answers."""
        return Health(ok=True)

    async def check_ready(self, caller: Caller) -> Health:
        """Say whether the core can do its work."""
        store = "failed" if self._core.db.failure is not None else "ok"
        root = "ok" if self._core.roots else "missing"
        loops = "failed" if self._core.tasks.failed else "ok"
        checks = {"store": store, "root": root, "loops": loops}
        return Health(ok=set(checks.values()) == {"ok"}, checks=checks)


def _pick(changed: list[Changed], kind: str) -> list[Changed]:
    return [each for each in changed if isinstance(each, _KINDS[kind])]


def _reader(core: Core, caller: Caller, kind: str, names: list[Changed]) -> Callable[[Connection], list[WatchDelta]]:
    """Return the job that reads the newest state of what is named, as far as the caller may see it."""

    def read_sites(connection: Connection) -> list[WatchDelta]:
        wanted = [SiteName(each) for each in names if isinstance(each, str)]
        rows = sites.list_named(connection, caller.scope, wanted)
        found = {each.site: each for each in summarise_sites(core, connection, caller, rows)}
        # To a tenant a foreign site and a removed one are the same: not there, and not named.
        told = [name for name in reversed(wanted) if name in found or caller.scope.platform]
        return [WatchDelta(kind="site", name=name, site=found.get(name)) for name in told]

    def read_apps(connection: Connection) -> list[WatchDelta]:
        mine = [
            each[1] for each in names if isinstance(each, tuple) and caller.tenant_role and each[0] == caller.tenant
        ]
        found = [summarise_app_named(core, connection, caller, app) for app in reversed(mine)]
        return [WatchDelta(kind="app", name=each.app, app=each) for each in found if each is not None]

    def read_links(connection: Connection) -> list[WatchDelta]:
        # Who is near whom, and over which line, is the operators' to see.
        wanted = [each.site for each in names if isinstance(each, LinksOf)] if caller.operator_role else []
        rows = sites.list_named(connection, caller.scope, wanted)
        states = sites.read_states(connection, [row.site for row in rows])
        return [WatchDelta(kind="link", name=row.site, links=view_links(core, row, states[row.site])) for row in rows]

    return {"site": read_sites, "app": read_apps, "link": read_links}[kind]
