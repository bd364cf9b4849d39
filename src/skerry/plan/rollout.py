"""``plan_rollout``: which sites may have the newest revision of an app now, and which have to go back.

Pure: the signed words, what was decided so far, what the sites report and the core's clock give the next decision. The
stages are the canary (0) and the waves (1 …). A decision never takes a revision from a site that has it but by the
tenant's own word ``on-failure: rollback``. What a site says of its health gate is its own judgement (``gate.py``).
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from skerry.model.facts import GateVerdict
from skerry.model.ids import AppName, Digest, SiteName, TenantName
from skerry.model.rollout import Rollout

#: ``running`` and ``baking`` go on by themselves, ``approval``, ``paused`` and ``halted`` wait for a person,
#: ``rolled-back``, ``aborted`` and ``done`` are the end.
Phase = Literal["running", "baking", "approval", "paused", "halted", "rolled-back", "aborted", "done"]
#: Phases in which no further site gets the revision.
_STOPPED = ("paused", "halted", "rolled-back", "aborted")
_REASONS_MAX = 5


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One site that the app is meant for, in the order of enrolment."""

    site: SiteName
    #: The site told that it holds the revision; from then on its silence is a failure.
    taken: bool = False
    verdict: GateVerdict = "none"
    reason: str = ""
    silent: bool = False
    #: It was let in and placement found no room there: that is told elsewhere, and holds up nobody else.
    unplaced: bool = False
    #: One of the canary sites that the tenant named.
    is_canary: bool = False
    #: What the site ran well before, as it says: what it may be sent back to.
    fallback: Digest | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided so far of one app's newest revision; the core keeps it."""

    tenant: TenantName
    app: AppName
    number: int
    revision: Digest
    phase: Phase = "running"
    #: 0 is the canary.
    stage: int = 0
    #: Sites that may have the revision, in the order in which they were let in.
    admitted: tuple[SiteName, ...] = ()
    #: Stages before this one may begin without a person's word.
    approved: int = 0
    #: Core wall time in microseconds at which the bake began; 0 while it has not.
    baking_us: int = 0
    #: Why it stopped, for people.
    reason: str = ""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A decision."""

    progress: Progress
    #: Sites that have to wait, each with the reason.
    waiting: dict[SiteName, str]
    #: Sites that go back, each to the revision that it proved before.
    back: dict[SiteName, Digest] = {}
    #: Core wall time at which to decide again even if nothing happens; 0 for none.
    wake_us: int = 0


def begin_rollout(tenant: TenantName, app: AppName, number: int, revision: Digest) -> Progress:
    """Return the progress of a revision that no site has yet."""
    return Progress(tenant=tenant, app=app, number=number, revision=revision)


def plan_rollout(words: Rollout, progress: Progress, sites: Sequence[Standing], now_us: int) -> Turn:
    """Decide. ``sites`` are all that the app is meant for; a site that is not among them is none of its business."""
    known = {each.site: each for each in sites}
    progress = msgspec.structs.replace(progress, admitted=tuple(site for site in progress.admitted if site in known))
    wake_us = 0
    # Each round ends one stage at most; an app of cut-off sites has nothing to wait for and passes through all.
    last = words.count_waves(sum(_counts(each, words) for each in sites))
    for _ in range(last + 3):
        before = progress
        if progress.phase in ("running", "baking"):
            progress, wake_us = _advance(words, progress, known, last, now_us)
        if progress == before:
            break
    return Turn(
        progress=progress,
        waiting=_name_waiting(words, progress, known),
        back=_name_returning(words, progress, known),
        wake_us=wake_us,
    )


def promote(words: Rollout, progress: Progress) -> Progress:
    """A person lets it go on: past the approval it waits for, or past the failures that halted or paused it."""
    if progress.phase == "approval":
        return msgspec.structs.replace(progress, phase="running", approved=progress.stage + 1)
    if progress.phase in ("paused", "halted"):
        return msgspec.structs.replace(progress, phase="running", reason="")
    if progress.phase == "baking":
        return _next_stage(progress)
    return progress


def pause(progress: Progress, reason: str) -> Progress:
    """A person stops it: no further site gets the revision; those that have it keep it."""
    if progress.phase in ("running", "baking", "approval"):
        return msgspec.structs.replace(progress, phase="paused", reason=reason)
    return progress


def abort(progress: Progress, reason: str) -> Progress:
    """A person ends it: sites that have it go back where the tenant's words allow it, and no other site gets it."""
    if progress.phase in ("done", "rolled-back", "aborted"):
        return progress
    return msgspec.structs.replace(progress, phase="aborted", reason=reason)


def name_stage(words: Rollout, stage: int) -> str:
    """Name a stage for people."""
    if stage == 0:
        return "canary"
    return f"wave {stage}" if words.repeats else f"wave {stage} of {len(words.waves)}"


def _advance(
    words: Rollout, progress: Progress, known: dict[SiteName, Standing], last: int, now_us: int
) -> tuple[Progress, int]:
    progress = _admit(words, progress, known, last)
    admitted = [known[site] for site in progress.admitted]
    counted = [each for each in admitted if _counts(each, words)]
    failed = [each for each in counted if _has_failed(each)]
    allowed = 0 if progress.stage == 0 else words.max_failed.at_most(len(counted))
    if len(failed) > allowed and words.on_failure != "continue":
        return _stop(words, progress, failed, len(counted)), 0
    if any(each.verdict != "proven" and not _has_failed(each) for each in counted):
        return msgspec.structs.replace(progress, phase="running", baking_us=0), 0
    if progress.stage == 0 and words.bake_us and counted:
        began_us = progress.baking_us or now_us
        # A clock that was set back must not make the bake last for ever.
        if began_us > now_us:
            began_us = now_us
        if now_us < began_us + words.bake_us:
            baking = msgspec.structs.replace(progress, phase="baking", baking_us=began_us)
            return baking, began_us + words.bake_us
    if progress.stage >= last:
        return msgspec.structs.replace(progress, phase="done", reason=""), 0
    asked = words.approve == "each-wave" or (words.approve == "canary" and progress.stage == 0)
    if asked and progress.approved <= progress.stage:
        return msgspec.structs.replace(progress, phase="approval"), 0
    return _next_stage(progress), 0


def _next_stage(progress: Progress) -> Progress:
    return msgspec.structs.replace(progress, phase="running", stage=progress.stage + 1, baking_us=0)


def _admit(words: Rollout, progress: Progress, known: dict[SiteName, Standing], last: int) -> Progress:
    """Let sites in until the stage is full. Under ``skip`` a site that is cut off takes no place in it."""
    admitted = dict.fromkeys(progress.admitted)
    named = [each.site for each in known.values() if each.is_canary]
    if words.canary_sites and progress.stage == 0:
        admitted.update(dict.fromkeys(named))
        return msgspec.structs.replace(progress, admitted=tuple(admitted))
    if progress.stage >= last:
        # The last wave is everybody, also those that are cut off or that come later.
        admitted.update(dict.fromkeys(known))
        return msgspec.structs.replace(progress, admitted=tuple(admitted))
    room = words.size_of(progress.stage, sum(_counts(each, words) for each in known.values()))
    room -= sum(_counts(known[site], words) for site in admitted)
    for each in known.values():
        if room <= 0:
            break
        if each.site not in admitted and _counts(each, words):
            admitted[each.site] = None
            room -= 1
    return msgspec.structs.replace(progress, admitted=tuple(admitted))


def _counts(each: Standing, words: Rollout) -> bool:
    """Say whether a site is in the denominator: not while it is cut off and has not taken the revision."""
    return not each.unplaced and (each.taken or not each.silent or words.offline_sites == "wait")


def _has_failed(each: Standing) -> bool:
    return each.verdict == "failed" or (each.silent and each.taken and each.verdict != "proven")


def _stop(words: Rollout, progress: Progress, failed: Sequence[Standing], counted: int) -> Progress:
    named = "; ".join(f"{each.site}: {each.reason or _why(each)}" for each in failed[:_REASONS_MAX])
    more = f"; and {len(failed) - _REASONS_MAX} more" if len(failed) > _REASONS_MAX else ""
    reason = f"{name_stage(words, progress.stage)}: {len(failed)} of {counted} sites failed: {named}{more}"
    phase: Phase = "rolled-back" if words.on_failure == "rollback" else "halted"
    return msgspec.structs.replace(progress, phase=phase, reason=reason)


def _why(each: Standing) -> str:
    return "fell silent after it took the revision" if each.silent else "did not pass its health gate"


def _name_waiting(words: Rollout, progress: Progress, known: Iterable[SiteName]) -> dict[SiteName, str]:
    """Name the sites that may not have the revision, each with what it waits for."""
    if progress.phase == "done":
        return {}
    admitted = set(progress.admitted)
    if progress.phase in _STOPPED:
        reason = f"the rollout of revision {progress.number} is {progress.phase}: {progress.reason}".rstrip(": ")
    elif progress.phase == "approval":
        reason = f"after the {name_stage(words, progress.stage)} revision {progress.number} waits for approval"
    else:
        reason = f"revision {progress.number} is at the {name_stage(words, progress.stage)}"
    return {site: reason for site in known if site not in admitted}


def _name_returning(words: Rollout, progress: Progress, known: dict[SiteName, Standing]) -> dict[SiteName, Digest]:
    """Name the sites that go back; one that proved nothing before keeps what it has."""
    if progress.phase not in ("rolled-back", "aborted") or words.on_failure != "rollback":
        return {}
    admitted = (known[site] for site in progress.admitted)
    return {each.site: each.fallback for each in admitted if each.fallback is not None}
