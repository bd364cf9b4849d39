"""Instances that share namespaces with one of another service (``network_mode: service:X`` and its like). Pure.

The specification of such an instance names that of the one whose namespaces it is in, so another specification of the
one makes another of the other. Rules:

1. It is made once the other is made, and started while the other runs.
2. It is stopped when the other began anew after it: what it shares went with the other's last process.
3. The other's container goes after every container that is in its namespaces.
"""

from collections.abc import Iterable

from skerry.model.ids import InstanceId, ServiceName
from skerry.model.instance import InstanceSpec
from skerry.model.observed import ContainerSeen


def find_shared(spec: InstanceSpec) -> ServiceName | None:
    """Return the service with which an instance shares namespaces; a revision that is well formed names one at most."""
    return next(iter(sorted((spec.further.shares if spec.further else {}).values())), None)


def find_unmet(spec: InstanceSpec, everyone: Iterable[ContainerSeen], *, existing: bool) -> str:
    """Say what an instance lacks of the one that it shares namespaces with; ``existing``: it is to be started."""
    service = find_shared(spec)
    if service is None:
        return ""
    what = ", ".join(sorted(spec.further.shares)) if spec.further else ""
    if not spec.joined:
        return f"service {service}, whose namespaces it shares ({what}), has no copy {spec.ordinal} at this node"
    states = {seen.state for seen in everyone if seen.spec == spec.joined}
    if not states:
        return f"service {service}, whose namespaces it shares ({what}), is being made"
    if existing and "running" not in states:
        return f"service {service}, whose namespaces it shares ({what}), does not run"
    return ""


def is_cut_off(current: ContainerSeen, spec: InstanceSpec, everyone: Iterable[ContainerSeen]) -> bool:
    """Say whether the one whose namespaces it shares began anew after it."""
    began = (seen.began_us for seen in everyone if spec.joined and seen.spec == spec.joined and seen.state == "running")
    return 0 < current.began_us < max(began, default=0)


def is_leaned_on(seen: ContainerSeen, everyone: Iterable[ContainerSeen]) -> bool:
    """Say whether containers of others are in the namespaces of this one."""
    return bool(seen.spec) and any(other.joined == seen.spec for other in everyone)


def find_pair(spec: InstanceSpec, instances: Iterable[InstanceSpec]) -> InstanceSpec | None:
    """Return the one of the same ordinal whose namespaces an instance shares."""
    wanted = (spec.tenant, spec.app, find_shared(spec), spec.ordinal)
    return next((each for each in instances if (each.tenant, each.app, each.service, each.ordinal) == wanted), None)


def list_sharers(instance: InstanceSpec, instances: Iterable[InstanceSpec]) -> tuple[InstanceId, ...]:
    """Return those that share namespaces of an instance."""
    return tuple(sorted(each.id for each in instances if find_pair(each, (instance,)) is not None))
