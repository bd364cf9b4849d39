"""Commands of transcripts for what owners of apps do from afar: to instances, to volumes, and images ahead of need."""

from collections.abc import Mapping

from skerry.model.answers import ImageAtSite
from skerry.model.asks import ControlQuery, PageQuery, SeedImage
from skerry.model.errors import SkerryError
from skerry.model.ids import AppName, NodeName, ServiceName, SiteName, TenantName, instance_id
from skerry.model.signed import Call
from skerry.sim.keepers import say
from skerry.sim.owners import Owner
from skerry.sim.script import Command, Script
from skerry.sim.script_words import seconds


async def _owner(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """An owner says restart, stop or start of one instance from afar: ``owner SITE VERB APP/SERVICE [reason=…]``."""
    site, verb, what = plain
    app, _, service = what.partition("/")
    query = ControlQuery(service=service, site=site, verb=verb)  # type: ignore[arg-type]
    call = Call(
        tenant=TenantName(named.get("tenant", "default")),
        site=SiteName(site),
        node=NodeName(""),
        nonce=b"",
        verb=query.verb,
        app=AppName(app),
        service=ServiceName(service),
        by=named.get("by", ""),
        reason=named.get("reason", "").replace("_", " "),
    )
    caller = script.world.as_tenant(call.tenant)
    try:
        await script.world.core.service.control_instance(caller, app=app, query=query, socket=Owner(script.world, call))
    except SkerryError as error:
        return [f"{error.code} {error.detail}"]
    if verb != "stop":
        # The owner's word ends that of a person at the box.
        script.world.hands.stopped.pop((SiteName(site), instance_id(call.tenant, app, service, 0)), None)
    return [f"{verb} {what} at {site}"]


async def _storage(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Give a machine a storage of another kind, for the volumes that are made from now on: ``storage SITE btrfs``."""
    script.world.sites[SiteName(plain[0])].machine.storage.driver = "btrfs" if plain[1] == "btrfs" else "directory"
    return [f"volumes at {plain[0]} are made on {plain[1]}"]


async def _write(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """A service writes into a volume: ``write SITE VOLUME WORDS…``."""
    script.world.sites[SiteName(plain[0])].machine.contents[plain[1]] = " ".join(plain[2:])
    return [f"{plain[1]} at {plain[0]} holds {' '.join(plain[2:])!r}"]


async def _holds(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say what a volume holds, and each of its snapshots: ``holds SITE VOLUME``."""
    storage = script.world.sites[SiteName(plain[0])].machine.storage
    lines = [f"{plain[1]}: {storage.contents[plain[1]]!r}"]
    return lines + [
        f"  {name}: {held!r}" for (volume, name), held in sorted(storage.kept.items()) if volume == plain[1]
    ]


async def _volume(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """An owner says something of a volume from afar: ``volume SITE snapshot|restore|drop-snapshot VOLUME SNAPSHOT``."""
    site, verb, volume, snapshot = plain
    seen = script.world.sites[SiteName(site)].machine.volumes[volume]
    done = await say(script.world, SiteName(site), seen, verb, snapshot)  # type: ignore[arg-type]
    return [*script.news(), f"{verb} {snapshot} of {volume} at {site}: {done or 'yes'}"]


async def _seed(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have an image at sites ahead of need: ``seed NAME [match=…] [for=1h]``; ``seed NAME end`` ends that."""
    tenant = TenantName(named.get("tenant", "default"))
    caller, service = script.world.as_tenant(tenant), script.world.core.service
    digest = script.world.images[tenant, plain[0]].digest
    if "end" in plain:
        view = await service.end_seed(caller, digest=digest)
    else:
        body = SeedImage(label_selector=named.get("match", "").replace(":", "="), lifetime_s=seconds(named["for"]))
        view = await service.seed_image(caller, digest=digest, body=body)
    return [f"{view.held} of {view.sites} sites hold {plain[0]}"]


async def _where(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say at which sites an image is used or seeded, and what is there of it."""
    tenant = TenantName(named.get("tenant", "default"))
    digest = script.world.images[tenant, plain[0]].digest
    caller, query = script.world.as_tenant(tenant), PageQuery(page_size=1_000)
    page = await script.world.core.service.list_image_sites(caller, digest=digest, query=query)
    return [_tell_image(each) for each in page.items] or ["nowhere"]


def _tell_image(each: ImageAtSite) -> str:
    use = " and ".join(word for word, said in (("used", each.used), ("seeded", each.seeded)) if said)
    have = "all" if each.held else f"{each.have_bytes} of {each.size_bytes} bytes"
    return f"{each.site} {use}: {have}{f', {each.reason}' if each.reason else ''}"


COMMANDS: dict[str, Command] = {
    "owner": _owner,
    "storage": _storage,
    "write": _write,
    "holds": _holds,
    "volume": _volume,
    "seed": _seed,
    "where": _where,
}
