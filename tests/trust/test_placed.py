"""Further placement words that no client of ours would sign."""

import msgspec
import pytest
from tests.trust import people

from skerry.model.app import ImageRef, Placement, Service
from skerry.model.geography import Around, Point, Region
from skerry.model.ids import digest_of
from skerry.model.limits import PLACEMENT_WORDS_MAX, POLYGON_CORNERS_MAX, REGION_DEPTH_MAX
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
from skerry.trust.wellformed import find_flaw

IMAGE = ImageRef(name="web", digest=digest_of(b"m"), config=digest_of(b"c"), size_bytes=1)
HERE = Point(latitude_udeg=1, longitude_udeg=1)
NO = Region(countries=("NO",))


def flaw(**words: object) -> str:
    service = Service(image=IMAGE, placement=Placement(rules=PlacementRules(**words)))  # type: ignore[arg-type]
    return find_flaw(msgspec.structs.replace(people.make_revision(1), services={people.WEB: service}))


def ring(corners: int) -> tuple[tuple[int, int], ...]:
    return tuple((at, at * at % 80) for at in range(corners))


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
