"""Back-off doubles from the first failure and stops at its cap."""

import itertools

from skerry.model import limits
from skerry.plan.pace import start_delay_us


def test_no_failure_no_pause():
    assert start_delay_us(0) == 0
    assert start_delay_us(-1) == 0


def test_it_doubles_up_to_the_cap_and_stays_there():
    delays = [start_delay_us(count) for count in range(1, 200)]
    assert delays[0] == limits.RESTART_DELAY_US_MIN
    assert all(later in (2 * earlier, limits.RESTART_DELAY_US_MAX) for earlier, later in itertools.pairwise(delays))
    assert delays[-1] == limits.RESTART_DELAY_US_MAX
