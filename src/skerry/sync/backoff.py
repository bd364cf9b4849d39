"""When a child dials again: full jitter, exponential, with a cap by link class; and what ``Busy`` changes.

Full jitter (a wait drawn from all of zero to the bound) spreads 10,000 children that lost the same core far better
than a bound with a little noise. A parent that says when to come back spreads them itself, so that wait is kept.
"""

from skerry.sync.classes import LinkPlan

#: A dial right after a failure helps nobody.
WAIT_US_MIN = 200_000
#: A parent cannot send a child away for longer; 10,000 children are admitted in minutes.
BUSY_US_MAX = 3600 * 1_000_000
#: Doublings after which the bound stays: beyond every cap.
_DOUBLINGS_MAX = 16


class Backoff:
    """The waits of one child between its dials."""

    def __init__(self, plan: LinkPlan) -> None:
        self._plan = plan
        #: Failures since the last success.
        self.failures = 0

    def fail(self, uniform: float) -> int:
        """Count a failure and return how long to wait, in microseconds; ``uniform`` is drawn from [0, 1)."""
        bound = min(self._plan.backoff_us_min << min(self.failures, _DOUBLINGS_MAX), self._plan.backoff_us_max)
        self.failures += 1
        return max(int(bound * uniform), WAIT_US_MIN)

    def busy(self, retry_after_us: int) -> int:
        """Return how long to wait when the parent is there and asks for patience; this is no failure."""
        return min(max(retry_after_us, WAIT_US_MIN), BUSY_US_MAX)

    def succeed(self) -> None:
        """Start again from the shortest bound."""
        self.failures = 0
