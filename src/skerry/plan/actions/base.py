"""What every action has, and what comes of one."""

import msgspec

from skerry.model.ids import CauseId
from skerry.model.observed import ProbePass


class BaseAction(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every action."""

    #: Why: ties the action to the wish, in events and logs.
    cause: CauseId = CauseId("")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an action. Failure is a value: the next plan decides what to do about it."""

    ok: bool
    #: Stable word such as ``E-DISK-FULL``, ``E-RUNTIME``, ``E-UNREACHABLE``, ``E-PORT-IN-USE``; empty when ok.
    code: str = ""
    #: One sentence for people.
    reason: str = ""
    #: Result of ``CheckHealth``; None for all others.
    healthy: bool | None = None
    #: Result of ``ProbeChain``: where its packets were seen; None for all others.
    passes: tuple[ProbePass, ...] | None = None


DONE = Outcome(ok=True)


def failed(code: str, reason: str) -> Outcome:
    """Make the outcome of an action that did not succeed."""
    return Outcome(ok=False, code=code, reason=reason)
