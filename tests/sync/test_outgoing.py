from hypothesis import given
from hypothesis import strategies as st

from skerry import wire
from skerry.model.limits import FRAME_PART_BYTES, LANE_BYTES_BROKEN, LANE_BYTES_MAX
from skerry.sync.lanes import Lane
from skerry.sync.outgoing import Outgoing
from skerry.sync.parts import Assembler


def pop_all(queue: Outgoing) -> list[tuple[Lane, bytes]]:
    pieces: list[tuple[Lane, bytes]] = []
    while (piece := queue.pop()) is not None:
        pieces.append((piece.lane, piece.frame))
    return pieces


def test_lower_lanes_go_first_and_each_keeps_its_order():
    queue = Outgoing()
    for lane in (Lane.IMAGE, Lane.EVENTS, Lane.CONTROL, Lane.EVENTS):
        queue.push(lane, "image", f"{lane} {queue.waiting_bytes()}".encode())
    assert [lane for lane, _ in pop_all(queue)] == [Lane.CONTROL, Lane.EVENTS, Lane.EVENTS, Lane.IMAGE]


def test_a_heartbeat_goes_between_two_parts_of_a_document():
    queue = Outgoing()
    queue.push(Lane.DOCUMENT, "document", bytes(3 * FRAME_PART_BYTES))
    first = queue.pop()
    queue.push(Lane.CONTROL, "heartbeat", b"beat")
    assert first is not None
    assert [lane for lane, _ in pop_all(queue)] == [Lane.CONTROL, Lane.DOCUMENT, Lane.DOCUMENT]


def test_a_lane_over_its_bound_has_no_room_and_one_beyond_all_patience_takes_nothing():
    queue = Outgoing()
    assert queue.has_room(Lane.IMAGE)
    queue.push(Lane.IMAGE, "image", bytes(LANE_BYTES_MAX))
    assert not queue.has_room(Lane.IMAGE)
    assert queue.has_room(Lane.CALL), "lanes do not share their room"
    assert not queue.push(Lane.IMAGE, "image", bytes(LANE_BYTES_BROKEN))
    assert queue.waiting_bytes() == LANE_BYTES_MAX
    queue.pop()
    assert queue.has_room(Lane.IMAGE)
    assert queue.is_empty(Lane.IMAGE)


@given(
    st.lists(
        st.tuples(st.sampled_from(Lane), st.integers(1, 3 * FRAME_PART_BYTES), st.booleans()), min_size=1, max_size=20
    )
)
def test_whatever_is_pushed_comes_out_whole_in_the_order_of_its_lane(steps: list[tuple[Lane, int, bool]]):
    queue, assembler = Outgoing(), Assembler()
    pushed: dict[Lane, list[bytes]] = {lane: [] for lane in Lane}
    popped: dict[Lane, list[bytes]] = {lane: [] for lane in Lane}

    def take() -> bool:
        piece = queue.pop()
        if piece is None:
            return False
        message = wire.decode(piece.frame)
        frame = assembler.add(message) if isinstance(message, wire.Part) else piece.frame
        if frame is not None:
            popped[piece.lane].append(frame)
        return True

    for number, (lane, size, takes) in enumerate(steps):
        frame = wire.encode(wire.BulkData("b", number, bytes(size), 1))  # pyright: ignore[reportArgumentType]
        pushed[lane].append(frame)
        queue.push(lane, "image", frame)
        if takes:
            take()
    while take():
        pass
    assert popped == pushed
    assert queue.waiting_bytes() == 0
