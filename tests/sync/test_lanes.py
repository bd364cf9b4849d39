from tests.golden.wire_messages import SAMPLES

from skerry import wire
from skerry.sync.lanes import Lane, lane_of, purpose_of


def test_every_message_has_a_lane_and_a_purpose():
    for sample in SAMPLES.values():
        if not isinstance(sample, wire.Part):
            assert lane_of(sample) in Lane
        assert purpose_of(sample)


def test_what_must_arrive_in_order_shares_a_lane():
    call = [wire.CallRequest("c", "logs", b"", 1), wire.CallReply("c", True), wire.StreamData("c", 1, b"")]  # pyright: ignore[reportArgumentType]
    call.append(wire.StreamClose("c"))  # pyright: ignore[reportArgumentType]
    assert {lane_of(message) for message in call} == {Lane.CALL}
    blob = [wire.BulkOpen("b", 0), wire.BulkData("b", 0, b"", 1), wire.BulkEnd("b")]  # pyright: ignore[reportArgumentType]
    assert {lane_of(message) for message in blob} == {Lane.IMAGE}


def test_heartbeats_go_first_and_images_last():
    assert lane_of(wire.Beat()) == min(Lane)
    assert lane_of(wire.BulkMore("b", 1)) == max(Lane)  # pyright: ignore[reportArgumentType]


def test_parts_and_unknown_messages_are_counted_too():
    assert purpose_of(wire.Part(int(Lane.FACTS), b"", True)) == "facts"
    assert purpose_of(wire.Part(99, b"", True)) == "heartbeat"
    assert purpose_of(wire.Part(-1, b"", True)) == "heartbeat"
    assert purpose_of(wire.Unknown("zz")) == "heartbeat"
