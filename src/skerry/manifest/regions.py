"""``geofence`` and ``residency``: grounds of a manifest as regions of the signed form, in micro-degrees and metres.

Polygons are GeoJSON (RFC 7946): longitude first, rings with their first corner again at the end. Neighbours:
``rules.py`` puts the levels together; ``wishes.py`` has checked the form of every word but GeoJSON's.
"""

import re
from collections.abc import Iterator
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from skerry.manifest.nodes import Place, Scalar, Sequence, describe_node
from skerry.manifest.reading import Reading
from skerry.model.geography import Around, Corner, NamedArea, Point, Region, Ring, count_corners
from skerry.model.limits import POLYGON_CORNERS_MAX
from skerry.model.placing import Residency

_COUNTRY = re.compile(r"[A-Za-z]{2}", re.ASCII)
_LATITUDE_MAX = 90
_LONGITUDE_MAX = 180
#: Half the way around the earth: a circle of it is the whole ground.
_KM_MAX = 20_100
_CORNERS_MIN = 3
#: The longest side of a ring, in degrees of longitude: a longer one would mean the other way around.
_SIDE_MAX = 180


def read_geofence(reading: Reading, place: Place) -> Region | None:
    """Return where instances may be; None after a complaint."""
    evidence = reading.find(place, "evidence")
    if evidence is not None and reading.text(evidence) == "attested":
        reading.findings.not_yet(evidence, "attested")
    region = read_region(reading, place)
    if region == Region():
        _demand_words(reading, place)
        return None
    return region


def read_residency(reading: Reading, place: Place) -> Residency | None:
    """Return where data may be; None after a complaint."""
    words = Residency(
        region=read_region(reading, place),
        jurisdictions=_read_countries(reading, reading.find(place, "jurisdictions")),
        covers=tuple(sorted({reading.text(item) for item in reading.texts(reading.find(place, "covers"))})),  # type: ignore[arg-type]
    )
    if words.region == Region() and not words.jurisdictions:
        _demand_words(reading, place)
        return None
    return words


def read_region(reading: Reading, place: Place) -> Region:
    """Return a region; words that do not fit are in the findings."""
    around, polygon, outside = (reading.find(place, word) for word in ("around", "polygon", "not"))
    left_out = None if outside is None else read_region(reading, outside)
    if outside is not None and left_out == Region():
        _demand_words(reading, outside)
    region = Region(
        countries=_read_countries(reading, reading.find(place, "countries")),
        polygon=() if polygon is None else _read_polygon(reading, polygon),
        around=None if around is None else _read_around(reading, around),
        outside=left_out,
        areas=_read_areas(reading, reading.find(place, "areas")),
    )
    corners = count_corners(region)
    if polygon is not None and corners > POLYGON_CORNERS_MAX:
        detail = f"it has {corners} corners, at most {POLYGON_CORNERS_MAX} are allowed"
        reading.findings.complain(polygon, "E-LIMIT", detail, at_key=True)
    return region


def read_point(reading: Reading, place: Place) -> Point | None:
    """Return a point from ``lat`` and ``lon``; None after a complaint."""
    found: list[int | None] = []
    for word, most in (("lat", _LATITUDE_MAX), ("lon", _LONGITUDE_MAX)):
        one = reading.find(place, word)
        if one is None:
            reading.findings.complain(place, "E-TYPE", f'"{word}" must be given here', at_key=True)
        found.append(None if one is None else _read_degrees(reading, one, most))
    latitude, longitude = found
    if latitude is None or longitude is None:
        return None
    return Point(latitude_udeg=latitude, longitude_udeg=longitude)


def read_decimal(place: Place) -> Decimal | None:
    """Return the number that a scalar is; None for what is none, or not a finite one."""
    value = place.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _demand_words(reading: Reading, place: Place) -> None:
    if reading.findings.is_sound(place):
        reading.findings.complain(place, "E-TYPE", "it says nothing: write countries: [NO, SE]", at_key=True)


def _read_countries(reading: Reading, place: Place | None) -> tuple[str, ...]:
    found: set[str] = set()
    for item in reading.texts(place):
        text = reading.text(item)
        if _COUNTRY.fullmatch(text) is None:
            reading.findings.complain(item, "E-TYPE", f'"{text[:40]}" is not a country: write two letters, such as NO')
        found.add(text.upper())
    return tuple(sorted(found))


def _read_areas(reading: Reading, place: Place | None) -> tuple[NamedArea, ...]:
    names = {reading.use("area", item) for item in reading.texts(place)}
    return tuple(NamedArea(name=name) for name in sorted(names))


def _read_around(reading: Reading, place: Place) -> Around | None:
    point, km = reading.find(place, "point"), reading.find(place, "km")
    for word, given in (("point", point), ("km", km)):
        if given is None:
            reading.findings.complain(place, "E-TYPE", f'"{word}" must be given here', at_key=True)
    middle = None if point is None else read_point(reading, point)
    if middle is None or km is None:
        return None
    number = read_decimal(km)
    if number is None or not 0 < number <= _KM_MAX:
        reading.findings.complain(km, "E-RANGE", f"{km_text(km)} is out of range: above 0, at most {_KM_MAX}")
        return None
    # A fence is never larger than what was written.
    return Around(point=middle, metres=max(1, int((number * 1000).to_integral_value(ROUND_FLOOR))))


def km_text(place: Place) -> str:
    """Return a scalar as it was written, cut short."""
    return place.node.text[:40] if isinstance(place.node, Scalar) else ""


def _read_polygon(reading: Reading, place: Place) -> tuple[tuple[Ring, ...], ...]:
    if reading.text(reading.find(place, "type")) == "Feature":
        place = reading.find(place, "geometry") or place
    kind, coordinates = reading.find(place, "type"), reading.find(place, "coordinates")
    if kind is None or reading.text(kind) not in ("Polygon", "MultiPolygon") or coordinates is None:
        detail = "it is no GeoJSON of type Polygon or MultiPolygon with coordinates"
        reading.findings.complain(place, "E-TYPE", detail, at_key=True)
        return ()
    polygons = [coordinates] if reading.text(kind) == "Polygon" else list(coordinates.elements())
    found = tuple(tuple(_read_rings(reading, each)) for each in polygons)
    if not found or not all(found):
        if reading.findings.is_sound(coordinates):
            reading.findings.complain(coordinates, "E-TYPE", "a polygon has at least one ring", at_key=True)
        return ()
    return found


def _read_rings(reading: Reading, place: Place) -> Iterator[Ring]:
    for ring in place.elements():
        corners = [_read_corner(reading, item) for item in ring.elements()]
        known = [corner for corner in corners if corner is not None]
        if len(known) < len(corners):
            continue
        if len(known) > 1 and known[0] == known[-1]:
            known.pop()
        sides = zip(known, (*known[1:], *known[:1]), strict=True)
        if len(known) < _CORNERS_MIN:
            reading.findings.complain(ring, "E-TYPE", f"a ring has at least {_CORNERS_MIN} corners")
        elif any(abs(one[0] - two[0]) > _SIDE_MAX * 1_000_000 for one, two in sides):
            hint = "make it two polygons, one on each side (RFC 7946, section 3.1.9)"
            reading.findings.complain(ring, "E-RANGE", "a side crosses the meridian of 180 degrees", hint=hint)
        else:
            yield tuple(known)


def _read_corner(reading: Reading, place: Place) -> Corner | None:
    items = list(place.elements())
    if not isinstance(place.node, Sequence) or not 2 <= len(items) <= 3:
        reading.findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is no corner: write [10.75, 59.91]")
        return None
    longitude = _read_degrees(reading, items[0], _LONGITUDE_MAX)
    latitude = _read_degrees(reading, items[1], _LATITUDE_MAX)
    return None if longitude is None or latitude is None else (longitude, latitude)


def _read_degrees(reading: Reading, place: Place, most: int) -> int | None:
    number = read_decimal(place)
    if number is None:
        reading.findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is not a number. Write 10.75")
        return None
    if abs(number) > most:
        reading.findings.complain(place, "E-RANGE", f"{km_text(place)} is out of range: {-most} to {most}")
        return None
    return int((number * 1_000_000).to_integral_value(ROUND_HALF_EVEN))
