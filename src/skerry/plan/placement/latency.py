"""Round trips: what a link has measured, and an estimate from signed positions where nothing was.

The estimate is the great circle at ``US_PER_KM`` and what each end's access adds; distance says nothing of a satellite,
so such a site has none. Unknown is None: a bound refuses it, a preference takes it for ``UNKNOWN_US``. Neighbour:
``rules.py`` asks for every candidate, ``users.py`` for many points at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

from skerry.model.geography import Point, UnitVector, chord_m, distance_m, unit_vector
from skerry.model.ids import SiteName
from skerry.model.placing import Latency
from skerry.model.site_match import site_point
from skerry.plan.placement.estate import Estate, Group, Slot
from skerry.plan.snapshot import SiteView
from skerry.wire import LinkClass

#: Light in fibre there and back, and the detours of real routes (placement.md §6).
US_PER_KM = 15
#: What an access line adds to a round trip: typical of fibre and DSL, and of 4G. None: distance says nothing.
ACCESS_US: dict[LinkClass, int | None] = {"wired": 2_000, "mobile": 30_000, "satellite": None}
#: What a preference takes an unknown round trip for: worse than any on the ground.
UNKNOWN_US = 1_000_000
_NO_DISTANCE = " has a satellite link, of which distance says nothing"
_NO_POSITION = " has no signed position"


class Rtt(NamedTuple):
    """A round trip in microseconds, None where nobody knows it, and how it is known or why it is not."""

    us: int | None
    source: str


class _End(NamedTuple):
    point: Point | None
    access_us: int | None
    name: str


def find_rtt(wish: Latency, slot: Slot, estate: Estate, group: Group) -> Rtt:
    """Return the round trip between a candidate and what ``wish`` names; ``group`` is the service that it may name."""
    match wish.to:
        case "core":
            measured = slot.view.rtt_us
            return Rtt(measured, "measured by its link") if measured else Rtt(None, "its link has not measured it yet")
        case "place":
            return _estimate(_End(wish.point, 0, "the place"), _end(slot.view))
        case "site":
            other = estate.views.get(SiteName(wish.name))
            return Rtt(None, f"there is no site {wish.name}") if other is None else _between(other, slot.view)
        case "service":
            return _to_service(wish, slot, estate, group)
        case "users":
            raise ValueError("users count together, with all copies: users.py")


def list_rtts(vectors: Sequence[UnitVector], view: SiteView) -> tuple[int, ...] | str:
    """Return the estimated round trips from a site to points on the ground, or why nobody knows them."""
    point, access_us, name = _end(view)
    if access_us is None:
        return f"{name}{_NO_DISTANCE}"
    if point is None:
        return f"{name}{_NO_POSITION}"
    here = unit_vector(point)
    return tuple(access_us - (-US_PER_KM * chord_m(here, vector) // 1000) for vector in vectors)


def _to_service(wish: Latency, slot: Slot, estate: Estate, group: Group) -> Rtt:
    sites = [SiteName(name) for name, count in estate.tally(group, "site").items() if count > 0]
    if not sites:
        return Rtt(None, f"{wish.name} has no place yet")
    if slot.site in sites and not wish.every:
        return Rtt(0, "at the same site")
    found = [_between(estate.views[site], slot.view) for site in sites]
    known = [each.us for each in found if each.us is not None]
    if not known or (wish.every and len(known) < len(found)):
        return next(each for each in found if each.us is None)
    best = max(known) if wish.every else min(known)
    return next(each for each in found if each.us == best)


def _between(one: SiteView, other: SiteView) -> Rtt:
    return Rtt(0, "at the same site") if one.site == other.site else _estimate(_end(one), _end(other))


def _end(view: SiteView) -> _End:
    return _End(site_point(view.record), ACCESS_US[view.link_class], view.site)


def _estimate(one: _End, other: _End) -> Rtt:
    for end in (one, other):
        if end.access_us is None:
            return Rtt(None, f"{end.name}{_NO_DISTANCE}")
        if end.point is None:
            return Rtt(None, f"{end.name}{_NO_POSITION}")
    assert one.point is not None
    assert other.point is not None
    metres = distance_m(one.point, other.point)
    access = (one.access_us or 0) + (other.access_us or 0)
    return Rtt(access + -(-US_PER_KM * metres // 1000), f"estimated over {metres / 1000:.0f} km")
