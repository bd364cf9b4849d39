"""The door: a rate, a burst, and a place for everybody who was sent away (faults.md N16)."""

import heapq
import statistics

from skerry.sync.admission import SECOND_US, Admission


def test_a_burst_comes_in_and_then_the_rate_holds():
    door = Admission(10, 5, 100)
    now = 100 * SECOND_US
    answers = [door.ask(f"s{n}", now) for n in range(10)]
    assert answers[:6] == [0] * 6
    assert answers[6:] == [SECOND_US // 10 * n for n in range(1, 5)]


def test_who_was_sent_away_comes_in_at_its_time_however_many_are_at_the_door():
    door = Admission(1, 0, 100)
    assert door.ask("first", 0) == 0
    wait = door.ask("patient", 0)
    for n in range(50):
        assert door.ask(f"crowd {n}", wait) > 0
    assert door.ask("patient", wait) == 0
    assert door.ask("patient", wait) > 0, "a place is used once"


def test_who_comes_too_early_keeps_its_place():
    door = Admission(1, 0, 100)
    door.ask("first", 0)
    wait = door.ask("hasty", 0)
    assert door.ask("hasty", wait // 2) == wait - wait // 2


def test_places_are_bounded_and_those_that_nobody_uses_are_forgotten():
    door = Admission(10, 0, 50)
    waits = [door.ask(f"s{n}", 0) for n in range(1_000)]
    assert max(waits) == SECOND_US // 10 * 51, "beyond the last place everybody tries its luck at the same time"
    assert door.ask("s50", 600 * SECOND_US) == 0
    assert door.ask("s40", 600 * SECOND_US) == SECOND_US // 10, "its place is gone, it gets the next one"


def test_ten_thousand_sites_are_back_within_five_minutes_and_none_starves():
    """Each returns when it was told to; the worst wait is at most three times the median."""
    door = Admission(100, 200, 20_000)
    queue = [(n * 1_000, f"site {n}") for n in range(10_000)]  # all within 10 s
    arrived: dict[str, int] = {}
    waits: list[int] = []
    heapq.heapify(queue)
    while queue:
        now, name = heapq.heappop(queue)
        arrived.setdefault(name, now)
        wait = door.ask(name, now)
        if wait:
            heapq.heappush(queue, (now + wait, name))
        else:
            waits.append(now - arrived[name])
    assert len(waits) == 10_000
    assert max(waits) < 300 * SECOND_US
    assert max(waits) <= 3 * statistics.median(waits)
