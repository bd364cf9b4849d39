"""When a node may begin with a revision: the windows that its tenant signed, by the site's trust clock.

Pure. What runs is never stopped for a window, and what was begun inside one is ended outside of it. Until a window
opens an app is what it was: the revision that is proven here is followed, or nothing new is started. A site that does
not know the time takes every window for closed and says so (manifest.md §6.4).
"""

from collections.abc import Iterable

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import Assignment
from skerry.model.ids import Digest, InstanceId
from skerry.model.observed import Observation
from skerry.model.rollout import DAY_MIN, TimeWindow
from skerry.plan.derive import Derived, derive_instance
from skerry.plan.gate import Judged, find_fallback
from skerry.plan.gates import find_wished, follow_instead, return_to_proven
from skerry.plan.history import AppId, History, app_id
from skerry.plan.site_plan import HeldSite, Now

#: Condition of a site that needs the time and has not been told it since its agent began. Its core gives its document
#: a new number then, which bears a signed time.
TIME_UNKNOWN = "time-unknown"
_MINUTE_US = 60_000_000
#: 1 January 1970 was a Thursday.
_FIRST_DAY = 3


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """What the node follows meanwhile."""

    held: HeldSite
    #: Apps whose newest revision waits, each with the reason.
    waiting: dict[AppId, str] = {}
    #: Those of them of which nothing is proven here that could be followed: nothing of them is started.
    stopped: frozenset[AppId] = frozenset()
    #: Images that the waiting revisions need and that are fetched already.
    images: tuple[AppRevision, ...] = ()
    #: Boot time at which a window opens; 0 for not known.
    wake_us: int = 0


def defer_revisions(held: HeldSite, observed: Observation, history: History, now: Now) -> Deferred:
    """Find the revisions whose window is closed, and put what is proven in their place."""
    waiting: dict[AppId, str] = {}
    stopped: set[AppId] = set()
    images: list[AppRevision] = []
    wakes: list[int] = []
    followed = held
    for name, wished in find_wished(held).items():
        windows = (wished.revision.rollout.windows or ()) if wished.revision.rollout else ()
        if not windows:
            continue
        judged = history.kept.judged.get(name)
        if judged is not None and judged.revision == wished.digest and judged.verdict != "watching":
            continue
        reason, left_us = judge_windows(windows, now)
        if not reason:
            continue
        fallback = find_fallback(judged, wished.digest)
        fallback = fallback if fallback in held.fallbacks else None
        if _has_begun(held, name, wished.digest, fallback, observed, judged):
            continue
        waiting[name] = reason
        if left_us:
            wakes.append(now.boot_us + left_us)
        if wished.revision.rollout and wished.revision.rollout.prefetch:
            images.append(wished.revision)
        if fallback is None:
            stopped.add(name)
        else:
            followed = follow_instead(followed, name, fallback)
    return Deferred(
        held=followed,
        waiting=waiting,
        stopped=frozenset(stopped),
        images=tuple(images),
        wake_us=min(wakes, default=0),
    )


def find_followed(held: HeldSite, observed: Observation, history: History, now: Now) -> HeldSite:
    """Return what a node follows: what is proven here of apps that wait or whose newest revision was given up."""
    return return_to_proven(defer_revisions(held, observed, history, now).held, history.kept.judged)


def judge_windows(windows: Iterable[TimeWindow], now: Now) -> tuple[str, int]:
    """Say why all windows are closed, and in how many microseconds the first opens; nothing when one is open."""
    if not now.trust_us:
        return "its site does not know the time since it was started: its window counts as closed", 0
    lefts: list[int] = []
    for window in windows:
        offset_us = 0 if window.zone == "utc" else now.offset_us
        if offset_us is not None:
            lefts.append(_until_open(window, (now.trust_us + offset_us) // _MINUTE_US))
    if 0 in lefts:
        return "", 0
    if not lefts:
        return "its site has no label timezone that the node knows: its window counts as closed", 0
    ahead_us = min(lefts) * _MINUTE_US
    return f"its window is closed for another {_tell(min(lefts))}", ahead_us - now.trust_us % _MINUTE_US


def _until_open(window: TimeWindow, minute: int) -> int:
    """Return in how many minutes a window opens, 0 while it is open; ``minute`` is local and counted since 1970."""
    length = (window.end_min - window.start_min) % DAY_MIN or DAY_MIN
    day = minute // DAY_MIN
    # The window of yesterday may go on; within a week and a day each day of the week begins once.
    for start in (each * DAY_MIN + window.start_min for each in range(day - 1, day + 8) if _is_on(window, each)):
        if start <= minute < start + length:
            return 0
        if start > minute:
            return start - minute
    return 0


def _is_on(window: TimeWindow, day: int) -> bool:
    return not window.days or (day + _FIRST_DAY) % 7 in window.days


def _tell(minutes: int) -> str:
    """Say roughly how long: a fact that changed each minute would cost a message each time."""
    if minutes >= 2 * DAY_MIN:
        return f"{minutes // DAY_MIN} days"
    return f"{-(-minutes // 60)} h"


def _has_begun(
    held: HeldSite,
    app: AppId,
    digest: Digest,
    fallback: Digest | None,
    observed: Observation,
    judged: Judged | None,
) -> bool:
    """Say whether a container is here that only the new revision can have asked for, or whether it changes nothing.

    One that makes no container anew waits for nothing in its window: it is begun once it has come under watch.
    """
    fresh = _derive(held, app, held.revisions[digest], digest)
    before = _derive(held, app, held.fallbacks[fallback], fallback) if fallback is not None else {}
    changed = {spec for instance, spec in fresh.items() if before.get(instance) != spec}
    if changed:
        return any(seen.spec in changed for seen in observed.containers)
    if judged is not None and judged.revision == digest:
        return True
    return fresh == before and (fallback is None or _leads_alike(held.revisions[digest], held.fallbacks[fallback]))


def _leads_alike(one: AppRevision, other: AppRevision) -> bool:
    """Say whether people and packets are led to instances in the same way under both."""
    ways = [({name: each.entrance or () for name, each in of.services.items()}, of.chains or ()) for of in (one, other)]
    return ways[0] == ways[1]


def _derive(held: HeldSite, app: AppId, revision: AppRevision, digest: Digest) -> dict[InstanceId, Digest]:
    found: dict[InstanceId, Digest] = {}
    for unit in held.units.values():
        if isinstance(unit, Assignment) and unit.node == held.node and app_id(unit) == app:
            secrets = {secret: version for (tenant, secret), version in held.secrets.items() if tenant == unit.tenant}
            assigned = msgspec.structs.replace(unit, revision=digest)
            derived = derive_instance(revision, assigned, held.record, secrets)
            if isinstance(derived, Derived):
                found[derived.spec.id] = derived.digest
    return found
