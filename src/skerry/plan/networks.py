"""Networks of a node's apps, and the one firewall table that guards them."""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.app import AppRevision, NetworkPlan, Subnet
from skerry.model.document import NetworkMember, NetworkPart, Unit
from skerry.model.ids import Digest, InstanceId, NetworkName, UnitId
from skerry.model.network import TUNNEL_MTU, part_ranges
from skerry.model.observed import ContainerSeen, NetworkSeen, Observation
from skerry.plan.actions import ApplyRules, AppRules, CreateNetwork, RemoveNetwork
from skerry.plan.addresses import NoAddress, choose_ranges
from skerry.plan.instances import Wanted
from skerry.plan.lans import judge_lans
from skerry.plan.names import is_named_here
from skerry.plan.places import Claim
from skerry.plan.site_plan import PlanDraft


def list_plans(revision: AppRevision, units: Mapping[UnitId, Unit]) -> dict[NetworkName, NetworkPlan | None]:
    """Return what each network of a revision is to be like at a site of these units, where anything is said of it.

    One that is stretched over sites has the addresses of its part; None while there is no part.
    """
    plans: dict[NetworkName, NetworkPlan | None] = {}
    for name, network in revision.networks.items():
        plan = network.plan or NetworkPlan()
        if network.stretched:
            part = units.get(UnitId(f"network/{revision.tenant}/{revision.app}/{name}"))
            plans[name] = _plan_part(plan, part) if isinstance(part, NetworkPart) else None
        elif network.plan:
            plans[name] = plan
    return plans


def _plan_part(plan: NetworkPlan, part: NetworkPart) -> NetworkPlan:
    ranges = part_ranges(part)
    subnets = tuple(Subnet(subnet=str(one)) for one in (ranges.v4, ranges.v6))
    mtu = min(plan.mtu, TUNNEL_MTU) if plan.mtu else TUNNEL_MTU
    return msgspec.structs.replace(plan, subnets=subnets, ipv6=True, mtu=mtu)


def plan_networks(
    draft: PlanDraft, wanted: dict[InstanceId, Wanted], observed: Observation, units: Mapping[UnitId, Unit]
) -> frozenset[tuple[str, str, str]]:
    """Make missing app networks, remove those that no assignment and no container needs any more.

    A container's networks are those of its specification, so one that is as wished needs none but wished ones.

    One over several sites always has a gateway, which is the way to its other parts; that there is no other way out is
    then up to the firewall alone (``plan_rules``).
    """
    near, _ = _list_reach(units.values())
    lans = judge_lans(wanted, observed)
    for key, reason in sorted(lans.lacking.items()):
        draft.wait(f"network/{'/'.join(key)}", reason)
    needed: dict[tuple[str, str, str], CreateNetwork] = {}
    for item in wanted.values():
        spec = item.derived.spec
        for name in spec.networks:
            plan = item.plans.get(name, NetworkPlan())
            if plan is None:
                draft.wait(f"network/{spec.tenant}/{spec.app}/{name}", "its addresses have not come from the core yet")
                continue
            if plan.lan and (plan.lan.is_direct or (spec.tenant, spec.app, name) in lans.lacking):
                continue
            needed[(spec.tenant, spec.app, name)] = CreateNetwork(
                tenant=spec.tenant,
                app=spec.app,
                name=name,
                # Of one at a device of the node nothing passes the node.
                internal=bool(plan.lan) or (name in item.internal and (spec.tenant, spec.app, name) not in near),
                plan=plan,
                names=not plan.lan and is_named_here((spec.tenant, spec.app, name), observed),
            )
    seen: dict[tuple[str, str, str], NetworkSeen] = {
        (network.tenant, network.app, network.name): network for network in observed.networks
    }
    taken = [each.subnet for network in observed.networks for each in network.ranges]
    torn = {key for key, each in seen.items() if each.torn}
    for key in sorted(needed.keys() - (seen.keys() - torn)):
        action = needed[key]
        if observed.translation is not None and not action.plan.lan:
            try:
                ranges = choose_ranges(action.tenant, action.app, action.name, action.plan, taken)
            except NoAddress as error:
                draft.wait(f"network/{'/'.join(key)}", str(error))
                continue
            taken += [each.subnet for each in ranges]
            action = msgspec.structs.replace(action, ranges=ranges)
        draft.add(action)
    busy = {(container.tenant, container.app) for container in observed.containers}
    for key in sorted(seen.keys() & needed.keys()):
        if seen[key].internal != needed[key].internal or seen[key].plan != needed[key].plan_name:
            if key[:2] not in busy:
                draft.add(RemoveNetwork(tenant=seen[key].tenant, app=seen[key].app, name=seen[key].name))
            else:
                draft.wait(
                    f"network/{'/'.join(key)}",
                    "its way out and its addresses change only while no container of the app is here",
                )
    leaning = {(each.tenant, each.app) for each in observed.containers if not _is_as_wished(each, wanted)}
    for key in sorted(seen.keys() - needed.keys()):
        if key[:2] not in leaning:
            network = seen[key]
            draft.add(RemoveNetwork(tenant=network.tenant, app=network.app, name=network.name))
    return frozenset(seen.keys() - torn) | lans.direct


def _is_as_wished(seen: ContainerSeen, wanted: dict[InstanceId, Wanted]) -> bool:
    return seen.instance in wanted and wanted[seen.instance].derived.digest == seen.spec


def plan_rules(
    draft: PlanDraft,
    wanted: dict[InstanceId, Wanted],
    observed: Observation,
    units: Mapping[UnitId, Unit],
    claims: Iterable[Claim],
) -> bool:
    """Make the node's firewall table say exactly what the networks that are here need; say whether it does.

    A network wished without a way out has none from now on, also while the runtime's own network still has one.
    ``claims`` are the places that services have at the site's entrance.
    """
    shut = {
        (item.derived.spec.tenant, item.derived.spec.app, name) for item in wanted.values() for name in item.internal
    }
    near, far = _list_reach(units.values())
    doors: dict[_Key, set[int]] = {}
    for claim in claims:
        for name in claim.networks if claim.entrance.udp and not claim.chained else ():
            doors.setdefault((*claim.owner[:2], name), set()).add(claim.entrance.port)
    networks: list[AppRules] = []
    for network in observed.networks:
        key = (network.tenant, network.app, network.name)
        internal = network.internal or key in shut
        members = tuple(sorted(far.get(key, ())))
        open_to = tuple(sorted(doors.get(key, ()))) if members else ()
        networks.append(AppRules(*key, internal, near.get(key, ()), members, network.lan, open_to))
    networks.sort()
    digest = rules_digest(tuple(networks))
    if observed.rules == digest:
        return True
    draft.add(ApplyRules(networks=tuple(networks), digest=digest))
    return False


_Key = tuple[str, str, str]


def _list_reach(units: Iterable[Unit]) -> tuple[dict[_Key, tuple[str, ...]], dict[_Key, list[str]]]:
    """Return the ranges of each stretched network here, and those at its members."""
    near: dict[_Key, tuple[str, ...]] = {}
    far: dict[_Key, list[str]] = {}
    for unit in units:
        if isinstance(unit, NetworkPart | NetworkMember):
            ranges = part_ranges(unit)
            key, both = (unit.tenant, unit.app, unit.network), (str(ranges.v4), str(ranges.v6))
            if isinstance(unit, NetworkPart):
                near[key] = both
            else:
                far.setdefault(key, []).extend(both)
    return near, far


def rules_digest(networks: tuple[AppRules, ...]) -> Digest:
    """Name a firewall table by what it is made from."""
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode(networks)).hexdigest())
