"""What a node tells of itself: small changes are no news."""

import msgspec
import pytest

from skerry.agent.telling import FREE_STEP_BYTES, describe_change, node_fact, size_to_tell
from skerry.model.facts import ChainFact, encode_fact
from skerry.model.ids import AppName, NodeName, TenantName
from skerry.model.observed import NodeSeen


def test_free_space_that_swings_around_a_step_is_told_once():
    told = None
    tellings = []
    for swing in (1, -1, 1, -1):
        seen = NodeSeen(node=NodeName("n1"), disk_free_bytes=40 * FREE_STEP_BYTES + swing)
        told = node_fact(seen, "0", told).disk_free_bytes
        tellings.append(told)
    assert tellings == [40 * FREE_STEP_BYTES] * 4
    for free in (39 * FREE_STEP_BYTES, 42 * FREE_STEP_BYTES):
        seen = NodeSeen(node=NodeName("n1"), disk_free_bytes=free)
        assert node_fact(seen, "0", told).disk_free_bytes == free


@pytest.mark.parametrize(
    ("size", "told", "tell"),
    [
        (60_000, 0, 0),
        (70_000, 0, 70_000),
        (1 << 30, 0, 1 << 30),
        ((1 << 30) + (100 << 20), 1 << 30, 1 << 30),
        ((1 << 30) + (140 << 20), 1 << 30, (1 << 30) + (140 << 20)),
        ((100 << 30) - (300 << 20), 100 << 30, (100 << 30) - (300 << 20)),
        (0, 1 << 20, 0),
    ],
)
def test_a_volumes_size_is_told_when_it_is_off_by_an_eighth_or_by_much(size: int, told: int, tell: int):
    assert size_to_tell(size, told) == tell


def chain(state: str, **words: object) -> ChainFact:
    return ChainFact(
        tenant=TenantName("t"),
        app=AppName("shop"),
        chain="out",
        node=NodeName("n1"),
        state=state,  # type: ignore[arg-type]
        steps={},
        **words,  # type: ignore[arg-type]
    )


def test_a_chain_is_told_of_when_its_traffic_goes_elsewhere_or_takes_too_long():
    closed = chain("closed", reason="no copy of wall is well")
    late = chain("whole", late=True, flaw="it takes 20 ms")
    told = [
        [(draft.type, draft.message) for draft in describe_change(fact, before and encode_fact(before), 1)]
        for before, fact in (
            (None, closed),
            (chain("whole"), chain("changing")),
            (chain("changing"), closed),
            (closed, msgspec.structs.replace(closed, reason="no copy of look is well")),
            (chain("whole"), late),
            (late, chain("whole", path_us=50)),
        )
    ]
    assert told == [
        [],
        [],
        [("chain.closed", "chain out of shop is closed at n1: no copy of wall is well")],
        [],
        [("chain.late", "chain out of shop is late at n1: it takes 20 ms")],
        [("chain.in-time", "chain out of shop is in time at n1")],
    ]
