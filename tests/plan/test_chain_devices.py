"""Chains from and to devices of the node, and from users: who is led, both ways, and what is in the way of it."""

import msgspec
import pytest
from tests.plan import scenery
from tests.plan.chain_scene import DESK, FROM_INSIDE, FROM_LAN, INSIDE, LAN, LAN2, UPLINK, Town, address, make_chain
from tests.plan.chain_scene import bridge as bridge_of
from tests.plan.chain_walk import CLIENT, INTERNET, Packet, back, lan_back, lan_out, out, pass_on, walk

from skerry.model.app import Network, NetworkPlan, Port
from skerry.model.chain import ChainEnd, ChainMatch
from skerry.model.facts import ChainFact
from skerry.model.grants import Profile
from skerry.model.lan import Lan
from skerry.plan.actions import ApplyChains, ProbeChain
from skerry.plan.chain_devices import CLEAR, find_obstacles
from skerry.plan.chain_probes import PROBE_MAC, judge_probe
from skerry.plan.placement.request import make_request
from skerry.plan.site import derive_wanted
from skerry.sim.chains import FakeChains

TO_LAN2 = ChainEnd(kind="interface", name=LAN2)
USERS = ChainEnd(kind="users")


def apply(town: Town) -> ApplyChains:
    action = town.plan()
    assert action is not None
    return action


def tell(town: Town) -> ChainFact:
    (fact,) = (each for each in town.draft.facts if isinstance(each, ChainFact))
    return fact


def test_what_comes_from_a_device_passes_every_step_and_so_does_what_comes_back():
    action = apply(Town(make_chain(start=FROM_LAN)))
    assert walk(action, lan_out()) == ["wall", "look", "store", "out"]
    assert walk(action, lan_back()) == ["store", "look", "wall", "out"]
    six = lan_out("2001:db8::9", source=DESK[1])
    assert walk(action, six) == ["wall", "look", "store", "out"]
    assert walk(action, lan_back("2001:db8::9", target=DESK[1])) == ["store", "look", "wall", "out"]


def test_other_devices_networks_and_what_stays_at_the_device_are_not_touched():
    action = apply(Town(make_chain(start=FROM_LAN)))
    for other in (
        lan_out(device=LAN2, source_by=LAN2),
        lan_out("10.177.9.20", target_by=LAN),
        lan_out(CLIENT),
        lan_out("224.0.0.5"),
        out(),
        back(),
        lan_back("10.177.9.20", source_by=LAN, device=LAN),
        lan_back(target_by=""),
    ):
        assert walk(action, other) == ["unsteered"], other


def test_what_a_step_says_of_its_own_accord_passes_the_steps_beyond_it():
    action = apply(Town(make_chain(start=FROM_LAN)))
    own = address(INSIDE, 21)
    assert walk(action, Packet(own, INTERNET, bridge_of(INSIDE), "02:00:00:00:00:15")) == ["look", "store", "out"]
    assert walk(action, back(own)) == ["store", "look", "out"]


@pytest.mark.parametrize("dead", ["wall", "look", "store"])
def test_a_dead_step_stops_what_comes_from_a_device_or_is_gone_around(dead: str):
    steps = ["wall", "look", "store"]
    town = Town(make_chain(start=FROM_LAN))
    town.down = {dead}
    action = apply(town)
    assert walk(action, lan_out()) == [*steps[: steps.index(dead)], "closed"]
    assert walk(action, lan_back()) == [*reversed(steps[steps.index(dead) + 1 :]), "closed"]
    town = Town(make_chain(start=FROM_LAN, fail="open"))
    town.down = {dead}
    left = [step for step in steps if step != dead]
    action = apply(town)
    assert walk(action, lan_out()) == [*left, "out"]
    assert walk(action, lan_back()) == [*reversed(left), "out"]


def test_with_every_step_gone_closed_lets_nothing_from_the_device_pass():
    town = Town(make_chain(start=FROM_LAN))
    town.down = {"wall", "look", "store"}
    action = apply(town)
    assert walk(action, lan_out()) == ["closed"]
    assert walk(action, lan_back()) == ["closed"]
    # What the node itself and its networks say is none of it.
    assert walk(action, out()) == ["unsteered"]


def test_between_two_devices():
    chain = make_chain("wall", "look", start=FROM_LAN, end=TO_LAN2)
    action = apply(Town(chain))
    assert walk(action, lan_out("10.177.10.5", target_by=LAN2)) == ["wall", "look", "out"]
    home = lan_back("10.177.10.5", device=LAN2, source_by=LAN2)
    assert walk(action, home) == ["look", "wall", "out"]
    assert walk(action, lan_out()) == ["unsteered"]
    assert walk(action, lan_back()) == ["unsteered"]
    one_way = apply(Town(msgspec.structs.replace(chain, symmetric=False)))
    assert walk(one_way, lan_out("10.177.10.5", target_by=LAN2)) == ["wall", "look", "out"]
    assert walk(one_way, home) == ["unsteered"]


def test_between_a_network_and_a_device_whoever_begins():
    there, home = out(target=DESK[0], target_by=LAN), lan_out(CLIENT)
    action = apply(Town(make_chain("wall", "look", start=FROM_INSIDE, end=FROM_LAN)))
    assert walk(action, there) == ["wall", "look", "out"]
    assert walk(action, home) == ["look", "wall", "in"]
    assert walk(action, out()) == ["unsteered"]
    action = apply(Town(make_chain("look", "wall", start=FROM_LAN, end=FROM_INSIDE)))
    assert walk(action, home) == ["look", "wall", "in"]
    assert walk(action, there) == ["wall", "look", "out"]


def test_from_the_uplink_to_a_device():
    action = apply(Town(make_chain("store", "look", "wall", start=UPLINK, end=FROM_LAN)))
    assert walk(action, lan_back()) == ["store", "look", "wall", "out"]
    assert walk(action, lan_out()) == ["wall", "look", "store", "out"]


def test_protocols_ports_and_ranges_choose_at_a_device_too():
    match = ChainMatch(protocol="tcp", ports=((80, 80),), from_cidr=("10.177.9.8/29",))
    action = apply(Town(make_chain("wall", start=FROM_LAN, match=match)))
    assert walk(action, lan_out()) == ["wall", "out"]
    assert walk(action, lan_back()) == ["wall", "out"]
    for other in (lan_out(ports=(40_000, 443)), lan_out(source="10.177.9.99"), lan_back(ports=(443, 40_000))):
        assert walk(action, other) == ["unsteered"]


def test_users_are_those_whom_a_published_port_leads_in():
    town = Town(make_chain("store", "look", "wall", start=USERS, end=FROM_INSIDE))
    town.ports = {"client": (Port(target=80, published=8080), Port(target=53, published=5353, protocol="udp"))}
    action = apply(town)
    come = Packet(INTERNET, CLIENT, ports=(40_000, 80), led_in=True)
    assert walk(action, come) == ["store", "look", "wall", "in"]
    assert walk(action, out(ports=(80, 40_000))) == ["wall", "look", "store", "out"]
    asked = msgspec.structs.replace(come, protocol="udp", ports=(40_000, 53))
    assert walk(action, asked) == ["store", "look", "wall", "in"]
    # Who was not led in is not let in by the chain, and what the instances begin is none of it.
    assert walk(action, msgspec.structs.replace(come, led_in=False)) == ["unsteered"]
    assert walk(action, out()) == ["unsteered"]
    assert walk(action, msgspec.structs.replace(come, ports=(40_000, 443))) == ["unsteered"]


def test_users_of_one_service_and_of_some_of_its_ports():
    end = ChainEnd(kind="service", name="client")
    town = Town(make_chain("look", start=USERS, end=end, match=ChainMatch(protocol="tcp", ports=((400, 500),))))
    town.ports = {"client": (Port(target=80, published=8080), Port(target=443, published=8443))}
    action = apply(town)
    come = Packet(INTERNET, CLIENT, ports=(40_000, 443), led_in=True)
    assert walk(action, come) == ["look", "in"]
    assert walk(action, msgspec.structs.replace(come, ports=(40_000, 80))) == ["unsteered"]
    town = Town(make_chain("look", start=USERS, end=end))
    assert town.plan() is None


def test_a_device_that_is_missing_is_told_and_led_from_its_first_packet_on():
    town = Town(make_chain(start=FROM_LAN))
    town.devices = (LAN2,)
    assert walk(apply(town), lan_out()) == ["wall", "look", "store", "out"]
    assert town.plan() is None
    assert (tell(town).state, tell(town).reason) == ("closed", "this node has no network device lan1")
    assert [(each.subject, each.reason) for each in town.draft.waits] == [
        ("chain/default/shop/out", "this node has no network device lan1")
    ]


def test_one_device_is_one_apps_and_no_bridges_port():
    (chain,) = (make_chain(start=FROM_LAN),)
    apps = {(scenery.TENANT, "b"): (chain, make_chain(name="more", start=FROM_LAN)), (scenery.TENANT, "a"): (chain,)}
    found = find_obstacles(apps, {}, Town().observe())  # type: ignore[arg-type]
    reason = f"what comes from lan1 is led by app {scenery.TENANT}/a here"
    assert {key[0][1]: (each.reason, each.bars) for key, each in found.items()} == {"b": (reason, True)}
    assert len(found) == 2
    plan = NetworkPlan(lan=Lan(kind="bridge", parent=LAN))
    app = msgspec.structs.replace(
        scenery.revision(1, web=scenery.service("web", networks={"hall": ()})), networks={"hall": Network(plan=plan)}
    )
    wanted, _ = derive_wanted(scenery.hold(app, scenery.assign(app, "web")))
    seen = msgspec.structs.replace(Town().observe(), translation="")
    found = find_obstacles({(scenery.TENANT, "a"): (chain,)}, wanted, seen)  # type: ignore[arg-type]
    (obstacle,) = found.values()
    assert obstacle.bars
    assert "port of the bridge of network" in obstacle.reason
    assert obstacle != CLEAR


def test_test_packets_of_a_device_come_in_at_the_bridge_of_the_first_step():
    town = Town(make_chain(start=FROM_LAN))
    steers = apply(town)
    town.plan()
    (probe,) = (each for each in town.draft.actions if isinstance(each, ProbeChain))
    assert (probe.source, probe.source_by, probe.target) == ("", LAN, "192.0.2.1")
    assert {each.bridge for each in steers.steers if PROBE_MAC in each.macs} == {probe.bridge}
    node = FakeChains(pass_on)
    node.apply(steers)
    found = judge_probe(probe, node.probe(probe))
    assert (found.sent, found.arrived, found.reason) == (3, 3, "")
    assert found.what == "echo request, somebody at lan1 to 192.0.2.1"


def test_steps_run_where_the_device_is_granted_and_are_placed_where_it_is():
    services = {name: scenery.service(name, networks={INSIDE: ()}) for name in ("wall", "client")}
    app = msgspec.structs.replace(
        scenery.revision(1, **services),
        profile="edge",
        networks={INSIDE: Network()},
        chains=(make_chain("wall", start=FROM_LAN),),
    )
    units = [scenery.assign(app, name) for name in services]
    for interfaces, lacking in ((("lan*",), []), (("wan0",), ["wall"])):
        profile = Profile(tenants=(scenery.TENANT,), interfaces=interfaces)
        record = msgspec.structs.replace(scenery.record(), profiles={"edge": profile})
        _, refused = derive_wanted(scenery.hold(app, *units, record=record))
        assert [name.split("/")[3] for name in refused] == lacking
        assert all('does not grant "interface: lan1"' in why.reason for why in refused.values())
    digest = scenery.digest_revision(app)
    assert [make_request(app, digest, name).devices for name in ("wall", "client")] == [("lan1",), ()]  # type: ignore[arg-type]
