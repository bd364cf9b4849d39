"""The further words of placement: what they come to, what is told of bad ones, and who beats whom."""

import re

import pytest
from tests.manifest.texts import DATA, accept, read, reject, service

from skerry.manifest.values import Rejected
from skerry.model.app import Sites
from skerry.model.geography import Around, NamedArea, Point, Region
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

NO = Region(countries=("NO",))
OSLO = Point(latitude_udeg=59_910_000, longitude_udeg=10_750_000)


def rules(words, own=""):
    """Return the rules of ``web`` in an app whose placement has ``words``, a flow mapping's inside."""
    fields = f"x-skerry: {{placement: {{{own}}}}}" if own else ""
    found = service(fields, top=f"x-skerry: {{placement: {{{words}}}}}").placement.rules
    return found or PlacementRules()


def app(placement, **services):
    """Return the text of an app; each service is given the inside of its ``x-skerry``."""
    lines = [f"  {name}: {{image: x, x-skerry: {{{words}}}}}" for name, words in services.items()]
    return "services:\n" + "\n".join(lines) + f"\nx-skerry: {{placement: {{{placement}}}}}\n"


def rules_of(text):
    return {name: each.placement.rules or PlacementRules() for name, each in accept(text).services.items()}


def tell(text):
    rejected = read(text)
    assert isinstance(rejected, Rejected), rejected
    return [f"{one.code} {one.pointer}: {one.detail}" for one in rejected.problems]


def tell_words(words):
    return [line.replace(" /x-skerry/placement/", " ") for line in tell(app(words, web="", db=""))]


def test_nothing_said_leaves_nothing_in_the_signed_form():
    assert not service("", top="x-skerry: {placement: {sites: a}}").placement.rules
    assert not service("", top="x-skerry: {placement: {prefer: {}, if-none: wait}}").placement.rules


# --- ground ----------------------------------------------------------------------------------------------------------


def test_a_geofence_in_every_form():
    assert rules("geofence: {countries: [NO, se]}").geofence == (Region(countries=("NO", "SE")),)
    assert rules("geofence: {countries: NO, evidence: declared}").geofence == (NO,)
    assert rules("geofence: {around: {point: {lat: 59.91, lon: 10.75}, km: 2.5}}").geofence == (
        Region(around=Around(point=OSLO, metres=2500)),
    )
    assert rules("geofence: {countries: NO, not: {around: {point: {lat: 59.91, lon: 10.75}, km: 1}}}").geofence == (
        Region(countries=("NO",), outside=Region(around=Around(point=OSLO, metres=1000))),
    )


def test_polygons_of_geojson():
    ring = "[[0, 0], [10.5, 0], [10, 10, 99], [0, 0]]"
    corners = ((0, 0), (10_500_000, 0), (10_000_000, 10_000_000))
    one = (Region(polygon=((corners,),)),)
    assert rules(f"geofence: {{polygon: {{type: Polygon, coordinates: [{ring}]}}}}").geofence == one
    assert rules(f"geofence: {{polygon: {{type: MultiPolygon, coordinates: [[{ring}]]}}}}").geofence == one
    feature = f"{{type: Feature, geometry: {{type: Polygon, coordinates: [{ring}]}}}}"
    assert rules(f"geofence: {{polygon: {feature}}}").geofence == one


def test_areas_by_name_are_left_to_be_put_in():
    found = rules("geofence: {areas: [south, nordics, south], countries: NO}, residency: {not: {areas: islands}}")
    areas = (NamedArea(name="nordics"), NamedArea(name="south"))
    assert found.geofence == (Region(countries=("NO",), areas=areas),)
    islands = Region(areas=(NamedArea(name="islands"),))
    assert found.residency == (Residency(region=Region(outside=islands)),)


def test_users_by_name_with_their_quantile():
    def latency(words):
        return rules(f"latency: {{of: web, to: {{users: customers}}, {words}}}").latency

    said = Latency(to="users", name="customers", weight=1, quantile_permille=950)
    assert latency("weight: 1") == (said,)
    assert latency("max-rtt: 20ms, quantile: 0.9991")[0].quantile_permille == 1_000
    assert latency("max-rtt: 20ms, quantile: 1")[0].max_rtt_us == 20_000
    assert latency("max-rtt: 20ms, quantile: 0.5")[0].quantile_permille == 500


def test_residency():
    assert rules("residency: {countries: NO, jurisdictions: [no], covers: [volumes, logs]}").residency == (
        Residency(region=NO, jurisdictions=("NO",), covers=("logs", "volumes")),
    )
    assert rules("residency: {jurisdictions: [SE, NO]}").residency == (Residency(jurisdictions=("NO", "SE")),)


def test_fences_of_all_levels_hold_and_other_words_are_beaten():
    found = rules_of(
        app(
            "geofence: {countries: [NO, SE]}, max-price: 1, if-none: fail,"
            " tiers: {edge: {geofence: {countries: [NO, DK]}, max-price: 2}}",
            web="tier: edge, placement: {geofence: {countries: NO}, max-price: 0.25}",
            db="tier: edge",
        )
    )
    assert [each.countries for each in found["web"].geofence] == [("NO",), ("DK", "NO"), ("NO", "SE")]
    assert [each.countries for each in found["db"].geofence] == [("DK", "NO"), ("NO", "SE")]
    assert (found["web"].max_price_micro, found["db"].max_price_micro) == (250_000, 2_000_000)
    assert found["web"].if_none == found["db"].if_none == "fail"


def test_a_tier_gives_its_sites_copies_and_nodes():
    text = app(
        "sites: b, node: z, tiers: {edge: {sites: a, replicas: {per-site: 2}}}",
        web="tier: edge",
        own="tier: edge, placement: {sites: c}",
        db="",
    )
    found = {name: each.placement for name, each in accept(text).services.items()}
    assert [(found[name].sites.match, found[name].replicas.per_site) for name in ("web", "own", "db")] == [
        (("a",), 2),
        (("c",), 2),
        (("b",), 1),
    ]
    assert {each.node for each in found.values()} == {("z",)}
    assert accept(text, sites=("cli",)).services["web"].placement.sites == Sites(match=("a",))
    assert accept(text, sites=("cli",)).services["db"].placement.sites == Sites(match=("cli",))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("geofence: {}", "E-TYPE geofence: it says nothing: write countries: [NO, SE]"),
        ("geofence: {evidence: declared}", "E-TYPE geofence: it says nothing: write countries: [NO, SE]"),
        ("geofence: {not: {}}", "E-TYPE geofence/not: it says nothing: write countries: [NO, SE]"),
        ("geofence: {areas: [Nordics]}", 'E-TYPE geofence/areas/0: "Nordics" is not a name. Write my-name'),
        (
            "geofence: {countries: NO, evidence: attested}",
            "E-NOT-YET geofence/evidence: attested is not built yet",
        ),
        (
            "geofence: {countries: [Norway]}",
            'E-TYPE geofence/countries/0: "Norway" is not a country: write two letters, such as NO',
        ),
        ("geofence: {around: {km: 5}}", 'E-TYPE geofence/around: "point" must be given here'),
        (
            "geofence: {around: {point: {lat: 91, lon: 0}, km: 5}}",
            "E-RANGE geofence/around/point/lat: 91 is out of range: -90 to 90",
        ),
        (
            "geofence: {around: {point: {lat: 1, lon: 0}, km: 0}}",
            "E-RANGE geofence/around/km: 0 is out of range: above 0, at most 20100",
        ),
        (
            "geofence: {around: {point: {lat: .nan, lon: 0}, km: 1}}",
            "E-TYPE geofence/around/point/lat: .nan is not a number. Write 10.75",
        ),
        (
            "geofence: {polygon: {type: Point}}",
            "E-TYPE geofence/polygon: it is no GeoJSON of type Polygon or MultiPolygon with coordinates",
        ),
        (
            "geofence: {polygon: {type: Polygon, coordinates: []}}",
            "E-TYPE geofence/polygon/coordinates: a polygon has at least one ring",
        ),
        (
            "geofence: {polygon: {type: Polygon, coordinates: [[[0, 0], [1, 1], [0, 0]]]}}",
            "E-TYPE geofence/polygon/coordinates/0: a ring has at least 3 corners",
        ),
        (
            "geofence: {polygon: {type: Polygon, coordinates: [[[-170, 0], [1, 1], [170, 0]]]}}",
            "E-RANGE geofence/polygon/coordinates/0: a side crosses the meridian of 180 degrees",
        ),
        (
            "geofence: {polygon: {type: Polygon, coordinates: [[[0, 0], x, [1, 0]]]}}",
            'E-TYPE geofence/polygon/coordinates/0/1: "x" is no corner: write [10.75, 59.91]',
        ),
        ("residency: {covers: [volumes]}", "E-TYPE residency: it says nothing: write countries: [NO, SE]"),
        (
            "residency: {countries: NO, covers: [socks]}",
            'E-TYPE residency/covers/0: "socks" is none of volumes, snapshots, replicas, backups, logs, flows',
        ),
        ("max-price: -1", "E-RANGE max-price: -1 is out of range: 0 and above"),
        ("max-price: .inf", "E-RANGE max-price: .inf is out of range: 0 and above"),
        (
            "geofence: {around: {point: {lat: 1, lon: 0}, km: .nan}}",
            "E-RANGE geofence/around/km: .nan is out of range: above 0, at most 20100",
        ),
        ("sites: {max-rtt: 5ms}", 'E-CONFLICT sites/max-rtt: it is how far from "nearest", which is not given'),
        ("sites: {nearest: gone}", 'E-REFERENCE sites/nearest: service "gone" does not exist'),
        ("same-node: [web]", "E-TYPE same-node: one service alone is kept together with nothing"),
        ("same-node: [web, gone]", 'E-REFERENCE same-node/1: service "gone" does not exist'),
        ("apart: [web, a/b/c]", 'E-REFERENCE apart/1: "a/b/c" is neither a service nor app/service'),
        ("apart: {by: site}", 'E-TYPE apart: "of" must be given here'),
        ("latency: {to: core, max-rtt: 5ms}", 'E-TYPE latency: "of" must be given here: which service'),
        ("latency: {of: web, max-rtt: 5ms}", 'E-TYPE latency: "to" must be given here'),
        ("latency: {of: web, to: core}", 'E-TYPE latency: "max-rtt" or "weight" must be given here'),
        (
            "latency: {of: web, to: moon, weight: 1}",
            'E-TYPE latency/to: "moon" is not core: write {service: NAME}, {site: NAME}, {users: NAME} or {place: …}',
        ),
        (
            "latency: {of: web, to: {}, weight: 1}",
            "E-TYPE latency/to: exactly one of place, service, site and users is given",
        ),
        (
            "latency: {of: web, to: {site: oslo, any: true}, weight: 1}",
            "E-CONFLICT latency/to/any: any is said of the copies of a service",
        ),
        (
            "latency: {of: web, to: {users: all}, weight: 1, quantile: 1.01}",
            "E-RANGE latency/quantile: 1.01 is out of range: above 0, at most 1",
        ),
        (
            "latency: {of: web, to: {users: all}, weight: 1, quantile: 0}",
            "E-RANGE latency/quantile: 0 is out of range: above 0, at most 1",
        ),
        (
            "latency: {of: web, to: core, weight: 1, quantile: 0.5}",
            "E-CONFLICT latency/quantile: quantile is said of users",
        ),
        (
            "latency: {of: web, to: {users: all}, max-rtt: 9ms, basis: measured}",
            "E-NOT-YET latency/basis: measuring round trips but those to the core is not built yet",
        ),
        (
            "latency: {of: web, to: {site: oslo}, weight: 1, basis: measured}",
            "E-NOT-YET latency/basis: measuring round trips but those to the core is not built yet",
        ),
        (
            "latency: {of: web, to: core, max-rtt: 0s}",
            "E-RANGE latency/max-rtt: a round trip takes longer than nothing",
        ),
        ("prefer: {energy: 1}", 'E-NOT-YET prefer/energy: "energy" is not built yet'),
        ("prefer: {labels: [{weight: 1}]}", 'E-TYPE prefer/labels/0: "match" must be given here'),
        ("tiers: {edge: {tiers: {}}}", 'E-UNKNOWN-WORD tiers/edge/tiers: unknown word here. It belongs to "placement"'),
    ],
)
def test_what_is_told_of_bad_words(words, told):
    assert tell_words(words) == [told]


def test_a_polygon_has_so_many_corners_at_most():
    corners = ", ".join(f"[{at / 100}, {at % 7}]" for at in range(2_001))
    words = f"geofence: {{polygon: {{type: Polygon, coordinates: [[{corners}]]}}}}"
    assert tell_words(words) == ["E-LIMIT geofence/polygon: it has 2001 corners, at most 2000 are allowed"]


def test_an_unknown_tier():
    text = app("tiers: {edge: {}, core: {}}", web="tier: edgy")
    assert tell(text) == ['E-REFERENCE /services/web/x-skerry/tier: there is no tier "edgy": there are core, edge']
    assert tell(app("", web="tier: x")) == [
        'E-REFERENCE /services/web/x-skerry/tier: there is no tier "x": placement has no tiers'
    ]


def test_waiting_for_a_service_of_another_tier_is_refused():
    text = """
        services:
          web: {image: x, depends_on: [db], x-skerry: {tier: edge}}
          db: {image: x}
        x-skerry: {placement: {tiers: {edge: {}}}}
        """
    assert reject(text) == ["3 E-FIELD-REFUSED /services/web/depends_on/0"]


# --- company ---------------------------------------------------------------------------------------------------------


def test_company_is_everybody_in_a_chain_of_groups():
    found = rules_of(app("same-site: [[a, b], [b, c], [d, e]]", a="", b="", c="", d="", e="", f=""))
    assert found["a"].together == (Together(by="site", services=("b", "c")),)
    assert found["c"].together == (Together(by="site", services=("a", "b")),)
    assert found["e"].together == (Together(by="site", services=("d",)),)
    assert found["f"] == PlacementRules()


def test_a_service_names_its_company_and_the_others_know_of_it():
    found = rules_of(app("", till="placement: {same-node: db}", db="", web="placement: {same-site: [stock/db]}"))
    assert found["till"].together == (Together(by="node", services=("db",)),)
    assert found["db"].together == (Together(by="node", services=("till",)),)
    assert found["web"].together == (Together(by="site", services=("stock/db",)),)


def test_names_of_compose_become_ours_and_services_that_are_off_are_no_company():
    text = """
        services:
          my_till: {image: x}
          db: {image: x}
          extra: {image: x, profiles: [more]}
        x-skerry: {placement: {same-node: [my_till, app/db, extra]}}
        """
    assert rules_of(text)["db"].together == (Together(by="node", services=("my-till",)),)


def test_apart():
    found = rules_of(app("apart: [web, db, cache/db]", web="", db="", log=""))
    assert found["web"].apart == (Apart(by="node", services=("cache/db", "db")),)
    assert found["log"].apart == ()
    found = rules_of(app("apart: {of: web, by: region}", web="", db="placement: {apart: {of: [db, web], by: site}}"))
    assert found["web"].apart == (Apart(by="region", services=("web",)),)
    assert found["db"].apart == (Apart(by="site", services=("db", "web")),)


@pytest.mark.parametrize(
    ("placement", "web", "told"),
    [
        ("same-node: [web, db], apart: [web, db]", "", "it is kept at one node with db, and apart from it"),
        (
            "same-site: [web, db]",
            "placement: {replicas: {per-site: 1}}",
            "it is kept together with db: both have copies per site, or both in total",
        ),
        (
            "latency: [{of: web, to: {service: db}, weight: 1}, {of: db, to: {service: web}, weight: 1}]",
            "",
            "web would be placed near itself",
        ),
        ("", "placement: {sites: {nearest: web}}", "web would be placed near itself"),
    ],
)
def test_what_contradicts_itself(placement, web, told):
    assert any(
        line.startswith("E-CONFLICT") and line.endswith(f": {told}") for line in tell(app(placement, web=web, db=""))
    )


def test_apart_on_nodes_of_one_site_is_no_contradiction():
    found = rules_of(app("same-site: [web, db], apart: [web, db]", web="", db=""))
    assert found["web"].together
    assert found["web"].apart


# --- distance, price, score ------------------------------------------------------------------------------------------


def test_latency():
    found = rules_of(
        app(
            "latency: [{of: web, to: core, max-rtt: 40ms, basis: measured},"
            " {of: web, to: {service: db, any: false}, weight: 3},"
            " {of: db, to: {site: oslo}, max-rtt: 1500us}]".replace("1500us", "2ms"),
            web="",
            db="",
            log="placement: {latency: {to: {place: {lat: 59.91, lon: 10.75}}, max-rtt: 5ms, weight: 2}}",
        )
    )
    assert found["web"].latency == (
        Latency(to="core", max_rtt_us=40_000, measured=True),
        Latency(to="service", name="db", every=True, weight=3),
    )
    assert found["db"].latency == (Latency(to="site", name="oslo", max_rtt_us=2_000),)
    assert found["log"].latency == (Latency(to="place", point=OSLO, max_rtt_us=5_000, weight=2),)


def test_the_nearest_sites():
    text = app(
        "",
        detect="",
        summarise="placement: {sites: {match: a, nearest: detect, max-rtt: 40ms, max: 2}, replicas: {total: 2}}",
    )
    found = accept(text).services["summarise"].placement
    assert found.sites == Sites(match=("a",))
    assert found.rules == PlacementRules(nearest=Nearest(service="detect", max_rtt_us=40_000), sites_max=2)
    waves = text.replace("x-skerry: {placement: {}}", "x-skerry: {rollout: {}}").replace("total: 2", "per-site: 1")
    assert [line.split(":")[0] for line in tell(waves)] == ["E-NOT-YET /services/summarise/x-skerry/placement"]


def test_price_and_preferences():
    assert rules("max-price: 0.0000019").max_price_micro == 1
    assert rules("max-price: 0").max_price_micro == 0
    words = "prefer: {cost: 0, latency: 2, spread: 3, moves: 4, fill: pack, labels: [{match: 'disk=fast', weight: 5}]}"
    assert rules(words).prefer == Prefer(
        cost=0, latency=2, spread=3, moves=4, fill="pack", labels=(LabelWish(match="disk=fast", weight=5),)
    )


def test_the_command_line_takes_the_place_of_the_sites_and_all_that_is_said_of_them():
    text = app("sites: {match: a, max: 2}", web="")
    assert accept(text).services["web"].placement.rules
    assert not accept(text, sites=("b",)).services["web"].placement.rules


def test_the_example_of_the_page_is_sound():
    page = (DATA.parent.parent / "docs" / "how-to" / "say-where.md").read_text()
    (example,) = re.findall(r"^```yaml [^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = rules_of(example)
    assert found["count"].if_none == "fail"
    assert found["till"].together == (Together(by="node", services=("db",)),)
    assert {len(each.geofence) for each in found.values()} == {1}
