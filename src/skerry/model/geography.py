"""Places on the ground: points, regions, and whether a site's signed record lies inside one.

Integers throughout: positions in micro-degrees, distances in metres, rounded up. A region is judged by what the
registrar signed of a site; what it does not say is unknown, and an unknown place is never inside a fence.
"""

import math
from typing import NamedTuple

import msgspec

#: Mean radius of the earth (IUGG), in metres.
EARTH_RADIUS_M = 6_371_008.8
#: A corner of a polygon: longitude and latitude in micro-degrees, in the order of GeoJSON.
Corner = tuple[int, int]
#: Users at a place: its longitude and latitude in micro-degrees, and how many they are beside those at other places.
UserPoint = tuple[int, int, int]
#: A point on a globe of radius 1.
UnitVector = tuple[float, float, float]
#: A closed line, its last corner joined to its first.
Ring = tuple[Corner, ...]


class _Ground(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True
):
    """Part of signed payloads: closed, and without what is not said."""


class Point(_Ground, frozen=True, kw_only=True, omit_defaults=True):
    """A place on the ground, in micro-degrees."""

    latitude_udeg: int
    longitude_udeg: int


class Around(_Ground, frozen=True, kw_only=True, omit_defaults=True):
    """All that is at most so far from a point."""

    point: Point
    metres: int


class Region(_Ground, frozen=True, kw_only=True, omit_defaults=True):
    """Where something may be: every word given must hold."""

    #: Two capital letters each (ISO 3166); a site's country is what its registrar signed.
    countries: tuple[str, ...] = ()
    #: Polygons, each a ring followed by the rings of its holes; inside one of them is inside.
    polygon: tuple[tuple[Ring, ...], ...] = ()
    around: Around | None = None
    #: Not in this one.
    outside: "Region | None" = None
    #: Areas of the tenant, as they were when this was signed; inside one of them is inside.
    areas: "tuple[NamedArea, ...]" = ()


class NamedArea(_Ground, frozen=True, kw_only=True, omit_defaults=True):
    """An area as a signed payload carries it: its ground itself, and beside it, for people, what it was called.

    Only the ground is judged. So whoever keeps the areas of a tenant cannot move a fence that was signed.
    """

    name: str
    #: Which version of the area it was; 0 where none was recorded.
    number: int = 0
    #: Empty only in a manifest that was read and not yet resolved.
    region: Region = Region()


class Where(NamedTuple):
    """What is signed of a site's place."""

    country: str
    point: Point | None


def list_regions(region: Region) -> tuple[Region, ...]:
    """Return a region, its areas and what it leaves out, and theirs."""
    inner = (*(area.region for area in region.areas), *(() if region.outside is None else (region.outside,)))
    return (region, *(part for each in inner for part in list_regions(each)))


def depth_of(region: Region) -> int:
    """Count how many regions stand inside each other, the outermost included."""
    inner = (*(area.region for area in region.areas), *(() if region.outside is None else (region.outside,)))
    return 1 + max(map(depth_of, inner), default=0)


def list_areas(region: Region) -> tuple[NamedArea, ...]:
    """Return every area that a region names, at any depth."""
    return tuple(area for each in list_regions(region) for area in each.areas)


def count_corners(region: Region) -> int:
    """Count the corners of a region's polygons."""
    return sum(len(ring) for each in list_regions(region) for rings in each.polygon for ring in rings)


def region_unmet(region: Region, where: Where) -> str:
    """Say why a place is not certainly inside the region; empty when it is."""
    for word in _WORDS:
        verdict, reason = word(region, where)
        if verdict is not True:
            return reason
    return ""


def distance_m(one: Point, other: Point) -> int:
    """Return the length of the great circle between two points in metres, rounded up."""
    lat_one, lat_other = math.radians(one.latitude_udeg / 1e6), math.radians(other.latitude_udeg / 1e6)
    half_lat = (lat_other - lat_one) / 2
    half_lon = math.radians((other.longitude_udeg - one.longitude_udeg) / 1e6) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_one) * math.cos(lat_other) * math.sin(half_lon) ** 2
    return math.ceil(2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(chord))))


def unit_vector(point: Point) -> UnitVector:
    """Return a point on a globe of radius 1: for those who ask for many distances."""
    lat, lon = math.radians(point.latitude_udeg / 1e6), math.radians(point.longitude_udeg / 1e6)
    return (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))


def chord_m(one: UnitVector, other: UnitVector) -> int:
    """Return what ``distance_m`` returns, a metre more or less, from the chord between two points: five times as fast.

    The arc over a chord c of a globe of radius R is 2 R asin(c / 2) (placement.md §6).
    """
    return math.ceil(2 * EARTH_RADIUS_M * math.asin(min(1.0, math.dist(one, other) / 2)))


#: True, False, or None where it cannot be said; and what a person is told when it is not True.
_Verdict = tuple[bool | None, str]


def _judge_countries(region: Region, where: Where) -> _Verdict:
    wanted = ", ".join(region.countries)
    if not region.countries:
        return True, ""
    if not where.country:
        return None, f"needs a country in {wanted}, the site's record names none"
    return where.country.upper() in region.countries, f"needs a country in {wanted}, the site is in {where.country}"


def _judge_polygon(region: Region, where: Where) -> _Verdict:
    if not region.polygon:
        return True, ""
    if where.point is None:
        return None, "needs a place inside a polygon, the site's record has no position"
    corner = (where.point.longitude_udeg, where.point.latitude_udeg)
    return any(_is_inside(rings, corner) for rings in region.polygon), "the site lies outside of the polygon"


def _judge_around(region: Region, where: Where) -> _Verdict:
    around = region.around
    if around is None:
        return True, ""
    if where.point is None:
        return None, "needs a place around a point, the site's record has no position"
    have = distance_m(around.point, where.point)
    reason = f"needs at most {_km(around.metres)} km from a point, the site is {_km(have)} km away"
    return have <= around.metres, reason


def _judge_outside(region: Region, where: Where) -> _Verdict:
    if region.outside is None:
        return True, ""
    verdict, _ = _judge(region.outside, where)
    if verdict is False:
        return True, ""
    if verdict is None:
        return None, "whether the site is in a region that is left out cannot be said from its record"
    return False, "the site is in a region that is left out"


def _judge_areas(region: Region, where: Where) -> _Verdict:
    if not region.areas:
        return True, ""
    verdicts = [_judge(area.region, where) for area in region.areas]
    names = ", ".join(area.name for area in region.areas)
    if any(verdict is True for verdict, _ in verdicts):
        return True, ""
    if len(verdicts) == 1:
        return verdicts[0][0], f"area {names}: {verdicts[0][1]}"
    if any(verdict is None for verdict, _ in verdicts):
        return None, f"whether the site is in one of the areas {names} cannot be said from its record"
    return False, f"the site lies outside of the areas {names}"


def _judge(region: Region, where: Where) -> _Verdict:
    """Judge a region as a whole: False where any word is not fulfilled, None where that cannot be said of all."""
    verdicts = [word(region, where) for word in _WORDS]
    for wanted in (False, None):
        found = next((each for each in verdicts if each[0] is wanted), None)
        if found is not None:
            return found
    return True, ""


_WORDS = (_judge_countries, _judge_around, _judge_polygon, _judge_outside, _judge_areas)


def _is_inside(rings: tuple[Ring, ...], corner: Corner) -> bool:
    """Say whether a corner is inside the first ring and in no hole; the lines themselves are inside."""
    return _side(rings[0], corner) >= 0 and all(_side(hole, corner) <= 0 for hole in rings[1:])


def _side(ring: Ring, corner: Corner) -> int:
    """Return 1 inside, 0 on the line, -1 outside, on the flat map of longitude and latitude, as GeoJSON has it."""
    x, y = corner
    inside = False
    x_one, y_one = ring[-1]
    for x_two, y_two in ring:
        if min(y_one, y_two) <= y <= max(y_one, y_two):
            cross = (x_two - x_one) * (y - y_one) - (y_two - y_one) * (x - x_one)
            if cross == 0 and min(x_one, x_two) <= x <= max(x_one, x_two):
                return 0
            if (y_one > y) != (y_two > y) and (cross > 0) == (y_two > y_one):
                inside = not inside
        x_one, y_one = x_two, y_two
    return 1 if inside else -1


def _km(metres: int) -> str:
    return f"{metres / 1000:.1f}"
