"""The outbox's cursor: gapless batches, counted gaps, acknowledgements that never run ahead."""

import pytest

from skerry.model.event import Event
from skerry.model.limits import EVENT_BATCH_BYTES, EVENT_BYTES_MAX, EVENTS_PER_BATCH_MAX
from skerry.sync.outbox import OutboxCursor, check_batch, fit_event, mark_event
from skerry.wire import Events, encode


def events(*numbers: int, message: str = "") -> tuple[Event, ...]:
    return tuple(Event(sequence=number, time_us=0, type="t", message=message) for number in numbers)


def make(acknowledged: int, waiting: tuple[Event, ...]) -> OutboxCursor:
    cursor = OutboxCursor()
    cursor.begin(acknowledged)
    cursor.start_reading()
    cursor.take(acknowledged, waiting)
    return cursor


def numbers(batch: Events | None) -> tuple[list[int], int]:
    assert batch is not None
    return [event.sequence for event in batch.events], batch.dropped


def test_one_batch_is_on_its_way_and_the_next_follows_its_answer():
    cursor = make(3, events(*range(4, 1_000)))
    assert numbers(cursor.next_batch()) == (list(range(4, 4 + EVENTS_PER_BATCH_MAX)), 0)
    assert cursor.next_batch() is None
    assert cursor.answer(503)
    assert numbers(cursor.next_batch())[0][0] == 504


def test_gaps_part_batches_and_are_counted():
    cursor = make(0, events(3, 4, 7))
    assert numbers(cursor.next_batch()) == ([3, 4], 2)
    cursor.answer(4)
    assert numbers(cursor.next_batch()) == ([7], 2)


def test_a_batch_is_bounded_in_bytes():
    cursor = make(0, events(*range(1, 100), message="x" * 10_000))
    batch = cursor.next_batch()
    assert batch is not None
    assert 1 < len(batch.events) < 8
    assert len(encode(batch)) <= EVENT_BATCH_BYTES


def test_an_event_that_is_too_long_is_cut_and_keeps_its_place():
    long = Event(sequence=5, time_us=1, type="t", klass="security", message="m" * 2_000, data={"k": "v" * 100_000})
    cut, size = fit_event(long)
    assert (cut.sequence, cut.type, cut.klass) == (5, "t", "security")
    assert size <= EVENT_BYTES_MAX
    assert int(cut.data["cut-bytes"]) > 100_000
    short = events(1)[0]
    assert fit_event(short)[0] is short


@pytest.mark.parametrize(("through", "covers"), [(5, True), (3, True), (2, False), (99, True), (-1, False)])
def test_an_answer_covers_at_most_what_was_sent(through: int, covers: bool):
    cursor = make(2, events(3, 4, 5))
    cursor.next_batch()
    assert cursor.answer(through) is covers
    assert cursor.acknowledged == (min(through, 5) if covers else 2)


def test_what_a_parent_left_is_read_again():
    cursor = make(0, events(*range(1, 800)))
    cursor.next_batch()
    assert cursor.answer(100)
    assert cursor.next_batch() is None
    assert cursor.wants_read()
    assert not cursor.is_waiting


def test_a_read_for_an_earlier_session_is_done_again():
    cursor = OutboxCursor()
    cursor.begin(10)
    cursor.start_reading()
    cursor.begin(12)
    assert not cursor.wants_read(), "it is still being read"
    cursor.take(10, events(11, 12, 13))
    assert cursor.next_batch() is None
    assert cursor.wants_read()


def test_nothing_is_read_while_nothing_changed():
    cursor = make(0, ())
    assert not cursor.wants_read()
    cursor.note_changed()
    assert cursor.wants_read()


@pytest.mark.parametrize(
    ("batch", "good"),
    [
        (Events(events(1, 2, 3)), True),
        (Events(events(9), 8), True),
        (Events(()), False),
        (Events(events(1, 3)), False),
        (Events(events(2, 1)), False),
        (Events(events(0)), False),
        (Events(events(1), -1), False),
        (Events(events(*range(1, EVENTS_PER_BATCH_MAX + 2))), False),
    ],
)
def test_a_parent_checks_what_a_child_may_send(batch: Events, good: bool):
    assert (check_batch(batch) == "") is good


def test_a_mark_tells_two_events_of_one_number_apart_and_knows_a_cut_one_again():
    (one,) = events(7, message="here")
    (other,) = events(7, message="there")
    assert mark_event(one) == mark_event(one)
    assert mark_event(one) != mark_event(other)
    (large,) = events(7, message="x" * 2 * EVENT_BYTES_MAX)
    assert mark_event(large) == mark_event(fit_event(large)[0])
