"""Further placement words that no client of ours would sign."""

import msgspec
import pytest
from tests.trust import people

from skerry.model.app import ImageRef, Placement, Service
from skerry.model.geography import Around, NamedArea, Point, Region
from skerry.model.ids import digest_of
from skerry.model.limits import PLACEMENT_WORDS_MAX, POLYGON_CORNERS_MAX, REGION_DEPTH_MAX, USER_POINTS_MAX
from skerry.model.placing import (
    Apart,
    LabelWish,
    Latency,
    Nearest,
    PlacementRules,
    Prefer,
    Residency,
    Together,
)
from skerry.model.signed import Area, UserGroup
from skerry.trust.wellformed import find_flaw

IMAGE = ImageRef(name="web", digest=digest_of(b"m"), config=digest_of(b"c"), size_bytes=1)
HERE = Point(latitude_udeg=1, longitude_udeg=1)
NO = Region(countries=("NO",))
NORDICS = NamedArea(name="nordics", number=1, region=Region(countries=("NO", "SE")))


def flaw(**words: object) -> str:
    service = Service(image=IMAGE, placement=Placement(rules=PlacementRules(**words)))  # type: ignore[arg-type]
    return find_flaw(msgspec.structs.replace(people.make_revision(1), services={people.WEB: service}))


def ring(corners: int) -> tuple[tuple[int, int], ...]:
    return tuple((at, at * at % 80) for at in range(corners))


def to_users(**words: object) -> Latency:
    said: dict[str, object] = {"name": "customers", "points": ((0, 0, 1),), "quantile_permille": 950, "weight": 1}
    return Latency(to="users", **(said | words))  # type: ignore[arg-type]


LARGE = Region(polygon=((ring(POLYGON_CORNERS_MAX // 2 + 1),),))


def deep(levels: int) -> Region:
    return NO if levels == 1 else Region(outside=deep(levels - 1))


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"geofence": (NO, deep(REGION_DEPTH_MAX), Region(polygon=((ring(POLYGON_CORNERS_MAX),),)))},
        {"residency": (Residency(jurisdictions=("NO",)), Residency(region=NO, covers=("volumes",)))},
        {"apart": (Apart(by="node", services=(people.WEB, "other/db")),)},
        {"latency": (Latency(to="core", max_rtt_us=1), Latency(to="place", point=HERE, weight=1))},
        {"latency": (to_users(points=((0, 0, 1),) * USER_POINTS_MAX),)},
        {"geofence": (Region(areas=(NORDICS,)), Region(countries=("NO",), outside=Region(areas=(NORDICS,))))},
        {"nearest": Nearest(service=people.WEB), "sites_max": 1, "max_price_micro": 0},
        {"prefer": Prefer(labels=(LabelWish(match="a=b"),), cost=0)},
    ],
)
def test_sound_ones(words: dict[str, object]) -> None:
    assert flaw(**words) == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"geofence": (Region(),)}, "says nothing"),
        ({"geofence": (Region(outside=Region()),)}, "says nothing"),
        ({"geofence": (Region(countries=("no",)),)}, "two capital letters"),
        ({"geofence": (deep(REGION_DEPTH_MAX + 1),)}, "deep"),
        ({"geofence": (Region(polygon=((ring(2),),)),)}, "three corners"),
        ({"geofence": (Region(polygon=((),)),)}, "three corners"),
        ({"geofence": (Region(polygon=((((0, 0), (0, 5), (200_000_000, 5)),),)),)}, "on the globe"),
        ({"geofence": (Region(polygon=((((-170_000_000, 0), (0, 5), (170_000_000, 0)),),)),)}, "date line"),
        ({"geofence": (Region(polygon=((ring(POLYGON_CORNERS_MAX + 1),),)),)}, "corners, at most"),
        ({"geofence": (Region(areas=(NamedArea(name="../x", region=NO),)),)}, "no name of an area"),
        ({"geofence": (Region(areas=(NamedArea(name="nordics"),)),)}, "says nothing"),
        ({"geofence": (Region(areas=(NamedArea(name="a", region=Region(areas=(NORDICS,))),)),)}, "names no other"),
        ({"geofence": (Region(areas=(NORDICS,) * PLACEMENT_WORDS_MAX),)}, "at most"),
        ({"geofence": (Region(areas=(NamedArea(name="a", region=LARGE),)), LARGE)}, "corners, at most"),
        ({"geofence": (Region(around=Around(point=HERE, metres=0)),)}, "radius"),
        ({"residency": (Residency(jurisdictions=("Norway",)),)}, "two capital letters"),
        ({"together": (Together(by="site", services=(people.WEB,)),)}, "with itself"),
        ({"together": (Together(by="site", services=("gone",)),)}, "no service"),
        ({"apart": (Apart(by="node", services=("gone",)),)}, "no service"),
        ({"apart": (Apart(by="node", services=("a/../b",)),)}, "no app/service"),
        ({"apart": (Apart(by="node", services=("a/b",) * PLACEMENT_WORDS_MAX),)}, "at most"),
        ({"latency": (Latency(to="service", name="gone", weight=1),)}, "no service"),
        ({"latency": (Latency(to="place", weight=1),)}, "has a point"),
        ({"latency": (Latency(to="core"),)}, "bound or a weight"),
        ({"latency": (Latency(to="site", name="../x", weight=1),)}, "no name of a site"),
        ({"latency": (Latency(to="core", max_rtt_us=-1),)}, "negative"),
        ({"latency": (to_users(points=()),)}, "1 to 100 points"),
        ({"latency": (to_users(points=((0, 0, 1),) * (USER_POINTS_MAX + 1)),)}, "1 to 100 points"),
        ({"latency": (to_users(points=((0, 91_000_000, 1),)),)}, "of the globe"),
        ({"latency": (to_users(points=((0, 0, 0),)),)}, "weight of users"),
        ({"latency": (to_users(name="../x"),)}, "no name of a group"),
        ({"latency": (to_users(quantile_permille=0),)}, "quantile"),
        ({"latency": (to_users(quantile_permille=1_001),)}, "quantile"),
        ({"latency": (Latency(to="core", weight=1, quantile_permille=950),)}, "only a round trip to users"),
        ({"latency": (Latency(to="core", weight=5_000),)}, "weight"),
        ({"nearest": Nearest(service="gone")}, "no service"),
        ({"sites_max": -1}, "negative"),
        ({"max_price_micro": -1}, "negative"),
        ({"prefer": Prefer(cost=-1)}, "weight"),
        ({"prefer": Prefer(labels=(LabelWish(match="a ="),))}, "selector"),
    ],
)
def test_flaws(words: dict[str, object], told: str) -> None:
    assert told in flaw(**words)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (Area(tenant=people.ALPHA, name="nordics", number=1, region=NO), ""),
        (Area(tenant=people.ALPHA, name="No", number=1, region=NO), "no name"),
        (Area(tenant=people.ALPHA, name="nordics", number=0, region=NO), "start at 1"),
        (Area(tenant=people.ALPHA, name="nordics", number=1, region=Region()), "says nothing"),
        (Area(tenant=people.ALPHA, name="nordics", number=1, region=Region(areas=(NORDICS,))), "no other area"),
        (
            Area(
                tenant=people.ALPHA,
                name="nordics",
                number=1,
                region=Region(polygon=((ring(POLYGON_CORNERS_MAX + 1),),)),
            ),
            "corners, at most",
        ),
        (UserGroup(tenant=people.ALPHA, name="customers", number=1, points=((1, 1, 1),)), ""),
        (UserGroup(tenant=people.ALPHA, name="customers", number=1, points=()), "points"),
    ],
)
def test_areas_and_groups_of_users_by_themselves(payload: msgspec.Struct, told: str) -> None:
    found = find_flaw(payload)
    assert told in found
    assert bool(told) == bool(found)
