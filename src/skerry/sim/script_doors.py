"""Commands of transcripts about people at a site's entrance: who answers them, and whether anybody was turned away."""

from collections.abc import Mapping

from skerry.model.ids import SiteName
from skerry.plan.actions import Server
from skerry.plan.entrance import server_name
from skerry.sim.crossing import list_crossings
from skerry.sim.entrances import list_servers
from skerry.sim.parts import SimSite
from skerry.sim.script import Command, Script
from skerry.sim.script_words import seconds
from skerry.sim.world import World

#: How often people come while they are watched.
_STEP_S = 0.5


def find_answering(world: World, site: SimSite) -> dict[str, str]:
    """Return who answers at a site's entrance, by the names of its servers: copies here, and copies over a tunnel."""
    machine = site.machine
    alive = machine.answering()
    found = {
        server_name(seen.container): f"{seen.instance} at {site.name}"
        for seen in machine.containers.values()
        if server_name(seen.container) in alive
    }
    applied = machine.entrance.applied
    for _, server in list_servers(applied) if applied is not None else ():
        if server.rank:
            found |= _find_over_tunnel(world, site, server)
    return found


def _find_over_tunnel(world: World, site: SimSite, server: Server) -> dict[str, str]:
    """Return the copy of another site at a server's address, if it answers and packets from here come there."""
    for name in sorted({each.end for each in list_crossings(world) if each.start == site.name}):
        machine = world.sites[name].machine
        for seen in machine.containers.values():
            is_there = any(server.address in addresses for addresses in seen.addresses.values())
            if is_there and server_name(seen.container) in machine.answering():
                return {server.name: f"{seen.instance} at {name}"}
    return {}


def _ask(world: World, site: SimSite, place: str, times: int) -> list[str]:
    """Return who answers people that come to a place one after the other; empty for who is turned away."""
    answering = find_answering(world, site)
    entrance = site.machine.entrance
    return [answering.get(entrance.ask(place, answering.keys(), visitor), "") for visitor in range(times)]


async def _come(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have some people come to ``PLACE``, such as http/shop.example, tcp/25 or udp/53, and say who answers them."""
    name, place = plain
    found = _ask(script.world, script.world.sites[SiteName(name)], place, 12)
    return [f"{place} at {name}: {', '.join(sorted(set(found) - {''})) or 'nobody'}"]


async def _visit(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have people come all the while ``for`` a time, and count those whom nobody answers."""
    name, place = plain
    site, world = script.world.sites[SiteName(name)], script.world
    end_us = world.loop.now_us + seconds(named["for"]) * 1_000_000
    answers: list[str] = []
    while world.loop.now_us < end_us:
        await script.weather.advance(_STEP_S)
        script.checker.check_step()
        answers += _ask(world, site, place, 2)
    by = sorted(set(answers) - {""})
    return [
        *script.news(),
        f"{len(answers)} came to {place} at {name}, {answers.count('')} in vain; {len(by)} answered",
    ]


COMMANDS: dict[str, Command] = {"come": _come, "visit": _visit}
