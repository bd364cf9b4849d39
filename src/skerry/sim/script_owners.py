"""Commands of transcripts for what owners of apps do to what runs: words about instances, and images ahead of need."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from skerry.model.answers import ImageAtSite
from skerry.model.asks import ControlQuery, PageQuery, SeedImage
from skerry.model.errors import SkerryError
from skerry.model.ids import AppName, NodeName, ServiceName, SiteName, TenantName, instance_id
from skerry.model.signed import Call, Envelope
from skerry.sim.script import Command, Script
from skerry.sim.script_words import seconds


class _Owner:
    """An owner's client: has the node's nonce signed for one word about an instance (``core.calls.CallSocket``)."""

    def __init__(self, script: Script, call: Call) -> None:
        self._script = script
        self._call = call

    async def send_nonce(self, site: SiteName, node: NodeName, nonce: bytes) -> None:
        self._call = msgspec.structs.replace(self._call, site=site, node=node, nonce=nonce)

    async def receive_call(self) -> Envelope:
        return self._script.world.people.sign_as(self._call.tenant, "call", self._call)

    async def send_output(self, channel: int, data: bytes) -> None:
        """A word about an instance has no output."""

    async def send_end(self) -> None:
        """It carries no connection."""

    async def send_exit(self, code: int) -> None:
        """The site said yes."""

    async def receive_input(self) -> AsyncIterator[tuple[int, bytes]]:
        for nothing in ():
            yield nothing

    async def wait_left(self) -> None:
        """It stays to the end."""


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
        await script.world.core.service.control_instance(caller, app=app, query=query, socket=_Owner(script, call))
    except SkerryError as error:
        return [f"{error.code} {error.detail}"]
    if verb != "stop":
        # The owner's word ends that of a person at the box.
        script.world.hands.stopped.pop((SiteName(site), instance_id(call.tenant, app, service, 0)), None)
    return [f"{verb} {what} at {site}"]


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
    "seed": _seed,
    "where": _where,
}
