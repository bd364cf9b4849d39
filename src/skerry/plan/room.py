"""Who runs at a node that has too little room for all of its instances: the higher priorities of each tenant.

Room is processors, memory, and what the uplinks of the site carry; what instances at its other nodes use of those is
the core's to count.

The core gives out no more than a node has, so this speaks when a node has become smaller, or was not known when the
core wished for it. Rules of this file: (1) among equals nothing is held, so a node that is a little short goes on as
before; (2) an instance is held only for a higher one of its own tenant, if its owner calls it preemptible and lets the
core, which says what comes here, end it; (3) the lowest go first, and no more than need be. Neighbour:
``placement/preempt.py`` decides the same over many nodes.
"""

import msgspec

from skerry.model.app import Resources
from skerry.model.ids import InstanceId
from skerry.model.observed import NodeSeen
from skerry.model.policy import Policy, Priority
from skerry.model.uplinks import NO_BANDWIDTH, Bandwidth
from skerry.plan.instances import Wanted

#: A kernel keeps a little more or less of the memory for itself at each boot; that is no shortage.
SLACK = 32
#: What is there where nobody has told.
_ENDLESS = 1 << 62


class _Short(msgspec.Struct):
    """How much is asked for beyond what is here; 0 or less where there is enough."""

    cpu_m: int
    memory_bytes: int
    up_bps: int
    down_bps: int

    @property
    def is_short(self) -> bool:
        return self.cpu_m > 0 or self.memory_bytes > 0 or self.up_bps > 0 or self.down_bps > 0

    def helps(self, room: Resources, bandwidth: Bandwidth) -> bool:
        return (
            (self.cpu_m > 0 and room.cpu_m > 0)
            or (self.memory_bytes > 0 and room.memory_bytes > 0)
            or (self.up_bps > 0 and bandwidth.up_bps > 0)
            or (self.down_bps > 0 and bandwidth.down_bps > 0)
        )

    def without(self, room: Resources, bandwidth: Bandwidth) -> "_Short":
        return _Short(
            self.cpu_m - room.cpu_m,
            self.memory_bytes - room.memory_bytes,
            self.up_bps - bandwidth.up_bps,
            self.down_bps - bandwidth.down_bps,
        )


def judge_room(
    wanted: dict[InstanceId, Wanted], node: NodeSeen | None, rates: Bandwidth = NO_BANDWIDTH
) -> dict[InstanceId, str]:
    """Return the instances that have to yield, each with the reason; nothing of a node whose size nobody has seen.

    ``rates`` is what the uplinks of the site carry; 0 where that is not known.
    """
    running = {name: item for name, item in wanted.items() if item.assignment.state == "run" and not item.held_why}
    if node is None or len({find_priority(item).value for item in running.values()}) < 2:
        return {}
    short = _Short(
        sum(item.room.cpu_m for item in running.values()) - _with_slack(node.cpu_m),
        sum(item.room.memory_bytes for item in running.values()) - _with_slack(node.memory_bytes),
        sum(item.bandwidth.up_bps for item in running.values()) - (rates.up_bps or _ENDLESS),
        sum(item.bandwidth.down_bps for item in running.values()) - (rates.down_bps or _ENDLESS),
    )
    held: dict[InstanceId, str] = {}
    for name in sorted(running, key=lambda each: (find_priority(running[each]).value, each)):
        item = running[name]
        above = _find_above(name, running)
        if not short.is_short:
            break
        if above is None or not short.helps(item.room, item.bandwidth):
            continue
        held[name] = f"there is too little room at {node.node}: it makes room for {above}, which has a higher priority"
        short = short.without(item.room, item.bandwidth)
    return held


def find_priority(item: Wanted) -> Priority:
    """Return the priority of an instance."""
    return (item.policy or Policy()).priority


def _find_above(name: InstanceId, running: dict[InstanceId, Wanted]) -> InstanceId | None:
    """Return the highest instance of the same tenant that may take this one's room."""
    mine = find_priority(running[name])
    if not mine.preemptible or running[name].is_kept:
        return None
    tenant = running[name].assignment.tenant
    able = [
        (-find_priority(item).value, other)
        for other, item in running.items()
        if item.assignment.tenant == tenant
        and find_priority(item).value > mine.value
        and find_priority(item).preempts == "lower"
    ]
    return min(able)[1] if able else None


def _with_slack(amount: int) -> int:
    """Return what a node has with its slack; without end where it has not told."""
    return amount + amount // SLACK if amount else _ENDLESS
