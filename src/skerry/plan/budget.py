"""How many copies of a service may be down at once by choice: what ``max-down`` means. Pure.

By choice is what a planner begins although it could wait: a drain, an update, a preemption, a move. What fails, or
stops because its owner's ``autonomy`` or a person at the box says so, is down by no choice of a planner and uses the
budget up all the same. What is down already may be replaced at any time: that costs nothing and may be the cure.

Copies that stand for one another share a budget: those at one site where each site has its own, else all of them. A
site keeps it for the copies that it has, and the core for what it moves and for the sites that it lets in.
"""

from msgspec import UnsetType

from skerry.model.policy import Policy


def allow_down(policy: Policy | UnsetType, copies: int) -> int:
    """Return how many of ``copies`` may be down at once; a percentage is rounded down, and one always may be."""
    wished = policy or Policy()
    return max(1, wished.max_down or wished.max_down_permille * copies // 1000)


def is_said(policy: Policy | UnsetType) -> bool:
    """Say whether the owner said how many; without a word it is one."""
    return bool(policy) and bool(policy.max_down or policy.max_down_permille)
