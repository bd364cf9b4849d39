"""Links of instances and the translation of their addresses, where Skerry makes both and not the runtime.

Pure. A link is planned for every instance that is to run and does not, in the order of their names (``addresses.py``
says why); translation follows from what is seen running, so a port leads to an old version until that has stopped.
"""

import hashlib
import ipaddress

import msgspec

from skerry.model.app import Address, NetworkPlan
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, TenantName
from skerry.model.instance import InstanceSpec
from skerry.model.observed import ContainerSeen, NetworkSeen, Observation
from skerry.plan.actions import ApplyTranslation, Link, OpenPort, WayOut
from skerry.plan.addresses import Lease, NoAddress, choose_mac
from skerry.plan.instances import Wanted
from skerry.plan.lans import NEEDS_OURS, Lans, judge_lans
from skerry.plan.site_plan import PlanDraft

_Key = tuple[TenantName, AppName, NetworkName]


class Links(msgspec.Struct, frozen=True):
    """What is planned for each instance: its links, or why it cannot have them."""

    found: dict[InstanceId, tuple[Link, ...]]
    lacking: dict[InstanceId, str]


def plan_links(wanted: dict[InstanceId, Wanted], observed: Observation) -> Links:
    """Return the links of all instances that do not run; where the runtime makes them, why it cannot make some."""
    lans = judge_lans(wanted, observed)
    if observed.translation is None:
        return Links({}, {name: why for name, item in wanted.items() if (why := _find_beyond(item, lans))})
    networks = {(each.tenant, each.app, each.name): each for each in observed.networks if not each.torn}
    networks |= {key: NetworkSeen(tenant=key[0], app=key[1], name=key[2], internal=True) for key in lans.direct}
    taken = _find_taken(wanted, observed.containers, lans)
    running = {(seen.instance, seen.spec) for seen in observed.containers if seen.state == "running"}
    leases: dict[_Key, Lease] = {}
    links = Links({}, {})
    for instance in sorted(wanted):
        item = wanted[instance]
        spec = item.derived.spec
        if not spec.networks or (instance, item.derived.digest) in running:
            continue
        try:
            links.found[instance] = _plan_instance(spec, item, networks, taken, leases, lans)
        except NoAddress as error:
            links.lacking[instance] = str(error)
    return links


def make_links(
    spec: InstanceSpec,
    networks: dict[NetworkName, NetworkSeen],
    leases: dict[NetworkName, Lease],
    mtus: dict[NetworkName, int],
) -> tuple[Link, ...]:
    """Return the links of one instance; raise NoAddress where a network has no address for it."""
    fixed = spec.further.addresses if spec.further else {}
    devices = _name_devices(spec)
    found: list[Link] = []
    # The first way out is the one that is taken while it is there.
    for name in sorted(spec.networks, key=lambda name: (-fixed.get(name, Address()).way, name)):
        network, wish = networks[name], fixed.get(name, Address())
        try:
            addresses = leases[name].take(wish)
        except NoAddress as error:
            raise NoAddress(f"its network {name}: {error}") from error
        place = f"{network.tenant}/{network.app}/{network.name}"
        found.append(
            Link(
                network=name,
                device=devices[name],
                mac=wish.mac or choose_mac(place, addresses[0] if addresses else f"{spec.service}/{spec.ordinal}"),
                addresses=addresses,
                gateways=() if network.internal else leases[name].gateways,
                mtu=wish.mtu or mtus.get(name, 0),
                up_bps=wish.up_bps,
                down_bps=wish.down_bps,
            )
        )
    return tuple(found)


def plan_translation(draft: PlanDraft, observed: Observation) -> None:
    """Make the node's translation say exactly what the networks and the running instances need."""
    if observed.translation is None:
        return
    networks = tuple(
        sorted(
            WayOut(each.tenant, each.app, each.name, tuple(one.subnet for one in each.ranges), each.internal)
            for each in observed.networks
            if not each.lan
        )
    )
    ways = {(each.tenant, each.app, each.name) for each in observed.networks if not each.internal}
    ports = tuple(sorted({port for seen in observed.containers for port in _open_ports(seen, ways)}))
    digest = translation_digest(networks, ports)
    if observed.translation != digest:
        draft.add(ApplyTranslation(networks=networks, ports=ports, digest=digest))


def translation_digest(networks: tuple[WayOut, ...], ports: tuple[OpenPort, ...]) -> Digest:
    """Name a table of translations by what it is made from."""
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode((networks, ports))).hexdigest())


def _plan_instance(
    spec: InstanceSpec,
    item: Wanted,
    networks: dict[_Key, NetworkSeen],
    taken: dict[_Key | str, set[str]],
    leases: dict[_Key, Lease],
    lans: Lans,
) -> tuple[Link, ...]:
    keys = {name: (spec.tenant, spec.app, name) for name in spec.networks}
    for name, key in sorted(keys.items()):
        if key in lans.lacking:
            raise NoAddress(f"its network {name}: {lans.lacking[key]}")
        if key not in networks:
            raise NoAddress(f"its network {name} is being made")
        plan = item.plans.get(name) or NetworkPlan()
        if key not in leases:
            ranges = plan.subnets if plan.lan else networks[key].ranges
            leases[key] = Lease(ranges, plan, taken.setdefault(_pool(key, lans), set()))
        if plan.lan:
            # It leads out by the site's own router, whatever the node has to do with it.
            networks[key] = msgspec.structs.replace(networks[key], internal=name in item.internal)
    mtus = {name: plan.mtu for name, plan in item.plans.items() if plan is not None}
    links = make_links(
        spec,
        {name: networks[key] for name, key in keys.items()},
        {name: leases[key] for name, key in keys.items()},
        mtus,
    )
    is_step = any(spec.service in chain.through for chain in item.chains)
    return tuple(
        msgspec.structs.replace(link, passes=is_step, lan=lans.found.get(keys[link.network])) for link in links
    )


def _find_beyond(item: Wanted, lans: Lans) -> str:
    """Say what of its attachment the runtime cannot make; empty where it can make all."""
    spec = item.derived.spec
    for name in sorted(spec.networks):
        if (spec.tenant, spec.app, name) in lans.lacking:
            return f"its network {name}: {lans.lacking[spec.tenant, spec.app, name]}"
    fixed = spec.further.addresses if spec.further else {}
    for name, wish in sorted(fixed.items()):
        for word, value in (("bandwidth", wish.up_bps or wish.down_bps), ("mtu", wish.mtu)):
            if value:
                return f"its network {name}: podman makes no link with {word}: {NEEDS_OURS}"
    # Ways that differ in nothing are one as good as the other.
    plans = [item.plans.get(name) or NetworkPlan() for name in spec.networks if name not in item.internal]
    if any(wish.way for wish in fixed.values()) and len({plan.mtu for plan in plans}) > 1:
        return f"podman gives no say in which of several networks it leaves by: {NEEDS_OURS}"
    return ""


def _pool(key: _Key, lans: Lans) -> _Key | str:
    """Say with whom a network shares addresses: with all that are at the same device, else with nobody."""
    lan = lans.found.get(key)
    return lan.place if lan is not None else key


def _find_taken(
    wanted: dict[InstanceId, Wanted], containers: tuple[ContainerSeen, ...], lans: Lans
) -> dict[_Key | str, set[str]]:
    """Return the addresses that are in use, and those that a manifest gives to somebody."""
    taken: dict[_Key | str, set[str]] = {}
    for seen in containers:
        for name, addresses in seen.addresses.items():
            taken.setdefault(_pool((seen.tenant, seen.app, name), lans), set()).update(addresses)
    for item in wanted.values():
        spec = item.derived.spec
        for name, wish in (spec.further.addresses if spec.further else {}).items():
            fixed = {str(ipaddress.ip_address(each)) for each in (wish.ipv4, wish.ipv6) if each}
            taken.setdefault(_pool((spec.tenant, spec.app, name), lans), set()).update(fixed)
    return taken


def _name_devices(spec: InstanceSpec) -> dict[NetworkName, str]:
    """Name the devices as the manifest says, the others ``eth0`` and on in the order of their networks."""
    fixed = spec.further.addresses if spec.further else {}
    named = {name: fixed[name].device for name in spec.networks if name in fixed and fixed[name].device}
    free = (f"eth{number}" for number in range(len(spec.networks) + len(named)))
    unused = (each for each in free if each not in named.values())
    return {name: named.get(name) or next(unused) for name in sorted(spec.networks)}


def _open_ports(seen: ContainerSeen, open_networks: set[_Key]) -> list[OpenPort]:
    """Return where its ports lead: into its first network that has a way out, in each family that is meant."""
    ways = [name for name in sorted(seen.addresses) if (seen.tenant, seen.app, name) in open_networks]
    if seen.state not in ("running", "paused") or not ways:
        return []
    return [
        OpenPort(port.protocol, port.published, port.host_ip, address, port.target)
        for port in seen.ports
        for address in seen.addresses[ways[0]]
        if not port.host_ip or (":" in port.host_ip) == (":" in address)
    ]
