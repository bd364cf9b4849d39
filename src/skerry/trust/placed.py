"""What the types of further placement words cannot say: names that exist, ground that is some, bounded lists.

The planner and every site trust what passes here: each judges every site or copy by these words, so their number is
bounded for a whole revision. Neighbour: ``wellformed.py`` asks for all revisions.
"""

import re
from collections.abc import Iterable

from skerry.model.app import AppRevision
from skerry.model.geography import Point, Region, Ring, UserPoint, count_corners, depth_of, list_areas, list_regions
from skerry.model.ids import is_name
from skerry.model.limits import (
    PLACEMENT_WORDS_MAX,
    POLYGON_CORNERS_MAX,
    REGION_DEPTH_MAX,
    USER_POINTS_MAX,
    USER_WEIGHT_MAX,
)
from skerry.model.placing import Latency, PlacementRules
from skerry.model.selector import SelectorError, parse_selector

WEIGHT_MAX = 1_000
PERMILLE = 1_000
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_CORNERS_MIN = 3
_LATITUDE_UDEG_MAX = 90_000_000
_LONGITUDE_UDEG_MAX = 180_000_000


def find_placement_flaw(revision: AppRevision) -> str:
    """Return what is wrong with the further placement words of a revision, empty when nothing is."""
    regions: dict[Region, None] = {}
    for name in sorted(revision.services):
        rules = revision.services[name].placement.rules
        if not rules:
            continue
        for flaw in _list_flaws(revision, name, rules):
            return f"placement of {name}: {flaw}"
        found = (*rules.geofence, *(words.region for words in rules.residency))
        regions |= dict.fromkeys(found)
    corners = sum(map(count_corners, regions))
    return (
        f"its polygons have {corners} corners, at most {POLYGON_CORNERS_MAX}" if corners > POLYGON_CORNERS_MAX else ""
    )


def find_region_flaw(region: Region) -> str:
    """Return what is wrong with a region, empty when nothing is."""
    if depth_of(region) > REGION_DEPTH_MAX:
        return f"a region leaves out at most {REGION_DEPTH_MAX - 1} deep"
    for area in list_areas(region):
        if not is_name(area.name) or area.number < 0:
            return f"{area.name[:80]!r} is no name of an area"
        if area.region.areas:
            return "an area names no other area"
    for part in list_regions(region):
        if part == Region():
            return "a region says nothing"
        if not all(map(_COUNTRY.fullmatch, part.countries)):
            return "a country is written with two capital letters"
        if part.around is not None and not (part.around.metres > 0 and _is_point(part.around.point)):
            return "a circle has a point and a radius above 0"
        for rings in part.polygon:
            if not rings or not all(map(_is_ring, rings)):
                return "a ring has three corners or more on the globe, and no side over the date line"
    return ""


def find_area_flaw(region: Region) -> str:
    """Return what is wrong with the ground of an area, empty when nothing is."""
    if list_areas(region):
        return "an area names no other area"
    corners = count_corners(region)
    if corners > POLYGON_CORNERS_MAX:
        return f"its polygons have {corners} corners, at most {POLYGON_CORNERS_MAX}"
    return find_region_flaw(region)


def find_users_flaw(points: tuple[UserPoint, ...]) -> str:
    """Return what is wrong with the points of a group of users, empty when nothing is."""
    if not 1 <= len(points) <= USER_POINTS_MAX:
        return f"a group of users has 1 to {USER_POINTS_MAX} points"
    for x, y, weight in points:
        if not _is_point(Point(latitude_udeg=y, longitude_udeg=x)):
            return "users are at a point of the globe"
        if not 1 <= weight <= USER_WEIGHT_MAX:
            return f"a weight of users is 1 to {USER_WEIGHT_MAX}"
    return ""


def _list_flaws(revision: AppRevision, own: str, rules: PlacementRules) -> Iterable[str]:
    lists = (rules.geofence, rules.residency, rules.together, rules.apart, rules.latency, rules.prefer.labels)
    words = sum(map(len, lists)) + sum(len(each.services) for each in (*rules.together, *rules.apart))
    words += sum(len(list_areas(each)) for each in (*rules.geofence, *(found.region for found in rules.residency)))
    if words > PLACEMENT_WORDS_MAX:
        yield f"{words} words, at most {PLACEMENT_WORDS_MAX}"
    named = [name for each in (*rules.together, *rules.apart) for name in each.services]
    inner = [name for name in named if "/" not in name] + [each.name for each in rules.latency if each.to == "service"]
    inner += [] if rules.nearest is None else [rules.nearest.service]
    for name in inner:
        if name not in revision.services:
            yield f"the app has no service {name[:80]!r}"
    for name in (name for name in named if "/" in name):
        app, _, service = name.partition("/")
        if not (is_name(app) and is_name(service)):
            yield f"{name[:160]!r} is no app/service"
    if any(own in each.services for each in rules.together):
        yield "it is kept together with itself"
    for region in (*rules.geofence, *(each.region for each in rules.residency if each.region != Region())):
        yield from filter(None, (find_region_flaw(region),))
    for each in rules.residency:
        if not all(map(_COUNTRY.fullmatch, each.jurisdictions)):
            yield "a jurisdiction is written with two capital letters"
    for each in rules.latency:
        yield from _judge_latency(each)
    yield from _judge_numbers(rules)


def _judge_latency(wish: Latency) -> Iterable[str]:
    if (wish.to == "place") != (wish.point is not None) or (wish.point is not None and not _is_point(wish.point)):
        yield "a round trip to a place has a point"
    if wish.to == "site" and not is_name(wish.name):
        yield f"{wish.name[:80]!r} is no name of a site"
    if wish.to == "users":
        yield from filter(None, (find_users_flaw(wish.points),))
        if not is_name(wish.name) or wish.number < 0:
            yield f"{wish.name[:80]!r} is no name of a group of users"
        if not 1 <= wish.quantile_permille <= PERMILLE:
            yield f"a quantile of users is 1 to {PERMILLE} thousandths"
    elif wish.points or wish.number or wish.quantile_permille:
        yield "only a round trip to users has points and a quantile"
    if not (wish.max_rtt_us or wish.weight):
        yield "a round trip has a bound or a weight"


def _judge_numbers(rules: PlacementRules) -> Iterable[str]:
    prefer = rules.prefer
    weights = [prefer.cost, prefer.latency, prefer.spread, prefer.moves]
    weights += [each.weight for each in (*prefer.labels, *rules.latency)]
    if not all(0 <= weight <= WEIGHT_MAX for weight in weights):
        yield f"a weight is 0 to {WEIGHT_MAX}"
    least = [rules.sites_max, rules.max_price_micro or 0, *(each.max_rtt_us for each in rules.latency)]
    least += [] if rules.nearest is None else [rules.nearest.max_rtt_us]
    if min(least) < 0:
        yield "a bound is not negative"
    for each in prefer.labels:
        try:
            parse_selector(each.match)
        except SelectorError as error:
            yield str(error)


def _is_point(point: Point) -> bool:
    return abs(point.latitude_udeg) <= _LATITUDE_UDEG_MAX and abs(point.longitude_udeg) <= _LONGITUDE_UDEG_MAX


def _is_ring(ring: Ring) -> bool:
    if len(ring) < _CORNERS_MIN:
        return False
    if not all(_is_point(Point(latitude_udeg=y, longitude_udeg=x)) for x, y in ring):
        return False
    sides = zip(ring, (*ring[1:], ring[0]), strict=True)
    return all(abs(one[0] - two[0]) <= _LONGITUDE_UDEG_MAX for one, two in sides)
