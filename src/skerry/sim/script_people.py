"""Commands of transcripts for what people do: owners of apps, operators of sites, and whoever stands at a box."""

from collections.abc import Mapping

from skerry.agent.local import LocalProblem
from skerry.model.asks import DrainSite, WhyQuery
from skerry.model.grants import Profile
from skerry.model.ids import TenantName
from skerry.model.site_relay import SiteRelay
from skerry.model.uplinks import Uplink
from skerry.sim.grounds import Place
from skerry.sim.script import Command, Script
from skerry.sim.script_words import read_app, seconds
from skerry.sim.world import ADMIN

# --- making it -------------------------------------------------------------------------------------------------------


async def _world(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.world.with_names = named.get("names") == "yes"
    script.world.wired = named.get("links") == "skerry"
    script.world.core.relay = script.world.sea.core_relay if named.get("relay") == "core" else None
    await script.world.begin(int(named.get("sites", "3")), int(named.get("tenants", "1")))
    return [f"{len(script.world.sites)} sites, {len(script.world.people.tenants)} tenants"]


async def _token(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.tokens[plain[0]] = await script.joining.make_token(plain[0])
    return [f"a token for {plain[0]}"]


async def _join(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    box, site = plain
    return [await script.joining.join(box, site, script.tokens[named.get("token", site)])]


# --- what people do --------------------------------------------------------------------------------------------------


async def _apply(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.world.apply(plain[0], read_app(named), named.get("tenant", "default"), int(named.get("size", "1000")))
    return script.news()


async def _sign(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have the registrar sign a site anew: its ``country``, and labels by their names."""
    labels = {name: value for name, value in named.items() if name != "country"}
    await script.world.sign_site(plain[0], Place(named.get("country", ""), None), labels)
    return [f"{plain[0]} is signed anew"]


async def _uplinks(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have the registrar sign a site's uplinks: ``NAME=DEVICE[:BUDGET]``, the first preferred; none takes all away."""
    uplinks: dict[str, Uplink] = {}
    for at, (name, words) in enumerate(named.items()):
        device, _, budget = words.partition(":")
        uplinks[name] = Uplink(device=device, preference=at, budget_bytes=int(budget or 0))
    await script.world.sign_uplinks(plain[0], uplinks)
    return [f"{plain[0]} is signed anew"]


async def _grant(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have the registrar grant apps of profile ``edge`` a device of a site: ``grant SITE DEVICE``."""
    tenants = tuple(TenantName(tenant) for tenant in sorted(script.world.people.tenants))
    await script.world.sign_profile(plain[0], Profile(tenants=tenants, interfaces=(plain[1],)))
    return [f"{plain[0]} is signed anew"]


async def _lend(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have the registrar let a site relay for others, or take that back: ``lend SITE off``."""
    relay = None if "off" in plain else SiteRelay(first=53_000, last=53_099, address=named.get("address", ""))
    await script.world.sign_relay(plain[0], relay)
    return [f"{plain[0]} is signed anew"]


async def _why(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say why a site has no instance of an app, as ``skerry why`` does."""
    caller = script.world.as_tenant(TenantName(named.get("tenant", "default")))
    found = await script.world.core.service.explain_app(caller, app=plain[0], query=WhyQuery(site=plain[1]))
    lines = [f"{each.service} {each.constraint}: {each.detail}" for each in found.rejections]
    return [*lines, *found.notes] or ["nothing"]


async def _push(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    tenant = TenantName(named.get("tenant", "default"))
    await script.world.push_image(tenant, plain[0], int(named.get("size", "1000")))
    return [f"pushed {plain[0]}"]


async def _rollback(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.world.rollback(plain[0], int(named.get("back", "1")), named.get("tenant", "default"))
    return script.news()


async def _rollout(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    caller = script.world.as_tenant(TenantName(named.get("tenant", "default")))
    view = await script.world.core.service.show_rollout(caller, app=plain[0])
    stage = "canary" if view.stage == 0 else f"wave {view.stage} of {view.waves}"
    counts = f"{view.let_in} let in, {view.proven} proven, {view.failed} failed, {view.waiting} waiting"
    reason = f": {view.reason}" if view.reason else ""
    return [f"revision {view.number} is {view.phase} at {stage}: {counts}{reason}"]


async def _delete(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.world.delete(
        plain[0],
        named.get("tenant", "default"),
        volumes="volumes" in plain,
        grace_s=seconds(named.get("grace", "60s")),
    )
    return script.news()


def _switch(verb: str) -> Command:
    async def switch(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
        await script.world.switch(verb, plain[0], named.get("tenant", "default"))
        return script.news()

    return switch


def _keep_free(verb: str) -> Command:
    async def keep_free(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
        service = script.world.core.service
        match verb:
            case "cordon":
                await service.cordon_site(ADMIN, site=plain[0])
            case "uncordon":
                await service.uncordon_site(ADMIN, site=plain[0])
            case _:
                found = await service.drain_site(ADMIN, site=plain[0], body=DrainSite())
                lines = [f"{each.tenant} copy {each.ordinal} goes to {each.to}" for each in found.moving]
                return [*lines, *(f"{each.tenant} copy {each.ordinal} stays: {each.reason}" for each in found.staying)]
        return [f"{plain[0]} is {verb}ed"]

    return keep_free


async def _by_hand(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """A person at a box says restart, stop or start."""
    name, verb, what = plain
    done = await script.world.say_at_box(name, verb, what)  # type: ignore[arg-type]
    return [f"{done.code} {done.detail}"] if isinstance(done, LocalProblem) else [f"{verb} {', '.join(done.instances)}"]


COMMANDS: dict[str, Command] = {
    "world": _world,
    "token": _token,
    "join": _join,
    "sign": _sign,
    "uplinks": _uplinks,
    "grant": _grant,
    "lend": _lend,
    "why": _why,
    "apply": _apply,
    "push": _push,
    "rollback": _rollback,
    "delete": _delete,
    "pause": _switch("pause"),
    "resume": _switch("resume"),
    "promote": _switch("promote"),
    "halt": _switch("halt"),
    "abort": _switch("abort"),
    "rollout": _rollout,
    "restart": _switch("restart"),
    "cordon": _keep_free("cordon"),
    "uncordon": _keep_free("uncordon"),
    "drain": _keep_free("drain"),
    "at": _by_hand,
}
