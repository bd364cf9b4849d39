"""Commands of transcripts about networks: who has which part, where a site is found, and where packets would go."""

from collections.abc import Mapping

from skerry.model.document import NetworkPart
from skerry.model.ids import SiteName
from skerry.model.network import part_ranges
from skerry.sim.detours import list_chains, list_packets, walk
from skerry.sim.script import Command, Script


async def _parts(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say which addresses each part of each network over sites has."""
    lines: list[str] = []
    for name, site in sorted(script.world.sites.items()):
        held = site.followed()
        units = [each for _, each in sorted(held.units.items())] if held is not None else []
        parts = (each for each in units if isinstance(each, NetworkPart))
        lines += [f"{each.tenant}/{each.app}/{each.network} at {name}: {part_ranges(each).v4}" for each in parts]
    return lines or ["no network"]


async def _move(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.move_site(plain[0], named["to"])
    return script.news()


async def _pass(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say whom packets that leave a site by a chain would meet, and what comes back; and what becomes of them."""
    site = script.world.sites[SiteName(plain[0])]
    lines: list[str] = []
    for revision, chain in list_chains(script.world, site):
        for client, packet, order in list_packets(site, revision, chain):
            met, end = walk(site, packet)
            way = "from" if list(order) == list(chain.through) else "to"
            lines.append(f"{way} {client.instance}: {', '.join([*met, end])}")
    return lines or ["nobody there whose packets a chain wants"]


COMMANDS: dict[str, Command] = {"parts": _parts, "move": _move, "pass": _pass}
