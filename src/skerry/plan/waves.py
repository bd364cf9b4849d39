"""From the fleet to the rollouts of its apps and back: who is meant, how each site stands, what the placement may do.

Neighbours: ``rollout.py`` decides for one app; ``fleet.py`` calls this before it seats anything.
"""

from collections.abc import Collection

import msgspec

from skerry.model.app import AppRevision, Sites
from skerry.model.document import Assignment
from skerry.model.facts import AppFact
from skerry.model.ids import AppName, SiteName, TenantName
from skerry.model.rollout import Rollout
from skerry.model.site_match import service_unmet, site_unmet
from skerry.plan.letting_in import LOOK_US, Seats, find_held
from skerry.plan.rollout import Progress, Standing, begin_rollout, plan_rollout
from skerry.plan.snapshot import AppWish, FleetSnapshot, SiteView

AppKey = tuple[TenantName, AppName]
#: Worst first: a site of several nodes is as good as its worst one.
_WORST = ("failed", "watching", "none", "proven")


class Waves(msgspec.Struct, frozen=True):
    """The snapshot with its rollouts decided, those that came further, and when to decide again."""

    snapshot: FleetSnapshot
    progress: tuple[Progress, ...] = ()
    wake_us: int = 0


def settle_rollouts(snapshot: FleetSnapshot) -> Waves:
    """Decide the rollout of every app that has one."""
    seats = _find_seats(snapshot)
    views = {view.site: view for view in snapshot.sites}
    wishes: list[AppWish] = []
    progress: list[Progress] = []
    wakes: list[int] = []
    for wish in snapshot.apps:
        revision = snapshot.revisions.get(wish.revision) if wish.revision else None
        places = seats.get((wish.tenant, wish.app), {})
        if revision is None or not revision.rollout:
            held = find_held(wish, places, views, snapshot.revisions, ())
            wishes.append(msgspec.structs.replace(wish, waiting=held, prefetch=True) if held else wish)
            wakes += [snapshot.now_us + LOOK_US] if held else []
            continue
        assert wish.revision is not None
        known = wish.rollout
        fresh = known is None or known.revision != wish.revision
        began = begin_rollout(wish.tenant, wish.app, revision.number, wish.revision) if fresh else known
        assert began is not None
        held = find_held(wish, places, views, snapshot.revisions, places.keys() - set(began.admitted))
        sites = _list_standings(snapshot, wish, revision, places, began, held)
        turn = plan_rollout(revision.rollout, began, sites, snapshot.now_us)
        if turn.progress != known:
            progress.append(turn.progress)
        if turn.wake_us:
            wakes.append(turn.wake_us)
        fetches = revision.rollout.prefetch and turn.progress.phase in ("running", "baking", "approval")
        # Of the sites that the waves have let in now, those wait for which too many copies are down.
        held = {} if turn.back else find_held(wish, places, views, snapshot.revisions, turn.waiting.keys())
        wakes += [snapshot.now_us + LOOK_US] if held else []
        waiting = {**held, **turn.waiting}
        wishes.append(msgspec.structs.replace(wish, waiting=waiting, back=frozenset(turn.back), prefetch=fetches))
    return Waves(msgspec.structs.replace(snapshot, apps=tuple(wishes)), tuple(progress), min(wakes, default=0))


def _find_seats(snapshot: FleetSnapshot) -> dict[AppKey, dict[SiteName, list[Assignment]]]:
    """Find the sites that each app has a place at, with what is wished there."""
    found: dict[AppKey, dict[SiteName, list[Assignment]]] = {}
    for view in snapshot.sites:
        for unit in view.units.values():
            if isinstance(unit, Assignment):
                found.setdefault((unit.tenant, unit.app), {}).setdefault(view.site, []).append(unit)
    return found


def _list_standings(
    snapshot: FleetSnapshot,
    wish: AppWish,
    revision: AppRevision,
    seats: Seats,
    progress: Progress,
    held: Collection[SiteName],
) -> list[Standing]:
    """List the sites that the revision is meant for: where the app is, and where each site is to have a copy.

    ``held`` are sites that were let in and have their turn later.
    """
    assert revision.rollout
    admitted = set(progress.admitted)
    standings: list[Standing] = []
    for view in sorted(snapshot.sites, key=lambda each: (each.enrolment, each.site)):
        present = seats.get(view.site)
        # An operator keeps new instances away from a site that is cordoned, so nobody waits for it.
        if view.learning or (present is None and (view.is_closed or not _is_meant(revision, view))):
            continue
        has_it = any(unit.revision == wish.revision for unit in present or ())
        unplaced = view.site in admitted and view.site not in held and not has_it
        standings.append(_stand(view, wish, revision.rollout, unplaced))
    return standings


def _is_meant(revision: AppRevision, view: SiteView) -> bool:
    if revision.tenant not in view.record.tenants:
        return False
    services = revision.services.values()
    return any(each.placement.replicas.per_site and not service_unmet(each, view.record) for each in services)


def _stand(view: SiteView, wish: AppWish, words: Rollout, unplaced: bool) -> Standing:
    facts = [fact for fact in view.gates if (fact.tenant, fact.app) == (wish.tenant, wish.app)]
    told = [fact for fact in facts if fact.revision == wish.revision]
    worst: AppFact | None = min(told, key=lambda fact: _WORST.index(fact.verdict), default=None)
    return Standing(
        site=view.site,
        # One that waits for its window has told of itself, and has not taken it.
        taken=worst is not None and worst.verdict != "none",
        verdict="none" if worst is None else worst.verdict,
        reason="" if worst is None else worst.reason,
        silent=view.silent,
        unplaced=unplaced,
        is_canary=bool(words.canary_sites) and not site_unmet(Sites(match=words.canary_sites), view.record),
        fallback=None if worst is None or not worst.fallback else worst.fallback,
    )
