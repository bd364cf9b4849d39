"""The health gate of a site: has a revision proved itself here, and what to go back to when it has not.

Pure. A site judges for itself and keeps its verdict, with or without the core: a revision that is not well in time
gives way to the last one that was, where its tenant signed ``on-failure: rollback``. A restart of the agent or of the
machine begins the watch anew, so a revision is never proven by time that nobody watched (faults.md P2).
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.app import AppRevision
from skerry.model.facts import AppFact, GateVerdict, InstanceFact
from skerry.model.ids import AppName, Digest, NodeName, TenantName
from skerry.model.rollout import Gate

AppKey = tuple[TenantName, AppName]

#: Phases in which a service is as its revision wants it.
_WELL = ("ready", "done")
#: A revision without words of its own is proven as soon as all of it is well, and is never given up.
_SILENT_GATE = Gate(healthy_us=0, timeout_us=0)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal keeps of an app: the revision that is wished, the verdict on it, and what was proven before."""

    revision: Digest
    verdict: GateVerdict = "watching"
    #: The last other revision that passed here; None when none did.
    fallback: Digest | None = None
    #: Why it failed, for people.
    reason: str = ""
    #: It failed because under its networks the parent was not heard (``plan/reach.py``): the node's own safety, which
    #: needs no word of the tenant.
    locked: bool = False


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What this process has seen of the revision under watch, by the boot-time clock; 0 where it has not begun."""

    revision: Digest
    began_us: int = 0
    well_us: int = 0


def judge_app(
    wished: AppRevision,
    digest: Digest,
    judged: Judged | None,
    watch: Watch | None,
    facts: Iterable[InstanceFact],
    now_us: int,
    *,
    back: bool = False,
) -> tuple[Judged, Watch, int]:
    """Judge the wished revision by the facts of its instances here; return verdict, watch and when to look again (0
    for only when something happens).

    ``facts`` are of this app and node. While the revision is given up they are of the fallback and say nothing.
    ``back`` is the core's word that the rollout was taken back; it counts where the tenant allows that.
    """
    if judged is None or judged.revision != digest:
        judged = Judged(revision=digest, fallback=find_fallback(judged, digest))
    if watch is None or watch.revision != digest:
        watch = Watch(revision=digest)
    if back and may_return(wished) and judged.fallback is not None and judged.verdict != "failed":
        return msgspec.structs.replace(judged, verdict="failed", reason="its rollout was taken back"), watch, 0
    if judged.verdict != "watching":
        return judged, watch, 0
    gate = wished.rollout.gate if wished.rollout else _SILENT_GATE
    mine = [fact for fact in facts if fact.revision == digest]
    if not watch.began_us:
        if not mine or all(fact.phase in ("waiting", "held") for fact in mine):
            return judged, watch, 0  # images are on their way, or the app is paused: its time has not begun
        watch = msgspec.structs.replace(watch, began_us=now_us)
    if any(fact.phase in ("held", "stopped", "refused") for fact in mine):
        return judged, msgspec.structs.replace(watch, began_us=0, well_us=0), 0
    unwell = [fact for fact in mine if fact.phase not in _WELL]
    if not unwell:
        watch = watch if watch.well_us else msgspec.structs.replace(watch, well_us=now_us)
        proven_us = watch.well_us + gate.healthy_us
        if now_us >= proven_us:
            return msgspec.structs.replace(judged, verdict="proven"), watch, 0
        return judged, watch, proven_us
    watch = msgspec.structs.replace(watch, well_us=0)
    if not wished.rollout:
        return judged, watch, 0
    over_us = watch.began_us + gate.timeout_us
    if now_us < over_us:
        return judged, watch, over_us
    names = ", ".join(sorted(f"{fact.instance.split('/')[2]} is {fact.phase}" for fact in unwell)[:3])
    reason = f"not well within {gate.timeout_us // 1_000_000} s: {names}"
    return msgspec.structs.replace(judged, verdict="failed", reason=reason), watch, 0


def may_return(wished: AppRevision) -> bool:
    """Say whether the tenant allows a site to go back from this revision to its last proven one."""
    return bool(wished.rollout) and wished.rollout.on_failure == "rollback"


def choose_revision(
    wished: AppRevision, digest: Digest, judged: Judged | None, held: Mapping[Digest, AppRevision]
) -> Digest:
    """Return the revision to run: the wished one, or the fallback when that was given up and may be."""
    if judged is None or judged.revision != digest or judged.verdict != "failed":
        return digest
    if not may_return(wished) and not judged.locked:
        return digest
    fallback = judged.fallback
    if fallback is None or fallback not in held:
        return digest
    return fallback


def gate_fact(wished: AppRevision, digest: Digest, judged: Judged, node: NodeName) -> AppFact | None:
    """Return what the core is told of the gate; nothing for a revision that has none."""
    if not wished.rollout:
        return None
    return AppFact(
        tenant=wished.tenant,
        app=wished.app,
        node=node,
        revision=digest,
        number=wished.number,
        verdict=judged.verdict,
        fallback=judged.fallback or Digest(""),
        reason=judged.reason,
    )


def find_fallback(judged: Judged | None, digest: Digest) -> Digest | None:
    """Return what stays proven when a revision is wished; one that was never proven is no fallback."""
    if judged is None:
        return None
    if judged.revision == digest:
        return judged.fallback
    return judged.revision if judged.verdict == "proven" else judged.fallback
