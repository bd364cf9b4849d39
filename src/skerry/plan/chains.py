"""How a node steers packets through the steps of service chains: ``plan_chains`` writes one whole action.

A chain lies between a near end, which is a network or a service of this site, and a far one; its steps are positions 1
to n on the way out, the near end is 0 and the far end n + 1. The node recognises who hands it a packet by bridge and
hardware address, so a step may have one network or several. From position q a packet goes to q + 1 on its way out and
to q - 1 on its way back; which way it goes its addresses say. What a step sends of its own accord passes the steps
beyond it, and the answers come back the same way.

Every next position is a *hop*: a mark, and a routing table of the same number that leads to the step and nowhere else.
A hop keeps its number for as long as the node has it, so a change of chains is: new hops first, then all rules at once,
then the hops that nobody uses. No packet meets half of a change.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from skerry.model.chain import Chain, ChainEnd
from skerry.model.facts import ChainFact
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, NodeName, ServiceName, TenantName
from skerry.model.limits import INTEGER_MAX
from skerry.model.network import STRETCHED_V4, bridge_name, network_prefix
from skerry.model.observed import ChainHop, ContainerSeen, Observation
from skerry.model.samples import ChainUse, StepUse
from skerry.plan.actions import ApplyChains, ProbeChain, ProbeHop, Steer
from skerry.plan.addresses import choose_mac
from skerry.plan.chain_probes import PROBES, PathOutline, choose_probe, describe_flaw, find_due, probe_key
from skerry.plan.history import History
from skerry.plan.instances import Wanted
from skerry.plan.site_plan import PlanDraft

#: Marks and tables of ours: "SK" in the upper half, and no other number is read or changed.
FIRST = 0x534B_0000
#: Nothing passes: a table that says so to who sent the packet.
CLOSED = FIRST + 1
#: The last of the steps has handed it over: out of the site, or to an instance of it.
PASS_OUT, PASS_IN = FIRST + 2, FIRST + 3
#: Hops have numbers from here to ``LAST``.
HOPS = FIRST + 0x10
LAST = FIRST + 0xFFFF

#: Meant for a link or for many: no node passes it on.
_NEVER = ("169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8")

Family = Literal["ip", "ip6"]
_FAMILIES: tuple[Family, ...] = ("ip", "ip6")
_AppKey = tuple[TenantName, AppName]


class _Step(msgspec.Struct, frozen=True):
    """One position between the ends."""

    service: ServiceName
    #: The instance that has the traffic; None where none can.
    chosen: ContainerSeen | None
    #: All that run of the service.
    running: tuple[ContainerSeen, ...]


class _Place(msgspec.Struct, frozen=True):
    """A position on one family's path: who hands packets over from there, what is its own, and its way in."""

    #: (bridge, hardware address) of those who hand over.
    senders: tuple[tuple[str, str], ...]
    own: tuple[str, ...]
    #: Bridge and address by which it is given packets on their way out and back; None where it cannot take any.
    way_out: tuple[str, str] | None
    way_back: tuple[str, str] | None
    #: Number of the step, from 1.
    position: int


def plan_chains(
    draft: PlanDraft, wanted: dict[InstanceId, Wanted], observed: Observation, history: History, node: NodeName
) -> bool:
    """Have the node steer as the chains of its apps say; say whether it does."""
    apps = _newest_chains(wanted)
    seen = observed.chains
    if seen is None or seen.reason:
        for (tenant, app), chains in sorted(apps.items()):
            reason = "nothing here steers packets" if seen is None else seen.reason
            for chain in chains:
                draft.wait(f"chain/{tenant}/{app}/{chain.name}", reason)
        return not any(apps.values())
    hops = _Hops(seen.hops)
    paths = [
        _Path(chain, tenant, app, observed, history, wanted)
        for (tenant, app), chains in sorted(apps.items())
        for chain in chains
    ]
    steers = [steer for number, path in enumerate(paths) for steer in path.compile(hops, f"c{number}")]
    action = ApplyChains(hops=hops.list(), steers=tuple(steers), digest=chains_digest(hops.list(), tuple(steers)))
    idle = not (action.hops or action.steers)
    is_so = seen.digest == ("" if idle else action.digest) and seen.hops == action.hops
    draft.facts += [path.tell(node, history, is_so=is_so) for path in paths]
    if not is_so:
        draft.add(action)
        return False
    draft.chains = tuple(path.count(seen.counts, f"c{number}") for number, path in enumerate(paths))
    probes = (path.choose_probe(PROBES) for path in paths)
    due, next_us = find_due(
        history.probes, [each for each in probes if isinstance(each, ProbeChain)], draft.now.boot_us
    )
    draft.wake(next_us)
    if due is not None:
        draft.add(due)
    return True


def find_probe(
    wanted: dict[InstanceId, Wanted], observed: Observation, history: History, key: str, count: int
) -> ProbeChain | str:
    """Return how to test one chain of this node now, or why that cannot be."""
    for (tenant, app), chains in _newest_chains(wanted).items():
        for chain in chains:
            if probe_key(tenant, app, chain.name) == key:
                seen = observed.chains
                if seen is None or seen.reason:
                    return "nothing here steers packets" if seen is None else seen.reason
                return _Path(chain, tenant, app, observed, history, wanted).choose_probe(count)
    return f"no chain {key} is to be here"


def chains_digest(hops: tuple[ChainHop, ...], steers: tuple[Steer, ...]) -> Digest:
    """Name what steers packets by what it is made from."""
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode((hops, steers))).hexdigest())


def _newest_chains(wanted: dict[InstanceId, Wanted]) -> dict[_AppKey, tuple[Chain, ...]]:
    """Return the chains of each app, as its newest revision here has them."""
    found: dict[_AppKey, tuple[int, tuple[Chain, ...]]] = {}
    for item in wanted.values():
        spec = item.derived.spec
        key = spec.tenant, spec.app
        if key not in found or found[key][0] < item.number:
            found[key] = item.number, item.chains
    return {key: chains for key, (_, chains) in found.items() if chains}


class _Hops:
    """Numbers of next positions: those that the node has keep theirs."""

    def __init__(self, seen: tuple[ChainHop, ...]) -> None:
        self._known = {(hop.bridge, hop.address): hop.number for hop in seen if HOPS <= hop.number <= LAST}
        self._taken = {hop.number for hop in seen}
        self._used: dict[int, ChainHop] = {}

    def number(self, bridge: str, address: str) -> int:
        known = self._known.get((bridge, address))
        if known is None:
            known = next(number for number in range(HOPS, LAST + 1) if number not in self._taken)
            self._known[bridge, address] = known
            self._taken.add(known)
        self._used[known] = ChainHop(known, bridge, address)
        return known

    def list(self) -> tuple[ChainHop, ...]:
        return tuple(self._used[number] for number in sorted(self._used))


class _Path:
    """One chain at this node."""

    def __init__(
        self,
        chain: Chain,
        tenant: TenantName,
        app: AppName,
        observed: Observation,
        history: History,
        wanted: Mapping[InstanceId, Wanted],
    ) -> None:
        self._chain, self._tenant, self._app, self._wanted = chain, tenant, app, wanted
        self._outward = chain.start.kind != "uplink"
        self._near, self._far = (chain.start, chain.end) if self._outward else (chain.end, chain.start)
        mine = [each for each in observed.containers if (each.tenant, each.app) == (tenant, app) and each.addresses]
        self._running = sorted((each for each in mine if each.state == "running"), key=lambda each: each.ordinal)
        self._ranges = {
            seen.name: tuple(one.subnet for one in seen.ranges)
            for seen in observed.networks
            if (seen.tenant, seen.app) == (tenant, app)
        }
        self._all_near = _list_near(observed, tenant, app)
        services = chain.through if self._outward else chain.through[::-1]
        self._steps = tuple(self._find_step(service, history, wanted) for service in services)

    def _find_step(self, service: ServiceName, history: History, wanted: Mapping[InstanceId, Wanted]) -> _Step:
        """Find who of a service takes the traffic: the first copy that is well, so that it stays while it is."""
        running = tuple(each for each in self._running if each.service == service)
        well = [each for each in running if _is_well(each, history, wanted)]
        return _Step(service, well[0] if well else None, running)

    def choose_probe(self, count: int) -> ProbeChain | str:
        """Return the test packets of this chain, of the first family that it has here, or why there are none."""
        if not (self._outward or self._chain.symmetric):
            return "test packets are sent outwards, and this chain leads inwards alone"
        if self._chain.fail == "closed" and any(step.chosen is None for step in self._steps):
            return "nothing passes, for a step is missing"
        for family in _FAMILIES:
            outline = self._outline(family)
            if outline is not None:
                return choose_probe(outline, count)
        return "its ends have nothing in common here"

    def _outline(self, family: Family) -> PathOutline | None:
        near, beyond, far = self._find_ends(family)
        if not near or not (beyond or far):
            return None
        places = [(step, self._place(step, number, family)) for number, step in enumerate(self._steps)]
        if self._chain.fail == "closed" and any(place.way_out is None for _, place in places):
            return None
        steps = {step.service for step in self._steps}
        people = tuple(
            address
            for each in self._running
            if each.service not in steps
            for given in each.addresses.values()
            for address in given
            if _is(address, family)
        )
        return PathOutline(
            tenant=self._tenant,
            app=self._app,
            chain=self._chain.name,
            family=family,
            match=self._chain.match,
            ports_of="to" if self._outward else "from",
            max_us=self._chain.max_latency_us,
            bridge=self._bridges(self._near)[0],
            sources=near,
            people=people,
            targets=far,
            near=tuple(each for each in self._all_near if _is(each, family)),
            far_people=people,
            hops=tuple(
                ProbeHop(step.service, step.chosen.instance, place.senders)
                for step, place in places
                if step.chosen is not None and place.way_out is not None
            ),
        )

    def _find_ends(self, family: Family) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
        """Return the ranges of the near end, whether the far one is all that is beyond, and the ranges of that one."""
        match = self._chain.match
        near_cidr, far_cidr = (match.from_cidr, match.to_cidr) if self._outward else (match.to_cidr, match.from_cidr)
        near = _narrow(self._list_end(self._near, family), near_cidr, family)
        if self._far.kind == "uplink":
            far = tuple(each for each in far_cidr if _is(each, family))
            return near, not far_cidr or bool(far), far
        return near, False, _narrow(self._list_end(self._far, family), far_cidr, family)

    def count(self, counts: Mapping[str, int], mark: str) -> ChainUse:
        """Say what each step was given, of those that the rules count by this mark."""
        steps = (
            StepUse(
                step.service,
                min(counts.get(f"{mark}s{place}_out", 0), INTEGER_MAX),
                min(counts.get(f"{mark}s{place}_back", 0), INTEGER_MAX),
            )
            for place, step in enumerate(self._steps, 1)
        )
        return ChainUse(self._tenant, self._app, self._chain.name, tuple(steps))

    def tell(self, node: NodeName, history: History, *, is_so: bool) -> ChainFact:
        """Say where the traffic of the chain goes at this node, or is about to go where it is not so yet."""
        missing = [step.service for step in self._steps if step.chosen is None]
        state = "whole" if not missing else "around" if self._chain.fail == "open" else "closed"
        state = state if is_so else "changing"
        note = history.probes.get(probe_key(self._tenant, self._app, self._chain.name))
        if note is None or note.through != tuple(step.chosen.instance for step in self._steps if step.chosen):
            note = None
        steps = self._steps if self._outward else self._steps[::-1]
        return ChainFact(
            tenant=self._tenant,
            app=self._app,
            chain=self._chain.name,
            node=node,
            state=state,
            steps={step.service: step.chosen.instance if step.chosen else "" for step in steps},
            reason=f"no copy of {', '.join(sorted(missing))} is well" if missing else "",
            latency_us=note.latency_us if note else {},
            path_us=note.path_us if note else 0,
            late=note is not None and note.verdict == "late",
            flaw=describe_flaw(note, self._chain.max_latency_us) if note else "",
        )

    def compile(self, hops: _Hops, mark: str) -> Iterator[Steer]:
        """Give the rules, the first that fits a packet being the one that counts."""
        for family in _FAMILIES:
            yield from self._compile_family(family, hops, mark)

    def _compile_family(self, family: Family, hops: _Hops, mark: str) -> Iterator[Steer]:
        match = self._chain.match
        beyond = self._far.kind == "uplink"
        near, is_beyond, wanted_far = self._find_ends(family)
        far = () if beyond else wanted_far
        if not near or not (is_beyond or far):
            return
        places = [self._place(step, number, family) for number, step in enumerate(self._steps)]
        way_out = self._outward or self._chain.symmetric
        way_back = not self._outward or self._chain.symmetric
        shut = tuple(each for each in self._all_near if _is(each, family)) if beyond else ()
        base = Steer(family=family, protocol=match.protocol, ports=match.ports, mark=0)
        outward, inward = ("to", "from") if self._outward else ("from", "to")
        out = msgspec.structs.replace(base, targets=wanted_far, not_targets=shut, ports_of=outward)
        back = msgspec.structs.replace(base, sources=wanted_far, not_sources=shut, ports_of=inward)
        is_open = self._chain.fail == "open"
        macs = tuple(sorted({mac for place in places for _, mac in place.senders}))
        near_bridges, far_bridges = self._bridges(self._near), self._bridges(self._far)
        last = PASS_OUT if beyond else PASS_IN
        for q in range(len(places) + 1):
            if not way_out:
                break
            own = tuple(address for place in places[:q] for address in place.own)
            senders = [(bridge, ()) for bridge in near_bridges] if q == 0 else _by_bridge(places[q - 1].senders)
            target, step = _next_hop(((place.way_out, place) for place in places[q:]), hops, last, is_open)
            for bridge, from_macs in senders:
                yield msgspec.structs.replace(
                    out,
                    bridge=bridge,
                    macs=from_macs,
                    not_macs=macs if q == 0 else (),
                    sources=tuple(sorted({*near, *own})),
                    mark=target,
                    counter=f"{mark}s{step}_out" if step else "",
                    tracked=target == PASS_OUT,
                )
        for q in range(len(places) + 1, 0, -1):
            if not way_back:
                break
            if q == len(places) + 1:
                senders = [("", ())] if beyond else [(bridge, ()) for bridge in far_bridges]
            else:
                senders = _by_bridge(places[q - 1].senders)
            before = places[: q - 1]
            for bridge, from_macs in senders:
                # What is for a step itself goes back as far as that step.
                for number in range(len(before), -1, -1):
                    targets = before[number - 1].own if number else near
                    if not targets:
                        continue
                    between = before[number:]
                    hop, step = _next_hop(
                        ((place.way_back, place) for place in reversed(between)), hops, PASS_IN, is_open
                    )
                    yield msgspec.structs.replace(
                        back,
                        bridge=bridge,
                        macs=from_macs,
                        not_macs=macs if q == len(places) + 1 and bridge else (),
                        targets=targets,
                        mark=hop,
                        counter=f"{mark}s{step}_back" if step else "",
                        tracked=not bridge,
                    )
        if not beyond and not self._chain.symmetric:
            # Answers between two networks go straight, and nothing else lets them through.
            sources, targets = (far, near) if self._outward else (near, far)
            flipped = "from" if self._outward else "to"
            for bridge in far_bridges if self._outward else near_bridges:
                yield msgspec.structs.replace(
                    base, bridge=bridge, not_macs=macs, sources=sources, targets=targets, ports_of=flipped, mark=PASS_IN
                )

    def _place(self, step: _Step, number: int, family: Family) -> _Place:
        senders: set[tuple[str, str]] = set()
        own: set[str] = set()
        for each in step.running:
            for network, addresses in each.addresses.items():
                bridge = bridge_name(self._tenant, self._app, network)
                senders.add((bridge, each.macs.get(network) or self._choose_mac(each.instance, network, addresses[0])))
                own.update(address for address in addresses if _is(address, family))
        before = self._networks_at(number - 1)
        after = self._networks_at(number + 1)
        return _Place(
            tuple(sorted(senders)),
            tuple(sorted(own)),
            self._way_in(step, before, family),
            self._way_in(step, after, family),
            number + 1,
        )

    def _choose_mac(self, instance: InstanceId, network: NetworkName, address: str) -> str:
        """Return the hardware address that ``plan/links.py`` gives, which the runtime does not tell."""
        item = self._wanted.get(instance)
        further = item.derived.spec.further if item else None
        fixed = further.addresses.get(network) if further else None
        if fixed is not None and fixed.mac:
            return fixed.mac
        ours = ipaddress.ip_address(address)
        ranges = (ipaddress.ip_network(each) for each in self._ranges.get(network, ()))
        bits = next((each.prefixlen for each in ranges if ours in each), 0)
        return choose_mac(f"{self._tenant}/{self._app}/{network}", f"{address}/{bits}")

    def _networks_at(self, number: int) -> frozenset[NetworkName]:
        if 0 <= number < len(self._steps):
            chosen = self._steps[number].chosen
            return frozenset(chosen.addresses) if chosen else frozenset()
        end = self._near if number < 0 else self._far
        return frozenset({NetworkName(end.name)}) if end.kind == "network" else frozenset()

    def _way_in(self, step: _Step, neighbours: frozenset[NetworkName], family: Family) -> tuple[str, str] | None:
        """Return the bridge and address by which a step takes packets: those of a network it shares, if it does."""
        if step.chosen is None:
            return None
        for network in sorted(step.chosen.addresses, key=lambda name: (name not in neighbours, name)):
            for address in step.chosen.addresses[network]:
                if _is(address, family):
                    return bridge_name(self._tenant, self._app, network), address
        return None

    def _list_end(self, end: ChainEnd, family: Family) -> tuple[str, ...]:
        if end.kind == "network":
            return tuple(each for each in self._ranges.get(NetworkName(end.name), ()) if _is(each, family))
        own = (each for each in self._running if each.service == end.name)
        return tuple(sorted({a for each in own for given in each.addresses.values() for a in given if _is(a, family)}))

    def _bridges(self, end: ChainEnd) -> list[str]:
        if end.kind == "network":
            return [bridge_name(self._tenant, self._app, end.name)]
        own = (each for each in self._running if each.service == end.name)
        return sorted({bridge_name(self._tenant, self._app, name) for each in own for name in each.addresses})


def _next_hop(
    ways: Iterable[tuple[tuple[str, str] | None, _Place]], hops: _Hops, last: int, is_open: bool
) -> tuple[int, int]:
    """Return the mark for the first position that can take the packet, and that position; 0 for none."""
    for way, place in ways:
        if way is not None:
            return hops.number(*way), place.position
        if not is_open:
            return CLOSED, 0
    return last, 0


def _is_well(seen: ContainerSeen, history: History, wanted: Mapping[InstanceId, Wanted]) -> bool:
    item, run = wanted.get(seen.instance), history.runs.get(seen.instance)
    if item is None or item.derived.spec.healthcheck is None:
        return True
    return run is not None and run.health == "healthy"


def _by_bridge(senders: Iterable[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    found: dict[str, list[str]] = {}
    for bridge, mac in senders:
        found.setdefault(bridge, []).append(mac)
    return [(bridge, tuple(sorted(macs))) for bridge, macs in sorted(found.items())]


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
        for other in (ipaddress.ip_network(each) for each in to if _is(each, family)):
            if one.overlaps(other):
                found.add(str(one if one.prefixlen >= other.prefixlen else other))
    return tuple(sorted(found))


def _is(text: str, family: Family) -> bool:
    return (":" in text) == (family == "ip6")
