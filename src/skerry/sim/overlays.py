"""Fake tunnels: what WireGuard does to a packet, without a packet; and the sea over which nodes find each other.

``FakeTunnels`` is what a machine's tunnels are while no agent looks; ``FakeOverlay`` is the agent's hand on them and
keeps the same contract as the real driver. ``Sea.carry`` says where a packet ends, from what both ends' tunnels allow;
``Sea.send`` asks both firewalls as well. A packet is two addresses: who could read it is not modelled, who gets it is.
"""

import functools
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from skerry.clock import SECOND_US, Clock
from skerry.drivers.overlay.driver import KeyRoom
from skerry.model.errors import SkerryError
from skerry.model.observed import Observation, OverlaySeen, TunnelSeen
from skerry.plan.actions import (
    DONE,
    Action,
    ApplyOverlay,
    AppRules,
    DropOverlayKey,
    MakeOverlayKey,
    Outcome,
    Tunnel,
    failed,
)
from skerry.plan.overlay import own_port
from skerry.sim.relays import CORE_RELAY, FakeRelay

FIRST_PORT = 51_820
#: A handshake is tried again so often, and no longer than so long (WireGuard, section 6.1).
_RETRY_S = 5
_RETRIES_S = 90

_Way = tuple[int, bool, bytes]


class _Use(msgspec.Struct):
    """What became of one tunnel."""

    told: str
    #: Received when it was told that.
    told_at: int = 0
    #: Where what is sent goes: where it was told to look, or from where the other end was heard since.
    place: str = ""
    heard_us: int = -1
    sent: int = 0
    received: int = 0
    #: Sent when something was last received.
    sent_before: int = 0
    #: When something was sent first that nobody has answered, and when anything was sent last.
    silent_us: int = -1
    spoke_us: int = -(10**12)


class Answering(Protocol):
    """What answers for names at a machine."""

    def answer(self, source: str, server: str, name: str, kind: str) -> tuple[str, tuple[str, ...]]:
        """Answer a question that came from one address to another: a code and what was found."""
        ...


class FakeTunnels:
    """The tunnels of one machine; they outlive the agent and end with the power."""

    def __init__(self, address: str) -> None:
        self.address = address
        #: Where it was first; names the machine wherever it moves to.
        self.born = address
        self.tunnels: tuple[Tunnel, ...] = ()
        self.digest = ""
        #: Public halves of the keys of the interfaces that are there.
        self.publics: dict[int, bytes] = {}
        self.uses: dict[_Way, _Use] = {}
        #: The machine's name server, where it has one.
        self.names: Answering | None = None
        #: Its boot-time clock.
        self.boot_us: Callable[[], int] = lambda: 0
        #: Its relay for other sites.
        self.relay = FakeRelay()
        self.sea: Sea | None = None

    def lose_power(self) -> None:
        """Nothing of it is left."""
        self.tunnels, self.digest, self.publics, self.uses = (), "", {}, {}
        self.relay.stop()

    def apply(self, action: ApplyOverlay, publics: dict[int, bytes]) -> None:
        """Be as the action says; a tunnel that stays keeps what it knows."""
        uses: dict[_Way, _Use] = {}
        for each in action.tunnels:
            kept = self.uses.get(name_way(each))
            is_new = kept is None or self.publics.get(each.own) != publics.get(each.own)
            # A peer that is only to listen again is made anew.
            if kept is None or is_new or (kept.told and not each.endpoint):
                kept = _Use(each.endpoint, place=each.endpoint)
            if kept.told != each.endpoint:
                kept.told = kept.place = each.endpoint
                kept.told_at = kept.received
            uses[name_way(each)] = kept
        self.tunnels, self.digest, self.publics, self.uses = action.tunnels, action.digest, publics, uses

    def find_way(self, target: str) -> Tunnel | None:
        """Return the tunnel that a packet to an address is sent into."""
        return next((each for each in self.tunnels if each.used and covers(each.ranges, target)), None)


class Sea:
    """Everything between the machines: who stands at which address, and who cannot reach whom."""

    def __init__(self, now_us: Callable[[], int] = lambda: 0) -> None:
        """``now_us`` is the time of the world, in which relays live."""
        self.now_us = now_us
        self.ends: dict[str, FakeTunnels] = {}
        #: Pairs of machines between which nothing passes, by the addresses that they began with.
        self.parted: set[frozenset[str]] = set()
        #: Machines behind a NAT that gives each way another port, by the same addresses: two of them never meet.
        self.hidden: set[str] = set()
        #: The relay of the core, at ``CORE_RELAY``.
        self.core_relay = FakeRelay()

    def join(self, tunnels: FakeTunnels) -> None:
        """Let others reach a machine at its address."""
        self.ends[tunnels.address] = tunnels
        tunnels.sea = self

    def part(self, one: FakeTunnels, other: FakeTunnels) -> None:
        """Let nothing pass between two machines."""
        self.parted.add(frozenset((one.born, other.born)))

    def unite(self, one: FakeTunnels, other: FakeTunnels) -> None:
        """Let packets pass between them again."""
        self.parted.discard(frozenset((one.born, other.born)))

    def is_parted(self, one: FakeTunnels, other: FakeTunnels) -> bool:
        """Say whether nothing passes between them directly."""
        ends = frozenset((one.born, other.born))
        return ends in self.parted or ends <= self.hidden

    def move(self, tunnels: FakeTunnels, address: str) -> None:
        """Let a machine be found at another address from now on, and no longer at its former one."""
        self.ends.pop(tunnels.address, None)
        tunnels.address = address
        self.join(tunnels)

    def leads_to(self, start: FakeTunnels, source: str, target: str) -> FakeTunnels | None:
        """Say where a packet would end that nobody sends: ``carry`` without its traces."""
        way = start.find_way(target)
        found = None if way is None else self._meet(start, way)
        return found[0] if found is not None and covers(found[1].ranges, source) else None

    def carry(self, start: FakeTunnels, source: str, target: str) -> FakeTunnels | None:
        """Send a packet into the tunnels of a machine; return the machine whose tunnels let it out, None where none."""
        way = start.find_way(target)
        if way is None:
            return None
        found = self.speak(start, way)
        return found[0] if found is not None and covers(found[1].ranges, source) else None

    def speak(self, start: FakeTunnels, way: Tunnel) -> tuple[FakeTunnels, Tunnel] | None:
        """Send something into a tunnel that the other end answers; return that end and its tunnel back, None for none.

        Each end knows from then on where it has heard the other one.
        """
        use, now_us = start.uses[name_way(way)], start.boot_us()
        use.sent += 1
        use.spoke_us = now_us
        if use.silent_us < 0:
            use.silent_us = now_us
        if (passing := self._find_relay(use.place)) is not None and self._reaches(start, passing[0]):
            passing[1].hear(passing[2], self.now_us())
        found = self._meet(start, way)
        if found is None:
            return None
        end, back = found
        other = end.uses[name_way(back)]
        use.place, other.place = self._find_places(start, way, end, back)
        if (passing := self._find_relay(use.place)) is not None:
            passing[1].count(passing[2])
        for each, machine in ((use, start), (other, end)):
            each.heard_us, each.received, each.sent_before = machine.boot_us(), each.received + 1, each.sent
            each.silent_us = -1
        return found

    def _meet(self, start: FakeTunnels, way: Tunnel) -> tuple[FakeTunnels, Tunnel] | None:
        """Return the other end of a tunnel and its tunnel back: both must have the other's key, where it is looked for.

        Either end may begin, and each learns from the other's packets where it is.
        """
        for end, back in self._list_backs(start, way):
            if any(self._find_places(start, way, end, back)):
                return end, back
        return None

    def _find_places(self, start: FakeTunnels, way: Tunnel, end: FakeTunnels, back: Tunnel) -> tuple[str, str]:
        """Return where each of two ends finds the other by a pair of tunnels; nothing where they do not meet."""
        place, other = start.uses[name_way(way)].place, end.uses[name_way(back)].place
        there = f"{end.address}:{own_port(FIRST_PORT, back.own, aside=back.aside)}"
        here = f"{start.address}:{own_port(FIRST_PORT, way.own, aside=way.aside)}"
        if not self.is_parted(start, end) and (place == there or other == here):
            return there, here
        passing = self._find_relay(place)
        if passing is not None:
            machine, relay, port = passing
            far = relay.find_other(port)
            both = self._reaches(start, machine) and self._reaches(end, machine)
            if far and both and all(relay.knows(side, self.now_us()) for side in (far, port)):
                return place, f"{place.rpartition(':')[0]}:{far}"
        return "", ""

    def _find_relay(self, place: str) -> tuple[FakeTunnels | None, FakeRelay, int] | None:
        """Return the relay at a place, and the machine that it is at: None for the core's."""
        host, _, port = place.rpartition(":")
        if host == CORE_RELAY.host:
            return None, self.core_relay, int(port)
        machine = self.ends.get(host)
        is_relay = machine is not None and machine.relay.digest and machine.relay.find_other(int(port or 0))
        return (machine, machine.relay, int(port)) if machine is not None and is_relay else None

    def _reaches(self, one: FakeTunnels, relay: FakeTunnels | None) -> bool:
        return relay is None or (relay is not one and not self.is_parted(one, relay))

    def _list_backs(self, start: FakeTunnels, way: Tunnel) -> Iterator[tuple[FakeTunnels, Tunnel]]:
        for end in self.ends.values():
            for back in end.tunnels:
                if back.key == start.publics.get(way.own) and end.publics.get(back.own) == way.key:
                    yield end, back


def find_network(rules: Sequence[AppRules], near: str, far: str) -> AppRules | None:
    """Return the network in which an address here may speak with one at another site, by a firewall table."""
    return next((each for each in rules if covers(each.near, near) and covers(each.far, far)), None)


class FakeOverlay:
    """The agent's hand on fake tunnels."""

    name = "overlay"
    performs = (ApplyOverlay, MakeOverlayKey, DropOverlayKey)

    def __init__(
        self, tunnels: FakeTunnels, keys: KeyRoom, clock: Clock, fault: Callable[[], Outcome | None] = lambda: None
    ) -> None:
        """``fault`` gives the outcome of an action that fails, None for one that does not."""
        self._tunnels = tunnels
        self._keys = keys
        self._clock = clock
        self._fault = fault
        tunnels.boot_us = clock.boot_us

    async def observe(self) -> Observation:
        """Look at the tunnels."""
        now_us, tunnels = self._clock.boot_us(), self._tunnels
        _keep_open(tunnels, now_us)
        try:
            keys = self._keys.list_own()
        except SkerryError as error:
            return Observation(driver=self.name, overlay=OverlaySeen(reason=error.detail, digest=tunnels.digest))
        seen = OverlaySeen(
            mode="kernel",
            keys=keys,
            port=FIRST_PORT,
            addresses=(tunnels.address,),
            digest=tunnels.digest,
            tunnels=tuple(_see(each, tunnels.uses[name_way(each)], now_us) for each in tunnels.tunnels),
        )
        return Observation(driver=self.name, overlay=seen)

    async def perform(self, action: Action) -> Outcome:
        """Do one step."""
        if (fault := self._fault()) is not None:
            return fault
        match action:
            case MakeOverlayKey():
                self._keys.make(action.number)
            case DropOverlayKey():
                self._keys.drop(action.number)
            case ApplyOverlay():
                publics = {number: self._keys.public(number) for number in {each.own for each in action.tunnels}}
                missing = [number for number, public in publics.items() if public is None]
                if missing:
                    return failed("E-NETWORK", f"overlay key {missing[0]} is not there")
                self._tunnels.apply(action, {number: public for number, public in publics.items() if public})
            case _:
                return failed("E-DRIVER", f"the overlay driver does not do {type(action).__name__}")
        return DONE


def name_way(tunnel: Tunnel) -> _Way:
    """Name a tunnel among those of its machine."""
    return tunnel.own, tunnel.aside, tunnel.key


def _keep_open(tunnels: FakeTunnels, now_us: int) -> None:
    """Send what WireGuard sends by itself since the last look: keepalives, and handshakes for what was not answered."""
    for each in tunnels.tunnels:
        use = tunnels.uses[name_way(each)]
        quiet_s = (now_us - use.spoke_us) // SECOND_US
        is_due = each.keepalive_s and quiet_s >= each.keepalive_s
        is_retried = use.sent > use.sent_before and _RETRY_S <= quiet_s < _RETRIES_S
        if tunnels.sea is not None and use.place and (is_due or is_retried):
            tunnels.sea.speak(tunnels, each)


def _see(tunnel: Tunnel, use: _Use, now_us: int) -> TunnelSeen:
    return TunnelSeen(
        own=tunnel.own,
        aside=tunnel.aside,
        key=tunnel.key,
        told=use.told,
        heard_s=None if use.heard_us < 0 else (now_us - use.heard_us) // SECOND_US,
        place=use.place,
        answered=use.received > use.told_at,
        trying=use.sent > use.sent_before,
        silent_s=0 if use.silent_us < 0 else (now_us - use.silent_us) // SECOND_US,
        received_bytes=use.received,
        sent_bytes=use.sent,
    )


def covers(ranges: Sequence[str], address: str) -> bool:
    """Say whether an address lies in one of some ranges."""
    return any(_holds(each, address) for each in ranges)


@functools.lru_cache(maxsize=1 << 16)
def _holds(network: str, address: str) -> bool:
    """Kept, because the same packets are sent again and again."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)
