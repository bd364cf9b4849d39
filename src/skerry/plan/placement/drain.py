"""What may leave a site or a node that is drained: copies counted in all, without data of their own, few at a time.

A copy goes by being placed elsewhere under the same ordinal, so between its end here and its start there it is down;
the service's ``max-down`` says how many may be. Neighbour: ``stay.py`` moves what these functions let go.
"""

from collections.abc import Iterable

from msgspec import UnsetType

from skerry.model.ids import InstanceId, ServiceName, SiteName
from skerry.model.policy import Policy
from skerry.model.withdrawal import ONLY_ITS_TENANT, is_kept_from_core
from skerry.plan.budget import allow_down
from skerry.plan.placement.estate import Slot
from skerry.plan.placement.request import Request
from skerry.plan.report import AppReport
from skerry.plan.snapshot import SiteView

#: A service and an ordinal within one app.
Copy = tuple[ServiceName, int]

#: How soon copies that wait are looked at again: what moved before them needs about that long to start.
LOOK_US = 15_000_000
#: Phases in which a copy does what is wished of it.
_UP = ("ready", "done")


def list_up(sites: Iterable[SiteView]) -> frozenset[tuple[SiteName, InstanceId]]:
    """Name every instance that its site says is well; what a silent site said last counts."""
    return frozenset((view.site, fact.instance) for view in sites for fact in view.instances if fact.phase in _UP)


def find_anchor(request: Request, slot: Slot, *, is_closed: bool) -> str:
    """Say what keeps a copy at its site whatever room there is elsewhere; empty when it may go."""
    if is_kept_from_core(request.revision):
        return ONLY_ITS_TENANT
    if request.wish.placement.replicas.per_site and slot.view.is_closed:
        return "its manifest wants a copy at each site that it names"
    rules = request.wish.placement.rules
    if rules and rules.together:
        return "it is kept together with others, and they do not move as one"
    if any(mount.kind == "volume" for mount in request.wish.mounts):
        return "its volume is here, and volumes do not move"
    if slot.silent:
        return "the site is silent, so nobody knows whether the copy here has ended"
    if is_closed:
        return "the site waits for the app's newest revision"
    return ""


def find_wait(policy: Policy | UnsetType, copies: int, down: int) -> str:
    """Say that a copy which is well must wait for its sisters; empty when it may go now."""
    allowed = allow_down(policy, copies)
    if down < allowed:
        return ""
    return f"{down} of {copies} copies are down or on their way, and {allowed} may be"


def find_wake(reports: Iterable[AppReport], now_us: int) -> int:
    """Return when to plan again because copies wait for others; 0 for none."""
    return now_us + LOOK_US if any(each.waits for report in reports for each in report.staying) else 0
