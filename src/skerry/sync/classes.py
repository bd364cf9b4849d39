"""What depends on the class of a link: how often it speaks, how long it stays away, how fresh facts are.

Goals for an idle link, headers counted: at most 30 kB an hour wired, 1 kB an hour by satellite (link.md §2).
"""

import msgspec

from skerry.wire import LinkClass

SECOND_US = 1_000_000

#: Whatever a parent says, a child speaks at most this often and at least this seldom.
HEARTBEAT_US_MIN = 5 * SECOND_US
HEARTBEAT_US_MAX = 3600 * SECOND_US


class LinkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The timing of one class of links, in microseconds."""

    #: Longest silence of a child that has nothing to say.
    heartbeat_us: int
    #: First and longest wait between two dials; the real wait is drawn below it.
    backoff_us_min: int
    backoff_us_max: int
    #: Shortest time between two patches of facts: what changes often is sent once per interval.
    facts_pace_us: int
    #: Time between two samples of use when nobody watches, and the shortest when somebody does.
    samples_us: int
    samples_us_min: int
    #: Bytes that samples may cost in an hour when nobody watches: long ones come the more seldom.
    samples_bytes_per_hour: int


LINK_PLANS: dict[LinkClass, LinkPlan] = {
    "wired": LinkPlan(
        heartbeat_us=30 * SECOND_US,
        backoff_us_min=SECOND_US,
        backoff_us_max=60 * SECOND_US,
        facts_pace_us=SECOND_US,
        samples_us=900 * SECOND_US,
        samples_us_min=30 * SECOND_US,
        samples_bytes_per_hour=2_000,
    ),
    "mobile": LinkPlan(
        heartbeat_us=60 * SECOND_US,
        backoff_us_min=2 * SECOND_US,
        backoff_us_max=120 * SECOND_US,
        facts_pace_us=5 * SECOND_US,
        samples_us=1800 * SECOND_US,
        samples_us_min=60 * SECOND_US,
        samples_bytes_per_hour=1_000,
    ),
    "satellite": LinkPlan(
        heartbeat_us=900 * SECOND_US,
        backoff_us_min=5 * SECOND_US,
        backoff_us_max=300 * SECOND_US,
        facts_pace_us=60 * SECOND_US,
        samples_us=4 * 3600 * SECOND_US,
        samples_us_min=900 * SECOND_US,
        samples_bytes_per_hour=50,
    ),
}
#: By class, when the operator sets nothing else.
HEARTBEATS_US: dict[LinkClass, int] = {name: plan.heartbeat_us for name, plan in LINK_PLANS.items()}


def clamp_heartbeat(heartbeat_us: int) -> int:
    """Return the heartbeat interval that is kept when a parent names this one."""
    return min(max(heartbeat_us, HEARTBEAT_US_MIN), HEARTBEAT_US_MAX)
