"""Commands that the agent runs inside an instance after a start (``post_start``), as far as they are decided. Pure.

They run once for each start. The runtime's driver writes down that they have begun before the first of them begins, so
an agent that dies meanwhile finds that they were cut off and runs none of them again: the instance is told as unwell
and runs on, as it does after a command that failed. Another start runs them afresh.
"""

from typing import Literal

import msgspec

from skerry.model.instance import InstanceSpec
from skerry.model.observed import ContainerSeen

CUT_OFF = "the agent ended while its post_start commands ran, and none of them is run twice: restart it"


class Standing(msgspec.Struct, frozen=True):
    """How far the commands of a running instance have come; ``reason`` for all but ``done`` and ``due``."""

    state: Literal["due", "running", "done", "failed"]
    reason: str = ""


def judge_hooks(spec: InstanceSpec, seen: ContainerSeen, *, busy: bool) -> Standing:
    """Say so; ``busy``: an action on the instance is under way."""
    if not spec.further or not spec.further.post_start:
        return Standing("done")
    if seen.hooks is None:
        return Standing("due", "its post_start commands have not run yet")
    match seen.hooks.state:
        case "done":
            return Standing("done")
        case "begun" if busy:
            return Standing("running", "its post_start commands run")
        case "begun":
            return Standing("failed", CUT_OFF)
        case "failed":
            return Standing("failed", seen.hooks.reason)
