"""Keeping one node free: heard by placement, said by operators only, and nobody learns more than their own."""

import pytest
from tests.core.cores import Rig

from skerry.core.refusals import Clash
from skerry.core.wishes import Expected
from skerry.model.asks import AuditQuery, DrainSite, NodeQuery, WhyQuery
from skerry.model.errors import NotFound
from skerry.operations import find_operation, is_allowed


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _add(rig, name):
    site = await rig.add_site(name)
    await site.connect()
    rig.desk.hear(site.name)
    await site.report_ready()
    return site


async def _settle(rig, *fakes):
    for _ in range(6):
        await rig.plan()
        for site in fakes:
            await site.fetch()
            await site.report_ready()
            rig.desk.hear(site.name)


async def _conditions(rig):
    page = await rig.service.list_nodes(rig.operator, query=NodeQuery())
    return {f"{node.site}/{node.node}": [each.kind for each in node.conditions] for node in page.items}


async def test_a_nodes_cordon_is_shown_audited_and_taken_back(rig):
    await _add(rig, "oslo")
    first = await rig.service.cordon_node(rig.operator, site="oslo", node="n1")
    again = await rig.service.cordon_node(rig.operator, site="oslo", node="n1")
    assert again.event_id == first.event_id, "said twice, told once"
    assert (await _conditions(rig))["oslo/n1"] == ["cordoned"]
    await rig.service.drain_node(rig.operator, site="oslo", node="n1", body=DrainSite())
    assert (await _conditions(rig))["oslo/n1"] == ["drained"]
    await rig.service.uncordon_node(rig.operator, site="oslo", node="n1")
    assert (await _conditions(rig))["oslo/n1"] == []
    with pytest.raises(Clash):
        await rig.service.uncordon_node(rig.operator, site="oslo", node="n1")
    audited = (await rig.service.list_audit(rig.operator, query=AuditQuery())).items[-3:]
    assert [entry.operation for entry in audited] == ["cordon_node", "drain_node", "uncordon_node"]
    assert {entry.object for entry in audited} == {"node/oslo/n1"}


async def test_only_operators_may_and_only_for_nodes_that_are(rig):
    await _add(rig, "oslo")
    for name in ("cordon_node", "uncordon_node", "drain_node"):
        assert not is_allowed(find_operation(name), "admin", "viewer")
        assert is_allowed(find_operation(name), "", "operator")
    for site, node in (("nowhere", "n1"), ("oslo", "n9")):
        with pytest.raises(NotFound):
            await rig.service.cordon_node(rig.operator, site=site, node=node)
        with pytest.raises(NotFound):
            await rig.service.drain_node(rig.operator, site=site, node=node, body=DrainSite(dry_run=True))


async def test_nothing_new_comes_to_a_cordoned_node_and_the_reason_names_it(rig):
    oslo = await _add(rig, "oslo")
    await rig.service.cordon_node(rig.operator, site="oslo", node="n1")
    await rig.apply("wall", 1, total=1)
    await _settle(rig, oslo)
    why = await rig.service.explain_app(rig.admin, app="wall", query=WhyQuery())
    assert why.placed == ()
    assert [each.detail for each in why.rejections] == ["oslo/n1 is cordoned: nothing new is placed there"]
    await rig.service.uncordon_node(rig.operator, site="oslo", node="n1")
    await _settle(rig, oslo)
    assert len((await rig.service.explain_app(rig.admin, app="wall", query=WhyQuery())).placed) == 1


async def test_a_drained_node_is_emptied_and_a_dry_run_changes_nothing(rig):
    oslo = await _add(rig, "oslo")
    await rig.apply("wall", 1, total=1)
    await _settle(rig, oslo)
    rome = await _add(rig, "rome")
    await _settle(rig, oslo, rome)
    dry = await rig.service.drain_node(rig.operator, site="oslo", node="n1", body=DrainSite(dry_run=True))
    assert [(each.tenant, each.app, each.to, each.to_node) for each in dry.moving] == [("default", "", "rome", "n1")]
    assert (await _conditions(rig))["oslo/n1"] == []
    await rig.service.drain_node(rig.operator, site="oslo", node="n1", body=DrainSite())
    await _settle(rig, oslo, rome)
    placed = (await rig.service.explain_app(rig.admin, app="wall", query=WhyQuery())).placed
    assert [each.site for each in placed] == ["rome"]


async def test_what_is_wanted_at_the_site_stays_on_its_only_node(rig):
    oslo = await _add(rig, "oslo")
    await rig.apply("shop", 1)
    await _settle(rig, oslo)
    found = await rig.service.drain_node(rig.operator, site="oslo", node="n1", body=DrainSite())
    assert found.moving == ()
    (stays,) = found.staying
    assert (stays.tenant, stays.app) == ("default", "")
    assert "wants a copy at each site" in stays.reason


async def test_a_removed_site_comes_back_without_the_cordons_of_its_nodes(rig):
    await _add(rig, "oslo")
    await rig.service.cordon_node(rig.operator, site="oslo", node="n1")
    await rig.service.remove_site(rig.operator, site="oslo", expect=Expected(1))
    rig.records["oslo"] = 1
    await _add(rig, "oslo")
    assert (await _conditions(rig))["oslo/n1"] == []
