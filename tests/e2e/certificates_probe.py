"""Certificates from a real ACME authority, answered by the real entrance: the contract and one whole way.

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
from tests.e2e.certificates import trust
from tests.e2e.entrance_load import ask_once
from tests.e2e.entrance_probe import RealRig

from skerry.clock import SystemClock
from skerry.drivers.certificates import Authority, CertificatesDriver
from skerry.model.ids import Digest
from skerry.model.observed import CertificatesSeen
from skerry.plan.actions import Action, Certificate, Challenge, MakeAccount, Outcome, Route
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


async def check_the_entrance_shows_what_the_authority_gave(rig: RealCertificates) -> None:
    door = rig.door
    await door.serve(1)
    assert (await certificates.obtain(rig)).ok
    seen = await rig.look()
    version = seen.held[HOST].version
    door.secrets[version] = rig.open_certificate(version) or b""
    action = entrance.entrance(
        server(1),
        routes=(Route(host=HOST, path="/", backend="b1", secure=True, holder="t/shop/web"),),
        certificates=(Certificate(host=HOST, version=version),),
        challenge=Challenge((HOST,), seen.thumbprint),
    )
    assert (await entrance.apply(door, action)).shown == {HOST: version}
    await asyncio.sleep(0.3)  # the process that takes the sockets over is there in a tenth of this
    assert (await ask_once(door.own, 443, HOST, tls=trust(rig.pebble.read_root())))[:2] == (200, "c1 https")
    modes = {path.stat().st_mode & 0o777 for path in (rig.folder / "kept").glob("*.pem*")}
    assert modes == {0o600}
    assert not (rig.folder / "try").exists()


REAL = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}


async def run(folder: Path, own: str) -> dict[str, str]:
    """Run every check; the result is its trace, or nothing when it held."""
    results: dict[str, str] = {}
    pebble = Pebble(folder / "authority", own, {HOST: own, OTHER: ELSEWHERE})
    believe(pebble.certificate, folder / "believed.pem")
    try:
        for number, (name, check) in enumerate({**certificates.CHECKS, **REAL}.items()):
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
