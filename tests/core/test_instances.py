"""One instance: the wish beside its site's word, what holds it back, and nothing of anybody else's."""

import msgspec
import pytest
from tests.core.cores import Rig

from skerry.model.asks import DrainSite, PageQuery
from skerry.model.errors import NotAllowed, NotFound
from skerry.model.facts import AppFact, SiteFact, UnitFact
from skerry.model.ids import NodeName, SiteName, UnitId
from skerry.model.samples import InstanceUse, Sample

SHOP = "default/shop/web/0"


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    rig.site = await rig.add_site("oslo")
    await rig.site.connect()
    yield rig
    await rig.close()


async def _show(rig, caller=None, site="oslo", service="web", ordinal=0, app="shop"):
    where = {"site": site, "app": app, "service": service, "ordinal": ordinal}
    return await rig.service.show_instance(caller or rig.admin, **where)


def _unit(rig):
    return rig.site.units[UnitId(f"assignment/{SHOP}")]


async def _run(rig):
    await rig.apply("shop", 1)
    await rig.plan()
    await rig.site.fetch()
    await rig.site.report_ready()


async def test_a_wish_that_its_site_has_not_answered_is_shown_with_its_place(rig):
    await rig.apply("shop", 1)
    await rig.plan()
    detail = await _show(rig)
    assert (detail.summary.phase, detail.summary.wanted, detail.summary.reported) == ("unknown", 1, 0)
    assert (detail.ready, detail.wish, detail.reported_revision, detail.image) == (False, "run", "", "web:1")
    assert (detail.place.site, detail.place.node) == ("oslo", "n1")
    assert detail.use.sampled_s_ago is None
    assert (detail.conditions, detail.events) == ((), ())


async def test_what_its_site_says_stands_beside_the_wish(rig):
    await _run(rig)
    ready = await _show(rig)
    assert (ready.ready, ready.wanted_revision, ready.reported_revision) == (True, *[_unit(rig).revision] * 2)
    fact = msgspec.structs.replace(
        rig.site.instance(_unit(rig), 1, "unhealthy"),
        health="unhealthy",
        reason="code 1: no route",
        restarts=3,
        exit_code=7,
    )
    await rig.site.report(fact)
    rig.desk.take_sample(SiteName("oslo"), Sample(None, (InstanceUse(SHOP, 5, 777, 1, 2, 3, 4),)), 0)
    detail = await _show(rig)
    assert (detail.summary.phase, detail.summary.reason, detail.summary.restarts) == (
        "unhealthy",
        "code 1: no route",
        3,
    )
    assert (detail.exit_code, detail.ready) == (7, False)
    assert (detail.use.sampled_s_ago, detail.use.memory_bytes) == (0, 777)


async def test_only_its_own_newest_events_are_shown(rig):
    await _run(rig)
    await rig.site.send(*range(1, 13), tenant="default", subject=f"instance/{SHOP}")
    await rig.site.send(13, tenant="default", subject="instance/default/shop/web/1")
    await rig.site.send(14, tenant="default", subject="app/default/shop")
    assert [each.sequence for each in (await _show(rig)).events] == list(range(3, 13))


async def test_what_holds_it_back_is_named(rig):
    await _run(rig)
    unit = _unit(rig)
    gate = AppFact(
        tenant=unit.tenant,
        app=unit.app,
        node=NodeName("n1"),
        revision=unit.revision,
        number=1,
        verdict="failed",
        reason="it ended",
    )
    refused = UnitFact(unit=UnitId(f"assignment/{SHOP}"), code="E-REFERENCE", reason="no such volume")
    other = UnitFact(unit=UnitId("assignment/default/shop/web/1"), code="E-REFERENCE", reason="another's")
    full = SiteFact(epoch=1, generation=1, settled=False, conditions={"disk-full": "1 %"})
    await rig.site.report(gate, refused, other, full)
    await rig.service.drain_site(rig.operator, site="oslo", body=DrainSite())
    await rig.plan()
    for _ in range(40):
        await rig.clock.advance(5_000_000)
        rig.core.watch = msgspec.structs.replace(rig.core.watch, pulse_us=rig.clock.boot_us())
    said = [(each.kind, each.reason) for each in (await _show(rig)).conditions]
    assert [kind for kind, _ in said] == ["silent", "refused", "gate-failed", "staying", "drained", "disk-full"]
    assert ("refused", "no such volume (E-REFERENCE)") in said
    assert ("gate-failed", "revision 1 did not pass its health gate: it ended") in said


async def test_what_is_no_longer_wanted_is_shown_until_its_site_has_let_it_go(rig):
    await _run(rig)
    await rig.delete("shop", 2)
    await rig.plan()
    detail = await _show(rig)
    assert (detail.wish, detail.wanted_revision, detail.place, detail.ready) == ("", "", None, False)
    assert (detail.image, detail.summary.reported) == ("web:1", 1)
    assert [each.kind for each in detail.conditions] == ["unwanted"]
    await rig.site.fetch()
    await rig.site.report_ready()
    with pytest.raises(NotFound):
        await _show(rig)


async def test_a_site_that_names_another_tenants_revision_or_a_tombstone_shows_no_image_of_it(rig):
    await rig.apply("shop", 1, tenant="other")
    await _run(rig)
    theirs = rig.site.units[UnitId("assignment/other/shop/web/0")]
    await rig.delete("shop", 2)
    await rig.plan()
    fact = msgspec.structs.replace(rig.site.instance(_unit(rig), 1), revision=theirs.revision)
    await rig.site.report(fact)
    assert ((await _show(rig)).image, (await _show(rig)).image_digest) == ("", "")
    newest = (await rig.service.list_revisions(rig.admin, app="shop", query=PageQuery())).items[0]
    assert newest.kind == "tombstone"
    await rig.site.report(msgspec.structs.replace(fact, number=newest.number, revision=newest.digest))
    assert (await _show(rig)).image == ""


async def test_what_is_not_there_and_what_is_anothers_read_alike(rig):
    await _run(rig)
    said = set()
    for words in (
        {"site": "rome"},
        {"service": "db"},
        {"ordinal": 1},
        {"app": "none"},
        {"caller": rig.caller("other")},
    ):
        with pytest.raises(NotFound) as refused:
            await _show(rig, **words)
        said.add(refused.value.detail)
    assert len(said) == 1
    with pytest.raises(NotAllowed):
        await _show(rig, rig.operator)
