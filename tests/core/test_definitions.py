"""Areas and groups of users follow a number line, are signed by their tenant, and move nothing that was signed."""

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.core.refusals import Missing, Stale
from skerry.core.wishes import Expected
from skerry.model.asks import InstanceQuery, PageQuery, PlanManifest
from skerry.model.errors import Invalid, NotFound
from skerry.model.geography import NamedArea, Region
from skerry.model.placing import PlacementRules
from skerry.model.signed import Area, UserGroup

NO = Region(countries=("NO",))
SE = Region(countries=("SE",))


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


def _area(number=1, region=NO, **words):
    return Area(**({"tenant": "default", "name": "nordics", "number": number, "region": region} | words))


async def _put(rig, made, expect, by="deploy default", kind="area"):
    return await rig.service.put_area(
        rig.admin, area="nordics", body=sign(kind, made, key(by)), expect=Expected(expect)
    )


async def test_an_area_follows_its_number_line_and_comes_back_as_it_was_signed(rig):
    assert (await _put(rig, _area(), 0)).number == 1
    assert (await _put(rig, _area(), 0)).number == 1, "asked again after a lost answer"
    with pytest.raises(Stale) as stale:
        await _put(rig, _area(2, SE), 0)
    assert stale.value.number == 1
    # A signer may have signed what a core never saw, so a number may be left out, and none comes twice.
    assert (await _put(rig, _area(4, SE), 1)).number == 4
    with pytest.raises(Invalid) as refused:
        await _put(rig, _area(3), 4)
    assert refused.value.code == "E-STALE"
    found = await rig.service.show_area(rig.admin, area="nordics")
    assert (found.summary.number, found.summary.region) == (4, SE)
    assert found.signed == sign("area", _area(4, SE), key("deploy default"))
    with pytest.raises(NotFound):
        await rig.service.show_area(rig.caller("other"), area="nordics")
    assert (await rig.service.list_areas(rig.caller("other"), query=PageQuery())).items == ()


async def test_one_that_was_forgotten_begins_where_its_line_stood(rig):
    await _put(rig, _area(3), 0)
    with pytest.raises(Stale):
        await rig.service.remove_area(rig.admin, area="nordics", expect=Expected(2))
    with pytest.raises(Missing):
        await rig.service.remove_area(rig.admin, area="nordics", expect=None)
    assert (await rig.service.remove_area(rig.admin, area="nordics", expect=Expected(3))).number == 3
    for gone in (
        rig.service.show_area(rig.admin, area="nordics"),
        rig.service.remove_area(rig.admin, area="nordics", expect=Expected(3)),
    ):
        with pytest.raises(NotFound):
            await gone
    assert (await rig.service.list_areas(rig.admin, query=PageQuery())).items == ()
    with pytest.raises(Invalid):
        await _put(rig, _area(2), 0)
    assert (await _put(rig, _area(4), 0)).number == 4


@pytest.mark.parametrize(
    ("made", "by", "kind"),
    [
        (_area(), "deploy other", "area"),
        (_area(), "registrar", "area"),
        (_area(name="other"), "deploy default", "area"),
        (_area(tenant="other"), "deploy default", "area"),
        (_area(region=Region()), "deploy default", "area"),
        (UserGroup(tenant="default", name="nordics", number=1, points=((1, 2, 3),)), "deploy default", "user-group"),
    ],
)
async def test_an_area_that_is_not_rightly_signed_is_refused(rig, made, by, kind):
    with pytest.raises(Invalid):
        await _put(rig, made, 0, by, kind)
    with pytest.raises(Missing):
        await rig.service.put_area(rig.admin, area="nordics", body=sign(kind, made, key(by)), expect=None)
    assert (await rig.service.list_areas(rig.admin, query=PageQuery())).items == ()


async def test_groups_of_users_are_kept_beside_areas_of_the_same_name_and_listed_by_pages(rig):
    await _put(rig, _area(), 0)
    for name in ("north", "nordics", "south"):
        made = UserGroup(tenant="default", name=name, number=1, points=((10_750_000, 59_910_000, 3),))
        body = sign("user-group", made, key("deploy default"))
        await rig.service.put_user_group(rig.admin, user_group=name, body=body, expect=Expected(0))
    page = await rig.service.list_user_groups(rig.admin, query=PageQuery(page_size=2))
    assert [each.name for each in page.items] == ["nordics", "north"]
    rest = await rig.service.list_user_groups(rig.admin, query=PageQuery(page_token=page.next_page_token))
    assert [(each.name, each.points) for each in rest.items] == [("south", ((10_750_000, 59_910_000, 3),))]
    assert rest.next_page_token == ""
    found = await rig.service.show_user_group(rig.admin, user_group="nordics")
    assert (found.summary.number, found.summary.name) == (1, "nordics")
    await rig.service.remove_user_group(rig.admin, user_group="nordics", expect=Expected(1))
    assert (await rig.service.show_area(rig.admin, area="nordics")).summary.number == 1


async def test_an_app_stays_in_the_ground_that_was_signed_whatever_becomes_of_the_area(rig):
    for name, country in (("oslo", "NO"), ("kiruna", "SE")):
        await (await rig.add_site(name, country=country)).connect()
    await _put(rig, _area(), 0)
    made = rig.revision("shop", 1, image=await rig.push_image())
    rules = PlacementRules(geofence=(Region(areas=(NamedArea(name="nordics", number=1, region=NO),)),))
    services = {
        name: msgspec.structs.replace(each, placement=msgspec.structs.replace(each.placement, rules=rules))
        for name, each in made.services.items()
    }
    made = msgspec.structs.replace(made, services=services)
    await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    await rig.plan()

    async def sites():
        return {each.site for each in (await rig.service.list_instances(rig.admin, query=InstanceQuery())).items}

    assert await sites() == {"oslo"}
    await _put(rig, _area(2, SE), 1)
    await rig.plan()
    assert await sites() == {"oslo"}
    await rig.service.remove_area(rig.admin, area="nordics", expect=Expected(2))
    await rig.plan()
    assert await sites() == {"oslo"}


TEXT = """
services:
  web: {image: "web:1"}
x-skerry:
  placement:
    geofence: {areas: [nordics]}
"""


async def test_a_text_is_planned_with_the_area_that_the_core_has(rig):
    await rig.push_image("web:1")
    await (await rig.add_site("oslo", country="NO")).connect()
    missing = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=TEXT, name="shop"))
    assert [(each.code, each.detail, each.line) for each in missing.problems] == [
        ("E-REFERENCE", "there is no area nordics", 6)
    ]
    await _put(rig, _area(), 0)
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=TEXT, name="shop"))
    assert found.plan is not None
    assert [(each.kind, each.site) for each in found.plan.changes] == [("add", "oslo")]
    await _put(rig, _area(2, SE), 1)
    found = await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=TEXT, name="shop"))
    assert found.plan is not None
    assert [each.reason for each in found.plan.unplaced] == ["area nordics: needs a country in SE, the site is in NO"]
