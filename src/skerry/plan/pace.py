"""What may start now: back-off after failures, in boot-time microseconds."""

from skerry.model import limits


def start_delay_us(failures: int) -> int:
    """Wait before the next start after ``failures`` consecutive failed runs or actions: doubling, capped.

    No jitter: the instances of one node do not share a resource that a common moment could overload, and the planner
    stays a function of its arguments.
    """
    if failures <= 0:
        return 0
    return min(limits.RESTART_DELAY_US_MIN << min(failures - 1, 30), limits.RESTART_DELAY_US_MAX)
