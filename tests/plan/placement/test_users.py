"""Users and their nearest copies: the weighted quantile against a naive one, and where copies come to be."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.fleets import Fleet, per_site, revision, site, total
from tests.plan.placement.test_rules import NORDIC, plan, ruled

from skerry.model.geography import Point, UserPoint, chord_m, distance_m, unit_vector
from skerry.model.ids import AppName, TenantName
from skerry.model.placing import Latency
from skerry.plan.placement.latency import ACCESS_US, US_PER_KM
from skerry.plan.placement.users import find_quantile
from skerry.plan.placement.why import explain_site

OSLO: UserPoint = (11_000_000, 60_000_000, 6)
BERGEN: UserPoint = (5_000_000, 60_000_000, 3)
TROMSO: UserPoint = (19_000_000, 70_000_000, 1)


def near(*points: UserPoint, permille: int = 950, max_rtt_us: int = 0, weight: int = 0) -> Latency:
    return Latency(
        to="users",
        name="customers",
        number=1,
        points=points,
        quantile_permille=permille,
        max_rtt_us=max_rtt_us,
        weight=weight,
    )


_POINTS = st.builds(
    Point, latitude_udeg=st.integers(-90_000_000, 90_000_000), longitude_udeg=st.integers(-180_000_000, 180_000_000)
)


@given(_POINTS, _POINTS)
def test_the_chord_is_as_long_as_the_great_circle(one: Point, other: Point) -> None:
    # Opposite ends of the globe are where either formula is the least exact.
    slack = 2 if distance_m(one, other) < 20_000_000 else 2_000
    assert abs(chord_m(unit_vector(one), unit_vector(other)) - distance_m(one, other)) <= slack


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=8), st.integers(1, 1000))
def test_the_quantile_is_that_of_everybody_in_a_row(found: list[tuple[int, int]], permille: int) -> None:
    row = sorted(value for value, weight in found for _ in range(weight))
    most = next(index for index in range(len(row)) if (index + 1) * 1000 >= permille * len(row))
    assert find_quantile([value for value, _ in found], [weight for _, weight in found], permille) == row[most]


def test_one_copy_has_to_be_near_enough_to_that_part_of_the_users() -> None:
    fleet = Fleet(*NORDIC)
    fleet.wish(revision("shop", web=ruled(latency=(near(OSLO, BERGEN, TROMSO, permille=900, max_rtt_us=8_000),))))
    assert plan(fleet) == []
    assert fleet.places() == ["oslo/n1 web.0@1"]
    fleet.wish(revision("far", web=ruled(latency=(near(OSLO, BERGEN, TROMSO, max_rtt_us=8_000),))))
    (refused,) = plan(fleet, "far")
    details = {each.site: each.detail for each in refused.rejections}
    assert details == {
        "oslo": "needs 8.0 ms for 95% of users customers, has 19.6 ms estimated",
        "bergen": "needs 8.0 ms for 95% of users customers, has 21.3 ms estimated",
        "tromso": "needs 8.0 ms for 95% of users customers, has 21.3 ms estimated",
        "ship": "needs 8.0 ms for 95% of users customers, ship has a satellite link, of which distance says nothing",
    }


def test_copies_share_the_users_and_the_last_one_must_make_it_hold() -> None:
    wish = near(OSLO, BERGEN, TROMSO, max_rtt_us=3_000)
    fleet = Fleet(*NORDIC)
    fleet.wish(revision("shop", web=ruled(replicas=total(3), latency=(wish,))))
    assert plan(fleet) == []
    assert {place.split("/")[0] for place in fleet.places()} == {"oslo", "bergen", "tromso"}
    two = Fleet(*NORDIC)
    two.wish(revision("shop", web=ruled(replicas=total(2), latency=(wish,))))
    (refused,) = plan(two)
    assert two.places() == ["oslo/n1 web.0@1"], "where most of them are"
    assert "needs 3.0 ms for 95% of users customers, has 19.6 ms estimated with the copies that there are" in {
        each.detail for each in refused.rejections
    }


def test_a_copy_that_brings_nobody_new_near_does_not_come_while_some_are_missing() -> None:
    fleet = Fleet(site("oslo", 1, at=(60, 11)), site("lisbon", 2, at=(39, -9)))
    fleet.wish(revision("shop", web=ruled(replicas=total(3), latency=(near(OSLO, TROMSO, max_rtt_us=3_000),))))
    (first, second) = plan(fleet)
    assert fleet.places() == ["oslo/n1 web.0@1"]
    assert first.rejections[-1].detail.endswith("and a copy here brings none of those within it who are missing")
    assert second.service == "web"


def test_when_all_are_near_a_further_copy_may_be_anywhere() -> None:
    fleet = Fleet(site("oslo", 1, at=(60, 11)), site("lisbon", 2, at=(39, -9)))
    fleet.wish(revision("shop", web=ruled(replicas=total(2), latency=(near(OSLO, max_rtt_us=3_000),))))
    assert plan(fleet) == []
    assert {place.split("/")[0] for place in fleet.places()} == {"oslo", "lisbon"}


def test_a_copy_at_each_site_stands_for_itself() -> None:
    fleet = Fleet(*NORDIC)
    wish = near(OSLO, BERGEN, permille=900, max_rtt_us=8_000)
    fleet.wish(revision("shop", web=ruled(replicas=per_site(), latency=(wish,))))
    assert {each.site for each in plan(fleet)} == {"tromso", "ship"}
    assert len(fleet.places()) == 2


def test_a_weight_alone_draws_copies_to_the_users_and_keeps_nobody_out() -> None:
    fleet = Fleet(*NORDIC)
    fleet.wish(revision("shop", web=ruled(replicas=total(4), latency=(near(TROMSO, weight=1_000),))))
    assert plan(fleet) == []
    assert len(fleet.places()) == 4
    one = Fleet(*NORDIC)
    one.wish(revision("shop", web=ruled(latency=(near(BERGEN, weight=100),))))
    plan(one)
    assert one.places() == ["bergen/n1 web.0@1"]


def test_what_runs_stays_when_its_users_have_moved() -> None:
    fleet = Fleet(*NORDIC)
    fleet.wish(revision("shop", web=ruled(latency=(near(OSLO, max_rtt_us=3_000),))))
    plan(fleet)
    fleet.wish(revision("shop", 2, web=ruled(latency=(near(TROMSO, max_rtt_us=3_000),))))
    assert plan(fleet) == []
    assert fleet.places() == ["oslo/n1 web.0@2"]


def test_why_says_it_in_the_same_words() -> None:
    fleet = Fleet(*NORDIC)
    fleet.wish(revision("shop", web=ruled(latency=(near(OSLO, max_rtt_us=3_000),))))
    fleet.plan()
    found = explain_site(fleet.snapshot(), TenantName("default"), AppName("shop"), "tromso")
    assert found is not None
    assert [each.detail for _, each in found.rejections] == [
        "needs 3.0 ms for 95% of users customers, has 19.6 ms estimated"
    ]


def _naive_us(point: UserPoint, where: tuple[int, int]) -> int:
    """Estimate one round trip the plain way."""
    there = Point(latitude_udeg=where[0] * 1_000_000, longitude_udeg=where[1] * 1_000_000)
    metres = distance_m(Point(latitude_udeg=point[1], longitude_udeg=point[0]), there)
    return (ACCESS_US["wired"] or 0) + -(-US_PER_KM * metres // 1000)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-80, 80), st.integers(-179, 179)), min_size=1, max_size=6, unique=True),
    st.lists(
        st.tuples(st.integers(-179_000_000, 179_000_000), st.integers(-80_000_000, 80_000_000), st.integers(1, 9)),
        min_size=1,
        max_size=8,
        unique_by=lambda each: each[:2],
    ),
    st.integers(1, 4),
    st.integers(500, 1000),
    st.integers(3_000, 150_000),
)
def test_all_copies_placed_means_the_bound_holds_for_the_nearest_of_them(
    places: list[tuple[int, int]], points: list[UserPoint], copies: int, permille: int, bound_us: int
) -> None:
    fleet = Fleet(*(site(f"s{index}", index, at=at) for index, at in enumerate(places)))
    wish = near(*points, permille=permille, max_rtt_us=bound_us)
    fleet.wish(revision("shop", web=ruled(replicas=total(copies), latency=(wish,))))
    refused = plan(fleet)
    used = {places[int(place.split("/")[0][1:])] for place in fleet.places()}
    row = [(min((_naive_us(point, at) for at in used), default=10**9), point[2]) for point in points]
    have = sum(weight for us, weight in row if us <= bound_us - 1)
    most = sum(weight for us, weight in row if us <= bound_us + 1)
    whole = sum(weight for _, weight in row)
    if not refused:
        assert most * 1000 >= permille * whole
    else:
        assert have * 1000 < permille * whole, "what holds refuses nobody"
