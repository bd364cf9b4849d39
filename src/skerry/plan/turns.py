"""Whose turn it is: copies of a service that are changed at one site, so many at once as its tenant signed. Pure.

Only what takes something away waits: a copy that has nothing running is started at once. A copy that does not become
well holds up the others, until the health gate gives its revision up, or as far as its tenant bears failures.
A second copy that is to stand beside the first takes room of the node: where that is short it waits, because stopping
the first one would be what its tenant signed against; a rollout gives such a revision up when its time is over.
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.app import Resources
from skerry.model.document import Assignment
from skerry.model.ids import AppName, InstanceId, ServiceName, TenantName
from skerry.model.observed import ContainerSeen, NodeSeen
from skerry.model.rollout import InSite
from skerry.plan.history import History
from skerry.plan.hooks import judge_hooks
from skerry.plan.instances import LIVE, Wanted, stays

#: How soon the room of a node is looked at again: memory comes back without anything that the site would hear of.
LOOK_US = 15_000_000

_Group = tuple[TenantName, AppName, ServiceName]
_Seen = Mapping[InstanceId, list[ContainerSeen]]


class Turns(msgspec.Struct, frozen=True):
    """The instances whose turn has not come, each with the reason, and the boot time to look again; 0 for none."""

    waiting: dict[InstanceId, str]
    wake_us: int = 0


def find_turns(
    wanted: Mapping[InstanceId, Wanted],
    containers: Iterable[ContainerSeen],
    history: History,
    node: NodeSeen | None,
    now_us: int,
    over: Mapping[InstanceId, str],
) -> Turns:
    """Say who waits. ``node`` is the machine as it was seen; None means that nobody knows its room.

    ``over`` are those that wait because too many are down, each with the reason: they take nobody's turn.
    """
    seen: dict[InstanceId, list[ContainerSeen]] = {}
    for each in containers:
        seen.setdefault(each.instance, []).append(each)
    groups: dict[_Group, list[InstanceId]] = {}
    for name in sorted(wanted, key=lambda name: wanted[name].assignment.ordinal):
        if wanted[name].in_site:
            groups.setdefault(_group(wanted[name].assignment), []).append(name)
    waiting = dict(over)
    wakes: list[int] = []
    turned: list[InstanceId] = []
    for group in sorted(groups):
        names = groups[group]
        untouched = [name for name in names if name not in over and _is_untouched(wanted[name], seen.get(name, ()))]
        changing = [name for name in names if _is_changing(name, wanted[name], seen.get(name, ()), history)]
        failed = [name for name in changing if _has_failed(name, wanted[name], history)]
        settling = {name: _settles_us(name, wanted[name], seen.get(name, ()), history, now_us) for name in names}
        wakes += filter(None, settling.values())
        in_site = wanted[names[0]].in_site or InSite()
        borne = min(len(failed), in_site.failed_permille * len(names) // 1000)
        under_way = len(changing) - borne + sum(1 for name in names if settling[name])
        free = max(in_site.parallel - under_way, 0)
        reason = f"another copy of {group[2]} is changed first"
        waiting |= dict.fromkeys(untouched[free:], reason)
        turned += untouched[:free]
    short = _find_short(wanted, seen, turned, node)
    wakes += [now_us + LOOK_US] if short else []
    return Turns(waiting | short, min(wakes, default=0))


def _group(unit: Assignment) -> _Group:
    return unit.tenant, unit.app, unit.service


def _is_untouched(item: Wanted, containers: Iterable[ContainerSeen]) -> bool:
    """Say whether it runs as something else was wished, and nothing was done about it yet."""
    containers = tuple(containers)
    is_running = any(each.state == "running" for each in containers)
    return is_running and all(each.spec != item.derived.digest for each in containers)


def _is_changing(name: InstanceId, item: Wanted, containers: Iterable[ContainerSeen], history: History) -> bool:
    """Say whether a container of the new kind is here that is not well yet, or an old one beside it."""
    containers = tuple(containers)
    current = [each for each in containers if each.spec == item.derived.digest]
    if not current:
        return False
    run = history.runs.get(name)
    check = item.derived.spec.healthcheck
    is_well = check is None or (run is not None and run.spec == item.derived.digest and run.health == "healthy")
    is_well = is_well and judge_hooks(item.derived.spec, current[0], busy=False).state == "done"
    is_over = name in history.kept.ended
    return not is_over and not (len(containers) == 1 and current[0].state == "running" and is_well)


def _has_failed(name: InstanceId, item: Wanted, history: History) -> bool:
    """Say whether a changed copy, which is not well, has ended or is found unwell, and does not only take its time."""
    run = history.runs.get(name)
    return run is not None and run.spec == item.derived.digest and (run.failures > 0 or run.health == "unhealthy")


def _settles_us(
    name: InstanceId, item: Wanted, containers: Iterable[ContainerSeen], history: History, now_us: int
) -> int:
    """Return the boot time until which a changed copy that is well is still watched; 0 for one that is not."""
    run = history.runs.get(name)
    settle_us = item.in_site.settle_us if item.in_site else 0
    if not settle_us or run is None or not run.running or run.spec != item.derived.digest:
        return 0
    until_us = run.since_us + settle_us
    return until_us if until_us > now_us and not _is_changing(name, item, containers, history) else 0


def _find_short(
    wanted: Mapping[InstanceId, Wanted], seen: _Seen, turned: list[InstanceId], node: NodeSeen | None
) -> dict[InstanceId, str]:
    """Return those whose turn has come and for whose second copy the node has no room."""
    doubled = [name for name in turned if _doubles(wanted[name], seen[name])]
    if node is None or not doubled:
        return {}
    standing = [item.room for item in wanted.values() if item.assignment.state == "run" and not item.held_why]
    beside = [item.room for name, item in wanted.items() if _is_doubled(item, seen.get(name, ()))]
    free = _Free(node, [*standing, *beside])
    found: dict[InstanceId, str] = {}
    for name in doubled:
        lack = free.take(wanted[name].room)
        if lack:
            found[name] = f"its second copy, which is to stand beside the first, finds no room: {lack}"
    return found


class _Free:
    """What a node has left: of its size after all that is wished, and of its memory as the kernel says."""

    def __init__(self, node: NodeSeen, taken: list[Resources]) -> None:
        memory = sum(each.memory_bytes for each in taken)
        self._cpu_m = node.cpu_m - sum(each.cpu_m for each in taken) if node.cpu_m else None
        self._memory = node.memory_bytes - memory if node.memory_bytes else None
        self._unused = node.memory_available_bytes or None

    def take(self, room: Resources) -> str:
        """Take it and return nothing, or say what is missing."""
        if room.memory_bytes and self._memory is not None and self._memory < room.memory_bytes:
            return f"it asks for {room.memory_bytes} bytes of memory, and {max(self._memory, 0)} are not given out"
        if room.memory_bytes and self._unused is not None and self._unused < room.memory_bytes:
            return f"it asks for {room.memory_bytes} bytes of memory, and less is unused now"
        if room.cpu_m and self._cpu_m is not None and self._cpu_m < room.cpu_m:
            return f"it asks for {room.cpu_m} millicores, and {max(self._cpu_m, 0)} are not given out"
        self._memory = None if self._memory is None else self._memory - room.memory_bytes
        self._unused = None if self._unused is None else self._unused - room.memory_bytes
        self._cpu_m = None if self._cpu_m is None else self._cpu_m - room.cpu_m
        return ""


def _doubles(item: Wanted, containers: Iterable[ContainerSeen]) -> bool:
    """Say whether its change makes two copies run at once."""
    return any(each.state in LIVE and stays(each, item) for each in containers)


def _is_doubled(item: Wanted, containers: Iterable[ContainerSeen]) -> bool:
    """Say whether an old copy stands beside the new one already, or will in a moment."""
    containers = tuple(containers)
    return any(each.spec == item.derived.digest for each in containers) and _doubles(
        item, (each for each in containers if each.spec != item.derived.digest)
    )
