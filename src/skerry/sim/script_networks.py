"""Commands of transcripts about networks: who has which part, where a site is found, and where packets would go."""

from collections.abc import Mapping

from skerry.model.document import NetworkPart
from skerry.model.ids import SiteName, TenantName
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
        for sent in list_packets(site, revision, chain):
            met, end = walk(site, sent.packet)
            lines.append(f"{'from' if sent.leaves else 'to'} {sent.client}: {', '.join([*met, end])}")
    return lines or ["nobody there whose packets a chain wants"]


async def _plug(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Give a site's machine a network device, or take it away: ``plug SITE DEVICE [out]``."""
    machine = script.world.sites[SiteName(plain[0])].machine
    (machine.links.discard if "out" in plain else machine.links.add)(plain[1])
    return [f"{plain[1]} is {'gone from' if 'out' in plain else 'at'} {plain[0]}"]


async def _chains(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say what the sites told of their chains."""
    caller = script.world.as_tenant(TenantName(named.get("tenant", "default")))
    found = await script.world.core.service.show_chain(caller, app=plain[0], chain=named.get("chain", "out"))
    return [f"{each.site}: {each.state}{f', {each.reason}' if each.reason else ''}" for each in found.nodes]


COMMANDS: dict[str, Command] = {"parts": _parts, "move": _move, "pass": _pass, "plug": _plug, "chains": _chains}
