"""Fake service chains: what the node's marks and tables do to a packet, without a packet.

``FakeChains`` is what steers packets at a machine while no agent looks; ``FakeChainsDriver`` is the agent's hand on it
and keeps the same contract as the real drivers (``tests/contract/chains.py``). A packet is followed rule by rule, so
who has it in which order comes from what was applied and from nothing else.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from skerry.model.network import bridge_name
from skerry.model.observed import ChainHop, ChainsSeen, ContainerSeen, NetworkSeen, Observation, ProbePass
from skerry.plan.actions import DONE, Action, ApplyChains, Outcome, ProbeChain, Steer, failed
from skerry.plan.addresses import choose_mac
from skerry.plan.chain_marks import CLOSED, PASS_IN, PASS_OUT
from skerry.plan.chain_probes import PROBE_MAC, hop_limit

#: An address of the range that a device of the node has.
AT_DEVICE = "10.177.9.254"
#: Nothing that a packet meets in a network of ours is farther than this.
_WAY_MAX = 64
#: How long a step has a packet, and the node; and how far apart test packets are.
STEP_NS, NODE_NS, GAP_NS = 40_000, 5_000, 20_000_000


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules look at; ``bridge`` is empty for what comes from beyond the site."""

    family: str = "ip"
    bridge: str
    mac: str
    #: By which device of the node it comes from there; empty for one that no chain asks for.
    device: str = ""
    #: Devices by which the node's routes lead to its ends, of those that chains ask for.
    source_by: str = ""
    target_by: str = ""
    #: A published port has led it in.
    led_in: bool = False
    source: str
    target: str
    protocol: str = "icmp"
    #: Ports at both ends; 0 where the protocol has none.
    from_port: int = 0
    to_port: int = 0
    hops: int = _WAY_MAX


class Walk(msgspec.Struct, frozen=True):
    """Which hops a packet was given to, in order, and how it ended."""

    given: tuple[ChainHop, ...]
    #: By which bridge and hardware address each that passed it on did so.
    passed: tuple[tuple[str, str], ...]
    #: ``out`` of the site, ``in`` to an instance, ``closed``, ``lost`` at the last hop, ``spent`` at the node, or
    #: ``aside`` where no rule wants it.
    end: str


class FakeChains:
    """What steers packets at one machine; it outlives the agent and ends with the power."""

    def __init__(self, pass_on: Callable[[ChainHop], tuple[str, str] | None]) -> None:
        #: Says by which bridge and hardware address who has an address passes packets on; None for one that does not.
        self._pass_on = pass_on
        self.seen = ChainsSeen()
        self.steers: tuple[Steer, ...] = ()

    def lose_power(self) -> None:
        """Nothing of it is left."""
        self.seen, self.steers = ChainsSeen(), ()

    def apply(self, action: ApplyChains) -> None:
        """Be as the action says; what counts begins anew."""
        digest = action.digest if action.steers else ""
        counts = dict.fromkeys((each.counter for each in action.steers if each.counter), 0)
        self.seen, self.steers = ChainsSeen(digest=digest, hops=action.hops, counts=counts), action.steers

    def walk(self, packet: Packet) -> Walk:
        """Follow a packet to its end."""
        given: list[ChainHop] = []
        passed: list[tuple[str, str]] = []
        hops = {hop.number: hop for hop in self.seen.hops}
        for _ in range(_WAY_MAX):
            steer = self._find(packet)
            if steer is None:
                return Walk(tuple(given), tuple(passed), "aside")
            if steer.counter:
                counts = {**self.seen.counts, steer.counter: self.seen.counts[steer.counter] + 1}
                self.seen = msgspec.structs.replace(self.seen, counts=counts)
            if packet.hops <= 1:
                return Walk(tuple(given), tuple(passed), "spent")
            ends = {CLOSED: "closed", PASS_OUT: "out", PASS_IN: "in"}
            if steer.mark in ends or steer.mark not in hops:
                return Walk(tuple(given), tuple(passed), ends.get(steer.mark, "closed"))
            given.append(hops[steer.mark])
            way = self._pass_on(hops[steer.mark])
            if way is None or packet.hops <= 2:
                return Walk(tuple(given), tuple(passed), "lost")
            passed.append(way)
            packet = msgspec.structs.replace(packet, bridge=way[0], mac=way[1], device="", hops=packet.hops - 2)
        return Walk(tuple(given), tuple(passed), "lost")

    def _find(self, packet: Packet) -> Steer | None:
        """Return the rule that a packet meets: what is untracked is marked before the rest."""
        fitting = [each for each in self.steers if is_meant(each, packet)]
        return next((each for each in fitting if each.bridge or not each.tracked), next(iter(fitting), None))

    def probe(self, action: ProbeChain) -> tuple[ProbePass, ...]:
        """Send test packets, and say where they are seen."""
        return tuple(each for number in range(action.count + 1) for each in self._follow(action, number))

    def _follow(self, action: ProbeChain, number: int) -> Iterator[ProbePass]:
        at_ns = number * GAP_NS
        walk = self.walk(
            Packet(
                family=action.family,
                bridge=action.bridge,
                mac=PROBE_MAC,
                source=action.source or AT_DEVICE,
                target=action.target or AT_DEVICE,
                source_by=action.source_by,
                target_by=action.target_by,
                protocol=action.protocol,
                hops=hop_limit(action),
                from_port=action.port if action.ports_of == "from" else 0,
                to_port=action.port if action.ports_of == "to" else 0,
            )
        )
        yield ProbePass(at_ns, number, action.bridge, PROBE_MAC, inward=True)
        for place, hop in enumerate(walk.given):
            at_ns += NODE_NS
            way = walk.passed[place] if place < len(walk.passed) else None
            mine = action.hops[place].links if place < len(action.hops) else ()
            own = next((mac for bridge, mac in mine if bridge == hop.bridge), "")
            yield ProbePass(at_ns, number, hop.bridge, own, inward=False)
            if way is not None:
                at_ns += STEP_NS
                yield ProbePass(at_ns, number, *way, inward=True)


def find_way(
    hop: ChainHop, containers: Iterable[ContainerSeen], networks: Mapping[tuple[str, str, str], NetworkSeen]
) -> tuple[str, str] | None:
    """Say by which bridge and hardware address the instance with an address passes on: by its last network."""
    for seen in containers:
        if seen.state == "running" and any(hop.address in given for given in seen.addresses.values()):
            network = max(seen.addresses)
            key = (seen.tenant, seen.app, network)
            address = seen.addresses[network][0]
            ranges = (ipaddress.ip_network(each.subnet) for each in networks[key].ranges)
            bits = next((each.prefixlen for each in ranges if ipaddress.ip_address(address) in each), 0)
            return bridge_name(*key), seen.macs.get(network) or choose_mac("/".join(key), f"{address}/{bits}")
    return None


def is_meant(steer: Steer, packet: Packet) -> bool:
    """Say whether a rule is about a packet."""
    port = packet.to_port if steer.ports_of == "to" else packet.from_port
    return (
        steer.family == packet.family
        and steer.bridge == packet.bridge
        and (not steer.device or steer.device == packet.device)
        and (not steer.not_device or steer.not_device != packet.device)
        and (packet.led_in or not steer.led_in)
        and (not steer.source_by or steer.source_by == packet.source_by)
        and (not steer.target_by or steer.target_by == packet.target_by)
        and (not steer.not_target_by or steer.not_target_by != packet.target_by)
        and (not steer.macs or packet.mac in steer.macs)
        and packet.mac not in steer.not_macs
        and (not steer.sources or _is_in(packet.source, steer.sources))
        and not _is_in(packet.source, steer.not_sources)
        and (not steer.targets or _is_in(packet.target, steer.targets))
        and not _is_in(packet.target, steer.not_targets)
        and steer.protocol in ("", packet.protocol)
        and (not steer.ports or any(first <= port <= last for first, last in steer.ports))
    )


def _is_in(address: str, ranges: tuple[str, ...]) -> bool:
    ours = ipaddress.ip_address(address)
    return any(ours in ipaddress.ip_network(each) for each in ranges)


class FakeChainsDriver:
    """The agent's hand on fake chains."""

    name = "chains"
    performs = (ApplyChains, ProbeChain)

    def __init__(self, chains: FakeChains) -> None:
        self._chains = chains

    async def observe(self) -> Observation:
        """Look."""
        return Observation(driver=self.name, chains=self._chains.seen)

    async def perform(self, action: Action) -> Outcome:
        """Do one step."""
        match action:
            case ApplyChains():
                self._chains.apply(action)
                return DONE
            case ProbeChain():
                return Outcome(ok=True, passes=self._chains.probe(action))
            case _:
                return failed("E-DRIVER", f"fake chains do not do {type(action).__name__}")
