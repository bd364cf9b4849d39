"""Networks at devices of the node: which can be there, who has a device, and what of the node has no part in them."""

import msgspec
import pytest
from tests.plan import scenery

from skerry.model.app import Address, Further, Network, NetworkPlan, Port, Service, Subnet
from skerry.model.grants import Profile
from skerry.model.ids import AppName, NetworkName, NodeName
from skerry.model.lan import Lan
from skerry.model.observed import NetworkSeen, NodeSeen, Observation
from skerry.plan.actions import ApplyRules, CreateNetwork
from skerry.plan.lans import judge_lans, leave_out
from skerry.plan.links import plan_links
from skerry.plan.site import derive_wanted

LAN, DEFAULT = NetworkName("lan"), NetworkName("default")
NODE = NodeSeen(
    node=NodeName("n1"),
    memory_bytes=1 << 30,
    disk_bytes=1 << 40,
    disk_free_bytes=1 << 39,
    devices=("lan0",),
    facts={"net.macvlan": "true"},
)
MACVLAN = Lan(kind="macvlan", parent="lan0")
BRIDGE = Lan(kind="bridge", parent="lan0")
RANGE = Subnet(subnet="10.9.0.0/24", gateway="10.9.0.1", first="10.9.0.16", last="10.9.0.30")


def wish(lan: Lan, app: str = "shop", networks: tuple[NetworkName, ...] = (LAN,), **words: object):
    web: Service = scenery.service(networks=dict.fromkeys(networks, ()), **words)
    made = scenery.revision(1, web=web)
    plan = NetworkPlan(subnets=(RANGE,), lan=lan)
    return msgspec.structs.replace(
        made, app=AppName(app), profile="lans", networks={LAN: Network(plan=plan), DEFAULT: Network()}
    )


def hold(*apps: object):
    units = [scenery.assign(app, "web") for app in apps]
    profile = Profile(tenants=(scenery.TENANT,), interfaces=("lan*", "lan0/1-9"))
    record = msgspec.structs.replace(scenery.record(), profiles={"lans": profile})
    revisions = {scenery.digest_revision(app): app for app in apps}
    return scenery.hold(apps[0], *units, record=record, revisions=revisions)


def see(**words: object) -> Observation:
    base = Observation(driver="node", translation="", node=NODE)
    return msgspec.structs.replace(base, **words)


def judge(*apps: object, observed: Observation):
    wanted, refused = derive_wanted(hold(*apps))
    assert refused == {}
    return judge_lans(wanted, observed)


KEY = (scenery.TENANT, AppName("shop"), LAN)


@pytest.mark.parametrize(
    ("lan", "observed", "reason"),
    [
        (MACVLAN, see(), ""),
        (BRIDGE, see(), ""),
        (BRIDGE, see(translation=None), 'set links = "skerry"'),
        (Lan(kind="bridge", parent="lan1"), see(), "this node has no network device lan1"),
        (Lan(kind="vlan", parent="lan0", id=7), see(), "it needs a kernel that has VLANs (802.1q)"),
        (Lan(kind="ipvlan", parent="lan0"), see(), "it needs a kernel that has ipvlan"),
    ],
)
def test_a_network_is_at_a_device_that_is_there_and_of_a_kind_that_the_kernel_has(lan, observed, reason):
    found = judge(wish(lan), observed=observed)
    assert (KEY in found.found) == (not reason)
    assert reason in found.lacking.get(KEY, "")


def test_a_profile_that_does_not_grant_the_device_lets_nothing_run():
    _, refused = derive_wanted(hold(wish(Lan(kind="bridge", parent="eth0"))))
    (why,) = refused.values()
    assert (why.code, why.reason) == ("E-PROFILE", 'profile "lans" does not grant "interface: eth0" at oslo')


@pytest.mark.parametrize(
    ("mine", "theirs", "clash"),
    [
        (BRIDGE, BRIDGE, True),
        (BRIDGE, MACVLAN, True),
        (MACVLAN, MACVLAN, False),
        (Lan(kind="vlan", parent="lan0", id=7), Lan(kind="vlan", parent="lan0", id=7), True),
        (Lan(kind="vlan", parent="lan0", id=7), Lan(kind="vlan", parent="lan0", id=8), False),
        (Lan(kind="vlan", parent="lan0", id=7), BRIDGE, False),
    ],
)
def test_a_device_and_a_vlan_on_it_are_one_networks(mine, theirs, clash):
    node = msgspec.structs.replace(NODE, facts={"net.macvlan": "true", "net.vlan": "true"})
    found = judge(wish(mine, "shop"), wish(theirs, "bank"), observed=see(node=node))
    assert sorted(found.lacking) == ([KEY] if clash else [])
    if clash:
        assert "network default/bank/lan's here" in found.lacking[KEY]


def test_who_is_there_keeps_the_device():
    there = NetworkSeen(tenant=scenery.TENANT, app=AppName("shop"), name=LAN, internal=True, lan=True)
    found = judge(wish(BRIDGE, "shop"), wish(BRIDGE, "bank"), observed=see(networks=(there,)))
    assert [key[1] for key in found.lacking] == ["bank"]


def step(world: scenery.World) -> object:
    """Look and do until nothing changes; a network is seen as what it was made as."""
    for _ in range(30):
        world.step()
        known = {each.name: each for each in world.performed if isinstance(each, CreateNetwork)}
        networks = tuple(
            msgspec.structs.replace(each, lan=bool(known[each.name].plan.lan), ranges=known[each.name].ranges)
            for each in world.observed.networks
        )
        world.observed = msgspec.structs.replace(world.observed, networks=networks)
    return world.look()


def test_a_bridge_at_a_device_has_no_address_of_the_node_and_nothing_passes_it():
    world = scenery.World(hold(wish(BRIDGE)))
    world.observed = msgspec.structs.replace(world.observed, translation="", node=NODE)
    step(world)
    (made,) = [each for each in world.performed if isinstance(each, CreateNetwork)]
    assert (made.ranges, made.internal, made.names, made.plan.lan) == ((), True, False, BRIDGE)
    rules = [each for each in world.performed if isinstance(each, ApplyRules)][-1]
    assert [(each.network, each.lan) for each in rules.networks] == [(LAN, True)]


def test_for_a_device_in_an_instances_own_network_nothing_is_made_beforehand():
    world = scenery.World(hold(wish(MACVLAN)))
    world.observed = msgspec.structs.replace(world.observed, translation="", node=NODE)
    plan = step(world)
    assert not [each for each in world.performed if isinstance(each, CreateNetwork)]
    assert [(fact.phase, fact.reason) for fact in plan.facts if hasattr(fact, "phase")] == [("ready", "")]


def test_a_bridge_that_lost_its_device_is_made_whole_while_instances_run():
    world = scenery.World(hold(wish(BRIDGE)))
    world.observed = msgspec.structs.replace(world.observed, translation="", node=NODE)
    step(world)
    torn = tuple(msgspec.structs.replace(each, torn=True) for each in world.observed.networks)
    world.observed = msgspec.structs.replace(world.observed, networks=torn)
    assert [each.name for each in world.look().actions if isinstance(each, CreateNetwork)] == [LAN]


def links(*apps: object, observed: Observation):
    wanted, _ = derive_wanted(hold(*apps))
    return plan_links(wanted, observed)


def test_a_link_at_a_device_leaves_by_the_sites_own_router_with_an_address_of_its_range():
    found = links(wish(MACVLAN), observed=see())
    ((link,),) = found.found.values()
    assert (link.lan, link.addresses, link.gateways) == (MACVLAN, ("10.9.0.16/24",), ("10.9.0.1",))


def test_two_apps_at_one_device_get_different_addresses():
    found = links(wish(MACVLAN, "shop"), wish(MACVLAN, "bank"), observed=see())
    assert sorted(each[0].addresses[0] for each in found.found.values()) == ["10.9.0.16/24", "10.9.0.17/24"]


def test_the_order_of_the_ways_out_is_the_wished_one():
    addresses = {LAN: Address(way=2, device="wan"), DEFAULT: Address(way=1, device="lan")}
    own = Subnet(subnet="10.176.1.0/24", gateway="10.176.1.1")
    there = NetworkSeen(tenant=scenery.TENANT, app=AppName("shop"), name=DEFAULT, ranges=(own,))
    app = wish(MACVLAN, networks=(DEFAULT, LAN), further=Further(addresses=addresses))
    ((first, second),) = links(app, observed=see(networks=(there,))).found.values()
    assert (first.network, first.device, second.network) == (LAN, "wan", DEFAULT)


@pytest.mark.parametrize(("word", "address"), [("bandwidth", Address(up_bps=8000)), ("mtu", Address(mtu=1400))])
def test_what_podman_does_not_make_is_told_with_the_setting_that_helps(word, address):
    app = wish(MACVLAN, networks=(DEFAULT,), further=Further(addresses={DEFAULT: address}))
    (why,) = links(app, observed=see(translation=None)).lacking.values()
    assert f"podman makes no link with {word}" in why
    assert 'links = "skerry"' in why


def test_an_instance_says_why_its_network_cannot_be_at_its_device():
    world = scenery.World(hold(wish(BRIDGE)))
    world.observed = msgspec.structs.replace(world.observed, node=NODE)
    plan = step(world)
    (reason,) = [fact.reason for fact in plan.facts if hasattr(fact, "phase")]
    assert reason.startswith("its network lan: it is at lan0, a device of the node, and podman makes the links here")


def test_podman_gives_no_say_in_the_way_out_where_ways_differ():
    addresses = {LAN: Address(way=2), DEFAULT: Address(way=1)}
    for mtu, reason in ((1400, "podman gives no say"), (0, "")):
        app = wish(MACVLAN, networks=(DEFAULT, LAN), further=Further(addresses=addresses))
        app = msgspec.structs.replace(app, networks={LAN: Network(plan=NetworkPlan(mtu=mtu)), DEFAULT: Network()})
        found = links(app, observed=see(translation=None)).lacking.values()
        assert [each for each in found if reason in each] == list(found)
        assert bool(found) == bool(reason)


def test_nothing_of_the_node_leads_into_a_network_at_its_device():
    world = scenery.World(hold(wish(MACVLAN, networks=(LAN,), ports=(Port(target=80, published=8080),))))
    world.observed = msgspec.structs.replace(world.observed, translation="", node=NODE)
    step(world)
    (seen,) = world.observed.containers
    seen = msgspec.structs.replace(seen, addresses={LAN: ("10.9.0.16",)}, macs={LAN: "02:00:00:00:00:01"})
    observed = msgspec.structs.replace(world.observed, containers=(seen,))
    wanted, _ = derive_wanted(world.held)
    (left,) = leave_out(wanted, observed).containers
    assert (left.addresses, left.macs) == ({}, {})
    assert leave_out({}, observed) is observed
