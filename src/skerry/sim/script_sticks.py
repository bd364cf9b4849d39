"""Commands of transcripts for sticks: what is written for a site, and what its box makes of it."""

from collections.abc import Mapping

from skerry.agent.bundles import BundleAnswer
from skerry.agent.local import LocalProblem
from skerry.model.ids import SiteName, TenantName
from skerry.sim.script import Command, Script
from skerry.sim.sticks import write_stick

#: How a folder is called at the box; there is one stick.
_FOLDER = "/stick"


async def _export(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Write what a site's document asks for: ``export SITE [document=no] [harm=layer|document|short]``."""
    site = SiteName(plain[0])
    tenant = TenantName(named.get("tenant", "default"))
    wants = named.get("document", "yes") == "yes"
    stick = await write_stick(script.world, site, tenant, document=wants, harm=named.get("harm", ""))
    script.world.sites[site].stick = stick
    return [f"a stick for {site} is written"]


async def _carry(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Put the stick into the box, and say what its agent says."""
    site = script.world.sites[SiteName(plain[0])]
    answer = await site.bundles.apply({"folder": _FOLDER})
    if isinstance(answer, LocalProblem):
        return [f"{answer.code} {answer.detail}"]
    reason = f": {answer.document_reason}" if answer.document_reason else ""
    return [f"document {answer.document}{reason}", f"{len(answer.images)} images on the stick"]


async def _pull(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Take the stick out."""
    script.world.sites[SiteName(plain[0])].stick = None
    return [f"the stick is out of {plain[0]}"]


async def _bundle(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say how far the bundle is."""
    answer = await script.world.sites[SiteName(plain[0])].bundles.show({})
    if isinstance(answer, LocalProblem):
        return [f"{answer.code} {answer.detail}"]
    return [*_describe(answer), "done" if answer.done else "not done"]


def _describe(answer: BundleAnswer) -> list[str]:
    return [
        f"{each.name or each.image[7:15]} {each.state}, {each.have_bytes} of {each.size_bytes} bytes"
        + (f": {each.reason}" if each.reason else "")
        for each in answer.images
    ]


COMMANDS: dict[str, Command] = {"export": _export, "carry": _carry, "pull": _pull, "bundle": _bundle}
