"""What every driver of tunnels does alike: run against the fake and against WireGuard between two namespaces.

Each check is a coroutine over a ``Rig`` of two nodes; what crosses is what the tunnels let through, firewalls apart.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from skerry.drivers.base import Driver
from skerry.model.document import NetworkPart
from skerry.model.ids import AppName, Digest, NetworkName, SiteName, TenantName
from skerry.model.network import part_ranges
from skerry.model.observed import OverlaySeen, TunnelSeen
from skerry.model.signed import OverlayKey
from skerry.plan.actions import Action, ApplyOverlay, DropOverlayKey, MakeOverlayKey, Tunnel
from skerry.plan.overlay import overlay_digest, own_port

PARTS = [NetworkPart(TenantName("alpha"), AppName("shop"), NetworkName("mesh"), index) for index in (5, 9)]
RANGES = [(str(part_ranges(part).v4), str(part_ranges(part).v6)) for part in PARTS]
#: An address of each node, of both families, that is its own in every rig.
ADDRESSES = [(str(part_ranges(part).v4[1]), str(part_ranges(part).v6[1])) for part in PARTS]
#: Each look is believed for some seconds.
LOOK_S = 2.5


class Rig(Protocol):
    drivers: Sequence[Driver]
    #: The nodes' own addresses, where each finds the other.
    places: Sequence[str]
    wait: Callable[[float], Awaitable[None]]

    async def reaches(self, source: int, target: str) -> bool:
        """Whether a packet from a node's own address of that family gets an answer from ``target``."""
        ...


async def do(rig: Rig, node: int, action: Action) -> None:
    outcome = await rig.drivers[node].perform(action)
    assert outcome.ok, outcome


async def see(rig: Rig, node: int) -> OverlaySeen:
    await rig.wait(LOOK_S)
    seen = await rig.drivers[node].observe()
    assert seen.unavailable == ""
    assert seen.overlay is not None
    return seen.overlay


def public(seen: OverlaySeen, number: int = 1) -> bytes:
    key = next(key for key in seen.keys if key.number == number)
    return msgspec.json.decode(key.statement.payload, type=OverlayKey).key


def tunnel(rig: Rig, node: int, key: bytes, **words: object) -> Tunnel:
    """The way of a node to the other one."""
    other = 1 - node
    place = f"{rig.places[other]}:{own_port(51820, 1)}"
    base = Tunnel(
        own=1, aside=False, site=SiteName(f"s{other}"), key=key, endpoint=place, ranges=tuple(sorted(RANGES[other]))
    )
    return msgspec.structs.replace(base, **words)


def apply(*tunnels: Tunnel) -> ApplyOverlay:
    return ApplyOverlay(tunnels=tunnels, digest=overlay_digest(tunnels))


async def connect(rig: Rig) -> list[bytes]:
    keys: list[bytes] = []
    for node in (0, 1):
        await do(rig, node, MakeOverlayKey(number=1))
        await do(rig, node, MakeOverlayKey(number=1))
        keys.append(public(await see(rig, node)))
    for node in (0, 1):
        await do(rig, node, apply(tunnel(rig, node, keys[1 - node])))
    return keys


def find(seen: OverlaySeen, key: bytes, *, own: int = 1) -> TunnelSeen:
    return next(each for each in seen.tunnels if (each.key, each.own) == (key, own))


async def check_a_node_that_never_had_any_has_nothing_and_could_have(rig: Rig) -> None:
    seen = await see(rig, 0)
    assert seen.mode
    assert (seen.keys, seen.digest, seen.tunnels) == ((), "", ())


async def check_tunnels_are_seen_as_applied_and_carry_both_families(rig: Rig) -> None:
    keys = await connect(rig)
    for target in ADDRESSES[1]:
        assert await rig.reaches(0, target), target
    for node in (0, 1):
        seen = await see(rig, node)
        assert seen.digest == apply(tunnel(rig, node, keys[1 - node])).digest
        assert rig.places[node] in seen.addresses
        way = find(seen, keys[1 - node])
        assert way.heard_s is not None
        assert way.received_bytes > 0
        assert not way.trying
        assert way.told == f"{rig.places[1 - node]}:51822"


async def check_applying_again_loses_nothing_and_ending_ends_all(rig: Rig) -> None:
    keys = await connect(rig)
    assert await rig.reaches(0, ADDRESSES[1][0])
    await do(rig, 0, apply(tunnel(rig, 0, keys[1])))
    assert await rig.reaches(0, ADDRESSES[1][0])
    await do(rig, 0, apply())
    assert not await rig.reaches(0, ADDRESSES[1][0])
    seen = await see(rig, 0)
    assert (seen.digest, seen.tunnels) == ("", ())
    assert [key.number for key in seen.keys] == [1]


async def check_a_peer_that_does_not_know_the_key_is_tried_and_never_heard(rig: Rig) -> None:
    keys = await connect(rig)
    await do(rig, 1, apply(tunnel(rig, 1, b"\x09" * 32)))
    assert not await rig.reaches(0, ADDRESSES[1][0])
    await see(rig, 0)
    assert not await rig.reaches(0, ADDRESSES[1][0])
    await rig.wait(6)
    way = find(await see(rig, 0), keys[1])
    assert way.heard_s is None
    assert way.trying


async def check_what_a_peer_may_not_send_is_not_taken(rig: Rig) -> None:
    keys = await connect(rig)
    assert await rig.reaches(0, ADDRESSES[1][0])
    # The far end gives this node's key ranges of another node.
    await do(rig, 1, apply(tunnel(rig, 1, keys[0], ranges=("10.64.99.0/26",))))
    assert not await rig.reaches(0, ADDRESSES[1][0])


async def check_a_way_that_is_not_used_carries_nothing(rig: Rig) -> None:
    keys = await connect(rig)
    await do(rig, 0, apply(tunnel(rig, 0, keys[1], used=False)))
    assert not await rig.reaches(0, ADDRESSES[1][0])


async def check_a_next_key_has_interfaces_of_its_own_until_the_old_one_is_dropped(rig: Rig) -> None:
    keys = await connect(rig)
    await do(rig, 0, MakeOverlayKey(number=2))
    seen = await see(rig, 0)
    assert [key.number for key in seen.keys] == [1, 2]
    later = public(seen, 2)
    aside = tunnel(rig, 1, later, aside=True, endpoint=f"{rig.places[0]}:51820", used=False)
    await do(rig, 1, apply(tunnel(rig, 1, keys[0]), aside))
    back = tunnel(rig, 0, keys[1], own=2, endpoint=f"{rig.places[1]}:51823")
    old = tunnel(rig, 0, keys[1], used=False)
    await do(rig, 0, apply(old, back))
    # What was sent by the new key is answered by the old one meanwhile.
    assert await rig.reaches(0, ADDRESSES[1][0])
    assert find(await see(rig, 0), keys[1], own=2).heard_s is not None
    await do(rig, 0, apply(back))
    await do(rig, 0, DropOverlayKey(number=1))
    seen = await see(rig, 0)
    assert [key.number for key in seen.keys] == [2]
    await do(rig, 1, apply(msgspec.structs.replace(aside, used=True)))
    assert await rig.reaches(0, ADDRESSES[1][0])
    assert (await see(rig, 0)).digest == Digest(apply(back).digest)


async def tidy(rig: Rig) -> None:
    for node in (0, 1):
        await do(rig, node, apply())
        for number in (1, 2):
            await do(rig, node, DropOverlayKey(number=number))


CHECKS = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
