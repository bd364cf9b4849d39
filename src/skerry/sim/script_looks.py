"""Commands of transcripts that let time pass, and those that look."""

from collections.abc import Mapping

from skerry.clock import SECOND_US
from skerry.core.loops import flush_bytes
from skerry.model.document import Peer
from skerry.model.ids import AppName, SiteName, TenantName
from skerry.model.observed import VolumeSeen
from skerry.plan.ways import describe_way
from skerry.sim.crossing import list_reach
from skerry.sim.script import Command, Script
from skerry.sim.script_words import seconds
from skerry.store import events, facts, sites
from skerry.store.events import EventFilter
from skerry.store.scope import Scope


async def _advance(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    left = seconds(plain[0])
    while left > 0:
        await script.weather.advance(min(left, 60))
        left -= 60
        script.checker.check_step()
    return script.news()


async def _converge(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    late = await script.weather.converge(seconds(named.get("within", "30m")))
    return [*script.news(), f"not yet: {late}" if late else "all is as wished"]


async def _show(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for name in plain or sorted(script.world.sites):
        site = script.world.sites[SiteName(name)]
        holdings = site.agent.holdings
        stored = None if holdings is None else holdings.stored
        state = "agent down" if not site.running else f"link {site.agent.link.state}"
        lines.append(f"{name}: {state}, generation {0 if stored is None else stored.generation}")
        names = {image.config: image.name for image in script.world.images.values()}
        ordered = sorted(site.machine.containers.values(), key=lambda seen: (seen.instance, seen.container))
        lines += [f"  {seen.instance} {seen.state}, {names.get(seen.image_config, '?')}" for seen in ordered]
        lines += [_tell_volume(seen) for _, seen in sorted(site.machine.volumes.items())]
        lines += [f"  {wait.subject}: {wait.reason}" for wait in site.agent.reconciler.plan.waits]
    return lines


def _tell_volume(seen: VolumeSeen) -> str:
    names = ", ".join(each.name for each in seen.snapshots)
    return f"  volume {seen.volume}{f': kept as {names}' if names else ''}"


async def _machine(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    name = SiteName(plain[0])
    story = script.world.sites[name].machine.story
    since, script.machine_told[name] = script.machine_told.get(name, 0), len(story)
    return [f"{kind} {subject}" for kind, subject in story[since:]] or ["nothing"]


async def _core(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for tenant, app in sorted(script.world.confirmed):
        row = script.world.app_row((TenantName(tenant), AppName(app)))
        state = "lost" if row.lost else "ended" if not row.revision_number else "held" if row.held else "run"
        lines.append(f"{tenant}/{app}: number {row.number}, {state}")
    for name in sorted(script.world.sites):
        state = sites.read_state(script.world.core.view, name)
        learning = ", learning" if state.learning else ""
        lines.append(f"{name}: generation {state.generation}, holds {state.held_generation}{learning}")
    return lines


async def _use(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Show the newest samples without watching, and what all samples have cost since the last ``use``."""
    core, lines = script.world.core.core, list[str]()
    for name in plain or sorted(script.world.sites):
        newest = core.use.newest(SiteName(name))
        if newest is None:
            lines.append(f"{name}: no sample")
            continue
        age_s = (core.clock.boot_us() - newest.boot_us) // SECOND_US
        lines.append(f"{name}: {age_s} s old, cpu {newest.cpu_m}, {len(newest.instances)} instances")
    await flush_bytes(core)
    total = sum(
        sent + received
        for name in script.world.sites
        for purpose, sent, received in sites.read_link_bytes(script.world.core.view, name)
        if purpose == "samples"
    )
    lines.append(f"{core.use.samples} samples, {total} bytes on links")
    return lines


async def _watch(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Look every half minute for so long, as ``skerry top`` does."""
    await script.world.watch(seconds(plain[0]))
    return [f"watched for {plain[0]}"]


async def _log(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    scope = Scope(tenant=TenantName(named.get("tenant", "default")), platform=True)
    chosen = (
        EventFilter(site=plain[0], kind=named.get("kind", "")) if plain else EventFilter(kind=named.get("kind", ""))
    )
    found = events.list_events(script.world.core.view, scope, 0, 1000, chosen)
    return [f"{each.event.type} {each.event.message}".rstrip() for each in found] or ["nothing"]


async def _way(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say over which device a site's link goes, and what the core was told of it."""
    site = script.world.sites[SiteName(plain[0])]
    nodes, _ = facts.read_site_facts(script.world.core.view, (site.name,))[site.name]
    told = next((each.facts["uplink"] for each in nodes if "uplink" in each.facts), "none")
    return [f"link {site.agent.link.state} over {site.link.device}, the core knows of {told}"]


async def _reach(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say which sites reach which in each network over sites, by packets sent now."""
    return list_reach(script.world)


async def _ways(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say by which way each site hears each other, as its tunnels are now."""
    lines: list[str] = []
    for name, site in sorted(script.world.sites.items()):
        held, seen = site.followed(), site.agent.reconciler.observed.overlay
        for peer in (unit for _, unit in sorted(held.units.items()) if isinstance(unit, Peer)) if held else ():
            used = {each.key for each in site.tunnels.tunnels if each.site == peer.site and each.used}
            wide = {(each.own, each.aside, each.key) for each in site.tunnels.tunnels if each.used}
            ways = (each for each in (seen.tunnels if seen else ()) if (each.own, each.aside, each.key) in wide)
            lines.append(f"{name}: {describe_way(peer, next((each for each in ways if each.key in used), None))}")
    return lines or ["no tunnels"]


async def _ask(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Ask a site's name server for a name of a network, as an instance of that network alone would."""
    site, network, name = plain
    zones = script.world.sites[SiteName(site)].names.told.zones
    gateways = [zone.gateways[0] for zone in zones if zone.network == network]
    said = [script.world.sites[SiteName(site)].names.answer("", gateway, name, "A") for gateway in gateways]
    return [f"{name} at {site}: {code} {' '.join(found)}".rstrip() for code, found in said] or ["no such network"]


async def _check(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.checker.check_calm()
    script.news()
    return ["every invariant holds"] if not script.checker.breaks else []


COMMANDS: dict[str, Command] = {
    "ask": _ask,
    "advance": _advance,
    "converge": _converge,
    "reach": _reach,
    "ways": _ways,
    "show": _show,
    "way": _way,
    "machine": _machine,
    "core": _core,
    "use": _use,
    "watch": _watch,
    "log": _log,
    "check": _check,
}
