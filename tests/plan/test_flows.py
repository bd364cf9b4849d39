"""What is counted, and what the counts say."""

import msgspec

from skerry.model.app import Subnet
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.limits import SAMPLE_NETWORKS_MAX
from skerry.model.network import bridge_name
from skerry.model.observed import FlowsSeen, NetworkSeen, Observation, OverlaySeen
from skerry.model.uplinks import Uplink
from skerry.plan.actions import ApplyFlows
from skerry.plan.flows import (
    list_network_use,
    make_flows,
    network_counter,
    plan_flows,
    sum_purposes,
    uplink_counter,
)
from skerry.plan.history import History
from skerry.plan.site_plan import Now, PlanDraft

UPLINKS = {"fibre": Uplink(device="eth0"), "sat": Uplink(device="wwan0.5", kind="satellite")}


def network(name: str = "mesh", app: str = "shop") -> NetworkSeen:
    ranges = (Subnet(subnet="10.176.0.0/24"),)
    return NetworkSeen(tenant=TenantName("default"), app=AppName(app), name=NetworkName(name), ranges=ranges)


def see(**words: object) -> Observation:
    seen = Observation(driver="node", networks=(network(),), overlay=OverlaySeen(port=51_820), flows=FlowsSeen())
    return msgspec.structs.replace(seen, **words)


def plan(observed: Observation, uplinks: dict[str, Uplink] = UPLINKS) -> list[object]:
    draft = PlanDraft(History(boot="b"), Now(boot_us=1))
    plan_flows(draft, observed, uplinks)
    return list(draft.actions)


def test_networks_and_uplinks_are_counted_and_then_nothing_is_left_to_do():
    (action,) = plan(see())
    assert isinstance(action, ApplyFlows)
    assert action.bridges == (bridge_name("default", "shop", "mesh"),)
    assert action.devices == ("eth0", "wwan0.5")
    assert action.ports == (51_820, 51_823)
    assert plan(see(flows=FlowsSeen(digest=action.digest))) == []


def test_a_node_with_nothing_of_ours_has_no_table():
    assert make_flows(see(networks=()), {}).digest == ""
    assert plan(see(networks=()), {}) == []
    (action,) = plan(see(networks=(), flows=FlowsSeen(digest="sha256:x")), {})
    assert isinstance(action, ApplyFlows)
    assert action.digest == ""


def test_who_cannot_count_is_not_asked_to():
    assert plan(see(flows=None)) == []
    assert plan(see(flows=FlowsSeen(reason="nft is not there"))) == []


def test_what_was_before_the_rules_and_not_behind_them_was_dropped():
    bridge = bridge_name("default", "shop", "mesh")
    counts = {
        network_counter(bridge, what): count
        for what, count in (("tried", (10, 1_000)), ("left", (8, 800)), ("meant", (5, 500)), ("came", (6, 600)))
    }
    (use,) = list_network_use([network(), network("idle")], counts)
    assert (use.sent_packets, use.sent_bytes, use.received_packets, use.received_bytes) == (8, 800, 6, 600)
    # What comes while the counters are read one after the other is no loss.
    assert (use.dropped_packets, use.dropped_bytes) == (2, 200)


def test_no_sample_has_more_networks_than_it_may():
    many = [network(f"n{number}") for number in range(SAMPLE_NETWORKS_MAX + 9)]
    counts = {network_counter(bridge_name("default", "shop", each.name), "tried"): (1, 1) for each in many}
    assert len(list(list_network_use(many, counts))) == SAMPLE_NETWORKS_MAX


def test_bytes_of_uplinks_alone_are_summed_by_purpose():
    counts = {uplink_counter("eth0", "tunnels"): (3, 300), uplink_counter("eth0", "instances"): (2, 200)}
    linked = {"eth0/documents": 7, "/reports": 9, "eth9/images": 5, "wwan0.5/images": 11}
    assert sum_purposes(see(flows=FlowsSeen(counts=counts)), UPLINKS, linked) == {
        "eth0/documents": 7,
        "eth0/instances": 200,
        "eth0/tunnels": 300,
        "wwan0.5/images": 11,
    }
    assert sum_purposes(see(flows=None), {}, linked) == {}
