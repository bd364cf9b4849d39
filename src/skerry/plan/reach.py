"""No change of an app's networks cuts a node off for good: is the parent still heard under them?

Pure. Beside ``confirm.py``, which does the same for uplinks. Rules of this file:

1. Doubt begins when something is done for new networks of an app while the parent is heard, and ends with the first
   answer to what was asked after all of it was done. What is done while nobody is heard proves nothing either way, so a
   site that is cut off keeps what it has, and does what it still can, for as long as it takes.
2. Where doubt is not answered for ``patience_us`` the app goes back to the revision before, which its tenant signed and
   this node ran. Other apps are not touched. What was not there before the change goes with it.
3. Where the parent is heard after that, the change is to blame and not tried again until something else is signed.
   Where it is not heard for as long again, the site is cut off by something else: the change is tried again once the
   parent is heard, ``TRIES_MAX`` times in all, or comes back at once where nothing else of the app could run meanwhile.

All of it is journaled before it is done. Time counts by the boot-time clock alone, and stands while the machine is off.
"""

import functools
import hashlib
from collections.abc import Iterable

import msgspec

from skerry.model.app import AppRevision, Further, Service
from skerry.model.document import Assignment, NetworkPart, Unit
from skerry.model.facts import InstanceFact
from skerry.model.grants import NodeUse
from skerry.model.ids import Digest, InstanceId
from skerry.plan.actions import (
    Action,
    ApplyChains,
    ApplyEntrance,
    ApplyOverlay,
    ApplyQueues,
    ApplyRules,
    ApplyTranslation,
    CreateContainer,
    CreateNetwork,
    RemoveNetwork,
    StartContainer,
)
from skerry.plan.again import Again
from skerry.plan.confirm import MARK_US
from skerry.plan.gate import Judged
from skerry.plan.gates import Wished, find_wished
from skerry.plan.history import AppId, Grace, Reach
from skerry.plan.site_plan import HeldSite, PlanDraft

#: A change is tried so often while outages of other causes come in between; each try may start instances anew.
TRIES_MAX = 3
#: Apps of which the name of their networks is remembered.
_APPS_KNOWN = 1_000
_NAMES: Again[str] = Again(_APPS_KNOWN)
#: Phases of an instance for which the networks of its app are not yet all in use.
_COMING = ("waiting", "restarting")


class Reaches(msgspec.Struct, frozen=True, kw_only=True):
    """What to remember of the networks of apps, which verdicts follow, and whether the parent is to be asked."""

    reach: dict[AppId, Reach]
    gone: frozenset[AppId]
    stands: dict[AppId, int]
    judged: dict[AppId, Judged]
    asks_parent: bool


def name_networks(revision: AppRevision, units: Iterable[Unit]) -> str:
    """Name by its content all that an app changes of a node's links, routes and tables; empty where that is nothing.

    ``units`` are the site's; other sites of a network over several are left out: ways to them lead to its range alone.
    """
    key = revision.tenant, revision.app
    mine = [each for each in units if isinstance(each, Assignment | NetworkPart) and (each.tenant, each.app) == key]
    services = {each.service for each in mine if isinstance(each, Assignment)} & revision.services.keys()
    words = {
        name: (each.networks, each.ports, each.entrance or (), each.bandwidth or None, _list_further(each))
        for name, each in sorted(revision.services.items())
        if name in services
    }
    used = {network for name in services for network in revision.services[name].networks}
    parts = sorted((each.network, each.index) for each in mine if isinstance(each, NetworkPart))
    content = ({name: revision.networks.get(name) for name in sorted(used)}, words, revision.chains or (), parts)
    if not used and not any(any(each) for each in words.values()) and not content[2]:
        return ""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:32]


def _list_further(service: Service) -> tuple[object, ...]:
    """Return addresses of its own, whose network it shares, and whether it has the node's."""
    further = service.further or Further()
    host = (further.node or NodeUse()).host
    return tuple(each for each in (further.addresses, further.shares.get("network"), "network" in host) if each)


def judge_reach(draft: PlanDraft, wished: HeldSite, followed: HeldSite) -> Reaches:
    """Judge every app of this node by the whole plan that stands in ``draft``.

    ``followed`` is what the node follows: ``wished`` but for the apps that went back.
    """
    history, now_us, patience_us = draft.history, draft.now.boot_us, followed.patience_us
    known, heard = history.kept.reach, followed.linked
    found: dict[AppId, Reach] = {}
    judged: dict[AppId, Judged] = {}
    stands: dict[AppId, int] = {}
    asks = False
    newest = find_wished(wished)
    for app, one in find_wished(followed).items():
        before, verdict = known.get(app, Reach()), history.kept.judged.get(app)
        if verdict is not None and verdict.locked and verdict.revision == newest[app].digest:
            found[app] = after = _wait_back(draft, before, heard=heard, patience_us=patience_us)
            if after.stage == "trying":
                judged[app] = Judged(revision=verdict.revision, fallback=verdict.fallback)
            else:
                draft.wait(f"networks/{app}", _explain_back(verdict.reason, after))
            continue
        name = _NAMES.get(
            (followed.site, followed.node, app),
            (one.revision, followed.units),
            functools.partial(name_networks, one.revision, followed.units.values()),
        )
        # What a gate went back to was proved here before; an agent that did not ask yet has left an app that was well.
        is_older = one.digest != newest[app].digest or (
            app not in known and verdict is not None and (verdict.revision, verdict.verdict) == (one.digest, "proven")
        )
        after = Reach(good_name=name, good=one.digest) if is_older else _begin(before, one.digest, name)
        if after.stage in ("trying", "doubt"):
            is_moving = any(_touches(each, app) for each in draft.actions)
            if not is_moving:
                stands[app] = history.stands.get(app) or now_us
            if is_moving and heard and after.stage == "trying":
                after = msgspec.structs.replace(after, stage="doubt")
            elif after.stage == "doubt" and heard and 0 < stands.get(app, 0) <= followed.answered_us:
                after = msgspec.structs.replace(after, stage="trying")
            if after.stage == "doubt":
                after = _count(draft, after, heard=heard)
                asks = asks or (heard and app in stands)
                if _is_over(draft, after, patience_us) and _can_return(after, followed):
                    judged[app] = _take_back(one, after, patience_us)
                    after = msgspec.structs.replace(after, stage="back", away=Grace(0, history.boot, now_us))
            elif not is_moving and _is_whole(app, draft.facts):
                after = Reach(good_name=after.trying, good=one.digest)
        found[app] = after
    if judged:
        draft.wake(now_us + 1)  # what was decided now is followed by the next look
    return Reaches(
        reach={app: each for app, each in found.items() if known.get(app) != each},
        gone=frozenset(known.keys() - found.keys()),
        stands=stands,
        judged=judged,
        asks_parent=asks,
    )


def _begin(before: Reach, digest: Digest, name: str) -> Reach:
    """Say whether what is followed now is new here."""
    # The same revision with another service or another range here has nothing to go back to but itself.
    if not name or before.good == digest or (before.good is not None and name == before.good_name):
        return Reach(good_name=name, good=digest)
    if before.stage in ("trying", "doubt") and name == before.trying:
        return before
    return Reach(good_name=before.good_name, good=before.good, stage="trying", trying=name)


def _wait_back(draft: PlanDraft, before: Reach, *, heard: bool, patience_us: int) -> Reach:
    """Go on with what was taken back: is it to blame?"""
    again = msgspec.structs.replace(before, stage="trying", away=None, tries=before.tries + 1)
    is_last = before.tries + 1 >= TRIES_MAX
    if before.stage == "cleared":
        return again if heard else before
    if before.stage != "back":
        return before
    if heard:
        return msgspec.structs.replace(before, stage="blamed", away=None)
    after = _count(draft, before, heard=False)
    if not _is_over(draft, after, patience_us) or (is_last and after.good is not None):
        return after
    # Where nothing of the app runs it comes back: nobody is heard now, so nothing is concluded from it a second time.
    return again if after.good is None else msgspec.structs.replace(after, stage="cleared", away=None)


def _count(draft: PlanDraft, reach: Reach, *, heard: bool) -> Reach:
    """Count how long the parent has not been heard; written down at most each minute."""
    boot, now_us = draft.history.boot, draft.now.boot_us
    if heard:
        return msgspec.structs.replace(reach, away=None) if reach.away is not None else reach
    away = reach.away or Grace(0, boot, now_us)
    if away.boot != boot or now_us - away.mark_us >= MARK_US:
        away = Grace(away.until(boot, now_us), boot, now_us)
    return msgspec.structs.replace(reach, away=away)


def _is_over(draft: PlanDraft, reach: Reach, patience_us: int) -> bool:
    if reach.away is None:
        return False
    left_us = patience_us - reach.away.until(draft.history.boot, draft.now.boot_us)
    if left_us > 0:
        draft.wake(draft.now.boot_us + min(left_us, MARK_US))
    return left_us <= 0


def _can_return(reach: Reach, followed: HeldSite) -> bool:
    """Say whether the revision before is at hand; what runs is not ended for one that is lost."""
    return reach.good is None or reach.good in followed.fallbacks


def _take_back(one: Wished, reach: Reach, patience_us: int) -> Judged:
    reason = (
        f"under the networks of revision {one.revision.number} the core was not heard for"
        f" {patience_us // 1_000_000} s: {'it is held' if reach.good is None else 'the former ones hold again'},"
        " until another is signed"
    )
    return Judged(revision=one.digest, verdict="failed", fallback=reach.good, reason=reason, locked=True)


def _explain_back(reason: str, reach: Reach) -> str:
    if reach.stage != "cleared":
        return reason
    return f"{reason}, or until the core is heard: it is not heard under the former ones either"


def _is_whole(app: AppId, facts: Iterable[object]) -> bool:
    mine = [each for each in facts if isinstance(each, InstanceFact) and each.instance.startswith(f"{app}/")]
    return all(each.phase not in _COMING for each in mine)


def _touches(action: Action, app: AppId) -> bool:
    """Say whether an action may change how this node is reached, for an app whose networks are tried."""
    match action:
        case CreateNetwork() | RemoveNetwork():
            return f"{action.tenant}/{action.app}" == app
        case CreateContainer():
            return _is_of(action.spec.id, app)
        case StartContainer():
            return _is_of(action.instance, app)
        case ApplyRules() | ApplyTranslation() | ApplyChains() | ApplyEntrance() | ApplyOverlay() | ApplyQueues():
            return True
        case _:
            return False


def _is_of(instance: InstanceId, app: AppId) -> bool:
    return instance.startswith(f"{app}/")
