"""What getting certificates keeps to, real or fake: one set of checks for uacme and for the simulation's own."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from skerry.model.ids import Digest
from skerry.model.observed import CertificatesSeen
from skerry.plan.actions import Action, MakeAccount, ObtainCertificate, Outcome

HOST, OTHER = "shop.example", "elsewhere.example"


class Rig(Protocol):
    """A site, and an authority that believes it to have ``HOST`` and not ``OTHER``."""

    async def look(self) -> CertificatesSeen:
        """See what is held."""
        ...

    async def perform(self, action: Action) -> Outcome:
        """Do it."""
        ...

    def open_certificate(self, version: Digest) -> bytes | None:
        """Return what lies under a version."""
        ...

    def restart_agent(self) -> None:
        """Let another process take over."""
        ...

    def accept_terms(self, *, accepted: bool) -> None:
        """Let the operator accept the authority's terms, or not."""
        ...

    def cut_authority(self) -> None:
        """Nobody reaches the authority any more."""
        ...


async def obtain(rig: Rig, host: str = HOST) -> Outcome:
    if not (await rig.look()).thumbprint:
        assert (await rig.perform(MakeAccount())).ok
    return await rig.perform(ObtainCertificate(host=host))


async def check_nothing_is_asked_before_the_terms_are_accepted(rig: Rig) -> None:
    rig.accept_terms(accepted=False)
    seen = await rig.look()
    assert "terms" in seen.reason
    assert seen.thumbprint == ""
    outcome = await rig.perform(MakeAccount())
    assert (outcome.ok, outcome.code) == (False, "E-CERTIFICATE")
    assert (await rig.look()).thumbprint == ""


async def check_one_is_got_and_another_takes_its_place_and_outlives_agent_and_authority(rig: Rig) -> None:
    outcome = await obtain(rig)
    assert outcome.ok, outcome
    first = await rig.look()
    held = first.held[HOST]
    assert len(first.thumbprint) == 43
    assert held.from_us - 3_600_000_000 <= first.wall_us < held.until_us
    assert rig.open_certificate(held.version)
    assert rig.open_certificate(Digest("sha256:" + "0" * 64)) is None
    assert first.tried == {}
    assert (await obtain(rig)).ok
    second = await rig.look()
    assert second.held[HOST].version != held.version
    assert second.thumbprint == first.thumbprint
    assert rig.open_certificate(held.version) is None
    rig.cut_authority()
    assert not (await obtain(rig)).ok
    rig.restart_agent()
    seen = await rig.look()
    assert (seen.held, seen.thumbprint) == (second.held, first.thumbprint)
    assert (seen.tried[HOST].count, seen.tried[HOST].unreached) == (1, True)
    assert rig.open_certificate(seen.held[HOST].version)


async def check_a_host_that_leads_elsewhere_gets_none_and_that_is_not_forgotten(rig: Rig) -> None:
    outcome = await obtain(rig, OTHER)
    assert (outcome.ok, outcome.code) == (False, "E-CERTIFICATE")
    rig.restart_agent()
    seen = await rig.look()
    assert seen.held == {}
    assert (seen.tried[OTHER].count, seen.tried[OTHER].unreached) == (1, False)
    assert seen.tried[OTHER].reason
    assert seen.tried_us == seen.tried[OTHER].at_us


CHECKS: dict[str, Callable[[Any], Coroutine[Any, Any, None]]] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}
