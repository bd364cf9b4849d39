"""What the core does for the further words of placement: apps refused without a place, and measured round trips."""

import msgspec
import pytest
from tests.core.cores import Rig

from skerry.core.state import RTT_AGE_US
from skerry.core.wishes import Expected
from skerry.model.app import Placement, Replicas
from skerry.model.asks import WhyQuery
from skerry.model.document import Assignment
from skerry.model.entrance import Entrance
from skerry.model.errors import Invalid
from skerry.model.geography import Region
from skerry.model.ids import SiteName
from skerry.model.placing import Latency, PlacementRules
from skerry.model.samples import Sample
from skerry.trust.envelope import encode_payload

NO = Region(countries=("NO",))


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


def placed(*, total: int = 0, **words: object) -> Placement:
    replicas = Replicas(total=total) if total else Replicas(per_site=1)
    return Placement(replicas=replicas, rules=PlacementRules(**words))  # type: ignore[arg-type]


async def test_an_app_that_is_to_have_a_place_is_refused_without_one_and_leaves_nothing(rig):
    await rig.add_site("berlin", country="DE")
    with pytest.raises(Invalid) as refused:
        await rig.apply("shop", placement=placed(total=1, geofence=(NO,), if_none="fail"))
    assert refused.value.code == "E-PLACEMENT"
    assert [(one.code, one.pointer, one.detail) for one in refused.value.problems] == [
        (
            "E-PLACEMENT",
            "/services/web/placement",
            "web has no place: needs a country in NO, the site is in DE",
        )
    ]
    assert (await rig.apply("shop", placement=placed(total=1, geofence=(NO,)))).number == 1, "it waits by itself"
    await rig.add_site("oslo", country="NO")
    envelope = await rig.sign_app("shop", 2, placement=placed(total=1, geofence=(NO,), if_none="fail"))
    assert (await rig.apply("shop", 2, envelope=envelope)).number == 2
    await rig.add_site("oslo", country="SE")
    assert (await rig.apply("shop", 2, envelope=envelope)).number == 2, "what is recorded is not judged anew"


async def test_the_plan_says_that_the_apply_would_be_refused(rig):
    await rig.add_site("berlin", country="DE")
    image = await rig.push_image()
    made = rig.revision("shop", 1, image=image, placement=placed(total=1, geofence=(NO,), if_none="fail"))
    plan = await rig.service.plan_app(rig.admin, app="shop", body=encode_payload(made))
    assert [one.code for one in plan.problems] == ["E-PLACEMENT"]
    assert [one.reason for one in plan.unplaced] == ["needs a country in NO, the site is in DE"]


async def test_of_copies_per_site_some_have_to_be_somewhere(rig):
    await rig.add_site("berlin", country="DE", labels={"price": "2"})
    await rig.add_site("oslo", country="NO", labels={"price": "0.5"})
    cheap = placed(max_price_micro=1_000_000, if_none="fail")
    assert (await rig.apply("shop", placement=cheap)).number == 1
    with pytest.raises(Invalid):
        await rig.apply(
            "blog", placement=msgspec.structs.replace(cheap, rules=PlacementRules(max_price_micro=1, if_none="fail"))
        )


async def test_a_round_trip_to_a_site_that_is_not_there(rig):
    await rig.add_site("oslo")
    with pytest.raises(Invalid) as refused:
        await rig.apply("shop", placement=placed(latency=(Latency(to="site", name="moon", weight=1),)))
    assert [(one.code, one.pointer) for one in refused.value.problems] == [
        ("E-SITE", "/services/web/placement/latency")
    ]


async def test_a_round_trip_counts_once_the_link_has_told_of_it_and_for_a_day(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", placement=placed(latency=(Latency(to="core", max_rtt_us=50_000),)))
    await rig.plan()
    why = await rig.service.explain_app(rig.admin, app="shop", query=WhyQuery(site="oslo"))
    assert [one.detail for one in why.rejections] == [
        "needs 50.0 ms to core, its link has not measured it yet",
    ]
    sample = Sample(host=None)
    rig.core.use.take(SiteName("oslo"), sample, 20_000, 1, rig.core.clock.boot_us())
    assert rig.core.round_trips() == {"oslo": 20_000}
    await rig.plan()
    await site.fetch()
    assert [unit.node for unit in site.units.values() if isinstance(unit, Assignment)] == ["n1"]
    await rig.clock.advance(RTT_AGE_US + 1)
    assert rig.core.round_trips() == {}


async def test_a_revision_with_words_that_make_no_sense_is_refused(rig):
    await rig.add_site("oslo")
    envelope = await rig.sign_app("shop", placement=placed(sites_max=-1))
    with pytest.raises(Exception, match="not negative"):
        await rig.service.apply_app(rig.admin, app="shop", body=envelope, expect=Expected(0))


async def test_a_host_name_that_somebody_has_is_a_problem_of_the_plan_and_no_word_about_who(rig):
    await rig.add_site("oslo")
    door = (Entrance(host="shop.example", port=80),)
    await rig.apply("shop", entrance=door, placement=placed(total=1))
    image = await rig.push_image()
    made = rig.revision("zoo", 1, image=image, entrance=door, placement=placed(total=1))
    plan = await rig.service.plan_app(rig.admin, app="zoo", body=encode_payload(made))
    assert [(one.code, one.pointer, one.detail) for one in plan.problems] == [
        ("E-CONFLICT", "/services/web/entrance", "web has no place: shop.example/ is given to shop/web on oslo/n1")
    ]
    await rig.add_site("rome")
    plan = await rig.service.plan_app(rig.admin, app="zoo", body=encode_payload(made))
    assert plan.problems == ()
    assert [(each.kind, each.site) for each in plan.changes] == [("add", "rome")]
