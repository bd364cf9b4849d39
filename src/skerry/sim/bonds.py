"""Invariants of networks over sites: whom tunnels lead to, who goes on reaching whom, and whose addresses are whose.

Judged from what was signed, what sites hold, and packets that leave no trace, never by the planner that is tested.
"""

import ipaddress
from collections.abc import Callable, Iterator

import msgspec

from skerry.model.document import NetworkMember, NetworkPart, Peer, Unit
from skerry.model.ids import AppName, NetworkName, SiteName, TenantName, UnitId
from skerry.model.network import part_ranges
from skerry.model.signed import OverlayKey
from skerry.sim.effects import name_of
from skerry.sim.overlays import find_network
from skerry.sim.parts import SimSite
from skerry.sim.stillness import Stillness
from skerry.sim.world import World

_Key = tuple[TenantName, AppName, NetworkName]


class Bonds:
    """What was seen of the networks of one world."""

    def __init__(self, world: World, stillness: Stillness) -> None:
        self.world = world
        self.stillness = stillness
        #: Every public key that a site's own device has signed.
        self.keys: dict[SiteName, set[bytes]] = {}
        #: Of each part at a site: its number, when it was seen first, and the times at which its tenant had signed.
        self.parts: dict[tuple[SiteName, _Key], tuple[int, int]] = {}
        #: Pairs that reached each other at the last look, and how both were then.
        self.reached: dict[tuple[_Key, SiteName, SiteName], tuple[object, ...]] = {}
        #: How often each check had something to judge.
        self.judged = 0

    def judge(self) -> Iterator[tuple[str, str]]:
        """Judge what is true now: pairs of invariant and complaint."""
        if not any(site.tunnels.tunnels or site.machine.guard for site in self.world.sites.values()):
            return
        self._note_keys()
        for check in CHECKS:
            complaint = check(self)
            if complaint:
                yield name_of(check), complaint

    def _note_keys(self) -> None:
        for name, site in self.world.sites.items():
            seen = site.agent.reconciler.observed.overlay if site.starts else None
            for key in () if seen is None else seen.keys:
                found = msgspec.json.decode(key.statement.payload, type=OverlayKey)
                self.keys.setdefault(name, set()).add(found.key)

    def list_units(self, site: SimSite) -> dict[UnitId, Unit]:
        """Return what a site holds, whether its agent runs or not."""
        held = site.followed() if site.starts else None
        return {} if held is None else dict(held.units)


def check_i43_tunnels_lead_to_members_only(bonds: Bonds) -> str:
    """A tunnel leads to a member of a network of its site, to its parts alone, by a key that its own device signed."""
    for name, site in sorted(bonds.world.sites.items()):
        if not site.tunnels.tunnels:
            continue
        members = [each for each in bonds.list_units(site).values() if isinstance(each, NetworkMember)]
        allowed = {each.site: set[str]() for each in members}
        for each in members:
            allowed[each.site] |= set(map(str, (part_ranges(each).v4, part_ranges(each).v6)))
        for tunnel in site.tunnels.tunnels:
            if tunnel.key not in bonds.keys.get(tunnel.site, set()):
                return f"{name} has a tunnel to {tunnel.site} by a key that this one never signed"
            # A site that leaves a network is out of the tunnels when the agent looks next; the firewall is first.
            if (
                site.running
                and bonds.stillness.is_still(name)
                and not set(tunnel.ranges) <= allowed.get(tunnel.site, set())
            ):
                return f"{name} sends {sorted(set(tunnel.ranges) - allowed.get(tunnel.site, set()))} to {tunnel.site}"
    return ""


def check_i44_who_reached_each_other_goes_on(bonds: Bonds) -> str:
    """A site that is cut off keeps its networks whole, and sites between which packets pass keep theirs."""
    for name, site in sorted(bonds.world.sites.items()):
        for seen in site.machine.containers.values():
            for network in seen.addresses if seen.state == "running" else ():
                if (seen.tenant, seen.app, network) not in site.machine.networks:
                    return f"{name}: {seen.instance} runs, and its network {network} is gone"
    now: dict[tuple[_Key, SiteName, SiteName], tuple[object, ...]] = {}
    names = sorted(bonds.world.sites)
    held = {name: bonds.list_units(bonds.world.sites[name]) for name in names}
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            for key, print_ in _list_bonds(bonds, held, one, other):
                bond = (key, one, other)
                reaches = _reaches(bonds.world, held, key, one, other)
                bonds.judged += 1
                if reaches:
                    now[bond] = print_
                elif bonds.reached.get(bond) == print_:
                    return f"{one} and {other} reached each other in {'/'.join(key)}, and do not any more"
                elif _has_to_reach(bonds, held, one, other):
                    return f"{one} and {other} do not reach each other in {'/'.join(key)}"
    bonds.reached = now
    return ""


def _list_bonds(
    bonds: Bonds, held: dict[SiteName, dict[UnitId, Unit]], one: SiteName, other: SiteName
) -> Iterator[tuple[_Key, tuple[object, ...]]]:
    """Give the networks in which both sites hold that the other one is a member, and how both are now.

    Instances of it have to run at both, else there need be no such network at the node.
    """
    world = bonds.world
    mine, theirs = world.sites[one], world.sites[other]
    if world.sea.is_parted(mine.tunnels, theirs.tunnels):
        return
    state = tuple((each.machine.boots, world.losses[each.name], each.tunnels.address) for each in (mine, theirs))
    for part in held[one].values():
        if not isinstance(part, NetworkPart):
            continue
        key = part.tenant, part.app, part.network
        far = held[other].get(UnitId("network/" + "/".join(key)))
        if not isinstance(far, NetworkPart):
            continue
        here = held[one].get(UnitId(f"member/{'/'.join(key)}/{other}"))
        there = held[other].get(UnitId(f"member/{'/'.join(key)}/{one}"))
        agree = isinstance(here, NetworkMember) and isinstance(there, NetworkMember)
        agree = agree and (here.index, there.index) == (far.index, part.index)  # type: ignore[union-attr]
        if agree and _is_used(mine, part) and _is_used(theirs, far):
            yield key, (part.index, far.index, *state)


def _is_used(site: SimSite, part: NetworkPart) -> bool:
    range_ = part_ranges(part).v4
    for seen in site.machine.containers.values():
        if (seen.tenant, seen.app) == (part.tenant, part.app) and seen.state == "running":
            addresses = seen.addresses.get(part.network, ())
            if any(":" not in each and ipaddress.IPv4Address(each) in range_ for each in addresses):
                return True
    return False


def _reaches(world: World, held: dict[SiteName, dict[UnitId, Unit]], key: _Key, one: SiteName, other: SiteName) -> bool:
    name = UnitId("network/" + "/".join(key))
    ends = (world.sites[one], world.sites[other])
    ranges = [part_ranges(held[each][name]) for each in (one, other)]  # type: ignore[arg-type]
    for hosts in ([str(each.v4[2]) for each in ranges], [str(each.v6[2]) for each in ranges]):
        for start, end in ((0, 1), (1, 0)):
            if find_network(ends[start].machine.guard, hosts[start], hosts[end]) is None:
                return False
            if world.sea.leads_to(ends[start].tunnels, hosts[start], hosts[end]) is not ends[end].tunnels:
                return False
    return True


def _has_to_reach(bonds: Bonds, held: dict[SiteName, dict[UnitId, Unit]], one: SiteName, other: SiteName) -> bool:
    """Say whether both agents have had the time to reach each other, and one of them knows where the other is."""
    if not (bonds.stillness.is_still(one) and bonds.stillness.is_still(other)):
        return False
    for near, far in ((one, other), (other, one)):
        peer, address = held[near].get(UnitId(f"peer/{far}")), bonds.world.sites[far].tunnels.address
        if isinstance(peer, Peer) and any(each.rpartition(":")[0] == address for each in peer.endpoints):
            return True
    return False


def check_i45_parts_never_clash(bonds: Bonds) -> str:
    """No two parts of networks have the same addresses, and a part changes its own only where something was signed."""
    owners: dict[int, tuple[SiteName, _Key]] = {}
    for name, site in sorted(bonds.world.sites.items()):
        gone = {key for key in bonds.parts if key[0] == name}
        for unit in bonds.list_units(site).values():
            if not isinstance(unit, NetworkPart | NetworkMember):
                continue
            where = unit.site if isinstance(unit, NetworkMember) else name
            part = (where, (unit.tenant, unit.app, unit.network))
            if owners.setdefault(unit.index, part) != part:
                return (
                    f"part {unit.index} is {'/'.join(part[1])} at {where}, and another one at {owners[unit.index][0]}"
                )
            if isinstance(unit, NetworkMember):
                continue
            gone.discard(part)
            signed = _count_signed(bonds.world, part[1])
            before = bonds.parts.get(part, (unit.index, signed))
            if before[0] != unit.index and before[1] == signed:
                return (
                    f"{name}: {'/'.join(part[1])} was part {before[0]} and is {unit.index}, and nobody signed anything"
                )
            bonds.parts[part] = (unit.index, signed)
        for part in gone:
            del bonds.parts[part]
    return ""


def _count_signed(world: World, key: _Key) -> int:
    return sum(each.key == key[:2] for each in world.signed.values())


CHECKS: tuple[Callable[[Bonds], str], ...] = (
    check_i43_tunnels_lead_to_members_only,
    check_i44_who_reached_each_other_goes_on,
    check_i45_parts_never_clash,
)
