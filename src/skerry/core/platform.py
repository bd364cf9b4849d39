"""What concerns everybody: the stream of events, one screen of status, version and health."""

from collections.abc import AsyncIterator
from typing import Literal

import msgspec

from skerry import __version__
from skerry.clock import SECOND_US, ClockTimeout
from skerry.core import views
from skerry.core.auth import Caller
from skerry.core.members import MembersPart
from skerry.core.reading import read_summaries
from skerry.model.answers import CloudEvent, Condition, Health, SiteCounts, Status, Version
from skerry.model.asks import EventQuery
from skerry.store import Connection, events, sites
from skerry.store.events import EventFilter
from skerry.wire import FORMAT

#: Events read at a time: one slow reader holds the store no longer than that.
_BATCH = 500
#: Proxies cut connections that say nothing (interfaces.md §2).
_COMMENT_US = 15 * SECOND_US
_WARNINGS_SHOWN = 5


class EventItem(msgspec.Struct, frozen=True):
    """One step of the stream: an event, a ``reset`` (the log begins later: list again), or a sign of life."""

    kind: Literal["event", "reset", "alive"]
    event: CloudEvent | None = None


class PlatformPart(MembersPart):
    """Operations on the core as a whole."""

    async def follow_events(self, caller: Caller, *, query: EventQuery) -> AsyncIterator[EventItem]:
        """Return visible events in order; a token that ends meanwhile ends the stream within 30 s (trust.md T28)."""
        return self._follow(caller, query)

    async def _follow(self, caller: Caller, query: EventQuery) -> AsyncIterator[EventItem]:
        chosen = EventFilter(site=query.site, app=query.app, kind=query.kind, cause=query.cause)
        after = query.after
        oldest = await self._core.db.read(events.oldest_event_id)
        if after and oldest > after + 1:
            yield EventItem("reset")
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
