"""Certificates from a real ACME authority, answered by the real entrance: the contract.

``certificates_probe FOLDER OWN`` in a network and a mount namespace of its own, at whose address ``OWN`` names lead to
the site; prints JSON of results, as ``entrance_probe`` does.
"""

import asyncio
import json
import sys
import traceback
from pathlib import Path

from tests.contract import certificates, entrance
from tests.contract.certificates import HOST, OTHER
from tests.contract.entrance import server
from tests.e2e.authority import Pebble, believe
from tests.e2e.entrance_probe import RealRig

from skerry.clock import SystemClock
from skerry.drivers.certificates import Authority, CertificatesDriver
from skerry.model.ids import Digest
from skerry.model.observed import CertificatesSeen
from skerry.plan.actions import Action, Challenge, MakeAccount, Outcome
from skerry.safe.paths import RealDirectory

#: Where no name leads: the entrance there is asked for a host that it does not have.
ELSEWHERE = "127.0.0.9"
CHECK_S_MAX = 30


class RealCertificates:
    """The driver, an authority that asks this node, and an entrance that answers."""

    def __init__(self, folder: Path, door: RealRig, pebble: Pebble) -> None:
        self.folder, self.door, self.pebble = folder, door, pebble
        self.authority = Authority(directory=pebble.directory, accepted=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.restart_agent()

    async def look(self) -> CertificatesSeen:
        seen = (await self.driver.observe()).certificates
        assert seen is not None
        return seen

    async def perform(self, action: Action) -> Outcome:
        outcome = await self.driver.perform(action)
        if isinstance(action, MakeAccount) and outcome.ok:
            challenge = Challenge((HOST,), (await self.look()).thumbprint)
            await entrance.apply(self.door, entrance.entrance(server(1), challenge=challenge))
        return outcome

    def open_certificate(self, version: Digest) -> bytes | None:
        return self.driver.open_certificate(version)

    def restart_agent(self) -> None:
        (self.folder / "kept").mkdir(exist_ok=True)
        kept = RealDirectory.open_root(self.folder / "kept")
        self.driver = CertificatesDriver(self.folder / "try", kept, self.authority, SystemClock())

    def accept_terms(self, *, accepted: bool) -> None:
        self.authority = Authority(directory=self.pebble.directory, accepted=accepted)
        self.restart_agent()

    def cut_authority(self) -> None:
        # One that nobody answers for is asked three times, 5 s apart; one that is out of order is as good and sooner.
        self.authority = Authority(directory=f"{self.pebble.directory}-away", accepted=True)
        self.restart_agent()


async def run(folder: Path, own: str) -> dict[str, str]:
    """Run every check; the result is its trace, or nothing when it held."""
    results: dict[str, str] = {}
    pebble = Pebble(folder / "authority", own, {HOST: own, OTHER: ELSEWHERE})
    believe(pebble.certificate, folder / "believed.pem")
    try:
        for number, (name, check) in enumerate(certificates.CHECKS.items()):
            door = RealRig(folder / f"door{number}", own, "")
            try:
                async with asyncio.timeout(CHECK_S_MAX):
                    await check(RealCertificates(folder / f"site{number}", door, pebble))
                results[name] = ""
            except Exception:
                results[name] = traceback.format_exc()
            print(name, "holds" if not results[name] else "FAILED", file=sys.stderr)
            await entrance.tidy(door)
    finally:
        pebble.end()
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))))
