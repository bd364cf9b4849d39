"""What is kept at the links of running instances: who may speak by them, and where they lead besides.

Pure. Rules:

1. Where the runtime makes the links, each is bound to the hardware address and the addresses that the runtime gave it:
   within a network nobody passes for another. Skerry binds those that it makes itself when it makes them.
2. An instance in several networks reaches other sites' parts of each by that network, for there alone its address is
   good; an instance in one network has one way anyway.
3. Who is a step of a service chain passes on what comes from others, so it is bound to its hardware address alone.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.document import NetworkMember, NetworkPart, Unit
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, TenantName, UnitId
from skerry.model.network import part_ranges
from skerry.model.observed import ContainerSeen, Observation
from skerry.plan.actions import BindLinks, InsideRoute, Link
from skerry.plan.instances import Wanted
from skerry.plan.site_plan import PlanDraft

_Key = tuple[TenantName, AppName, NetworkName]


def plan_bindings(
    draft: PlanDraft, wanted: Mapping[InstanceId, Wanted], observed: Observation, units: Mapping[UnitId, Unit]
) -> None:
    """Keep the links of all running instances as they are to be."""
    if observed.bindings is None:
        return
    far = _list_far(units.values())
    for seen in sorted(observed.containers, key=lambda each: each.container):
        if seen.state != "running" or seen.joined:
            continue
        guards = _list_guards(seen, wanted.get(seen.instance)) if observed.translation is None else ()
        routes = _list_routes(seen, far)
        digest = bindings_digest(guards, routes)
        if observed.bindings.get(seen.container, "") != digest:
            draft.add(
                BindLinks(container=seen.container, instance=seen.instance, guards=guards, routes=routes, digest=digest)
            )


def bindings_digest(guards: tuple[Link, ...], routes: tuple[InsideRoute, ...]) -> Digest:
    """Name what is kept at the links of one instance; nothing for nothing."""
    if not guards and not routes:
        return Digest("")
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode((guards, routes))).hexdigest())


def _list_guards(seen: ContainerSeen, item: Wanted | None) -> tuple[Link, ...]:
    is_step = item is not None and any(seen.service in chain.through for chain in item.chains)
    return tuple(
        Link(network=name, device="", mac=seen.macs[name], addresses=addresses, passes=is_step)
        for name, addresses in sorted(seen.addresses.items())
        if name in seen.macs
    )


def _list_routes(
    seen: ContainerSeen, far: Mapping[_Key, tuple[NetworkPart, list[NetworkMember]]]
) -> tuple[InsideRoute, ...]:
    if len(seen.addresses) < 2:
        return ()
    routes: list[InsideRoute] = []
    for name, addresses in sorted(seen.addresses.items()):
        stretched = far.get((seen.tenant, seen.app, name))
        if stretched is None:
            continue
        part, members = stretched
        gateways = part_ranges(part)
        for member in members:
            ranges = part_ranges(member)
            for range_, gateway in ((ranges.v4, gateways.v4[1]), (ranges.v6, gateways.v6[1])):
                source = next((each for each in addresses if (":" in each) == (range_.version == 6)), None)
                if source is not None:
                    routes.append(InsideRoute(str(range_), str(gateway), source))
    return tuple(sorted(routes))


def _list_far(units: Iterable[Unit]) -> dict[_Key, tuple[NetworkPart, list[NetworkMember]]]:
    """Return each stretched network's part here and its members."""
    every = list(units)
    found: dict[_Key, tuple[NetworkPart, list[NetworkMember]]] = {
        (unit.tenant, unit.app, unit.network): (unit, []) for unit in every if isinstance(unit, NetworkPart)
    }
    for unit in every:
        if isinstance(unit, NetworkMember) and (unit.tenant, unit.app, unit.network) in found:
            found[unit.tenant, unit.app, unit.network][1].append(unit)
    return found
