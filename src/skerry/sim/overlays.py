"""Fake tunnels: what WireGuard does to a packet, without a packet; and the sea over which nodes find each other.

``FakeTunnels`` is what a machine's tunnels are while no agent looks; ``FakeOverlay`` is the agent's hand on them and
keeps the same contract as the real driver. ``Sea.carry`` says where a packet ends, from what both ends' tunnels allow;
``Sea.send`` asks both firewalls as well. A packet is two addresses: who could read it is not modelled, who gets it is.
"""

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

FIRST_PORT = 51_820

_Way = tuple[int, bool, bytes]


class _Use(msgspec.Struct):
    """What became of one tunnel."""

    told: str
    heard_us: int = -1
    sent: int = 0
    received: int = 0
    #: Sent when something was last received.
    sent_before: int = 0


class Answering(Protocol):
    """What answers for names at a machine."""

    def answer(self, source: str, server: str, name: str, kind: str) -> tuple[str, tuple[str, ...]]:
        """Answer a question that came from one address to another: a code and what was found."""
        ...


class FakeTunnels:
    """The tunnels of one machine; they outlive the agent and end with the power."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.tunnels: tuple[Tunnel, ...] = ()
        self.digest = ""
        #: Public halves of the keys of the interfaces that are there.
        self.publics: dict[int, bytes] = {}
        self.uses: dict[_Way, _Use] = {}
        #: The machine's name server, where it has one.
        self.names: Answering | None = None

    def lose_power(self) -> None:
        """Nothing of it is left."""
        self.tunnels, self.digest, self.publics, self.uses = (), "", {}, {}

    def apply(self, action: ApplyOverlay, publics: dict[int, bytes]) -> None:
        """Be as the action says; a tunnel that stays keeps what it knows."""
        uses: dict[_Way, _Use] = {}
        for each in action.tunnels:
            kept = self.uses.get(name_way(each))
            if kept is None or self.publics.get(each.own) != publics.get(each.own):
                kept = _Use(each.endpoint)
            kept.told = each.endpoint
            uses[name_way(each)] = kept
        self.tunnels, self.digest, self.publics, self.uses = action.tunnels, action.digest, publics, uses

    def find_way(self, target: str) -> Tunnel | None:
        """Return the tunnel that a packet to an address is sent into."""
        return next((each for each in self.tunnels if each.used and _covers(each.ranges, target)), None)


class Sea:
    """Everything between the machines: who stands at which address, and who cannot reach whom."""

    def __init__(self) -> None:
        self.ends: dict[str, FakeTunnels] = {}
        #: Pairs of addresses between which nothing passes.
        self.cut: set[frozenset[str]] = set()

    def join(self, tunnels: FakeTunnels) -> None:
        """Let others reach a machine at its address."""
        self.ends[tunnels.address] = tunnels

    def carry(self, start: FakeTunnels, source: str, target: str, now_us: int) -> FakeTunnels | None:
        """Send a packet into the tunnels of a machine; return the machine whose tunnels let it out, None where none."""
        way = start.find_way(target)
        if way is None:
            return None
        use = start.uses[name_way(way)]
        use.sent += 1
        found = self._meet(start, way)
        if found is None:
            return None
        end, back = found
        other = end.uses[name_way(back)]
        for each in (use, other):
            each.heard_us, each.received, each.sent_before = now_us, each.received + 1, each.sent
        return end if _covers(back.ranges, source) else None

    def _meet(self, start: FakeTunnels, way: Tunnel) -> tuple[FakeTunnels, Tunnel] | None:
        """Return the other end of a tunnel and its tunnel back: both must have the other's key, where it is looked for.

        Either end may begin, and each learns from the other's packets where it is.
        """
        for end, back in self._list_backs(start, way):
            if frozenset((start.address, end.address)) in self.cut:
                continue
            there = f"{end.address}:{own_port(FIRST_PORT, back.own, aside=back.aside)}"
            here = f"{start.address}:{own_port(FIRST_PORT, way.own, aside=way.aside)}"
            if way.endpoint == there or back.endpoint == here:
                return end, back
        return None

    def _list_backs(self, start: FakeTunnels, way: Tunnel) -> Iterator[tuple[FakeTunnels, Tunnel]]:
        for end in self.ends.values():
            for back in end.tunnels:
                if back.key == start.publics.get(way.own) and end.publics.get(back.own) == way.key:
                    yield end, back


def find_network(rules: Sequence[AppRules], near: str, far: str) -> AppRules | None:
    """Return the network in which an address here may speak with one at another site, by a firewall table."""
    return next((each for each in rules if _covers(each.near, near) and _covers(each.far, far)), None)


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

    async def observe(self) -> Observation:
        """Look at the tunnels."""
        now_us, tunnels = self._clock.boot_us(), self._tunnels
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


def _see(tunnel: Tunnel, use: _Use, now_us: int) -> TunnelSeen:
    return TunnelSeen(
        own=tunnel.own,
        aside=tunnel.aside,
        key=tunnel.key,
        told=use.told,
        heard_s=None if use.heard_us < 0 else (now_us - use.heard_us) // SECOND_US,
        trying=use.sent > use.sent_before,
        received_bytes=use.received,
        sent_bytes=use.sent,
    )


def _covers(ranges: Sequence[str], address: str) -> bool:
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(each) for each in ranges)
