"""Links of sites as their samples have them."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.model.app import Network
from skerry.model.asks import LinkQuery, MetricsQuery, WatchQuery
from skerry.model.ids import AppName, NetworkName, SiteName, TenantName
from skerry.model.samples import NetworkUse, PeerUse, Sample, UplinkUse
from skerry.model.uplinks import Uplink
from skerry.store import access

OSLO, ROME = SiteName("oslo"), SiteName("rome")
SAMPLE = Sample(
    None,
    networks=(NetworkUse(TenantName("default"), AppName("shop"), NetworkName("mesh"), 10, 1_000, 5, 500, 2, 90),),
    peers=(
        PeerUse(ROME, False, 5, False, 900, 800, 31_000, 40, 2),
        PeerUse(SiteName("voss"), True, 9, False, 1, 2),
        PeerUse(SiteName("nice"), False, 900, True, 0, 7),
        PeerUse(SiteName("pisa"), False, -1, False, 0, 0),
    ),
    uplinks=(UplinkUse("sat", True, "2026-11", 3_000_000_000, {"images": 2_000_000_000, "documents": 5}),),
)


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    uplinks = {"sat": Uplink(device="wwan0", kind="satellite", price_micro=1_500_000, budget_bytes=10**10)}
    for name in ("oslo", "rome"):
        await rig.add_site(name, uplinks=uplinks if name == "oslo" else msgspec.UNSET)
    yield rig
    await rig.close()


async def test_a_site_is_listed_with_each_of_its_ways(rig: Any):
    rig.desk.take_sample(OSLO, SAMPLE, 45_000)
    page = await rig.service.list_links(rig.operator, query=LinkQuery())
    oslo, rome = page.items
    assert (oslo.site, oslo.rtt_us, oslo.sampled_s_ago) == (OSLO, 45_000, 0)
    assert [(each.site, each.way) for each in oslo.peers] == [
        ("rome", "direct"),
        ("voss", "relayed"),
        ("nice", "cut"),
        ("pisa", "quiet"),
    ]
    assert [(each.rtt_us, each.loss_m, each.heard_s) for each in oslo.peers[::3]] == [
        (31_000, 50, 5),
        (None, None, None),
    ]
    (uplink,) = oslo.uplinks
    assert (uplink.kind, uplink.has_link, uplink.month) == ("satellite", True, "2026-11")
    assert uplink.purposes == {"images": 2_000_000_000, "documents": 5, "other": 999_999_995}
    assert uplink.cost_micro == 4_500_000
    assert (rome.sampled_s_ago, rome.peers, rome.uplinks) == (None, (), ())


async def test_links_go_on_over_pages_and_of_one_site(rig: Any):
    page = await rig.service.list_links(rig.operator, query=LinkQuery(page_size=1))
    assert [each.site for each in page.items] == [OSLO]
    page = await rig.service.list_links(rig.operator, query=LinkQuery(page_token=page.next_page_token))
    assert [each.site for each in page.items] == [ROME]
    page = await rig.service.list_links(rig.operator, query=LinkQuery(site="rome"))
    assert [each.site for each in page.items] == [ROME]
    assert (await rig.service.list_links(rig.operator, query=LinkQuery(site="mars"))).items == ()


async def test_new_samples_reach_operators_that_watch(rig: Any):
    for caller in (rig.operator, rig.admin):
        row = access.TokenRow(
            token_id=caller.token_id,
            tenant=caller.tenant or "",
            name="watcher",
            tenant_role=caller.tenant_role,
            operator_role=caller.operator_role,
            secret_hash=b"",
            created_us=1,
        )
        await rig.core.db.run(lambda connection, row=row: access.record_token(connection, row))
    stream = await rig.service.watch(rig.operator, query=WatchQuery(kinds="link"))
    foreign = await rig.service.watch(rig.admin, query=WatchQuery(kinds="link"))
    for each in (stream, foreign):
        assert (await anext(each)).kind == "reset"
    coming, never = (asyncio.ensure_future(anext(each)) for each in (stream, foreign))
    await rig.clock.advance(0)
    rig.desk.take_sample(OSLO, SAMPLE, 0)
    await rig.clock.advance(3_000_000)
    delta = (await coming).delta
    assert (delta.kind, delta.name, delta.links.peers[0].site) == ("link", OSLO, ROME)
    assert not never.done()
    never.cancel()


async def test_a_network_shows_what_it_moved_at_each_site(rig: Any):
    made = rig.revision("shop", 1, image=await rig.push_image(), networks={NetworkName("mesh"): ()})
    made = msgspec.structs.replace(made, networks={NetworkName("mesh"): Network()})
    await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    await rig.plan()
    rig.desk.take_sample(OSLO, SAMPLE, 0)
    detail = await rig.service.show_network(rig.admin, app="shop", network="mesh")
    (flow,) = detail.flows
    assert (flow.site, flow.sent_bytes, flow.received_packets, flow.dropped_packets) == (OSLO, 1_000, 5, 2)


async def test_what_a_network_moved_is_its_tenants_to_see(rig: Any):
    rig.desk.take_sample(OSLO, SAMPLE, 0)
    text = await rig.service.read_metrics(rig.admin, query=MetricsQuery())
    assert 'skerry_network_bytes_total{site="oslo",tenant="default",app="shop",network="mesh",way="dropped"} 90' in text
    assert "skerry_peer" not in text
    assert "skerry_network" not in await rig.service.read_metrics(rig.caller("other"), query=MetricsQuery())
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery())
    assert 'skerry_peer_questions_total{site="oslo",peer="rome",answer="lost"} 2' in text
    assert 'skerry_uplink_month_bytes{site="oslo",uplink="sat",purpose="other"} 999999995' in text
    assert "skerry_network_bytes" not in text
