"""Who reaches whom through tunnels: packets between all networks of all sites, and whether one ended where it may not.

A packet is sent from an address of each network at each site to an address of each network at every other one, as an
instance there would; and once more as if its own site had no firewall, for a site may be in wrong hands: what counts is
that the other end does not let it in. Such packets leave no trace. What instances do say, ``talk`` sends.
"""

import functools
import ipaddress
from collections.abc import Iterator

import msgspec

from skerry.model.ids import SiteName
from skerry.plan.actions import AppRules
from skerry.sim.overlays import find_network
from skerry.sim.parts import SimSite
from skerry.sim.world import World


class Crossing(msgspec.Struct, frozen=True):
    """A packet that came out of a tunnel, into a network of another site."""

    start: SiteName
    end: SiteName
    #: The network at whose address it began, and the one that it was let into.
    sent_in: AppRules
    let_into: AppRules


def talk(world: World) -> None:
    """Let an instance of each part of each network say something to one at each other part: who talks is heard."""
    for start, end in _list_pairs(world):
        for mine in start.machine.guard:
            for theirs in end.machine.guard if mine.near else ():
                if theirs.near and (theirs.tenant, theirs.app, theirs.network) == (mine.tenant, mine.app, mine.network):
                    source, target = _hosts(mine)[0], _hosts(theirs)[0]
                    if find_network(start.machine.guard, source, target) is not None:
                        world.sea.carry(start.tunnels, source, target)


def list_crossings(world: World, *, lawless: bool = False) -> Iterator[Crossing]:
    """Give the packets that would arrive; ``lawless``: the senders have no firewall."""
    for start, end in _list_pairs(world):
        yield from _cross(world, start, end, lawless=lawless)


def _list_pairs(world: World) -> Iterator[tuple[SimSite, SimSite]]:
    for name, start in sorted(world.sites.items()):
        for there, end in sorted(world.sites.items()):
            if name != there and start.tunnels.tunnels and end.tunnels.tunnels:
                yield start, end


def _cross(world: World, start: SimSite, end: SimSite, *, lawless: bool) -> Iterator[Crossing]:
    for mine in start.machine.guard:
        for theirs in end.machine.guard:
            if not (mine.near and theirs.near):
                continue
            for source, target in zip(_hosts(mine), _hosts(theirs), strict=True):
                if not lawless and find_network(start.machine.guard, source, target) is None:
                    continue
                if world.sea.leads_to(start.tunnels, source, target) is not end.tunnels:
                    continue
                into = find_network(end.machine.guard, target, source)
                if into is not None:
                    yield Crossing(start.name, end.name, mine, into)


def _hosts(rules: AppRules) -> tuple[str, ...]:
    """Return the second address of each range of a network here, where the first instance would be."""
    return tuple(map(_find_host, rules.near))


@functools.lru_cache(maxsize=1 << 12)
def _find_host(network: str) -> str:
    return str(ipaddress.ip_network(network)[2])


def check_i27_packets_stay_in_their_network(world: World) -> str:
    """No bytes of tenant A reach a network of tenant B, nor those of one network another one."""
    for lawless in (False, True):
        for each in list_crossings(world, lawless=lawless):
            sent, into = each.sent_in, each.let_into
            if (sent.tenant, sent.app, sent.network) != (into.tenant, into.app, into.network):
                return (
                    f"a packet of {sent.tenant}/{sent.app}/{sent.network} at {each.start} came into"
                    f" {into.tenant}/{into.app}/{into.network} at {each.end}"
                )
            record = world.sites[each.start].record
            if record is not None and into.tenant not in record.tenants:
                return (
                    f"{each.start}, which does not admit {into.tenant}, is in {into.app}/{into.network} at {each.end}"
                )
    return ""


def list_reach(world: World) -> list[str]:
    """Say for each network over sites which of its sites reach which, in words for a transcript."""
    found: dict[str, set[str]] = {}
    for site in world.sites.values():
        for rules in site.machine.guard:
            if rules.near:
                found.setdefault(f"{rules.tenant}/{rules.app}/{rules.network}", set())
    for each in list_crossings(world):
        sent = each.sent_in
        found[f"{sent.tenant}/{sent.app}/{sent.network}"].add(f"{each.start} to {each.end}")
    return [f"{name}: {', '.join(sorted(ways)) or 'nobody'}" for name, ways in sorted(found.items())] or ["no network"]
