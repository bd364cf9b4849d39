"""Nodes: each of a site's record beside what it reported, by pages, seen by whoever sees its site."""

import msgspec
import pytest
from tests.core.cores import GIB, Rig, key, sealing, sign

from skerry.core.wishes import Expected
from skerry.model.asks import NodeQuery
from skerry.model.errors import Invalid, NotFound, Refused
from skerry.model.facts import NodeFact, SiteFact
from skerry.model.ids import NodeName
from skerry.model.signed import NodeRecord


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _add_pair(rig, name, **words):
    """A site whose record lists nodes n1 and n2."""
    record = rig.record(name, 1, **words)
    second = NodeRecord(device=key(f"second {name}").public, sealing=sealing(f"second {name}"))
    record = msgspec.structs.replace(record, nodes=record.nodes | {NodeName("n2"): second})
    body = sign("site", record, key("registrar"))
    await rig.service.put_site(rig.operator, site=name, body=body, expect=Expected(0))


async def _list(rig, caller=None, **words):
    found, token = [], ""
    while True:
        page = await rig.service.list_nodes(caller or rig.operator, query=NodeQuery(page_token=token, **words))
        found += page.items
        token = page.next_page_token
        if not token:
            return [f"{each.site}/{each.node}" for each in found]


async def test_nodes_of_all_sites_come_once_each_in_pages_of_every_size(rig):
    for name in ("bergen", "moss", "oslo"):
        await _add_pair(rig, name, labels={"tier": "store" if name == "moss" else "depot"})
    everything = [f"{site}/{node}" for site in ("bergen", "moss", "oslo") for node in ("n1", "n2")]
    for size in range(1, 8):
        assert await _list(rig, page_size=size) == everything
    assert await _list(rig, page_size=1, site="moss") == ["moss/n1", "moss/n2"]
    assert await _list(rig, page_size=1, label_selector="tier=depot") == everything[:2] + everything[4:]
    assert await _list(rig, site="moss", label_selector="tier=depot") == []
    assert await _list(rig, site="nowhere") == []


async def test_a_page_goes_on_after_a_site_that_was_removed_meanwhile(rig):
    for name in ("bergen", "moss", "oslo"):
        await _add_pair(rig, name)
    first = await rig.service.list_nodes(rig.operator, query=NodeQuery(page_size=3))
    await rig.service.remove_site(rig.operator, site="moss", expect=Expected(1))
    second = await rig.service.list_nodes(rig.operator, query=NodeQuery(page_token=first.next_page_token))
    assert [(each.site, each.node) for each in second.items] == [("oslo", "n1"), ("oslo", "n2")]


async def test_bad_selectors_and_page_tokens_are_refused(rig):
    with pytest.raises(Invalid) as refused:
        await rig.service.list_nodes(rig.operator, query=NodeQuery(label_selector="=="))
    assert refused.value.code == "E-SELECTOR"
    with pytest.raises(Refused) as refused:
        await rig.service.list_nodes(rig.operator, query=NodeQuery(page_token="b3Nsbw"))
    assert refused.value.code == "E-PAGE"


async def test_a_node_is_what_it_reported_and_how_its_site_is(rig):
    site = await rig.add_site("oslo", labels={"tier": "store"})
    before = (await rig.service.show_node(rig.operator, site="oslo", node="n1")).summary
    assert (before.reported, before.state, before.heard_s_ago, before.memory_bytes) == (False, "joining", None, 0)
    await site.connect()
    fact = NodeFact(
        node=NodeName("n1"),
        cpu_m=2000,
        memory_bytes=4 * GIB,
        disk_bytes=64 * GIB,
        disk_free_bytes=48 * GIB,
        arch="arm64",
        kernel="6.12",
        agent="0.9",
        facts={"os": "linux"},
    )
    stranger = msgspec.structs.replace(fact, node=NodeName("n9"))
    await site.report(fact, stranger, SiteFact(epoch=1, generation=0, settled=True, conditions={"disk-full": "1 %"}))
    await rig.service.cordon_site(rig.operator, site="oslo")
    detail = await rig.service.show_node(rig.operator, site="oslo", node="n1")
    node = detail.summary
    assert (node.reported, node.state, node.arch, node.cpu_m, node.agent) == (True, "online", "arm64", 2000, "0.9")
    assert (node.disk_free_bytes, node.kernel, node.facts) == (48 * GIB, "6.12", {"os": "linux"})
    assert [each.kind for each in node.conditions] == ["cordoned", "disk-full"]
    assert detail.labels == {"tier": "store"}
    assert await _list(rig) == ["oslo/n1"], "what a site says of a node that nobody signed is no node"
    with pytest.raises(NotFound):
        await rig.service.show_node(rig.operator, site="oslo", node="n9")


async def test_who_sees_a_site_sees_its_nodes_and_only_their_own_instances_there(rig):
    site = await rig.add_site("oslo", tenants=("default", "other"))
    await rig.add_site("rome", tenants=("other",))
    await site.connect()
    for tenant in ("default", "other"):
        await rig.apply("shop", 1, tenant=tenant)
    await rig.plan()
    assert await _list(rig, rig.admin) == ["oslo/n1"]
    assert await _list(rig, rig.caller("other", "viewer")) == ["oslo/n1", "rome/n1"]
    with pytest.raises(NotFound):
        await rig.service.show_node(rig.admin, site="rome", node="n1")
    mine = await rig.service.show_node(rig.admin, site="oslo", node="n1")
    assert [each.instance for each in mine.instances] == ["default/shop/web/0"]
    assert (await rig.service.show_node(rig.operator, site="oslo", node="n1")).instances == ()
