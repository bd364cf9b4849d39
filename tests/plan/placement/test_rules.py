"""The further words of placement: what each keeps out, how it says so, and that planning again changes nothing."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plan.fleets import GIB, Fleet, per_site, revision, service, site, total

from skerry.model.app import AppRevision, Service, Sites, Spread
from skerry.model.document import Assignment
from skerry.model.geography import Point, Region
from skerry.model.ids import ServiceName
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
from skerry.plan.fleet import LATENCY_LOOK_US, plan_fleet
from skerry.plan.placement.rules import order_services
from skerry.plan.placement.why import explain_site
from skerry.plan.report import Refused

NO = Region(countries=("NO",))


def ruled(tag: str = "1", *, replicas: object = None, memory: int = 0, **rules: object) -> Service:
    made = PlacementRules(**rules)  # type: ignore[arg-type]
    return service(tag, replicas=replicas or total(), memory=memory, rules=made)


def plan(fleet: Fleet, app: str = "shop") -> list[Refused]:
    """Plan twice, the second time without a change; return what had no place."""
    found = fleet.plan()
    again = fleet.plan()
    assert again.documents == ()
    return [each for report in found.reports if report.app == app for each in report.refused]


# --- company ---------------------------------------------------------------------------------------------------------


def tied(by: str, *names: str, **more: object) -> dict[str, object]:
    return {"together": (Together(by=by, services=names),), **more}  # type: ignore[arg-type]


def test_kept_together_at_one_site_and_the_first_one_looks_for_room_for_all() -> None:
    fleet = Fleet(site("a", 1, memory=GIB), site("b", 2, memory=4 * GIB), site("c", 3))
    api = ruled(memory=GIB // 2, **tied("site", "db"))
    db = ruled(memory=2 * GIB, **tied("site", "api"))
    fleet.wish(revision("shop", api=api, db=db))
    assert plan(fleet) == []
    assert fleet.places() == ["c/n1 api.0@1", "c/n1 db.0@1"]


def test_kept_together_on_one_node_counts_their_memory_together() -> None:
    fleet = Fleet(site("a", 1, nodes=("n1", "n2"), memory=3 * GIB), site("b", 2, memory=8 * GIB))
    api, db = (ruled(memory=2 * GIB, **tied("node", name)) for name in ("db", "api"))
    fleet.wish(revision("shop", api=api, db=db))
    plan(fleet)
    assert fleet.places() == ["b/n1 api.0@1", "b/n1 db.0@1"]
    small = Fleet(site("a", 1, memory=3 * GIB))
    small.wish(revision("shop", api=api, db=db))
    refused = plan(small)
    assert [each.service for each in refused] == ["api", "db"]
    assert refused[0].rejections[0].constraint == "same-node"


def test_as_many_places_as_the_rarest_of_them_has_copies() -> None:
    fleet = Fleet(*(site(name, index) for index, name in enumerate("abcd")))
    spread = (Spread(by="site"),)
    many = msgspec.structs.replace(ruled(replicas=total(4), **tied("site", "db")))
    many = msgspec.structs.replace(many, placement=msgspec.structs.replace(many.placement, spread=spread))
    fleet.wish(revision("shop", db=ruled(replicas=total(2), **tied("site", "web")), web=many))
    assert plan(fleet) == []
    of = {name: {place.split("/")[0] for place in fleet.places() if f" {name}." in place} for name in ("db", "web")}
    assert of["web"] == of["db"]
    assert len(fleet.places()) == 6


def test_at_each_site_the_services_of_a_group_share_a_node() -> None:
    fleet = Fleet(*(site(name, index, nodes=("n1", "n2"), memory=4 * GIB) for index, name in enumerate("ab")))
    fleet.wish(revision("load", x=service("9", replicas=per_site(), memory=GIB)))
    fleet.plan()
    till, db = (ruled(replicas=per_site(), memory=GIB, **tied("node", name)) for name in ("db", "till"))
    fleet.wish(revision("shop", till=till, db=db))
    assert plan(fleet) == []
    nodes = {name: [each.split()[0] for each in fleet.places() if f" {name}." in each] for name in ("till", "db")}
    assert nodes["till"] == nodes["db"]
    assert len(nodes["db"]) == 2


def test_beside_another_app_of_the_tenant() -> None:
    fleet = Fleet(site("a", 1), site("b", 2))
    web = ruled(**tied("site", "data/db"))
    fleet.wish(revision("shop", web=web))
    refused = plan(fleet)
    assert "is kept with data/db, which is not at site a" in refused[0].rejections[0].detail
    fleet.wish(revision("data", db=service("2", sites=_at("b"))))
    plan(fleet)
    assert plan(fleet) == []
    assert fleet.places() == ["b/n1 web.0@1"]


def _at(*names: str) -> Sites:
    return Sites(names=names)


def test_company_is_not_torn_apart_by_a_revision_that_has_no_room_or_by_a_drain() -> None:
    fleet = Fleet(site("a", 1, memory=4 * GIB), site("b", 2, memory=16 * GIB))
    api, db = (ruled(memory=GIB, **tied("site", name)) for name in ("db", "api"))
    fleet.wish(revision("shop", api=api, db=db))
    fleet.change("b", cordon="cordon")
    plan(fleet)
    assert fleet.places() == ["a/n1 api.0@1", "a/n1 db.0@1"]
    fleet.change("b", cordon="")
    fleet.wish(revision("shop", 2, api=ruled("2", memory=8 * GIB, **tied("site", "db")), db=db))
    assert [each.site for each in plan(fleet)] == ["a"]
    assert fleet.places() == ["a/n1 api.0@1", "a/n1 db.0@1"]
    fleet.change("a", cordon="drain")
    report = fleet.plan().reports[0]
    assert {each.reason for each in report.staying} == {"it is kept together with others, and they do not move as one"}


def test_apart_by_node_site_and_region() -> None:
    for by, places in (
        ("node", ["a/n1 db.0@1", "a/n2 web.0@1"]),
        ("site", ["a/n1 db.0@1", "b/n1 web.0@1"]),
        ("region", ["a/n1 db.0@1", "c/n1 web.0@1"]),
    ):
        fleet = Fleet(
            site("a", 1, nodes=("n1", "n2"), region="north"),
            site("b", 2, region="north"),
            site("c", 3, region="south"),
        )
        away = (Apart(by=by, services=("db",)),)  # type: ignore[arg-type]
        fleet.wish(revision("shop", db=service("2"), web=ruled(apart=away)))
        assert plan(fleet) == []
        assert fleet.places() == places, by


def test_its_own_copies_apart_and_a_refusal_that_says_so() -> None:
    fleet = Fleet(site("a", 1), site("b", 2))
    fleet.wish(revision("shop", web=ruled(replicas=total(3), apart=(Apart(by="site", services=("web",)),))))
    refused = plan(fleet)
    assert fleet.places() == ["a/n1 web.0@1", "b/n1 web.1@1"]
    assert refused[0].reason == "none of 2 nodes can hold it: apart at 2"
    assert refused[0].rejections[0].detail == "is kept apart from web, which is at site a"


def test_apart_binds_an_app_that_comes_later_and_knows_nothing_of_it() -> None:
    fleet = Fleet(site("a", 1), site("b", 2))
    fleet.wish(revision("shop", web=ruled(apart=(Apart(by="site", services=("late/web",)),))))
    plan(fleet)
    assert fleet.places() == ["a/n1 web.0@1"]
    fleet.wish(revision("late", web=service("2", replicas=total(2))))
    assert plan(fleet, "late") == []
    assert fleet.places("late") == ["b/n1 web.0@1", "b/n1 web.1@1"]
    explained = explain_site(fleet.snapshot(), "default", "late", "a")  # type: ignore[arg-type]
    assert explained is not None
    assert [each.detail for _, each in explained.rejections] == ["shop/web is here and is kept apart from it"]


def test_apart_by_region_needs_a_region() -> None:
    fleet = Fleet(site("a", 1))
    fleet.wish(revision("shop", web=ruled(apart=(Apart(by="region", services=("web",)),))))
    assert plan(fleet)[0].rejections[0].detail == "is kept apart by region, and a names none"


# --- where it is forbidden -------------------------------------------------------------------------------------------


def test_a_geofence_keeps_newcomers_out_and_sends_away_what_is_there() -> None:
    fleet = Fleet(site("berlin", 1, country="DE"), site("oslo", 2, country="NO"), site("where", 3))
    fleet.wish(revision("shop", web=service(replicas=per_site())))
    plan(fleet)
    assert len(fleet.places()) == 3
    fleet.wish(revision("shop", 2, web=ruled(replicas=per_site(), geofence=(NO,))))
    assert plan(fleet) == []
    assert fleet.places() == ["oslo/n1 web.0@2"]
    explained = explain_site(fleet.snapshot(), "default", "shop", "berlin")  # type: ignore[arg-type]
    assert explained is not None
    assert [each.constraint for _, each in explained.rejections] == ["geofence"]


def test_every_fence_holds() -> None:
    fleet = Fleet(site("oslo", 1, country="NO", at=(60, 11)), site("tromso", 2, country="NO", at=(70, 19)))
    north = Region(polygon=((((0, 65_000_000), (30_000_000, 65_000_000), (30_000_000, 75_000_000)),),))
    fleet.wish(revision("shop", web=ruled(replicas=per_site(), geofence=(NO, north))))
    plan(fleet)
    assert fleet.places() == ["tromso/n1 web.0@1"]


def test_residency_is_about_what_a_site_keeps() -> None:
    fleet = Fleet(
        site("oslo", 1, country="NO", labels={"jurisdiction": "NO"}), site("rome", 2, labels={"jurisdiction": "US"})
    )
    law = Residency(jurisdictions=("NO",))
    fleet.wish(revision("shop", web=ruled(replicas=per_site(), residency=(law,))))
    plan(fleet)
    assert fleet.places() == ["oslo/n1 web.0@1"]
    volumes_only = msgspec.structs.replace(law, covers=("volumes",))
    fleet.wish(revision("shop", 2, web=ruled(replicas=per_site(), residency=(volumes_only,))))
    plan(fleet)
    assert len(fleet.places()) == 2, "it has no volume"


# --- price, number, distance -----------------------------------------------------------------------------------------


def test_a_price_is_a_ceiling_for_newcomers_and_otherwise_a_preference() -> None:
    dear, cheap = site("dear", 1, labels={"price": "0.5"}), site("cheap", 2, labels={"price": "0.02"})
    fleet = Fleet(dear, cheap, site("unknown", 3))
    fleet.wish(revision("shop", web=ruled(replicas=total(2), max_price_micro=20_000)))
    refused = plan(fleet)
    assert refused == []
    assert {place.split("/")[0] for place in fleet.places()} == {"cheap"}
    fleet.wish(revision("shop", 2, web=ruled(replicas=total(2), max_price_micro=10_000)))
    assert plan(fleet) == [], "what runs is not stopped because of a price"
    fleet.wish(revision("late", web=ruled(max_price_micro=10_000)))
    details = [each.detail for each in plan(fleet, "late")[0].rejections]
    assert details == [
        "needs a price of at most 0.01, dear costs 0.5",
        "needs a price of at most 0.01, cheap costs 0.02",
        "needs a price of at most 0.01, unknown has no label price",
    ]
    two = Fleet(dear, cheap)
    two.wish(revision("shop", web=service()))
    two.plan()
    assert two.places() == ["cheap/n1 web.0@1"]
    two.wish(revision("shop2", web=ruled("2", prefer=Prefer(cost=0))))
    two.plan()
    assert two.places("shop2") == ["dear/n1 web.0@1"]


def test_at_most_so_many_sites_for_copies_at_each_and_for_copies_in_all() -> None:
    fleet = Fleet(*(site(name, index) for index, name in enumerate("abcd")))
    fleet.wish(revision("shop", web=ruled(replicas=per_site(), sites_max=2)))
    fleet.wish(revision("blog", web=ruled("2", replicas=total(4), sites_max=2)))
    assert plan(fleet) == []
    assert fleet.places() == ["a/n1 web.0@1", "b/n1 web.0@1"]
    assert len({place.split("/")[0] for place in fleet.places("blog")}) == 2
    fleet.wish(revision("shop", 2, web=ruled(replicas=per_site(), sites_max=1)))
    plan(fleet)
    assert fleet.places() == ["a/n1 web.0@2"]


def test_a_site_without_room_is_passed_over_while_another_one_has_some() -> None:
    fleet = Fleet(site("a", 1, memory=GIB), site("b", 2), site("c", 3))
    fleet.wish(revision("shop", web=ruled(replicas=per_site(), memory=2 * GIB, sites_max=2)))
    assert plan(fleet) == []
    assert fleet.places() == ["b/n1 web.0@1", "c/n1 web.0@1"]
    fleet.wish(revision("shop", 2, web=ruled("2", replicas=per_site(), memory=2 * GIB, sites_max=3)))
    assert [each.site for each in plan(fleet)] == ["a"]


NORDIC = (
    site("oslo", 1, at=(60, 11)),
    site("bergen", 2, at=(60, 5)),
    site("tromso", 3, at=(70, 19)),
    site("ship", 4, link_class="satellite"),
)


def test_the_nearest_sites_to_where_another_service_runs() -> None:
    fleet = Fleet(*NORDIC)
    near = Nearest(service="detect", max_rtt_us=30_000)
    detect = service("2", sites=_at("bergen"))
    fleet.wish(revision("shop", detect=detect, collect=ruled(replicas=per_site(), nearest=near, sites_max=2)))
    assert plan(fleet) == []
    assert fleet.places() == ["bergen/n1 collect.0@1", "bergen/n1 detect.0@1", "oslo/n1 collect.0@1"]
    fleet.wish(revision("far", detect=detect, collect=ruled(replicas=per_site(), nearest=Nearest(service="detect"))))
    assert plan(fleet, "far") == []
    assert len(fleet.places("far")) == 5
    none = Fleet(*NORDIC)
    none.wish(revision("shop", detect=service("2", sites=_at("rome")), collect=ruled(nearest=near)))
    details = {each.detail for refused in plan(none) if refused.service == "collect" for each in refused.rejections}
    assert details == {"needs 30.0 ms to service detect, detect has no place yet"}


def test_a_bound_on_round_trips_and_where_each_is_known_from() -> None:
    to_place = Latency(to="place", point=Point(latitude_udeg=60_000_000, longitude_udeg=11_000_000), max_rtt_us=10_000)
    fleet = Fleet(*NORDIC)
    fleet.wish(revision("shop", web=ruled(replicas=per_site(), latency=(to_place,))))
    details = {each.site: each.rejections[0].detail for each in plan(fleet)}
    assert details == {
        "tromso": "needs 10.0 ms to the place, has 19.6 ms estimated over 1171 km",
        "ship": "needs 10.0 ms to the place, ship has a satellite link, of which distance says nothing",
    }
    to_core = Latency(to="core", max_rtt_us=40_000)
    fleet = Fleet(site("a", 1, rtt_us=39_000), site("b", 2, rtt_us=41_000), site("c", 3))
    fleet.wish(revision("shop", web=ruled(replicas=per_site(), latency=(to_core,))))
    details = {each.site: each.rejections[0].detail for each in plan(fleet)}
    assert details == {
        "b": "needs 40.0 ms to core, has 41.0 ms measured by its link",
        "c": "needs 40.0 ms to core, its link has not measured it yet",
    }
    assert fleet.plan().wake_us == LATENCY_LOOK_US, "a link may measure another one"
    fleet.change("a", rtt_us=99_000)
    plan(fleet)
    assert fleet.places() == ["a/n1 web.0@1"], "what runs stays"


def test_to_a_service_the_nearest_copy_counts_or_every_one() -> None:
    copies = {"db": service("2", replicas=per_site(), sites=_at("oslo", "tromso"))}
    for every, expected in ((False, "oslo"), (True, "bergen")):
        wish = Latency(to="service", name="db", every=every, max_rtt_us=24_000, weight=100)
        fleet = Fleet(*NORDIC)
        fleet.wish(revision("shop", **copies, web=ruled(latency=(wish,))))
        assert plan(fleet) == []
        found = [place for place in fleet.places() if " web." in place]
        if every:
            assert found[0].split("/")[0] in ("oslo", "tromso")
        else:
            assert found == [f"{expected}/n1 web.0@1"]
    to_site = Latency(to="site", name="tromso", weight=100)
    fleet = Fleet(*NORDIC)
    fleet.wish(revision("shop", web=ruled(latency=(to_site,))))
    plan(fleet)
    assert fleet.places() == ["tromso/n1 web.0@1"]


def test_preferred_labels_and_filling() -> None:
    fleet = Fleet(site("a", 1), site("b", 2, labels={"disk": "fast"}))
    fleet.wish(revision("shop", web=ruled(prefer=Prefer(labels=(LabelWish(match="disk=fast", weight=5),)))))
    plan(fleet)
    assert fleet.places() == ["b/n1 web.0@1"]
    fleet = Fleet(site("a", 1), site("b", 2))
    fleet.wish(revision("load", x=service("1", sites=_at("b"), memory=GIB)))
    fleet.plan()
    for fill, expected in (("pack", "b"), ("level", "a")):
        fleet.wish(revision(fill, web=ruled(memory=GIB, prefer=Prefer(fill=fill))))  # type: ignore[arg-type]
        fleet.plan()
        assert fleet.places(fill) == [f"{expected}/n1 web.0@1"]


def test_services_are_placed_after_those_that_they_are_near() -> None:
    made = revision(
        "shop",
        a=ruled(latency=(Latency(to="service", name="z", weight=1),)),
        b=service(),
        z=ruled(nearest=Nearest(service="m")),
        m=service(),
    )
    assert order_services(made) == [ServiceName(name) for name in ("b", "m", "z", "a")]


@pytest.mark.parametrize("count", [2_000])
def test_a_large_fleet_with_a_fence_and_a_tie_is_planned(count: int) -> None:
    fleet = Fleet(*(site(f"s{index}", index, country=("NO", "DE")[index % 2]) for index in range(count)))
    api, db = (ruled(replicas=per_site(), geofence=(NO,), **tied("node", name)) for name in ("db", "api"))
    fleet.wish(revision("shop", api=api, db=db))
    assert plan(fleet) == []
    assert len(fleet.places()) == count


# --- any mixture -----------------------------------------------------------------------------------------------------

_NAMES = ("api", "db", "web")
_RULES = st.fixed_dictionaries(
    {},
    optional={
        "geofence": st.sampled_from(((NO,), (Region(outside=NO),))),
        "apart": st.tuples(st.sampled_from(("node", "site", "region")), st.sampled_from((*_NAMES, "cow/web"))),
        "sites_max": st.integers(1, 3),
        "max_price_micro": st.sampled_from((0, 20_000, 500_000)),
        "latency": st.sampled_from(_NAMES),
    },
)
_SERVICE = st.tuples(_RULES, st.booleans(), st.integers(1, 3), st.sampled_from((0, GIB, 3 * GIB)))
_MIXTURES = st.dictionaries(
    st.sampled_from(("bee", "cow")),
    st.tuples(
        st.dictionaries(st.sampled_from(_NAMES), _SERVICE, min_size=1),
        st.sampled_from(("", "site", "node")),
        st.booleans(),
    ),
    min_size=1,
)
_PLACES = st.lists(
    st.tuples(
        st.sampled_from(("NO", "DE", "")),
        st.sampled_from(("", "0", "0.02", "1")),
        st.sampled_from(("north", "south")),
        st.integers(1, 2),
    ),
    max_size=5,
)


def _make_app(name: str, words: tuple[dict[str, tuple[dict[str, object], bool, int, int]], str, bool]) -> AppRevision:
    services, tie, at_each = words
    made: dict[str, Service] = {}
    for own, (drawn, each, count, memory) in services.items():
        rules = dict(drawn)
        if "apart" in rules:
            by, other = rules["apart"]  # type: ignore[misc]
            known = other in services or "/" in other
            rules["apart"] = (Apart(by=by, services=(other if known else own,)),)
        if "latency" in rules:
            other = rules.pop("latency")
            if other in services:
                rules["latency"] = (Latency(to="service", name=str(other), max_rtt_us=20_000, weight=1),)
        others = tuple(sorted(set(services) - {own}))
        if tie and others:
            rules["together"] = (Together(by=tie, services=others),)  # type: ignore[arg-type]
            each = at_each
        made[own] = ruled(replicas=per_site(count) if each else total(count), memory=memory, **rules)
    return revision(name, **made)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_PLACES, _MIXTURES, st.randoms(use_true_random=False))
def test_any_mixture_holds_in_any_order_and_settles(
    places: list[tuple[str, str, str, int]], apps: dict[str, object], shuffle: object
) -> None:
    fleet = Fleet(
        *(
            site(
                f"s{index}",
                index,
                country=country,
                region=region,
                labels={"price": price} if price else {},
                nodes=("a", "b")[:nodes],
                at=(index, index),
            )
            for index, (country, price, region, nodes) in enumerate(places)
        )
    )
    for name, words in apps.items():
        fleet.wish(_make_app(name, words))  # type: ignore[arg-type]
    snapshot = fleet.snapshot()
    parts = [list(snapshot.sites), list(snapshot.apps)]
    for part in parts:
        shuffle.shuffle(part)  # type: ignore[attr-defined]
    shuffled = msgspec.structs.replace(snapshot, sites=tuple(parts[0]), apps=tuple(parts[1]))
    assert plan_fleet(shuffled) == plan_fleet(snapshot)
    fleet.plan()
    assert fleet.plan().documents == ()
    assert _find_breaks(fleet) == []


def _find_breaks(fleet: Fleet) -> list[str]:
    """Judge everything that has a place anew, from the records alone and without any of the planner's code."""
    seats = [
        (view.record, unit, fleet.revisions[unit.revision].services[unit.service].placement.rules)
        for view in fleet.sites.values()
        for unit in view.units.values()
        if isinstance(unit, Assignment)
    ]
    breaks: list[str] = []
    for record, unit, rules in seats:
        assert rules is not msgspec.UNSET
        for region in rules.geofence:
            wanted = record.country == "NO" if region == NO else record.country == "DE"
            breaks += [] if wanted else [f"{unit.app}/{unit.service} at {record.country}"]
        price = record.labels.get("price")
        if rules.max_price_micro is not None and (price is None or float(price) * 1e6 > rules.max_price_micro):
            breaks.append(f"{unit.app}/{unit.service} costs {price}")
        mine = [each for each in seats if (each[1].app, each[1].service) == (unit.app, unit.service)]
        if rules.sites_max and len({each[0].site for each in mine}) > rules.sites_max:
            breaks.append(f"{unit.app}/{unit.service} is at more than {rules.sites_max} sites")
        for words in rules.apart:
            key = {
                "node": lambda one, two: (one.site, two.node),
                "site": lambda one, _: one.site,
                "region": lambda one, _: one.region,
            }[words.by]
            for name in words.services:
                app, _, service_name = name.rpartition("/")
                close = [
                    each
                    for each in seats
                    if (each[1].app, each[1].service) == (app or unit.app, service_name)
                    and each[1] is not unit
                    and key(each[0], each[1]) == key(record, unit)
                ]
                breaks += [f"{unit.app}/{unit.service} is beside {name}"] if close else []
    return breaks
