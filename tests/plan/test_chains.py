"""Chains: every packet meets the steps in their order, both ways, whatever is dead; a change moves no hop under it."""

import msgspec
import pytest
from tests.plan.chain_scene import (
    FROM_INSIDE,
    FROM_LAN,
    INSIDE,
    MIDDLE,
    OUTSIDE,
    UPLINK,
    Town,
    address,
    bridge,
    mac,
    make_chain,
)
from tests.plan.chain_walk import CLIENT, INTERNET, Packet, back, out, walk

from skerry.model.chain import ChainEnd, ChainMatch
from skerry.model.facts import ChainFact
from skerry.model.ids import ServiceName
from skerry.model.observed import ChainHop, ChainsSeen
from skerry.plan.actions import ApplyChains
from skerry.plan.chain_marks import FIRST, HOPS, LAST, PASS_OUT


def apply(town: Town) -> ApplyChains:
    action = town.plan()
    assert action is not None
    return action


def tell(town: Town) -> ChainFact:
    (fact,) = town.draft.facts
    assert isinstance(fact, ChainFact)
    return fact


def test_what_leaves_passes_every_step_in_order_and_what_comes_back_the_other_way_round():
    action = apply(Town(make_chain()))
    assert walk(action, out()) == ["wall", "look", "store", "out"]
    assert walk(action, back()) == ["store", "look", "wall", "in"]
    six = address(INSIDE, 10, six=True)
    assert walk(action, out(six, "2001:db8::9")) == ["wall", "look", "store", "out"]
    assert walk(action, back(six, "2001:db8::9")) == ["store", "look", "wall", "in"]


def test_a_chain_of_one_step_is_a_chain():
    action = apply(Town(make_chain("look")))
    assert walk(action, out()) == ["look", "out"]
    assert walk(action, back()) == ["look", "in"]


def test_without_symmetry_the_way_back_is_the_straight_one():
    action = apply(Town(make_chain(symmetric=False)))
    assert walk(action, out()) == ["wall", "look", "store", "out"]
    assert walk(action, back()) == ["unsteered"]


def test_from_the_uplink_the_first_step_is_the_outermost():
    action = apply(Town(make_chain("store", "look", "wall", start=UPLINK, end=FROM_INSIDE)))
    assert walk(action, back()) == ["store", "look", "wall", "in"]
    assert walk(action, out()) == ["wall", "look", "store", "out"]


def test_between_two_networks_of_the_app():
    far = address(OUTSIDE, 30)
    chain = make_chain("wall", "look", end=ChainEnd(kind="network", name=OUTSIDE))
    there, home = out(target=far), Packet(far, CLIENT, bridge(OUTSIDE), mac(OUTSIDE, 30))
    action = apply(Town(chain))
    assert walk(action, there) == ["wall", "look", "in"]
    assert walk(action, home) == ["look", "wall", "in"]
    action = apply(Town(msgspec.structs.replace(chain, symmetric=False)))
    assert walk(action, there) == ["wall", "look", "in"]
    assert walk(action, home) == ["in"]
    assert walk(action, out()) == ["unsteered"]


def test_a_service_at_an_end_is_its_instances():
    action = apply(Town(make_chain("look", start=ChainEnd(kind="service", name="client"))))
    assert walk(action, out()) == ["look", "out"]
    assert walk(action, out(address(INSIDE, 11))) == ["unsteered"]


def test_what_is_not_meant_is_not_touched():
    action = apply(Town(make_chain()))
    for target in ("169.254.169.254", "224.0.0.1", address(MIDDLE, 22)):
        assert walk(action, out(target=target)) == ["unsteered"]
    # Ranges that Skerry gives to networks are the site's LAN where no network here has them.
    for target in ("10.176.9.9", "10.64.0.7"):
        assert walk(action, out(target=target))[-1] == "out"
    assert walk(action, out("10.176.9.9")) == ["unsteered"]
    assert walk(action, back("10.176.9.9")) == ["unsteered"]


def test_protocol_and_ports_choose_at_the_end_that_traffic_goes_to():
    match = ChainMatch(protocol="tcp", ports=((80, 80), (8000, 8010)))
    action = apply(Town(make_chain(match=match)))
    assert walk(action, out()) == walk(action, out(ports=(40_000, 8005))) == ["wall", "look", "store", "out"]
    assert walk(action, back()) == ["store", "look", "wall", "in"]
    for other in (out(ports=(80, 443)), out(protocol="udp"), back(ports=(443, 80))):
        assert walk(action, other) == ["unsteered"]


def test_ranges_choose():
    match = ChainMatch(from_cidr=("10.176.1.8/29",), to_cidr=("203.0.113.0/24",))
    action = apply(Town(make_chain(match=match)))
    assert walk(action, out()) == ["wall", "look", "store", "out"]
    assert walk(action, back()) == ["store", "look", "wall", "in"]
    assert walk(action, out(address(INSIDE, 99))) == ["unsteered"]
    assert walk(action, out(target="198.51.100.1")) == ["unsteered"]
    assert walk(action, out(address(INSIDE, 10, six=True), "2001:db8::9")) == ["unsteered"]


def test_of_two_chains_the_first_that_wants_a_packet_has_it():
    web = make_chain("wall", name="web", match=ChainMatch(protocol="tcp", ports=((80, 80),)))
    action = apply(Town(web, make_chain("look")))
    assert walk(action, out()) == ["wall", "out"]
    assert walk(action, out(ports=(40_000, 443))) == ["look", "out"]
    assert walk(action, back(ports=(443, 40_000))) == ["look", "in"]


@pytest.mark.parametrize("dead", ["wall", "look", "store"])
def test_a_dead_step_stops_the_traffic_or_is_gone_around(dead: str):
    steps = ["wall", "look", "store"]
    town = Town(make_chain())
    town.down = {dead}
    assert walk(apply(town), out()) == [*steps[: steps.index(dead)], "closed"]
    assert walk(apply(Town(make_chain())), back())[-1] == "in"
    assert tell(town).state == "changing"
    assert town.plan() is None
    fact = tell(town)
    assert (fact.state, fact.steps[ServiceName(dead)], fact.reason) == ("closed", "", f"no copy of {dead} is well")
    town = Town(make_chain(fail="open"))
    town.down = {dead}
    action = apply(town)
    left = [step for step in steps if step != dead]
    assert walk(action, out()) == [*left, "out"]
    assert walk(action, back()) == [*left[::-1], "in"]
    assert town.plan() is None
    assert tell(town).state == "around"


def test_one_that_is_not_well_is_as_good_as_dead_and_what_it_still_hands_on_goes_its_way():
    town = Town(make_chain(fail="open"), checked=True)
    town.unwell = {"look"}
    action = apply(town)
    assert walk(action, out()) == ["wall", "store", "out"]
    late = out(bridge=bridge(MIDDLE), mac=mac(MIDDLE, 22))
    assert walk(action, late) == ["store", "out"]


def test_with_every_step_gone_open_means_the_straight_way_and_closed_none():
    for fail, found in (("open", ["out"]), ("closed", ["closed"])):
        town = Town(make_chain(fail=fail))
        town.down = {"wall", "look", "store"}
        assert walk(apply(town), out()) == found


def test_what_a_step_says_of_its_own_accord_passes_the_steps_beyond_it():
    action = apply(Town(make_chain()))
    own = address(MIDDLE, 21)
    assert walk(action, Packet(own, INTERNET, bridge(MIDDLE), mac(MIDDLE, 21))) == ["look", "store", "out"]
    assert walk(action, back(own)) == ["store", "look", "in"]
    last = address(OUTSIDE, 23)
    assert walk(action, Packet(last, INTERNET, bridge(OUTSIDE), mac(OUTSIDE, 23))) == ["out"]


def test_only_what_leaves_the_site_or_comes_from_beyond_is_tracked():
    action = apply(Town(make_chain()))
    for steer in action.steers:
        assert steer.tracked == (steer.mark == PASS_OUT or not steer.bridge)


def test_a_hop_keeps_its_number_and_no_other_number_is_used():
    town = Town(make_chain())
    before = {(hop.bridge, hop.address): hop.number for hop in apply(town).hops}
    town.chains = (make_chain("wall", "store"),)
    after = {(hop.bridge, hop.address): hop.number for hop in apply(town).hops}
    assert set(after) < set(before)
    assert all(before[key] == number for key, number in after.items())
    town.chains = (make_chain(),)
    again = {(hop.bridge, hop.address): hop.number for hop in apply(town).hops}
    assert set(again) == set(before)
    assert all(FIRST < HOPS <= number <= LAST for number in again.values())
    assert len(set(again.values())) == len(again)


def test_once_done_there_is_nothing_to_do_and_leftovers_are_something():
    town = Town(make_chain())
    apply(town)
    assert town.plan() is None
    assert town.guarded
    assert town.seen is not None
    town.seen = msgspec.structs.replace(town.seen, hops=(*town.seen.hops, ChainHop(LAST, "", "")))
    apply(town)
    assert not town.guarded


def test_without_chains_what_is_left_of_them_goes():
    town = Town()
    assert town.plan() is None
    town.seen = ChainsSeen(hops=(ChainHop(HOPS, "", ""),))
    action = apply(town)
    assert (action.hops, action.steers) == ((), ())
    assert town.plan() is None


def test_where_nothing_steers_nothing_starts_and_says_why():
    town = Town(make_chain())
    town.seen = ChainsSeen(reason="ip is not there")
    assert town.plan() is None
    assert not town.guarded
    assert [wait.reason for wait in town.draft.waits] == ["ip is not there"]


@pytest.mark.parametrize("ending", ["withdrawn", "shut out"])
def test_a_closed_chain_of_an_app_that_ends_holds_until_nothing_of_it_runs(ending: str):
    town = Town(make_chain())
    before = apply(town)
    town.wished = ending
    assert town.plan() is None, "all is led as it was"
    assert town.guarded
    assert (town.draft.facts, town.draft.chains) == ([], ()), "and nothing is told of it any more"
    town.down = {"look"}
    action = apply(town)
    assert walk(action, out()) == ["wall", "closed"]
    assert {hop.number for hop in action.hops} < {hop.number for hop in before.hops}
    town.down = {"wall", "look", "store", "far"}
    action = apply(town)
    assert (walk(action, out()), walk(action, back())) == (["closed"], ["closed"])
    town.down.add("client")
    action = apply(town)
    assert (action.hops, action.steers, town.led) == ((), (), {})
    assert town.plan() is None


def test_an_app_that_is_shut_out_is_led_to_its_end_by_an_agent_that_is_new():
    town = Town(make_chain())
    town.wished = "shut out"
    assert walk(apply(town), out()) == ["wall", "look", "store", "out"]


def test_an_open_chain_of_an_app_that_ends_goes_around_what_has_ended_before_the_rest():
    town = Town(make_chain(fail="open"))
    apply(town)
    town.wished = "withdrawn"
    town.down = {"wall", "store"}
    assert walk(apply(town), out()) == ["look", "out"]


def test_a_chain_of_a_device_ends_with_the_decision():
    town = Town(make_chain(start=FROM_LAN))
    assert apply(town).steers
    town.wished = "withdrawn"
    assert apply(town).steers == ()


def test_an_app_that_is_wished_again_while_it_ends_is_led_by_its_new_chains():
    town = Town(make_chain())
    apply(town)
    town.wished = "withdrawn"
    assert town.plan() is None
    town.wished, town.chains = "whole", (make_chain("look"),)
    assert walk(apply(town), out()) == ["look", "out"]
