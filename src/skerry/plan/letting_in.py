"""Which sites may have the newest revision of an app now, so that not too many copies of a service are down at once.

Copies that are counted in all (``replicas.total``) stand for one another over all sites, so the core keeps their
``max-down`` (budget.py): it lets a site in when what that site takes down at a time fits beside what is down already.
Where each site has its own copies each site keeps the budget itself, and waves alone say how many sites change at once.
A site that has nothing to lose, because what it has is down or does not change, is let in at once.

A revision that is taken back is not held up, and neither is one whose app is paused. Neighbour: ``waves.py`` lets sites
in by waves, and asks this file about those.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import Assignment, assignment_instance
from skerry.model.facts import InstanceFact
from skerry.model.ids import Digest, InstanceId, SecretName, ServiceName, SiteName
from skerry.plan.budget import allow_down
from skerry.plan.derive import Derived, derive_instance
from skerry.plan.snapshot import AppWish, SiteView

#: How soon sites that wait are looked at again: what changes before them needs about that long.
LOOK_US = 15_000_000
#: Phases in which a copy does what is wished of it.
_UP = ("ready", "done")

#: The seats of one app, by site.
Seats = Mapping[SiteName, list[Assignment]]


class _Here(msgspec.Struct):
    """Copies of one service at one site: down, well and told to change, well and to change once it is let in."""

    down: int = 0
    changing: int = 0
    due: int = 0


def find_held(
    wish: AppWish,
    seats: Seats,
    views: Mapping[SiteName, SiteView],
    revisions: Mapping[Digest, AppRevision],
    closed: Collection[SiteName],
) -> dict[SiteName, str]:
    """Return the sites that must not have the newest revision yet, each with the reason.

    ``closed`` are those that wait for something else; what they have counts, and they are not let in.
    """
    revision = revisions.get(wish.revision) if wish.revision else None
    if revision is None or wish.held or len(seats) < 2:
        return {}
    counted = {name: service for name, service in revision.services.items() if service.placement.replicas.total > 1}
    if not counted or all(unit.revision == wish.revision for units in seats.values() for unit in units):
        return {}
    places = {name: _look(name, wish, seats, views, revisions) for name in counted}
    allowed = {name: allow_down(service.policy, service.placement.replicas.total) for name, service in counted.items()}
    down = {name: sum(_take(here, allowed[name]) for here in places[name].values()) for name in counted}
    held: dict[SiteName, str] = {}
    for view in sorted((views[site] for site in seats), key=lambda each: (each.enrolment, each.site)):
        if view.site in closed or view.learning or all(unit.revision == wish.revision for unit in seats[view.site]):
            continue
        costs = {name: _cost(places[name].get(view.site, _Here()), allowed[name]) for name in counted}
        if not any(costs.values()):
            continue
        over = next((name for name, cost in costs.items() if cost and down[name] + cost > allowed[name]), None)
        if view.silent:
            held[view.site] = "the site is silent: it gets the revision when it is heard, in its turn"
        elif over is not None:
            copies = counted[over].placement.replicas.total
            held[view.site] = (
                f"{down[over]} of {copies} copies of {over} are down or being changed, and {allowed[over]} may be"
            )
        else:
            down = {name: count + costs[name] for name, count in down.items()}
    return held


def _take(here: _Here, allowed: int) -> int:
    """Return how many copies a site has down, or may take down by itself with what it was told already."""
    return here.down + min(here.changing, max(allowed - here.down, 0))


def _cost(here: _Here, allowed: int) -> int:
    """Return how many more copies a site takes down at once when it is let in."""
    return min(here.changing + here.due, max(allowed - here.down, 0)) - min(here.changing, max(allowed - here.down, 0))


def _look(
    service: ServiceName,
    wish: AppWish,
    seats: Seats,
    views: Mapping[SiteName, SiteView],
    revisions: Mapping[Digest, AppRevision],
) -> dict[SiteName, _Here]:
    """Count the copies of a service at each site."""
    found: dict[SiteName, _Here] = {}
    for site, units in seats.items():
        view = views[site]
        facts: dict[InstanceId, InstanceFact] = {}
        for unit in units:
            if unit.service != service:
                continue
            facts = facts or {fact.instance: fact for fact in view.instances}
            fact = facts.get(assignment_instance(unit))
            here = found.setdefault(site, _Here())
            if fact is None or fact.phase not in _UP:
                here.down += 1
            elif fact.revision != unit.revision and not _has_judged(view, wish, unit.revision):
                here.changing += 1  # to the newest, or to one before it that the site was let in for
            elif unit.revision != wish.revision:
                here.due += _changes(unit, wish, view, revisions)
    return found


def _has_judged(view: SiteView, wish: AppWish, revision: Digest) -> bool:
    """Say whether the site gave a revision up and is back at the one before."""
    mine = (fact for fact in view.gates if (fact.tenant, fact.app) == (wish.tenant, wish.app))
    return any(fact.revision == revision and fact.verdict == "failed" for fact in mine)


def _changes(unit: Assignment, wish: AppWish, view: SiteView, revisions: Mapping[Digest, AppRevision]) -> bool:
    """Say whether the newest revision is something else to run than what the copy runs now."""
    assert wish.revision is not None
    before, after = revisions.get(unit.revision), revisions[wish.revision]
    if before is None or unit.service not in before.services:
        return True
    # Which version of a secret a site has makes no difference between the two.
    names: Iterable[SecretName] = (use.name for each in (before, after) for use in each.secrets.values())
    secrets = dict.fromkeys(names, Digest(""))
    old = derive_instance(before, unit, view.record, secrets)
    new = derive_instance(after, unit, view.record, secrets)
    return not (isinstance(old, Derived) and isinstance(new, Derived) and old.digest == new.digest)
