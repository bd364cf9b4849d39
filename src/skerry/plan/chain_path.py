"""One service chain as it lies at a node: its ends, who has the traffic of each step, and what is told of it. Pure.

A chain lies between a near end, which is a network or a service of this site or a device of the node, and a far one;
its steps are positions 1 to n on the way out, the near end is 0 and the far end n + 1. The node recognises who hands it
a packet by bridge and hardware address, so a step may have one network or several.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from skerry.model.chain import Chain, ChainEnd
from skerry.model.facts import ChainFact
from skerry.model.ids import AppName, InstanceId, NetworkName, NodeName, ServiceName, TenantName
from skerry.model.instance import InstanceSpec
from skerry.model.limits import INTEGER_MAX
from skerry.model.network import STRETCHED_V4, bridge_name, network_prefix
from skerry.model.observed import ContainerSeen, Observation
from skerry.model.samples import ChainUse, StepUse
from skerry.plan.actions import ProbeChain, ProbeHop
from skerry.plan.addresses import choose_mac
from skerry.plan.chain_devices import CLEAR, Obstacle
from skerry.plan.chain_probes import PathOutline, choose_probe, describe_flaw, probe_key
from skerry.plan.history import History

#: Meant for a link or for many: no node passes it on.
_NEVER = ("169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8")

Family = Literal["ip", "ip6"]
Protocol = Literal["", "tcp", "udp", "sctp", "icmp"]
FAMILIES: tuple[Family, ...] = ("ip", "ip6")


class Step(msgspec.Struct, frozen=True):
    """One position between the ends."""

    service: ServiceName
    #: The instance that has the traffic; None where none can.
    chosen: ContainerSeen | None
    #: All that run of the service.
    running: tuple[ContainerSeen, ...]


class End(msgspec.Struct, frozen=True, kw_only=True):
    """One end, as one family has it here."""

    #: Its addresses; of one beyond the site those of the match, and none for all that are there.
    ranges: tuple[str, ...]
    #: Bridges by which who is there hands over.
    bridges: tuple[str, ...] = ()
    #: The device of the node that leads there, where the end is one.
    device: str = ""
    is_beyond: bool = False


class Place(msgspec.Struct, frozen=True):
    """A position on one family's path: who hands packets over from there, what is its own, and its way in."""

    #: (bridge, hardware address) of those who hand over.
    senders: tuple[tuple[str, str], ...]
    own: tuple[str, ...]
    #: Bridge and address by which it is given packets on their way out and back; None where it cannot take any.
    way_out: tuple[str, str] | None
    way_back: tuple[str, str] | None
    #: Number of the step, from 1.
    position: int


class Path:
    """One chain at this node."""

    def __init__(
        self,
        chain: Chain,
        tenant: TenantName,
        app: AppName,
        observed: Observation,
        history: History,
        specs: Mapping[InstanceId, InstanceSpec],
        obstacle: Obstacle = CLEAR,
    ) -> None:
        self._obstacle = obstacle
        self.chain, self._tenant, self._app, self._specs = chain, tenant, app, specs
        # Of two ends beyond the site a device is the near one, and of two devices that where it comes from.
        self.outward = not chain.start.is_beyond or (chain.start.kind == "interface" and chain.end.is_beyond)
        self.near, self.far = (chain.start, chain.end) if self.outward else (chain.end, chain.start)
        mine = [each for each in observed.containers if (each.tenant, each.app) == (tenant, app) and each.addresses]
        self._running = sorted((each for each in mine if each.state == "running"), key=lambda each: each.ordinal)
        self._ranges = {
            seen.name: tuple(one.subnet for one in seen.ranges)
            for seen in observed.networks
            if (seen.tenant, seen.app) == (tenant, app)
        }
        self.all_near = _list_near(observed, tenant, app)
        services = chain.through if self.outward else chain.through[::-1]
        self.steps = tuple(self._find_step(service, history) for service in services)

    def _find_step(self, service: ServiceName, history: History) -> Step:
        """Find who of a service takes the traffic: the first copy that is well, so that it stays while it is."""
        running = tuple(each for each in self._running if each.service == service)
        well = [each for each in running if _is_well(each, history, self._specs)]
        return Step(service, well[0] if well else None, running)

    def choose_probe(self, count: int) -> ProbeChain | str:
        """Return the test packets of this chain, of the first family that it has here, or why there are none."""
        if self._obstacle.reason:
            return self._obstacle.reason
        if not (self.outward or self.chain.symmetric):
            return "test packets are sent outwards, and this chain leads inwards alone"
        if self.chain.fail == "closed" and any(step.chosen is None for step in self.steps):
            return "nothing passes, for a step is missing"
        for family in FAMILIES:
            outline = self._outline(family)
            if outline is not None:
                return choose_probe(outline, count)
        return "its ends have nothing in common here"

    def _outline(self, family: Family) -> PathOutline | None:
        ends = self.find_ends(family)
        if ends is None:
            return None
        near, far = ends
        kinds = self.list_kinds()
        places = [(step, self.place(step, number, family)) for number, step in enumerate(self.steps)]
        if not kinds or (self.chain.fail == "closed" and any(place.way_out is None for _, place in places)):
            return None
        match = msgspec.structs.replace(self.chain.match, protocol=kinds[0][0], ports=kinds[0][1])
        steps = {step.service for step in self.steps}
        people = tuple(
            address
            for each in self._running
            if each.service not in steps
            for given in each.addresses.values()
            for address in given
            if is_of(address, family)
        )
        return PathOutline(
            tenant=self._tenant,
            app=self._app,
            chain=self.chain.name,
            family=family,
            match=match,
            ports_of="to" if self.outward else "from",
            max_us=self.chain.max_latency_us,
            bridge=near.bridges[0] if near.bridges else find_first_bridge(place for _, place in places),
            sources=near.ranges,
            source_by=near.device,
            people=people,
            targets=far.ranges,
            target_by=far.device,
            near=tuple(each for each in self.all_near if is_of(each, family)),
            far_people=people,
            hops=tuple(
                ProbeHop(step.service, step.chosen.instance, place.senders)
                for step, place in places
                if step.chosen is not None and place.way_out is not None
            ),
        )

    def find_ends(self, family: Family) -> tuple[End, End] | None:
        """Return the near and the far end as they are here; None where one of them is nowhere."""
        if self._obstacle.bars:
            return None
        match = self.chain.match
        near_cidr, far_cidr = (match.from_cidr, match.to_cidr) if self.outward else (match.to_cidr, match.from_cidr)
        near, far = self._find_end(self.near, near_cidr, family), self._find_end(self.far, far_cidr, family)
        return None if near is None or far is None else (near, far)

    def _find_end(self, end: ChainEnd, cidr: tuple[str, ...], family: Family) -> End | None:
        ours = tuple(each for each in cidr if is_of(each, family))
        if end.is_beyond:
            device = end.name if end.kind == "interface" else ""
            return None if cidr and not ours else End(ranges=ours, device=device, is_beyond=True)
        ranges = _narrow(self._list_end(end, family), cidr, family)
        return End(ranges=ranges, bridges=tuple(self._bridges(end))) if ranges else None

    def list_kinds(self) -> list[tuple[Protocol, tuple[tuple[int, int], ...]]]:
        """Return the protocols and ports that it is about: those of its match, or of users the ports they come to."""
        match = self.chain.match
        if self.far.kind != "users":
            return [(match.protocol, match.ports)]
        open_ports: dict[Protocol, set[int]] = {}
        for spec in self._specs.values():
            if (spec.tenant, spec.app) != (self._tenant, self._app):
                continue
            if self.near.name in (spec.networks if self.near.kind == "network" else (spec.service,)):
                for port in spec.ports:
                    is_meant = not match.ports or any(first <= port.target <= last for first, last in match.ports)
                    if port.published and is_meant and match.protocol in ("", port.protocol):
                        open_ports.setdefault(port.protocol, set()).add(port.target)
        kinds = sorted(open_ports.items())
        return [(protocol, tuple((port, port) for port in sorted(ports))) for protocol, ports in kinds]

    def count(self, counts: Mapping[str, int], mark: str) -> ChainUse:
        """Say what each step was given, of those that the rules count by this mark."""
        steps = (
            StepUse(
                step.service,
                min(counts.get(f"{mark}s{place}_out", 0), INTEGER_MAX),
                min(counts.get(f"{mark}s{place}_back", 0), INTEGER_MAX),
            )
            for place, step in enumerate(self.steps, 1)
        )
        return ChainUse(self._tenant, self._app, self.chain.name, tuple(steps))

    def tell(self, node: NodeName, history: History, *, is_so: bool) -> ChainFact:
        """Say where the traffic of the chain goes at this node, or is about to go where it is not so yet."""
        missing = [step.service for step in self.steps if step.chosen is None]
        state = "whole" if not missing else "around" if self.chain.fail == "open" else "closed"
        state = "closed" if self._obstacle.reason else state
        state = state if is_so else "changing"
        note = history.probes.get(probe_key(self._tenant, self._app, self.chain.name))
        if note is None or note.through != tuple(step.chosen.instance for step in self.steps if step.chosen):
            note = None
        steps = self.steps if self.outward else self.steps[::-1]
        return ChainFact(
            tenant=self._tenant,
            app=self._app,
            chain=self.chain.name,
            node=node,
            state=state,
            steps={step.service: step.chosen.instance if step.chosen else "" for step in steps},
            reason=self._obstacle.reason or (f"no copy of {', '.join(sorted(missing))} is well" if missing else ""),
            latency_us=note.latency_us if note else {},
            path_us=note.path_us if note else 0,
            late=note is not None and note.verdict == "late",
            flaw=describe_flaw(note, self.chain.max_latency_us) if note else "",
        )

    def place(self, step: Step, number: int, family: Family) -> Place:
        """Return the position of a step on the path of a family; ``number`` counts from 0."""
        senders: set[tuple[str, str]] = set()
        own: set[str] = set()
        for each in step.running:
            for network, addresses in each.addresses.items():
                bridge = bridge_name(self._tenant, self._app, network)
                senders.add((bridge, each.macs.get(network) or self._choose_mac(each.instance, network, addresses[0])))
                own.update(address for address in addresses if is_of(address, family))
        before = self._networks_at(number - 1)
        after = self._networks_at(number + 1)
        return Place(
            tuple(sorted(senders)),
            tuple(sorted(own)),
            self._way_in(step, before, family),
            self._way_in(step, after, family),
            number + 1,
        )

    def _choose_mac(self, instance: InstanceId, network: NetworkName, address: str) -> str:
        """Return the hardware address that ``plan/links.py`` gives, which the runtime does not tell."""
        spec = self._specs.get(instance)
        further = spec.further if spec else None
        fixed = further.addresses.get(network) if further else None
        if fixed is not None and fixed.mac:
            return fixed.mac
        ours = ipaddress.ip_address(address)
        ranges = (ipaddress.ip_network(each) for each in self._ranges.get(network, ()))
        bits = next((each.prefixlen for each in ranges if ours in each), 0)
        return choose_mac(f"{self._tenant}/{self._app}/{network}", f"{address}/{bits}")

    def _networks_at(self, number: int) -> frozenset[NetworkName]:
        if 0 <= number < len(self.steps):
            chosen = self.steps[number].chosen
            return frozenset(chosen.addresses) if chosen else frozenset()
        end = self.near if number < 0 else self.far
        return frozenset({NetworkName(end.name)}) if end.kind == "network" else frozenset()

    def _way_in(self, step: Step, neighbours: frozenset[NetworkName], family: Family) -> tuple[str, str] | None:
        """Return the bridge and address by which a step takes packets: those of a network it shares, if it does."""
        if step.chosen is None:
            return None
        for network in sorted(step.chosen.addresses, key=lambda name: (name not in neighbours, name)):
            for address in step.chosen.addresses[network]:
                if is_of(address, family):
                    return bridge_name(self._tenant, self._app, network), address
        return None

    def _list_end(self, end: ChainEnd, family: Family) -> tuple[str, ...]:
        if end.kind == "network":
            return tuple(each for each in self._ranges.get(NetworkName(end.name), ()) if is_of(each, family))
        own = (each for each in self._running if each.service == end.name)
        return tuple(
            sorted({a for each in own for given in each.addresses.values() for a in given if is_of(a, family)})
        )

    def _bridges(self, end: ChainEnd) -> list[str]:
        if end.kind == "network":
            return [bridge_name(self._tenant, self._app, end.name)]
        own = (each for each in self._running if each.service == end.name)
        return sorted({bridge_name(self._tenant, self._app, name) for each in own for name in each.addresses})


def find_first_bridge(places: Iterable[Place]) -> str:
    """Return the bridge of the first step that takes what goes out; empty where none does."""
    return next((place.way_out[0] for place in places if place.way_out is not None), "")


def _is_well(seen: ContainerSeen, history: History, specs: Mapping[InstanceId, InstanceSpec]) -> bool:
    spec, run = specs.get(seen.instance), history.runs.get(seen.instance)
    if spec is None or spec.healthcheck is None:
        return True
    return run is not None and run.health == "healthy"


def _list_near(observed: Observation, tenant: TenantName, app: AppName) -> tuple[str, ...]:
    """Return what is not beyond the site: ranges of its networks, and those of the app's own parts at other sites.

    Where the app has no network over sites, an address of that range is one of somebody else's, such as the site's LAN.
    """
    ranges = set(_NEVER)
    for seen in observed.networks:
        ranges |= {one.subnet for one in seen.ranges}
        if (seen.tenant, seen.app) == (tenant, app) and any(_is_stretched(one.subnet) for one in seen.ranges):
            ranges |= {str(STRETCHED_V4), str(network_prefix(seen.tenant, seen.app, seen.name))}
    found: list[str] = []
    for version in (4, 6):
        nets = [net for each in ranges if (net := ipaddress.ip_network(each)).version == version]
        found += [str(net) for net in ipaddress.collapse_addresses(nets)]  # type: ignore[type-var]
    return tuple(sorted(found))


def _is_stretched(subnet: str) -> bool:
    network = ipaddress.ip_network(subnet)
    return isinstance(network, ipaddress.IPv4Network) and network.subnet_of(STRETCHED_V4)


def _narrow(ranges: tuple[str, ...], to: tuple[str, ...], family: Family) -> tuple[str, ...]:
    """Return what ranges have in common with those of a match; all of them where it has none."""
    if not to:
        return ranges
    found: set[str] = set()
    for one in map(ipaddress.ip_network, ranges):
        for other in (ipaddress.ip_network(each) for each in to if is_of(each, family)):
            if one.overlaps(other):
                found.add(str(one if one.prefixlen >= other.prefixlen else other))
    return tuple(sorted(found))


def is_of(text: str, family: Family) -> bool:
    """Say whether an address or a range is one of a family."""
    return (":" in text) == (family == "ip6")
