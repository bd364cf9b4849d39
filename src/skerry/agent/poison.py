"""Planning that no single unit can break: one on which the planner breaks is left out, and after some tries for good.

Rule (R6): what runs goes on and the link stays up, whatever a document holds, because the cure comes over the link.
"""

from collections.abc import Callable, Iterable

import msgspec

from skerry.model import limits
from skerry.model.facts import Fact
from skerry.model.ids import UnitId
from skerry.model.observed import Observation
from skerry.plan.history import History
from skerry.plan.report import Wait
from skerry.plan.site import plan_site
from skerry.plan.site_plan import HeldSite, Now, SitePlan

#: A planner that breaks on no single unit is tried again after this.
BROKEN_US = 60_000_000


class CarefulPlanner:
    """Plans for one node. ``last_facts`` gives what was reported last, which stands where nothing can be planned."""

    def __init__(self, last_facts: Callable[[], tuple[Fact, ...]]) -> None:
        self._last_facts = last_facts
        self._crashes: dict[UnitId, int] = {}

    def plan(self, held: HeldSite, observed: Observation, history: History, now: Now, busy: frozenset[str]) -> SitePlan:
        """Plan; when a unit makes the planner break, plan without it and quarantine it after some tries (R6)."""
        held = self._without_quarantined(held)
        try:
            return plan_site(held, observed, history, now, busy)
        except Exception as error:
            reason = f"the planner breaks on it: {type(error).__name__}"
        culprits = [name for name in sorted(held.units) if not _can_plan(held, name, observed, history, now)]
        for name in culprits:
            self._crashes[name] = self._crashes.get(name, 0) + 1
        refused = {**held.refused, **dict.fromkeys(culprits, ("E-POISON", reason))}
        try:
            return plan_site(msgspec.structs.replace(held, refused=refused), observed, history, now, busy)
        except Exception as error:
            # No unit alone is to blame. What runs goes on, and the link stays up, over which the cure comes.
            wait = Wait(subject="planner", reason=f"the planner broke: {type(error).__name__}: {error}")
            return SitePlan(waits=(wait,), facts=self._last_facts(), led=history.led, wake_us=now.boot_us + BROKEN_US)

    def forget_crashes(self, changed: Iterable[UnitId]) -> None:
        """A new document changed these units: they get a fresh start."""
        for name in changed:
            self._crashes.pop(name, None)

    def _without_quarantined(self, held: HeldSite) -> HeldSite:
        poison = {
            name: ("E-POISON", "it broke the planner too often and is left out until the document changes it")
            for name, count in self._crashes.items()
            if count >= limits.CRASHES_BEFORE_QUARANTINE and name in held.units
        }
        return msgspec.structs.replace(held, refused={**held.refused, **poison}) if poison else held


def _can_plan(held: HeldSite, name: UnitId, observed: Observation, history: History, now: Now) -> bool:
    alone = msgspec.structs.replace(held, units={name: held.units[name]})
    try:
        plan_site(alone, observed, history, now)
    except Exception:
        return False
    return True
