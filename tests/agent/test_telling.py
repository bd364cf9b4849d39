"""What a node tells of itself: small changes are no news."""

import pytest

from skerry.agent.telling import FREE_STEP_BYTES, node_fact, size_to_tell
from skerry.model.ids import NodeName
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
