"""Test packets of chains: what is sent, when, what it means where they were seen, and what is told of it."""

import msgspec
import pytest
from tests.plan.chain_scene import INSIDE, OUTSIDE, UPLINK, Town, address, bridge, make_chain, v6
from tests.plan.scenery import APP, TENANT

from skerry.model.chain import ChainEnd, ChainMatch
from skerry.model.facts import ChainFact
from skerry.model.ids import InstanceId
from skerry.model.observed import ChainProbed, ProbePass
from skerry.plan.actions import ProbeChain
from skerry.plan.chain_probes import (
    PROBE_EVERY_US,
    PROBE_PAUSE_US,
    PROBED_MAX,
    TOLD_US,
    ProbeNote,
    describe_flaw,
    find_due,
    forget_probes,
    hop_limit,
    judge_probe,
    judge_round,
    note_probe,
    probe_key,
    round_up,
)


def find_action(*chains: object) -> ProbeChain | None:
    """What is sent once the chains are in force."""
    town = Town(*chains)  # type: ignore[arg-type]
    town.plan()
    town.plan()
    return next((each for each in town.draft.actions if isinstance(each, ProbeChain)), None)


def send(action: ProbeChain, *, lost_at: int = 99, step_us: int = 30, count: int | None = None) -> list[ProbePass]:
    """See packets go through the steps, as far as the one that keeps them."""
    found: list[ProbePass] = []
    for number in range((action.count if count is None else count) + 1):
        at_ns = number * 1_000_000
        found.append(ProbePass(at_ns, number, action.bridge, "fe:ff:ff:ff:53:50", inward=True))
        for place, hop in enumerate(action.hops[: lost_at + 1]):
            found.append(ProbePass(at_ns + 1_000, number, *hop.links[0], inward=False))
            at_ns += 1_000 + step_us * 1_000
            if place < lost_at:
                found.append(ProbePass(at_ns, number, *hop.links[-1], inward=True))
    return found


def test_what_is_sent_comes_from_who_is_there_and_goes_to_nobody():
    action = find_action(make_chain())
    assert action is not None
    assert (action.bridge, action.source, action.target) == (bridge(INSIDE), address(INSIDE, 10), "192.0.2.1")
    assert (action.protocol, action.port, hop_limit(action)) == ("icmp", 0, 7)
    assert [hop.service for hop in action.hops] == ["wall", "look", "store"]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (ChainMatch(protocol="tcp", ports=((80, 90), (443, 443))), ("tcp", 80, address(INSIDE, 10), "192.0.2.1")),
        (ChainMatch(protocol="udp"), ("udp", 9, address(INSIDE, 10), "192.0.2.1")),
        (ChainMatch(to_cidr=("198.51.100.128/25",)), ("icmp", 0, address(INSIDE, 10), "198.51.100.254")),
        (ChainMatch(from_cidr=("10.176.1.64/26",)), ("icmp", 0, "10.176.1.126", "192.0.2.1")),
        (ChainMatch(from_cidr=(v6(INSIDE),)), ("icmp", 0, address(INSIDE, 10, six=True), "2001:db8::1")),
    ],
)
def test_it_is_what_the_chain_is_about(match: ChainMatch, expected: tuple[object, ...]):
    action = find_action(make_chain(match=match))
    assert action is not None
    assert (action.protocol, action.port, action.source, action.target) == expected


def test_between_networks_it_goes_to_who_is_there():
    action = find_action(make_chain("wall", "look", end=ChainEnd(kind="network", name=OUTSIDE)))
    assert action is not None
    assert action.target == address(OUTSIDE, 23)


def test_a_chain_that_begins_beyond_is_measured_on_the_way_of_its_answers():
    inward = make_chain("store", "look", "wall", start=UPLINK, end=ChainEnd(kind="network", name=INSIDE))
    match = ChainMatch(protocol="tcp", ports=((80, 80),))
    action = find_action(msgspec.structs.replace(inward, match=match))
    assert action is not None
    assert [hop.service for hop in action.hops] == ["wall", "look", "store"]
    assert (action.port, action.ports_of) == (80, "from")
    assert find_action(msgspec.structs.replace(inward, symmetric=False)) is None


@pytest.mark.parametrize("match", [ChainMatch(protocol="sctp"), ChainMatch(from_cidr=("192.0.2.0/24",))])
def test_what_cannot_be_sent_is_not(match: ChainMatch):
    assert find_action(make_chain(match=match)) is None


def test_a_closed_chain_without_a_step_is_not_measured_and_an_open_one_is_around_it():
    for fail, expected in (("closed", None), ("open", ["wall", "store"])):
        town = Town(make_chain(fail=fail))
        town.down = {"look"}
        town.plan()
        town.plan()
        found = next((each for each in town.draft.actions if isinstance(each, ProbeChain)), None)
        assert (found and [hop.service for hop in found.hops]) == expected


def test_packets_that_pass_in_order_have_arrived_and_the_first_one_does_not_count():
    action = find_action(make_chain())
    assert action is not None
    found = judge_probe(action, reversed(send(action)))
    assert (found.sent, found.arrived, found.reason) == (3, 3, "")
    assert {(step.given, step.passed, step.median_us, step.most_us) for step in found.steps} == {(3, 3, 30, 30)}
    assert (found.median_us, found.most_us) == (93, 93)
    assert found.what == f"echo request, {action.source} to 192.0.2.1"


@pytest.mark.parametrize(
    ("lost_at", "reason"),
    [(0, "not passed on by wall"), (1, "not passed on by look"), (2, "not passed on by store")],
)
def test_who_keeps_packets_is_named(lost_at: int, reason: str):
    action = find_action(make_chain())
    assert action is not None
    found = judge_probe(action, send(action, lost_at=lost_at))
    assert (found.arrived, reason in found.reason) == (0, True)
    assert found.steps[lost_at].passed == 0
    assert judge_round(found, 0) == "lost"


def test_packets_that_go_elsewhere_or_never_come_are_told():
    action = find_action(make_chain())
    assert action is not None
    entered = [each for each in send(action) if each.mac.startswith("fe:")]
    assert "not given to wall after the node" in judge_probe(action, entered).reason
    assert "3 of 3 did not come as far as the node" in judge_probe(action, []).reason
    swapped = msgspec.structs.replace(action, hops=action.hops[::-1])
    wrong = judge_probe(action, send(swapped))
    assert wrong.arrived == 0
    some = judge_probe(action, send(action, count=1))
    assert (some.arrived, some.reason) == (1, "2 of 3 did not come as far as the node")


def note(at_us: int, through: tuple[str, ...] = ("a",), **words: object) -> ProbeNote:
    base = ProbeNote(
        at_us=at_us, through=tuple(InstanceId(each) for each in through), probed=ChainProbed(sent=3, arrived=3)
    )
    return msgspec.structs.replace(base, **words)


def test_a_bound_is_missed_only_when_two_in_a_row_say_so_and_kept_again_likewise():
    action = find_action(make_chain(max_latency_us=5_000))
    assert action is not None
    assert action.max_us == 5_000
    quick = judge_probe(action, send(action))
    slow = judge_probe(action, send(action, step_us=4_000))
    kept, verdicts = None, []
    for number, probed in enumerate((quick, slow, quick, slow, slow, quick, quick)):
        kept = note_probe(kept, action, probed, number * PROBE_EVERY_US)
        verdicts.append(kept.verdict)
    assert verdicts == ["passed", "passed", "passed", "passed", "late", "late", "passed"]


def test_what_is_told_moves_in_steps_and_seldom_but_at_once_with_the_verdict():
    action = find_action(make_chain(max_latency_us=5_000))
    assert action is not None
    first = note_probe(None, action, judge_probe(action, send(action)), 0)
    assert (first.path_us, first.latency_us) == (100, {"wall": 50, "look": 50, "store": 50})
    other = judge_probe(action, send(action, step_us=300))
    early = note_probe(first, action, other, TOLD_US - 1)
    assert (early.path_us, early.probed.median_us > 900) == (100, True)
    assert note_probe(early, action, other, TOLD_US).path_us == 1_000
    slow = judge_probe(action, send(action, step_us=4_000))
    late = note_probe(note_probe(early, action, slow, TOLD_US - 1), action, slow, TOLD_US - 1)
    assert (late.verdict, late.path_us) == ("late", 20_000)
    assert describe_flaw(late, 5_000) == "test packets take up to 20 ms through it, its owner allows 5 ms"


def test_other_instances_begin_anew():
    action = find_action(make_chain())
    assert action is not None
    old = note(0, verdict="lost", latency_us={}, path_us=0)
    assert note_probe(old, action, judge_probe(action, send(action)), 1).verdict == "passed"


def test_chains_take_turns_each_in_its_time():
    action = find_action(make_chain())
    assert action is not None
    other = msgspec.structs.replace(action, chain="other")
    through = tuple(hop.instance for hop in action.hops)
    assert find_due({}, [], 0) == (None, 0)
    due, next_us = find_due({}, [action, other], 0)
    assert (due, next_us) == (other, 0) or (due, next_us) == (action, 0)
    notes = {probe_key(TENANT, APP, "out"): note(0, through)}
    assert find_due(notes, [action, other], 1) == (None, PROBE_PAUSE_US)
    assert find_due(notes, [action, other], PROBE_PAUSE_US) == (other, 0)
    notes[probe_key(TENANT, APP, "other")] = note(PROBE_PAUSE_US, through)
    assert find_due(notes, [action, other], PROBE_PAUSE_US + 1) == (None, PROBE_EVERY_US)
    # A step's new instance is measured at once.
    notes[probe_key(TENANT, APP, "out")] = note(0, ("x",))
    assert find_due(notes, [action], 2 * PROBE_PAUSE_US) == (action, 0)


def test_what_is_remembered_has_an_end():
    many = {str(number): note(number) for number in range(PROBED_MAX + 5)}
    kept = forget_probes(many, PROBED_MAX)
    assert len(kept) == PROBED_MAX
    assert "0" not in kept
    assert forget_probes({"old": note(0)}, PROBE_EVERY_US + PROBED_MAX * PROBE_PAUSE_US + 1) == {}


@pytest.mark.parametrize(("given", "told"), [(0, 0), (1, 10), (10, 10), (11, 20), (21, 50), (51, 100), (999, 1_000)])
def test_times_are_rounded_up_in_steps(given: int, told: int):
    assert round_up(given) == told


def test_a_node_tells_what_was_measured_of_the_instances_that_have_the_traffic():
    town = Town(make_chain(max_latency_us=50))
    town.plan()
    town.plan()
    action = next(each for each in town.draft.actions if isinstance(each, ProbeChain))
    town.probes = {
        probe_key(TENANT, APP, "out"): note_probe(None, action, judge_probe(action, send(action)), town.now_us)
    }
    town.plan()
    (fact,) = (each for each in town.draft.facts if isinstance(each, ChainFact))
    assert (fact.late, fact.path_us, fact.latency_us["wall"]) == (True, 100, 50)
    assert not any(isinstance(each, ProbeChain) for each in town.draft.actions)
    assert town.draft.wake_us == town.now_us + PROBE_EVERY_US
    town.down = {"look"}
    town.plan()
    (fact,) = (each for each in town.draft.facts if isinstance(each, ChainFact))
    assert (fact.late, fact.path_us, fact.latency_us) == (False, 0, {})
