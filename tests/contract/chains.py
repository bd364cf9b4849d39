"""What every driver of chains does alike: run against the fake and against the kernel's own in namespaces.

Each check is a function over a ``Rig``: the town of ``tests/plan/chain_scene.py``, with a client inside.
"""

from collections.abc import Callable
from typing import Protocol

from tests.plan.chain_scene import FROM_LAN, OUTSIDE, make_chain

from skerry.model.chain import Chain, ChainEnd
from skerry.model.observed import ChainProbed, ChainsSeen


class Rig(Protocol):
    def steer(self, *chains: Chain, down: frozenset[str] = ...) -> None:
        """Have these chains and nothing else, and see that then there is nothing left to do."""
        ...

    def ping(self, *, desk: bool = False, far: bool = False, count: int = 4) -> int:
        """Return how many packets had an answer, from beyond the site or from who is outside.

        They are the client's, or those of the desk, which is at a device of the node.
        """
        ...

    def look(self) -> ChainsSeen:
        """What the driver sees now."""
        ...

    def probe(self) -> ChainProbed:
        """Send test packets through the only chain."""
        ...

    def deafen(self, step: str, *, deaf: bool) -> None:
        """Let a step pass nothing on, or again what it is given."""
        ...


def check_packets_pass_every_step_both_ways(rig: Rig) -> None:
    rig.steer(make_chain())
    assert rig.ping() == 4
    assert rig.look().counts == {f"c0s{step}_{way}": 4 for step in (1, 2, 3) for way in ("out", "back")}


def check_a_dead_step_closes_a_chain_and_is_gone_around_in_an_open_one(rig: Rig) -> None:
    rig.steer(make_chain(), down=frozenset({"look"}))
    assert rig.ping() == 0
    assert rig.look().counts["c0s3_back"] == 0
    rig.steer(make_chain(fail="open"), down=frozenset({"look"}))
    assert rig.ping() == 4
    counts = rig.look().counts
    assert (counts["c0s1_out"], counts["c0s3_out"]) == (4, 4)
    assert "c0s2_out" not in counts
    rig.steer(make_chain(fail="open"), down=frozenset({"wall", "look", "store"}))
    assert rig.ping() == 4


def check_what_comes_from_a_device_passes_every_step_both_ways(rig: Rig) -> None:
    rig.steer(make_chain(start=FROM_LAN))
    assert rig.ping(desk=True) == 4
    counts = {f"c0s{step}_{way}": 4 for step in (1, 2, 3) for way in ("out", "back")}
    assert rig.look().counts == counts
    # Nobody else's packets are in it.
    assert rig.ping() == 4
    assert rig.look().counts == counts


def check_a_dead_step_closes_what_comes_from_a_device_and_is_gone_around_in_an_open_chain(rig: Rig) -> None:
    rig.steer(make_chain(start=FROM_LAN), down=frozenset({"look"}))
    assert rig.ping(desk=True) == 0
    assert rig.look().counts["c0s3_back"] == 0
    assert rig.ping() == 4
    rig.steer(make_chain(start=FROM_LAN, fail="open"), down=frozenset({"look"}))
    assert rig.ping(desk=True) == 4
    rig.steer(make_chain(start=FROM_LAN, fail="open"), down=frozenset({"wall", "look", "store"}))
    assert rig.ping(desk=True) == 4


def check_between_a_device_and_a_network_packets_pass_in_order_whoever_begins(rig: Rig) -> None:
    rig.steer(make_chain("wall", "look", start=FROM_LAN, end=ChainEnd(kind="network", name=OUTSIDE)))
    assert rig.ping(desk=True, far=True) == 4
    counts = rig.look().counts
    assert counts == {f"c0s{step}_{way}": 4 for step in (1, 2) for way in ("out", "back")}


def check_a_change_keeps_the_hops_that_stay_and_an_end_leaves_nothing(rig: Rig) -> None:
    rig.steer(make_chain())
    before = {hop.address: hop.number for hop in rig.look().hops}
    rig.steer(make_chain("wall", "store"))
    after = {hop.address: hop.number for hop in rig.look().hops}
    assert set(after) < set(before)
    assert all(before[address] == number for address, number in after.items())
    assert rig.ping() == 4
    rig.steer()
    assert rig.look() == ChainsSeen()
    assert rig.ping() == 4


def check_a_chain_between_networks_is_all_that_opens_them(rig: Rig) -> None:
    assert rig.ping(far=True, count=1) == 0
    rig.steer(make_chain("wall", "look", end=ChainEnd(kind="network", name=OUTSIDE)))
    assert rig.ping(far=True) == 4


def check_test_packets_are_seen_in_their_order_and_leave_the_site_never(rig: Rig) -> None:
    for chain in (
        make_chain(),
        make_chain("look"),
        make_chain("wall", "look", symmetric=False),
        make_chain(start=FROM_LAN),
        make_chain("look", end=FROM_LAN),
    ):
        rig.steer(chain)
        found = rig.probe()
        assert (found.sent, found.arrived, found.reason) == (3, 3, ""), found
        assert [step.service for step in found.steps] == list(chain.through)
        assert all((step.given, step.passed) == (3, 3) and step.median_us > 0 for step in found.steps)
        assert found.median_us >= sum(step.median_us for step in found.steps) // 2
        # One is sent ahead of those that count; none came back, for none was answered.
        counts = rig.look().counts
        assert {counts[f"c0s{place}_out"] for place, _ in enumerate(chain.through, 1)} == {4}
        assert not any(count for name, count in counts.items() if name.endswith("_back"))


def check_test_packets_end_where_a_step_passes_nothing_on(rig: Rig) -> None:
    rig.steer(make_chain())
    rig.deafen("look", deaf=True)
    try:
        found = rig.probe()
    finally:
        rig.deafen("look", deaf=False)
    assert (found.sent, found.arrived) == (3, 0)
    assert [(step.given, step.passed) for step in found.steps] == [(3, 3), (3, 0), (0, 0)]
    assert found.reason.startswith("3 of 3 were not passed on by look")


CHECKS: dict[str, Callable[[Rig], None]] = {
    name.removeprefix("check_"): check for name, check in list(vars().items()) if name.startswith("check_")
}
