"""Sites: records on their number line, lists by labels and pages, details that show what is so and not what was."""

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.core.refusals import Clash, Missing, Stale
from skerry.core.wishes import Expected
from skerry.model.asks import SiteQuery
from skerry.model.errors import Invalid, NotFound
from skerry.model.facts import SiteFact


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _put(rig, record, number: int, by: str = "registrar"):
    body = sign("site", record, key(by))
    return await rig.service.put_site(rig.operator, site="oslo", body=body, expect=Expected(number))


async def test_records_follow_each_other_and_a_repeated_one_is_answered_alike(rig):
    first = rig.record("oslo", 1)
    assert (await _put(rig, first, 0)).number == 1
    assert (await _put(rig, first, 0)).number == 1
    second = rig.record("oslo", 2, labels={"tier": "store"})
    with pytest.raises(Stale) as refused:
        await _put(rig, second, 0)
    assert refused.value.number == 1
    assert (await _put(rig, second, 1)).number == 2
    assert await rig.service.read_site_record(rig.admin, site="oslo") == sign("site", second, key("registrar"))
    with pytest.raises(Missing):
        await rig.service.put_site(
            rig.operator, site="oslo", body=sign("site", rig.record("oslo", 3), key("registrar")), expect=None
        )


@pytest.mark.parametrize(
    ("change", "by"),
    [({}, "stranger"), ({}, "deploy default"), ({"site": "rome"}, "registrar"), ({"number": 2}, "registrar")],
)
async def test_a_record_that_is_not_rightly_signed_is_refused(rig, change, by):
    with pytest.raises(Invalid):
        await _put(rig, msgspec.structs.replace(rig.record("oslo", 1), **change), 0, by)
    assert (await rig.service.list_sites(rig.operator, query=SiteQuery())).items == ()


async def test_sites_are_listed_by_label_and_in_pages(rig):
    for number in range(7):
        tier = "store" if number % 2 else "depot"
        await rig.add_site(f"s{number}", labels={"tier": tier}, region="north")
    seen, token = [], ""
    while True:
        query = SiteQuery(page_size=2, page_token=token, label_selector="tier=depot,region=north")
        page = await rig.service.list_sites(rig.operator, query=query)
        seen += [site.site for site in page.items]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["s0", "s2", "s4", "s6"]
    with pytest.raises(Invalid):
        await rig.service.list_sites(rig.operator, query=SiteQuery(label_selector="=="))


async def test_a_tenant_sees_the_sites_that_admit_it_and_their_sealing_keys(rig):
    await rig.add_site("oslo", tenants=("default",))
    await rig.add_site("rome", tenants=("other",))
    page = await rig.service.list_site_records(rig.admin, query=SiteQuery())
    assert page.items == (sign("site", rig.record("oslo", 1, tenants=("default",)), key("registrar")),)
    with pytest.raises(NotFound):
        await rig.service.show_site(rig.admin, site="rome")
    await rig.add_site("oslo", tenants=("other",))
    assert (await rig.service.list_site_records(rig.admin, query=SiteQuery())).items == ()


async def test_the_state_of_a_site_follows_from_what_was_heard(rig):
    async def state() -> str:
        return (await rig.service.list_sites(rig.operator, query=SiteQuery())).items[0].state

    site = await rig.add_site("oslo")
    assert await state() == "joining"
    await site.connect()
    assert await state() == "online"
    for _ in range(40):
        await rig.clock.advance(5_000_000)
        rig.core.watch = msgspec.structs.replace(rig.core.watch, pulse_us=rig.clock.boot_us())
    assert await state() == "silent"
    rig.desk.hear(site.name)
    assert await state() == "online"


async def test_a_detail_shows_nodes_conditions_and_whether_all_is_settled(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    await rig.plan()
    detail = await rig.service.show_site(rig.operator, site="oslo")
    assert (detail.document.wanted, detail.document.held, detail.document.pending) == (0, 0, True)
    await site.fetch()
    await site.report_ready()
    detail = await rig.service.show_site(rig.admin, site="oslo")
    assert (detail.document.wanted, detail.document.held, detail.document.pending) == (1, 1, False)
    assert (detail.summary.settled, detail.summary.instances, detail.summary.ready) == (True, 1, 1)
    assert [(node.node, node.reported, node.cpu_m) for node in detail.node_list] == [("n1", True, 4000)]
    await site.report(SiteFact(epoch=1, generation=1, settled=False, conditions={"disk-full": "1 % left"}))
    detail = await rig.service.show_site(rig.operator, site="oslo")
    assert [(each.kind, each.reason) for each in detail.summary.conditions] == [("disk-full", "1 % left")]


async def test_a_removed_site_is_forgotten_but_its_numbers_go_on(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    await rig.plan()
    await site.fetch()
    with pytest.raises(Stale):
        await rig.service.remove_site(rig.operator, site="oslo", expect=Expected(9))
    await rig.service.remove_site(rig.operator, site="oslo", expect=Expected(1))
    with pytest.raises(NotFound):
        await rig.service.show_site(rig.operator, site="oslo")
    with pytest.raises(NotFound):
        await rig.service.remove_site(rig.operator, site="oslo", expect=Expected(1))
    await rig.plan()
    with pytest.raises(Stale) as refused:
        await _put(rig, rig.record("oslo", 1, labels={"new": "yes"}), 0)
    assert refused.value.number == 1
    await rig.add_site("oslo")
    await rig.plan()
    site.session = 1
    await site.connect()
    patch = await site.fetch()
    assert (site.generation, patch.base_generation) == (2, 0)


async def test_there_is_nothing_to_adopt_at_a_site_the_core_knows(rig):
    await rig.add_site("oslo")
    with pytest.raises(Clash):
        await rig.service.adopt_site(rig.operator, site="oslo")
