"""The health gates of a node: which revision of each app it runs, and what it says of the newest one.

Pure. ``gate.py`` judges one app; here its judgement meets what the node holds. Rule: an app that goes back goes back
whole, to what its tenant signed then: services that are new since stop, services that have gone since come again.
"""

from collections.abc import Iterable, Mapping
from typing import TypeGuard

import msgspec
from msgspec import UNSET

from skerry.model.app import AppRevision
from skerry.model.document import Assignment, Unit, unit_id
from skerry.model.facts import Fact, InstanceFact
from skerry.model.ids import Digest, UnitId
from skerry.plan.again import Again
from skerry.plan.gate import Judged, Watch, choose_revision, find_fallback, gate_fact, judge_app
from skerry.plan.history import AppId, History, Kept, app_id
from skerry.plan.site_plan import HeldSite, PlanDraft


class Wished(msgspec.Struct, frozen=True):
    """The newest revision of an app that the document assigns to this node."""

    digest: Digest
    revision: AppRevision
    back: bool


#: A node's document and what it falls back to, and as much of some more nodes, where one process has many.
_NODES_KNOWN = 64
_WISHED: Again[dict[AppId, Wished]] = Again(_NODES_KNOWN)


class Verdicts(msgspec.Struct, frozen=True):
    """What to journal of the apps' gates, what to keep in mind, and which apps are no longer here."""

    judged: dict[AppId, Judged]
    watches: dict[AppId, Watch]
    gone: frozenset[AppId]


def return_to_proven(held: HeldSite, judged: Mapping[AppId, Judged]) -> HeldSite:
    """Return what the node is to follow: where a revision was given up, the assignments of the one before it.

    One whose networks cut the node off and that has none before it is held.
    """
    for name, wished in find_wished(held).items():
        verdict = judged.get(name)
        chosen = choose_revision(wished.revision, wished.digest, verdict, held.fallbacks)
        if verdict is not None and verdict.locked and verdict.revision == wished.digest and verdict.fallback is None:
            held = _shut_out(held, name, verdict.reason)
        if chosen != wished.digest:
            held = follow_instead(held, name, chosen)
            held = msgspec.structs.replace(held, returned=held.returned | {name})
    return held


def _shut_out(held: HeldSite, app: AppId, reason: str) -> HeldSite:
    units: dict[UnitId, Unit] = {
        name: msgspec.structs.replace(unit, state="hold") if _is_mine(unit, held) and app_id(unit) == app else unit
        for name, unit in held.units.items()
    }
    return msgspec.structs.replace(held, units=units, locked={**held.locked, app: reason})


def follow_instead(held: HeldSite, app: AppId, digest: Digest) -> HeldSite:
    """Put the assignments of a revision that is kept to go back to in the place of an app's."""
    units: dict[UnitId, Unit] = dict(held.units)
    mine = [unit for unit in held.units.values() if _is_mine(unit, held) and app_id(unit) == app]
    for unit in mine:
        del units[unit_id(unit)]
    units |= {unit_id(unit): unit for unit in _assign_again(mine, digest, held.fallbacks[digest])}
    revisions = {**held.revisions, digest: held.fallbacks[digest]}
    return msgspec.structs.replace(held, units=units, revisions=revisions)


def judge_apps(
    draft: PlanDraft, held: HeldSite, history: History, facts: Iterable[Fact], deferred: Mapping[AppId, str]
) -> Verdicts:
    """Judge every app of this node by the facts of its instances, and tell the core of those that have a gate.

    Those in ``deferred`` wait for their window, each with the reason: their gates stand as they are.
    """
    by_app: dict[AppId, list[InstanceFact]] = {}
    for fact in facts:
        if isinstance(fact, InstanceFact):
            by_app.setdefault(AppId("/".join(fact.instance.split("/")[:2])), []).append(fact)
    changed: dict[AppId, Judged] = {}
    watches: dict[AppId, Watch] = {}
    wished = find_wished(held)
    for name, one in wished.items():
        before = history.kept.judged.get(name)
        if name in deferred:
            fallback = find_fallback(before, one.digest)
            unjudged = Judged(revision=one.digest, verdict="none", fallback=fallback, reason=deferred[name])
            told = gate_fact(one.revision, one.digest, unjudged, held.node)
            if told is not None:
                draft.facts.append(told)
            continue
        judged, watches[name], wake_us = judge_app(
            one.revision,
            one.digest,
            before,
            history.watches.get(name),
            by_app.get(name, ()),
            draft.now.boot_us,
            back=one.back,
        )
        draft.wake(wake_us)
        if judged != before:
            changed[name] = judged
            # What was decided now is followed by the next look.
            draft.wake(draft.now.boot_us + 1)
        told = gate_fact(one.revision, one.digest, judged, held.node)
        if told is not None:
            draft.facts.append(told)
    return Verdicts(changed, watches, frozenset(history.kept.judged.keys() - wished.keys()))


def find_wished(held: HeldSite) -> dict[AppId, Wished]:
    """Find the newest revision of each app that this node is assigned and holds."""
    name, arguments = (held.site, held.node, held.returned), (held.units, held.revisions, held.refused.keys())
    return dict(_WISHED.get(name, arguments, lambda: _find_wished(held)))


def _find_wished(held: HeldSite) -> dict[AppId, Wished]:
    found: dict[AppId, Wished] = {}
    for name in sorted(held.units):
        unit = held.units[name]
        if not _is_mine(unit, held) or name in held.refused:
            continue
        revision = held.revisions.get(unit.revision)
        if revision is None:
            continue
        app = app_id(unit)
        known = found.get(app)
        if known is None or known.revision.number < revision.number:
            found[app] = Wished(unit.revision, revision, unit.back is not UNSET)
    return found


def list_needed(kept: Kept) -> frozenset[Digest]:
    """List the revisions that a node must not forget: what it proved may be what it goes back to."""
    needed = {each.fallback for each in kept.judged.values() if each.fallback is not None}
    needed |= {each.good for each in kept.reach.values() if each.good is not None}
    return frozenset(needed | {each.revision for each in kept.judged.values() if each.verdict == "proven"})


def _is_mine(unit: Unit, held: HeldSite) -> TypeGuard[Assignment]:
    return isinstance(unit, Assignment) and unit.node == held.node


def _assign_again(units: list[Assignment], digest: Digest, revision: AppRevision) -> list[Assignment]:
    """Assign the services of ``revision``: as many as belong at each site, and of a total those that are here now."""
    like = units[0]
    again: list[Assignment] = []
    for service, words in revision.services.items():
        replicas = words.placement.replicas
        ordinals = [unit.ordinal for unit in units if unit.service == service and unit.ordinal < replicas.total]
        if replicas.per_site:
            ordinals = list(range(replicas.per_site))
        again += [
            msgspec.structs.replace(like, service=service, ordinal=ordinal, revision=digest, back=UNSET)
            for ordinal in ordinals
        ]
    return again
