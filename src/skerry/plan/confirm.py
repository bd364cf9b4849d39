"""Commit-confirmed: no wish of an operator about a node's own network cuts the node off for good.

Pure. New wishes are tried; the way they have proved themselves is that the parent is heard over a link that was made
anew under them. Where that has not happened in ``PATIENCE_US`` the former wishes hold again, and the same new ones are
not tried a second time: only other ones are. What is tried and what was taken back is journaled before it is done, and
time counts by the boot-time clock alone, as everywhere. What passes while the machine is off does not count.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from skerry.model.uplinks import Uplink
from skerry.plan.history import Confirming, Grace

#: How long new wishes are tried without the parent; faults.md §2.1 has sites that take minutes to come back by mobile.
PATIENCE_US = 300_000_000
#: Wishes are done piece by piece, so a link that came back in the first moments proves nothing yet.
SETTLE_US = 30_000_000
#: How often the time of a trial is written down: what a cut of the power may cost of it.
MARK_US = 60_000_000


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What holds now."""

    uplinks: Mapping[str, Uplink]
    #: Names what holds: a link that was made under another name says nothing of this one.
    name: str
    #: To be journaled; None when it is as it was.
    confirming: Confirming | None = None
    #: Why the newest wishes do not hold; empty where they do.
    refused_why: str = ""
    #: They are being tried.
    is_trial: bool = False
    #: Boot time at which something changes; 0 for never.
    wake_us: int = 0


def name_wishes(uplinks: Mapping[str, Uplink]) -> str:
    """Name wishes by their content."""
    content = msgspec.json.encode(dict(uplinks), order="deterministic")
    return hashlib.sha256(content).hexdigest()[:32]


def judge_wishes(
    wished: Mapping[str, Uplink],
    kept: Confirming,
    *,
    linked_us: int,
    boot: str,
    now_us: int,
    patience_us: int = PATIENCE_US,
) -> Standing:
    """Say which wishes hold. ``linked_us`` is since when the parent is heard without a break; 0 while it is not."""
    good, name = kept.good, name_wishes(wished)
    if dict(wished) == good:
        clean = Confirming(good=good)
        return Standing(uplinks=good, name=name, confirming=None if kept == clean else clean)
    if name == kept.refused:
        return Standing(uplinks=good, name=name_wishes(good), refused_why=kept.reason)
    if name != kept.trying:
        begun = Confirming(good=good, trying=name, since=Grace(0, boot, now_us), began_boot=boot, began_us=now_us)
        return Standing(
            uplinks=wished, name=name, confirming=begun, is_trial=True, wake_us=now_us + min(SETTLE_US, patience_us)
        )
    tried_us = kept.since.until(boot, now_us)
    is_fresh = linked_us > 0 and (boot != kept.began_boot or linked_us > kept.began_us)
    if is_fresh and tried_us >= min(SETTLE_US, patience_us):
        return Standing(uplinks=wished, name=name, confirming=Confirming(good=dict(wished)))
    if tried_us >= patience_us and not is_fresh:
        reason = f"under the uplinks that were wished last the core was not heard for {patience_us // 1_000_000} s"
        why = f"{reason}: the former ones hold again, until others are wished"
        back = Confirming(good=good, refused=name, reason=why)
        return Standing(uplinks=good, name=name_wishes(good), confirming=back, refused_why=why)
    marked = None
    if kept.since.boot != boot or now_us - kept.since.mark_us >= MARK_US:
        marked = msgspec.structs.replace(kept, since=Grace(tried_us, boot, now_us))
    left_us = (min(SETTLE_US, patience_us) if is_fresh else patience_us) - tried_us
    return Standing(
        uplinks=wished,
        name=name,
        confirming=marked,
        is_trial=True,
        wake_us=now_us + max(min(left_us, MARK_US), 1),
    )
