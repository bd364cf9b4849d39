"""All sites as points, kept in memory as each scope sees them: a map is asked for whole and changes in a few places.

Rule: a point is computed by one function of the store's rows, all of them the first time and afterwards only those of
sites that changed since (core/changes.py). After a restart of the core the first asker pays for all again.
"""

from collections.abc import Collection

import msgspec

from skerry.core import views
from skerry.core.changes import CHANGES_MAX
from skerry.core.state import Core
from skerry.model.answers import MapPoint
from skerry.model.facts import SiteFact
from skerry.model.ids import SiteName
from skerry.store import Connection, facts, sites
from skerry.store.scope import Scope
from skerry.store.sites import SiteState

#: Scopes whose maps are kept: the operators and the tenants that look at a time; 10,000 points are 2 MB.
_SCOPES_MAX = 16
#: Changed sites that are read one by one; beyond it reading all is cheaper.
_CHANGED_MAX = 500
#: Phases in which an instance is as somebody wished.
_AT_REST = ("ready", "done", "held")


class _Kept(msgspec.Struct):
    seen: int
    points: dict[SiteName, MapPoint]


class SiteMaps:
    """One core's maps. All methods belong to one event loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._kept: dict[Scope, _Kept] = {}

    async def read(self, scope: Scope) -> tuple[MapPoint, ...]:
        """Return the sites that ``scope`` may see, by name."""
        changes = self._core.changes
        number = changes.number
        kept = self._kept.pop(scope, None)
        changed = None if kept is None or number - kept.seen >= CHANGES_MAX else _sites(changes.since(kept.seen))
        if kept is None or changed is None or len(changed) > _CHANGED_MAX:
            kept = _Kept(number, await self._core.db.read(lambda connection: self._compute(connection, scope, None)))
        elif changed:
            fresh = await self._core.db.read(lambda connection: self._compute(connection, scope, changed))
            points = {name: point for name, point in kept.points.items() if name not in changed}
            kept = _Kept(number, points | fresh)
        else:
            kept.seen = number
        self._kept[scope] = kept
        while len(self._kept) > _SCOPES_MAX:
            del self._kept[next(iter(self._kept))]
        return tuple(sorted(kept.points.values(), key=lambda point: point.site))

    def _compute(
        self, connection: Connection, scope: Scope, names: Collection[SiteName] | None
    ) -> dict[SiteName, MapPoint]:
        """Read the points of the sites named, or of all."""
        rows = sites.list_sites(connection, scope) if names is None else sites.list_named(connection, scope, names)
        states = sites.read_states(connection, names)
        told = facts.read_site_facts(connection, names or ())
        # What a site reports and the scope may not see does not colour its point.
        seen = facts.list_instance_facts(connection, scope, sites=names or ())
        ill = {site for site, fact in seen if fact.phase not in _AT_REST}
        return {
            row.site: MapPoint(
                site=row.site,
                longitude_udeg=row.record.longitude_udeg,
                latitude_udeg=row.record.latitude_udeg,
                state=views.site_state(self._core, states[row.site]),
                well=row.site not in ill and is_well(states[row.site], told.get(row.site, ([], None))[1]),
            )
            for row in rows
        }


def is_settled(state: SiteState, fact: SiteFact | None) -> bool:
    """Say whether a site holds what is wished and says that all of it is so; one of which nothing is wished is, too."""
    nothing_wished = not state.generation and not state.pending
    return (state.acknowledged or nothing_wished) and fact is not None and fact.settled


def is_well(state: SiteState, fact: SiteFact | None) -> bool:
    """Say whether a site is settled and neither it nor the core has anything to complain of."""
    quiet = fact is not None and not fact.conditions
    return quiet and is_settled(state, fact) and not state.learning and not state.refused_code


def _sites(changed: Collection[object]) -> frozenset[SiteName]:
    return frozenset(SiteName(each) for each in changed if isinstance(each, str))
