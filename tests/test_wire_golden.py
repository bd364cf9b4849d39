"""Released bytes of every message still decode to what they meant, and nothing is written otherwise."""

import msgspec
import pytest

from skerry import wire
from skerry.sync.lanes import lane_of
from tests.golden.wire_messages import CLAIM, FOLDER, GROWN, SAMPLES, read_golden


@pytest.mark.parametrize("name", SAMPLES)
def test_recorded_bytes_mean_what_they_meant(name: str):
    assert wire.decode(read_golden(name)) == SAMPLES[name]
    if name not in GROWN:
        assert wire.encode(SAMPLES[name]) == read_golden(name)


def test_every_message_and_every_file_has_its_counterpart():
    assert {type(sample) for sample in SAMPLES.values()} == set(wire.Message.__args__)
    assert {path.stem for path in FOLDER.glob("*.bin")} == set(SAMPLES)


def test_the_claim_inside_a_hello_is_recorded_too():
    hello = wire.decode(read_golden("hello"))
    assert isinstance(hello, wire.Hello)
    assert wire.decode_claim(hello.claim) == CLAIM


@pytest.mark.parametrize("name", SAMPLES)
def test_a_later_release_may_append_fields(name: str):
    longer = [*msgspec.msgpack.decode(read_golden(name)), "a field of later"]
    assert wire.decode(msgspec.msgpack.encode(longer)) == SAMPLES[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_flipped_or_missing_byte_is_another_message_or_the_readers_own_error(name: str):
    frame = read_golden(name)
    for index in range(len(frame)):
        for damaged in (frame[:index], frame[:index] + bytes((frame[index] ^ 0xFF,)) + frame[index + 1 :]):
            try:
                wire.decode(damaged)
            except wire.WireError:
                continue


def test_every_message_but_a_part_has_a_lane():
    for sample in SAMPLES.values():
        if not isinstance(sample, wire.Part):
            assert lane_of(sample) >= 0
