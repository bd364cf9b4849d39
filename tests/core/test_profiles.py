import pytest
from tests.core.cores import Rig, key, sign

from skerry.core.wishes import Expected
from skerry.model.app import Further
from skerry.model.asks import PageQuery, PlanManifest
from skerry.model.errors import Invalid, NotFound
from skerry.model.grants import Device, NodeUse, Profile
from skerry.model.ids import TenantName

BOTH = (TenantName("default"), TenantName("other"))
MODEMS = Profile(tenants=BOTH, devices=("/dev/ttyUSB*",))
MINE = Profile(tenants=BOTH[1:], devices=("/dev/fuse",))


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _put(rig, site, number, profiles, by="registrar"):
    record = rig.record(site, number, profiles=profiles)
    body = sign("site", record, key(by))
    return await rig.service.put_site(rig.operator, site=site, body=body, expect=Expected(number - 1))


async def test_each_way_in_which_sites_have_a_profile_is_told(rig):
    await _put(rig, "bergen", 1, {"modems": MODEMS})
    await _put(rig, "oslo", 1, {"modems": MODEMS, "mine": MINE})
    await _put(rig, "depot", 1, {"modems": MINE})
    page = await rig.service.list_profiles(rig.operator, query=PageQuery())
    assert [(each.profile, each.sites, each.site_count) for each in page.items] == [
        ("mine", ("oslo",), 1),
        ("modems", ("bergen", "oslo"), 2),
        ("modems", ("depot",), 1),
    ]
    found = []
    token = ""
    while True:
        page = await rig.service.list_profiles(rig.operator, query=PageQuery(page_size=1, page_token=token))
        found += page.items
        token = page.next_page_token
        if not token:
            break
    assert len(found) == 3
    shown = await rig.service.show_profile(rig.operator, profile="modems")
    assert len(shown.variants) == 2
    with pytest.raises(NotFound):
        await rig.service.show_profile(rig.operator, profile="nothing")


async def test_a_tenant_sees_what_it_is_granted_and_nothing_of_others(rig):
    await _put(rig, "oslo", 1, {"modems": MODEMS, "mine": MINE})
    page = await rig.service.list_profiles(rig.admin, query=PageQuery())
    assert [(each.profile, each.grants.tenants) for each in page.items] == [("modems", ("default",))]
    with pytest.raises(NotFound):
        await rig.service.show_profile(rig.admin, profile="mine")


async def test_nobody_but_the_registrar_grants_anything(rig):
    for by in ("delivery", "deploy default", "root"):
        with pytest.raises(Invalid):
            await _put(rig, "oslo", 1, {"modems": MODEMS}, by)
    assert (await rig.service.list_profiles(rig.operator, query=PageQuery())).items == ()


async def test_a_text_is_planned_with_what_its_profile_grants(rig):
    await _put(rig, "oslo", 1, {"modems": MODEMS})
    text = "services: {web: {image: web:1, devices: [%s]}}\nx-skerry: {profile: %s}"

    async def plan(device, profile):
        body = PlanManifest(text=text % (device, profile), name="app")
        found = await rig.service.plan_manifest(rig.admin, body=body)
        return [(each.code, each.pointer) for each in found.problems]

    assert ("E-FIELD-REFUSED", "/services/web/devices/0") not in await plan("/dev/ttyUSB0", "modems")
    assert await plan("/dev/fuse", "modems") == [("E-FIELD-REFUSED", "/services/web/devices/0")]
    assert await plan("/dev/fuse", "other") == [
        ("E-FIELD-REFUSED", "/services/web/devices/0"),
        ("E-REFERENCE", "/x-skerry/profile"),
    ]


async def test_the_core_records_no_revision_that_asks_a_built_in_profile_for_more(rig):
    await rig.add_site("oslo", profiles={"modems": MODEMS})
    asking = Further(node=NodeUse(devices=(Device(source="/dev/ttyUSB0", target="/dev/ttyUSB0"),)))
    for words in ({"cap_add": ("NET_ADMIN",)}, {"further": asking}):
        with pytest.raises(Invalid) as refused:
            await rig.apply("app", 1, **words)
        assert "default" in refused.value.detail
    with pytest.raises(Invalid):
        await rig.apply("app", 1, cap_add=("SYS_TIME",))
