"""Places where simulated sites stand, and ground that apps are kept on; which place is inside is said by hand.

So that who checks a fence measures no distance and cuts no polygon as the product does: the map below was read off an
atlas. A place is found again in a signed record by its country and position.
"""

from typing import NamedTuple

from skerry.model.geography import Around, NamedArea, Point, Region
from skerry.model.signed import SiteRecord


class Place(NamedTuple):
    """What a registrar signs of where a site stands."""

    country: str
    #: None: the record has no position.
    point: Point | None


class Ground(NamedTuple):
    """A region, and the places that lie inside it."""

    region: Region
    holds: frozenset[str]


def _point(latitude: float, longitude: float) -> Point:
    return Point(latitude_udeg=int(latitude * 1e6), longitude_udeg=int(longitude * 1e6))


_BERGEN = _point(60.39, 5.32)

PLACES = {
    "oslo": Place("NO", _point(59.91, 10.75)),
    "bergen": Place("NO", _BERGEN),
    "stockholm": Place("SE", _point(59.33, 18.07)),
    "berlin": Place("DE", _point(52.52, 13.40)),
    "nowhere": Place("", None),
}
#: A box around the south of Norway and Sweden: longitude and latitude of its corners in micro-degrees.
_BOX = ((4_000_000, 58_000_000), (20_000_000, 58_000_000), (20_000_000, 62_000_000), (4_000_000, 62_000_000))

GROUNDS = {
    "norway and sweden": Ground(Region(countries=("NO", "SE")), frozenset({"oslo", "bergen", "stockholm"})),
    "near bergen": Ground(Region(around=Around(point=_BERGEN, metres=350_000)), frozenset({"oslo", "bergen"})),
    "the box": Ground(Region(polygon=((_BOX,),)), frozenset({"oslo", "bergen", "stockholm"})),
    "norway without bergen": Ground(
        Region(countries=("NO",), outside=Region(around=Around(point=_BERGEN, metres=50_000))), frozenset({"oslo"})
    ),
    "the box without sweden": Ground(
        Region(polygon=((_BOX,),), outside=Region(countries=("SE",))), frozenset({"oslo", "bergen"})
    ),
    "norway and germany without the box": Ground(
        Region(countries=("NO", "DE"), outside=Region(polygon=((_BOX,),))), frozenset({"berlin"})
    ),
    "either of two areas": Ground(
        Region(
            areas=(
                NamedArea(name="germany", number=3, region=Region(countries=("DE",))),
                NamedArea(name="home", number=1, region=Region(around=Around(point=_BERGEN, metres=50_000))),
            )
        ),
        frozenset({"bergen", "berlin"}),
    ),
    "norway without an area": Ground(
        Region(
            countries=("NO",),
            outside=Region(
                areas=(NamedArea(name="fjords", region=Region(around=Around(point=_BERGEN, metres=50_000))),)
            ),
        ),
        frozenset({"oslo"}),
    ),
    "germany": Ground(Region(countries=("DE",)), frozenset({"berlin"})),
}


def find_place(record: SiteRecord) -> str:
    """Name the place that a record says; ``nowhere`` for any that is not on the map."""
    for name, place in PLACES.items():
        position = (None, None) if place.point is None else (place.point.latitude_udeg, place.point.longitude_udeg)
        if (record.country, (record.latitude_udeg, record.longitude_udeg)) == (place.country, position):
            return name
    return "nowhere"


def holds(region: Region, record: SiteRecord) -> bool:
    """Say whether a region that names countries only, or one of the map, holds a site."""
    if region == Region(countries=region.countries):
        return record.country in region.countries
    return any(ground.region == region and find_place(record) in ground.holds for ground in GROUNDS.values())
