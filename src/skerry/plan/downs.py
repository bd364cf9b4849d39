"""Which copies at one site are not changed yet because so many of their sisters are down (``max-down``). Pure.

Where the tenant says nothing one copy is down at a time; where it says only how many are changed at once (``in-site``),
that word of its own stands for both. A copy that is down already may be changed at any time, and so may one that runs
on until its successor is well. Neighbours: ``budget.py`` says how many may be down, ``turns.py`` how many change.
"""

from collections.abc import Iterable, Mapping

from skerry.model.ids import AppName, InstanceId, ServiceName, TenantName
from skerry.model.observed import ContainerSeen
from skerry.plan.budget import allow_down, is_said
from skerry.plan.history import History
from skerry.plan.instances import LIVE, Wanted, stays

_Group = tuple[TenantName, AppName, ServiceName]


def find_over_budget(
    wanted: Mapping[InstanceId, Wanted], containers: Iterable[ContainerSeen], history: History
) -> dict[InstanceId, str]:
    """Return the copies that must not be taken down for a change now, each with the reason."""
    seen: dict[InstanceId, tuple[ContainerSeen, ...]] = {}
    for each in containers:
        seen[each.instance] = (*seen.get(each.instance, ()), each)
    groups: dict[_Group, list[InstanceId]] = {}
    for name in sorted(wanted, key=lambda name: wanted[name].assignment.ordinal):
        unit = wanted[name].assignment
        groups.setdefault((unit.tenant, unit.app, unit.service), []).append(name)
    found: dict[InstanceId, str] = {}
    for (_, _, service), names in groups.items():
        first = wanted[names[0]]
        if len(names) == 1 or (first.in_site and not is_said(first.policy)):
            continue
        allowed = allow_down(first.policy, first.copies)
        down = [name for name in names if is_down(name, wanted[name], seen.get(name, ()), history)]
        due = [name for name in names if name not in down and _is_due(wanted[name], seen.get(name, ()))]
        kept = due[max(allowed - len(down), 0) :]
        reason = f"{len(down)} of {len(names)} copies of {service} here are down, and {allowed} may be"
        found |= dict.fromkeys(kept, reason if down else f"another copy of {service} is changed first")
    return found


def is_down(name: InstanceId, item: Wanted, containers: tuple[ContainerSeen, ...], history: History) -> bool:
    """Say whether nothing that is well runs of an instance, or its change has begun and ends what runs in a moment."""
    ended = history.kept.ended.get(name)
    if ended is not None and ended.exit_code == 0:
        return False
    well = [each for each in containers if each.state == "running" and _is_well(name, item, each, history)]
    if not well:
        return True
    is_begun = any(each.spec == item.derived.digest for each in containers)
    return is_begun and not any(each.spec == item.derived.digest or stays(each, item) for each in well)


def _is_well(name: InstanceId, item: Wanted, seen: ContainerSeen, history: History) -> bool:
    run = history.runs.get(name)
    is_known = run is not None and run.spec == seen.spec
    if seen.spec == item.derived.digest and item.derived.spec.healthcheck is not None:
        return is_known and run is not None and run.health == "healthy"
    return not (is_known and run is not None and run.health in ("starting", "unhealthy"))


def _is_due(item: Wanted, containers: tuple[ContainerSeen, ...]) -> bool:
    """Say whether a change would take it down: it runs as something else, and cannot run on beside its successor."""
    live = [each for each in containers if each.state in LIVE]
    if not live or any(each.spec == item.derived.digest for each in containers):
        return False
    return not any(stays(each, item) for each in live)
