"""Why an instance that its document wants may rest at a simulated site: what its owner signed, and who has said so.

Judged anew from the signed words and the truth of the world, not by the planner that is being tested.
"""

from collections.abc import Mapping

from skerry.model.app import Service
from skerry.model.ids import InstanceId, VolumeId, volume_id
from skerry.model.policy import Autonomy, Policy, Priority
from skerry.plan.instances import Wanted
from skerry.sim.parts import SimSite
from skerry.sim.windows import list_meanings
from skerry.sim.world import World

#: A kernel keeps a little more or less of the memory for itself at each boot; that is no shortage.
_SLACK = 32


def find_rest(world: World, site: SimSite, name: InstanceId, wanted: Mapping[InstanceId, Wanted]) -> str:
    """Say why an instance may rest now; empty when it has to run."""
    if (site.name, name) in world.hands.stopped or name in site.agent.reconciler.history.kept.said:
        return "a person at the box has said so"
    if any(volume in site.agent.reconciler.history.kept.restoring for volume in _list_volumes(wanted[name])):
        return "its owner sets its volume back"
    for item in [] if site.agent.link.is_up else list_meanings(world, site, wanted[name]):
        why = _find_rest_alone(item)
        if why:
            return why
    return "a higher one takes its room" if has_to_yield(site, name, wanted) else ""


def _find_rest_alone(item: Wanted) -> str:
    autonomy = find_autonomy(item)
    if autonomy.offline == "stop-after" and autonomy.max_offline_us:
        return "its owner has signed that it stops when the site is cut off for long"
    if not autonomy.restart_offline:
        return "its owner has signed that it waits for the core after a reboot"
    if item.secret_limits:
        return "its owner has signed that a site cut off for long does not give out its secret"
    return ""


def _list_volumes(item: Wanted) -> list[VolumeId]:
    spec = item.derived.spec
    return [volume_id(spec.tenant, spec.app, mount.source) for mount in spec.mounts if mount.kind == "volume"]


def is_held_up(site: SimSite, name: InstanceId, wanted: Mapping[InstanceId, Wanted]) -> bool:
    """Say whether a copy rightly stays as it was: a sister is changed and never becomes well, or both find no room."""
    containers = [each for each in site.machine.containers.values() if each.state == "running"]
    if not any(each.instance == name for each in containers):
        return False
    mine = wanted[name]
    asked = sum(item.room.memory_bytes for item in wanted.values() if item.assignment.state == "run")
    is_beside = bool(mine.in_site) and mine.in_site.order == "start-first"
    if is_beside and asked + mine.room.memory_bytes > site.machine.memory_bytes:
        return True  # its owner wants the new one to stand beside it first
    unit, runs = mine.assignment, site.agent.reconciler.history.runs
    for other, item in wanted.items():
        its = item.assignment
        if other == name or (its.tenant, its.app, its.service) != (unit.tenant, unit.app, unit.service):
            continue
        is_changed = any(each.instance == other and each.spec == item.derived.digest for each in containers)
        if is_changed and other in runs and runs[other].health == "unhealthy":
            return True
    return False


def must_rest(item: Wanted, away_us: int) -> str:
    """Say why an instance must not run at a site that was rebooted while it was cut off; empty when it may."""
    autonomy = find_autonomy(item)
    if not autonomy.restart_offline:
        return "its owner wants it to wait for the core after a reboot"
    if autonomy.offline == "stop-after" and 0 < autonomy.max_offline_us < away_us:
        return "its owner wants it to stop when the site is cut off for so long"
    return ""


def has_to_yield(site: SimSite, name: InstanceId, wanted: Mapping[InstanceId, Wanted]) -> bool:
    """Say whether what is wanted is more than the machine has, and a higher one of its tenant may take its room."""
    mine = find_priority(wanted[name])
    asked = sum(item.room.memory_bytes for item in wanted.values() if item.assignment.state == "run")
    memory = site.machine.memory_bytes
    if not mine.preemptible or asked <= memory + memory // _SLACK:
        return False
    others = (item for item in wanted.values() if item.assignment.tenant == wanted[name].assignment.tenant)
    return any(is_above(find_priority(item), mine) for item in others if item.assignment.state == "run")


def is_above(one: Priority, other: Priority) -> bool:
    """Say whether an instance may take another one's room."""
    return one.preempts == "lower" and other.preemptible and one.value > other.value


def find_autonomy(item: Wanted) -> Autonomy:
    """What its owner wishes of sites that are cut off."""
    return (item.policy or Policy()).autonomy


def find_priority(item: Wanted | Service) -> Priority:
    """Who keeps its room."""
    return (item.policy or Policy()).priority
