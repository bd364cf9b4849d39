"""Whose turn it is: copies of a service that are changed at one site, so many at once as its tenant signed. Pure.

Only what takes something away waits: a copy that has nothing running is started at once. A copy that does not become
well holds up the others, until the health gate gives its revision up.
"""

from collections.abc import Iterable, Mapping

from skerry.model.document import Assignment
from skerry.model.ids import AppName, InstanceId, ServiceName, TenantName
from skerry.model.observed import ContainerSeen
from skerry.plan.history import History
from skerry.plan.instances import Wanted

_Group = tuple[TenantName, AppName, ServiceName]


def find_waiting(
    wanted: Mapping[InstanceId, Wanted], containers: Iterable[ContainerSeen], history: History
) -> dict[InstanceId, str]:
    """Return the instances whose turn has not come, each with the reason."""
    seen: dict[InstanceId, list[ContainerSeen]] = {}
    for each in containers:
        seen.setdefault(each.instance, []).append(each)
    groups: dict[_Group, list[InstanceId]] = {}
    for name, item in wanted.items():
        if item.in_site:
            groups.setdefault(_group(item.assignment), []).append(name)
    found: dict[InstanceId, str] = {}
    for (_, _, service), names in groups.items():
        names.sort(key=lambda name: wanted[name].assignment.ordinal)
        untouched = [name for name in names if _is_untouched(wanted[name], seen.get(name, ()))]
        changing = [name for name in names if _is_changing(name, wanted[name], seen.get(name, ()), history)]
        in_site = wanted[names[0]].in_site
        free = max(in_site.parallel - len(changing), 0) if in_site else len(untouched)
        reason = f"another copy of {service} is changed first"
        found |= dict.fromkeys(untouched[free:], reason)
    return found


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
    is_over = name in history.kept.ended
    return not is_over and not (len(containers) == 1 and current[0].state == "running" and is_well)
