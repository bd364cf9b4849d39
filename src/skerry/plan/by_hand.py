"""Restart, stop and start of one instance: by a person at the box (``local-control``), or by its owner from afar.

Pure. The owner's signed word says how much a person at the box may do: nothing, a restart, or everything. It is asked
when the person speaks and at each look again, so a newer revision that allows less ends what was said under an older
one. The owner may always, by a signed call, and only the owner ends what the owner stopped. A stop holds over reboots,
until somebody who may says start, the owner has the app restarted, or the site is not to have the instance any more.
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.document import Assignment
from skerry.model.ids import InstanceId
from skerry.model.observed import ContainerSeen
from skerry.model.policy import Policy
from skerry.model.signed import Call
from skerry.plan.history import HandVerb, Said
from skerry.plan.instances import Wanted

#: Words that name an instance whole: tenant, app, service, ordinal.
_WORDS = 4
_DONE: dict[HandVerb, str] = {"stop": "stopped it", "restart": "has it restarted", "start": "started it"}
_LIVE = ("running", "paused", "stopping")
#: What each grant of ``local-control`` lets a person do.
_ALLOWED: dict[str, tuple[HandVerb, ...]] = {"none": (), "restart": ("restart",), "full": ("restart", "stop", "start")}


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """What follows of what was said at the box."""

    #: Instances that are not to run now, each with the reason.
    held: dict[InstanceId, str] = {}
    #: What was said and is over: to be journaled.
    over: frozenset[InstanceId] = frozenset()


def judge_by_hand(
    wanted: Mapping[InstanceId, Wanted], said: Mapping[InstanceId, Said], containers: Iterable[ContainerSeen]
) -> ByHand:
    """Say what still holds of what was said, and which instances must not run for it."""
    live = {(seen.instance, seen.container, seen.started_us) for seen in containers if seen.state in _LIVE}
    held: dict[InstanceId, str] = {}
    over: set[InstanceId] = set()
    for name in sorted(said):
        word, item = said[name], wanted.get(name)
        if item is None or item.assignment.state != "run":
            continue
        allowed = word.owner or word.verb in _list_allowed(item)
        if not allowed or item.assignment.restart > word.counter:
            over.add(name)
        elif word.verb == "stop" or (name, word.container, word.started_us) in live:
            held[name] = _tell(word)
        else:
            over.add(name)
    return ByHand(held=held, over=frozenset(over))


def find_meant(wanted: Iterable[InstanceId], what: str) -> tuple[InstanceId, ...]:
    """Return the instances that a person means: one by its id, or all of ``TENANT/APP`` or ``TENANT/APP/SERVICE``."""
    steps = what.split("/")
    if not 2 <= len(steps) <= _WORDS:
        return ()
    return tuple(name for name in sorted(wanted) if name.split("/")[: len(steps)] == steps)


def refuse(verb: HandVerb, item: Wanted, said: Said | None = None) -> str:
    """Say why a person at the box may not do this; empty when it is allowed. ``said`` is what holds of it now."""
    if said is not None and said.owner and said.verb == "stop":
        return f"{_tell(said)}, and only its owner starts it again"
    if verb in _list_allowed(item):
        return ""
    word = (item.policy or Policy()).autonomy.local_control
    return f"its owner does not let a person at the box {verb} it: local-control is {word}"


def say(verb: HandVerb, unit: Assignment, containers: Iterable[ContainerSeen], call: Call | None = None) -> Said:
    """Return what is to be remembered of a stop or restart, with the run that it is about: it ends no later one.

    ``call`` is the owner's, where it was not a person at the box who spoke.
    """
    mine = [seen for seen in containers if seen.instance == f"{unit.tenant}/{unit.app}/{unit.service}/{unit.ordinal}"]
    run = next((seen for seen in sorted(mine, key=lambda seen: seen.container) if seen.state in _LIVE), None)
    return Said(
        verb=verb,
        counter=unit.restart,
        container="" if run is None else run.container,
        started_us=0 if run is None else run.started_us,
        owner=call is not None,
        by="" if call is None else call.by,
        reason="" if call is None else call.reason,
    )


def _tell(word: Said) -> str:
    """Say who stopped an instance, or has it restarted, and why."""
    who = "a person at the box" if not word.owner else f"its owner ({word.by})" if word.by else "its owner"
    return f"{who} {_DONE[word.verb]}{f': {word.reason}' if word.reason else ''}"


def _list_allowed(item: Wanted) -> tuple[HandVerb, ...]:
    return _ALLOWED[(item.policy or Policy()).autonomy.local_control]
