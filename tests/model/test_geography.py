"""Inside and outside, with integers: lines are inside, holes are not, and what is unknown is nowhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.model.geography import (
    Around,
    NamedArea,
    Point,
    Region,
    Where,
    count_corners,
    depth_of,
    distance_m,
    list_areas,
    list_regions,
    region_unmet,
)

SQUARE = ((0, 0), (10, 0), (10, 10), (0, 10))
HOLE = ((4, 4), (6, 4), (6, 6), (4, 6))
OSLO = Point(latitude_udeg=59_910_000, longitude_udeg=10_750_000)
BERGEN = Point(latitude_udeg=60_390_000, longitude_udeg=5_320_000)
FIJI = Point(latitude_udeg=-17_000_000, longitude_udeg=179_900_000)
SAMOA = Point(latitude_udeg=-17_000_000, longitude_udeg=-179_900_000)


def at(x: int, y: int, country: str = "") -> Where:
    return Where(country, Point(latitude_udeg=y, longitude_udeg=x))


def is_inside(region: Region, where: Where) -> bool:
    return region_unmet(region, where) == ""


@pytest.mark.parametrize(
    ("x", "y", "inside"),
    [(2, 2, True), (0, 0, True), (10, 5, True), (5, 5, False), (4, 5, True), (11, 5, False), (5, -1, False)],
)
def test_a_polygon_with_a_hole(x: int, y: int, inside: bool) -> None:
    assert is_inside(Region(polygon=((SQUARE, HOLE),)), at(x, y)) is inside


@given(st.integers(-3, 13), st.integers(-3, 13), st.integers(0, 3), st.booleans())
def test_where_a_ring_begins_and_how_it_turns_changes_nothing(x: int, y: int, first: int, turned: bool) -> None:
    ring = SQUARE[first:] + SQUARE[:first]
    ring = ring[::-1] if turned else ring
    assert is_inside(Region(polygon=((ring,),)), at(x, y)) is (0 <= x <= 10 and 0 <= y <= 10)


@given(st.integers(-3, 13), st.integers(-3, 13))
def test_a_concave_polygon_against_the_two_squares_that_it_is(x: int, y: int) -> None:
    corner = ((0, 0), (10, 0), (10, 5), (5, 5), (5, 10), (0, 10))
    expected = (0 <= x <= 10 and 0 <= y <= 5) or (0 <= x <= 5 and 0 <= y <= 10)
    assert is_inside(Region(polygon=((corner,),)), at(x, y)) is expected


def test_any_polygon_of_several_will_do() -> None:
    far = tuple((x + 100, y) for x, y in SQUARE)
    assert is_inside(Region(polygon=((SQUARE,), (far,))), at(105, 5))
    assert not is_inside(Region(polygon=((SQUARE,), (far,))), at(50, 5))


def test_distances_are_those_of_the_great_circle_also_over_the_date_line() -> None:
    assert 305_000 < distance_m(OSLO, BERGEN) < 305_300
    assert distance_m(OSLO, OSLO) == 0
    assert 21_000 < distance_m(FIJI, SAMOA) < 21_500
    assert distance_m(OSLO, BERGEN) == distance_m(BERGEN, OSLO)


def test_around_a_point() -> None:
    region = Region(around=Around(point=OSLO, metres=306_000))
    assert is_inside(region, Where("", BERGEN))
    unmet = region_unmet(Region(around=Around(point=OSLO, metres=300_000)), Where("", BERGEN))
    assert unmet == "needs at most 300.0 km from a point, the site is 305.1 km away"


def test_countries_in_any_case_and_every_word_must_hold() -> None:
    region = Region(countries=("NO", "SE"), polygon=((SQUARE,),))
    assert is_inside(region, at(1, 1, "no"))
    assert region_unmet(region, at(1, 1, "DE")) == "needs a country in NO, SE, the site is in DE"
    assert not is_inside(region, at(20, 1, "NO"))


def test_left_out_is_left_out_and_the_unknown_is_nowhere() -> None:
    region = Region(countries=("NO",), outside=Region(polygon=((SQUARE,),)))
    assert is_inside(region, at(20, 20, "NO"))
    assert region_unmet(region, at(5, 5, "NO")) == "the site is in a region that is left out"
    assert "cannot be said" in region_unmet(region, Where("NO", None))
    assert region_unmet(Region(countries=("NO",)), at(5, 5)) == "needs a country in NO, the site's record names none"
    assert "no position" in region_unmet(Region(polygon=((SQUARE,),)), Where("NO", None))
    twice = Region(outside=Region(outside=Region(countries=("NO",))))
    assert is_inside(twice, at(5, 5, "NO"))
    assert not is_inside(twice, at(5, 5, "SE"))


def test_corners_are_counted_with_those_of_what_is_left_out() -> None:
    region = Region(polygon=((SQUARE, HOLE),), outside=Region(polygon=((SQUARE,),)))
    assert count_corners(region) == 12
    assert len(list_regions(region)) == 2


def test_inside_one_of_the_areas_is_inside_and_the_other_words_hold_too() -> None:
    nordics = NamedArea(name="nordics", number=2, region=Region(countries=("NO", "SE")))
    square = NamedArea(name="square", region=Region(polygon=((SQUARE,),)))
    either = Region(areas=(nordics, square))
    assert is_inside(either, at(50, 50, "SE"))
    assert is_inside(either, at(5, 5, "DE"))
    assert region_unmet(either, at(50, 50, "DE")) == "the site lies outside of the areas nordics, square"
    assert "cannot be said" in region_unmet(either, Where("DE", None))
    assert (
        region_unmet(Region(areas=(nordics,)), Where("DE", None))
        == "area nordics: needs a country in NO, SE, the site is in DE"
    )
    both = Region(countries=("SE",), areas=(nordics,))
    assert is_inside(both, Where("SE", None))
    assert not is_inside(both, Where("NO", None))
    assert list_areas(Region(outside=either)) == (nordics, square)
    assert (depth_of(both), depth_of(Region(outside=either)), count_corners(either)) == (2, 3, 4)


def test_an_area_that_is_left_out_and_one_that_leaves_something_out() -> None:
    nordics = NamedArea(name="nordics", region=Region(countries=("NO", "SE"), outside=Region(polygon=((SQUARE,),))))
    assert not is_inside(Region(areas=(nordics,)), at(5, 5, "NO"))
    assert is_inside(Region(areas=(nordics,)), at(50, 5, "NO"))
    assert is_inside(Region(outside=Region(areas=(nordics,))), at(5, 5, "NO"))
    assert not is_inside(Region(outside=Region(areas=(nordics,))), at(50, 5, "NO"))
    assert not is_inside(Region(outside=Region(areas=(nordics,))), Where("", None))
    # Of a country outside nothing else matters.
    assert is_inside(Region(outside=Region(areas=(nordics,))), Where("DE", None))


def _two(one: Region, two: Region) -> Region:
    return Region(areas=(NamedArea(name="a", region=one), NamedArea(name="b", region=two)))


_LEAVES: st.SearchStrategy[Region] = st.sampled_from(
    [Region(countries=("NO",)), Region(countries=("NO", "SE")), Region(polygon=((SQUARE,),))]
)
_REGIONS: st.SearchStrategy[Region] = st.recursive(
    _LEAVES, lambda inner: st.builds(Region, outside=inner) | st.builds(_two, inner, inner), max_leaves=6
)


@given(_REGIONS, st.integers(-3, 13), st.sampled_from(["NO", "DE"]))
def test_where_all_is_known_left_out_is_the_opposite_and_an_area_of_one_is_itself(
    region: Region, x: int, country: str
) -> None:
    where = at(x, 5, country)
    assert is_inside(Region(outside=region), where) is not is_inside(region, where)
    assert is_inside(Region(areas=(NamedArea(name="a", region=region),)), where) is is_inside(region, where)
    # What is not known is never inside, of a region or of what it leaves out.
    nowhere = Where("", None)
    assert not is_inside(region, nowhere)
    assert not is_inside(Region(outside=region), nowhere)
