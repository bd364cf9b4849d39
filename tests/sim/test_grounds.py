"""The map of places: what it says of each ground is what the product's geometry says, each found by its own means."""

import pytest

from skerry.model.geography import Region, Where, region_unmet
from skerry.model.ids import SiteName
from skerry.model.signed import SiteRecord
from skerry.sim.grounds import GROUNDS, PLACES, Place, find_place, holds


def record_at(place: Place) -> SiteRecord:
    point = place.point
    return SiteRecord(
        site=SiteName("here"),
        number=1,
        country=place.country,
        latitude_udeg=None if point is None else point.latitude_udeg,
        longitude_udeg=None if point is None else point.longitude_udeg,
    )


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("name", PLACES)
def test_the_map_and_the_geometry_agree(ground, name):
    place, (region, inside) = PLACES[name], GROUNDS[ground]
    assert find_place(record_at(place)) == name
    assert holds(region, record_at(place)) == (name in inside)
    assert (region_unmet(region, Where(place.country, place.point)) == "") == (name in inside)


def test_a_ground_that_is_not_on_the_map_holds_nothing_but_by_its_countries():
    record = record_at(Place("NO", None))
    assert find_place(record) == "nowhere"
    assert holds(Region(countries=("NO",)), record)
    assert not holds(Region(countries=("SE",)), record)
    assert not holds(Region(outside=Region(countries=("SE",))), record)
