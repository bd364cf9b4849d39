import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.sync.backoff import BUSY_US_MAX, WAIT_US_MIN, Backoff
from skerry.sync.classes import LINK_PLANS, SECOND_US, LinkPlan


@pytest.mark.parametrize("plan", LINK_PLANS.values(), ids=LINK_PLANS.keys())
def test_the_bound_doubles_up_to_the_cap_of_the_class(plan: LinkPlan):
    backoff = Backoff(plan)
    waits = [backoff.fail(0.999_999_999) for _ in range(40)]
    assert plan.backoff_us_min * 0.99 < waits[0] <= plan.backoff_us_min
    assert waits == sorted(waits)
    assert plan.backoff_us_max * 0.99 < waits[-1] <= plan.backoff_us_max


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50))
def test_the_wait_is_drawn_from_all_below_the_bound(draws: list[float]):
    backoff = Backoff(LINK_PLANS["wired"])
    for draw in draws:
        assert WAIT_US_MIN <= backoff.fail(draw) <= 60 * SECOND_US


def test_success_starts_again():
    backoff = Backoff(LINK_PLANS["wired"])
    for _ in range(10):
        backoff.fail(0.5)
    backoff.succeed()
    assert backoff.fail(0.5) == SECOND_US // 2


@pytest.mark.parametrize(("asked", "kept"), [(-5, WAIT_US_MIN), (7 * SECOND_US, 7 * SECOND_US), (1 << 60, BUSY_US_MAX)])
def test_a_parent_is_obeyed_within_reason_and_is_no_failure(asked: int, kept: int):
    backoff = Backoff(LINK_PLANS["wired"])
    assert backoff.busy(asked) == kept
    assert backoff.failures == 0
