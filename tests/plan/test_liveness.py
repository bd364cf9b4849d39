import pytest

from skerry.plan.liveness import PULSE_GAP_US_MAX, judge, patience_us, pulse, start_watch

SECOND = 1_000_000
BEAT = 30 * SECOND


def _listen(until_us: int, since_us: int = 0) -> object:
    watch = start_watch(since_us)
    for now_us in range(since_us, until_us + 1, SECOND):
        watch = pulse(watch, now_us)
    return watch


@pytest.mark.parametrize(
    ("heard_us", "now_us", "verdict"),
    [
        (None, 1 * SECOND, "unheard"),
        (None, patience_us(BEAT), "unheard"),
        (None, patience_us(BEAT) + 1, "silent"),
        (0, patience_us(BEAT), "online"),
        (0, patience_us(BEAT) + 1, "silent"),
        (500 * SECOND, 600 * SECOND, "online"),
    ],
)
def test_a_site_is_silent_after_three_missed_beats_and_a_grace(heard_us: int | None, now_us: int, verdict: str) -> None:
    assert judge(_listen(now_us), heard_us, BEAT, now_us) == verdict  # type: ignore[arg-type]


def test_a_core_that_stood_still_listens_anew_before_it_judges() -> None:
    watch = _listen(100 * SECOND)
    woken_us = 100 * SECOND + 3600 * SECOND
    watch = pulse(watch, woken_us)  # type: ignore[arg-type]
    assert judge(watch, 99 * SECOND, BEAT, woken_us) == "online"
    later_us = woken_us + patience_us(BEAT) + 1
    for now_us in range(woken_us, later_us, SECOND):
        watch = pulse(watch, now_us)
    assert judge(watch, 99 * SECOND, BEAT, later_us) == "silent"


def test_a_slow_turn_of_the_loop_is_no_standstill() -> None:
    watch = pulse(start_watch(0), PULSE_GAP_US_MAX)
    assert watch.well_since_us == 0


def test_a_satellite_link_is_given_its_own_time() -> None:
    now_us = 1000 * SECOND
    assert judge(_listen(now_us), 1, 900 * SECOND, now_us) == "online"  # type: ignore[arg-type]
