import pytest

from skerry import wire
from skerry.model.limits import FRAME_BYTES_MAX, FRAME_PART_BYTES
from skerry.sync.lanes import Lane
from skerry.sync.parts import Assembler, PartError, cut_part, is_cut


def cut(lane: Lane, frame: bytes) -> list[wire.Part]:
    parts: list[wire.Part] = []
    offset = 0
    while offset < len(frame):
        encoded, offset = cut_part(lane, frame, offset)
        part = wire.decode(encoded)
        assert isinstance(part, wire.Part)
        parts.append(part)
    return parts


@pytest.mark.parametrize("size", [FRAME_PART_BYTES + 1, 2 * FRAME_PART_BYTES, 300_000])
def test_a_frame_comes_together_as_it_was(size: int):
    frame = bytes(range(256)) * (size // 256 + 1)
    parts = cut(Lane.DOCUMENT, frame)
    assert all(len(part.data) <= FRAME_PART_BYTES for part in parts)
    assembler = Assembler()
    assert [assembler.add(part) for part in parts][-1] == frame
    assert [assembler.add(part) for part in parts][-1] == frame, "and again, nothing is left over"


def test_lanes_come_together_beside_each_other():
    one, two = cut(Lane.DOCUMENT, b"a" * 100_000), cut(Lane.FACTS, b"b" * 100_000)
    assembler = Assembler()
    frames = [assembler.add(part) for pair in zip(one, two, strict=True) for part in pair]
    assert frames[-2:] == [b"a" * 100_000, b"b" * 100_000]


def test_short_frames_and_bulk_chunks_are_not_cut():
    assert not is_cut(Lane.DOCUMENT, FRAME_PART_BYTES)
    assert is_cut(Lane.DOCUMENT, FRAME_PART_BYTES + 1)
    assert not is_cut(Lane.IMAGE, 10 * FRAME_PART_BYTES)


@pytest.mark.parametrize("part", [wire.Part(6, b"x", True), wire.Part(-1, b"x", True), wire.Part(0, b"", False)])
def test_parts_that_make_no_sense_are_refused(part: wire.Part):
    with pytest.raises(PartError):
        Assembler().add(part)


def test_what_is_held_unfinished_is_bounded_over_all_lanes():
    assembler = Assembler()
    held = 0
    with pytest.raises(PartError):  # noqa: PT012 - which part it is does not matter
        while True:
            assembler.add(wire.Part(held // FRAME_PART_BYTES % 6, bytes(FRAME_PART_BYTES), False))
            held += FRAME_PART_BYTES
    assert held == FRAME_BYTES_MAX
