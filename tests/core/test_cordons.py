"""Keeping sites free: the word is kept and heeded, only operators say it, and each sees no more than their own apps."""

import pytest
from tests.core.cores import Rig

from skerry.core.refusals import Clash
from skerry.core.wishes import Expected
from skerry.model.asks import AuditQuery, DrainSite, SiteQuery, WhyQuery
from skerry.model.errors import NotFound
from skerry.operations import find_operation, is_allowed


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _add(rig, *names):
    found = []
    for name in names:
        site = await rig.add_site(name)
        await site.connect()
        rig.desk.hear(site.name)
        await site.report_ready()
        found.append(site)
    return found


async def _settle(rig, *fakes):
    for _ in range(6):
        await rig.plan()
        for site in fakes:
            await site.fetch()
            await site.report_ready()
            rig.desk.hear(site.name)


async def _conditions(rig, site, caller=None):
    return [each.kind for each in (await rig.service.show_site(caller or rig.operator, site=site)).summary.conditions]


async def test_a_cordon_is_shown_audited_told_and_taken_back(rig):
    await _add(rig, "oslo")
    first = await rig.service.cordon_site(rig.operator, site="oslo")
    again = await rig.service.cordon_site(rig.operator, site="oslo")
    assert again.event_id == first.event_id, "said twice, told once"
    assert await _conditions(rig, "oslo") == ["cordoned"]
    page = await rig.service.list_sites(rig.operator, query=SiteQuery())
    assert page.items[0].conditions[0].reason.startswith("nothing new is placed here, since ")
    await rig.service.drain_site(rig.operator, site="oslo", body=DrainSite())
    assert await _conditions(rig, "oslo") == ["drained"]
    await rig.service.uncordon_site(rig.operator, site="oslo")
    assert await _conditions(rig, "oslo") == []
    with pytest.raises(Clash):
        await rig.service.uncordon_site(rig.operator, site="oslo")
    kinds = [event.type for event in (await rig.service.show_site(rig.operator, site="oslo")).events]
    for kind in ("site.cordoned", "site.drained", "site.uncordoned"):
        assert f"dev.skerry.{kind}.v1" in kinds
    audited = await rig.service.list_audit(rig.operator, query=AuditQuery())
    assert [entry.operation for entry in audited.items][-3:] == ["cordon_site", "drain_site", "uncordon_site"]


async def test_only_operators_may_and_only_for_sites_that_are(rig):
    for name in ("cordon_site", "uncordon_site", "drain_site"):
        assert not is_allowed(find_operation(name), "admin", "")
        assert not is_allowed(find_operation(name), "admin", "viewer")
        assert is_allowed(find_operation(name), "", "operator")
    for act in (rig.service.cordon_site, rig.service.uncordon_site):
        with pytest.raises(NotFound):
            await act(rig.operator, site="nowhere")
    with pytest.raises(NotFound):
        await rig.service.drain_site(rig.operator, site="nowhere", body=DrainSite(dry_run=True))


async def test_a_drained_site_is_emptied_and_a_dry_run_changes_nothing(rig):
    (oslo,) = await _add(rig, "oslo")
    await rig.apply("wall", 1, total=1)
    await _settle(rig, oslo)
    (rome,) = await _add(rig, "rome")
    await _settle(rig, oslo, rome)
    dry = await rig.service.drain_site(rig.operator, site="oslo", body=DrainSite(dry_run=True))
    assert [(each.tenant, each.app, each.to) for each in dry.moving] == [("default", "", "rome")]
    assert await _conditions(rig, "oslo") == []
    await rig.service.drain_site(rig.operator, site="oslo", body=DrainSite())
    await _settle(rig, oslo, rome)
    placed = (await rig.service.explain_app(rig.admin, app="wall", query=WhyQuery())).placed
    assert [each.site for each in placed] == ["rome"]


async def test_an_owner_sees_why_a_copy_is_still_there_and_nobody_else_its_name(rig):
    (oslo,) = await _add(rig, "oslo")
    await rig.apply("wall", 1, total=1)
    await _settle(rig, oslo)
    found = await rig.service.drain_site(rig.operator, site="oslo", body=DrainSite())
    (stays,) = found.staying
    assert (stays.tenant, stays.app, stays.service) == ("default", "", "")
    assert "no other place" in stays.reason
    await _settle(rig, oslo)
    (mine,) = (await rig.service.show_site(rig.admin, site="oslo")).staying
    assert (mine.app, mine.service, mine.ordinal) == ("wall", "web", 0)
    assert (await rig.service.show_site(rig.operator, site="oslo")).staying == ()
    why = await rig.service.explain_app(rig.admin, app="wall", query=WhyQuery(site="oslo"))
    assert any("still at oslo" in note for note in why.notes)


async def test_a_removed_site_comes_back_without_its_cordon(rig):
    await _add(rig, "oslo")
    await rig.service.cordon_site(rig.operator, site="oslo")
    await rig.service.remove_site(rig.operator, site="oslo", expect=Expected(1))
    with pytest.raises(NotFound):
        await rig.service.uncordon_site(rig.operator, site="oslo")
