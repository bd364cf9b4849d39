"""Events are taken one after the other, in the order in which they came up."""

import pytest

from skerry.sync.turns import Turns


def test_what_comes_up_in_the_middle_is_taken_after_it():
    told = []

    def take(event: int) -> None:
        told.append(f"begin {event}")
        if event < 3:
            turns.feed(event + 2)
        told.append(f"end {event}")

    turns = Turns(take)
    turns.feed(1)
    turns.feed(2)
    assert told == [line for event in (1, 3, 2, 4) for line in (f"begin {event}", f"end {event}")]


def test_an_event_that_breaks_leaves_the_others_for_the_next_time():
    told = []

    def take(event: int) -> None:
        if event == 1:
            turns.feed(2)
            raise ValueError("broken")
        told.append(event)

    turns = Turns(take)
    with pytest.raises(ValueError, match="broken"):
        turns.feed(1)
    turns.feed(3)
    assert told == [2, 3]
