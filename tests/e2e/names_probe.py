"""Runs in a network namespace of its own: the contract of name servers, and what was measured, as JSON on stdout.

unshare --net python -m tests.e2e.names_probe FOLDER
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.contract import names
from tests.e2e import dns_client
from tests.e2e.dns_client import SILENT

from skerry.clock import SystemClock, SystemMint
from skerry.drivers.base import Driver
from skerry.drivers.names import NamesDriver
from skerry.drivers.names.server import Process


class UnboundRig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver: Driver = self.make()

    def make(self, **words: Any) -> NamesDriver:
        resolvers = self.folder / "resolv.conf"
        resolvers.write_text("")
        return NamesDriver(self.folder / "names", SystemClock(), SystemMint(), resolvers=resolvers, **words)

    async def ask(self, source: str, server: str, name: str, kind: str) -> names.Said:
        return await dns_client.ask(source, server, name, kind)

    async def begin_anew(self) -> None:
        self.driver = self.make()

    def process(self) -> Process:
        kept = json.loads((self.folder / "names" / "kept.json").read_bytes())
        return Process(**kept["process"])

    async def kill_server(self) -> None:
        process = self.process()
        os.kill(process.pid, signal.SIGKILL)
        while process.is_alive():
            await asyncio.sleep(0.01)


async def measure_load(rig: UnboundRig) -> dict[str, float]:
    """Swap zones and settings under load, then let the server be replaced eleven times: what is lost, what is wrong."""
    loop = asyncio.get_running_loop()
    stop = False
    asked = lost = wrong = 0
    worst = 0.0

    async def client() -> None:
        nonlocal asked, lost, wrong, worst
        while not stop:
            began = loop.time()
            said = await rig.ask(names.GATEWAYS[0], names.GATEWAYS[0], "web", "A")
            asked += 1
            worst = max(worst, loop.time() - began)
            lost += said == SILENT
            wrong += said != SILENT and (said[0] != "NOERROR" or not said[1])
            await asyncio.sleep(0.001)

    def zone(number: int) -> names.Zone:
        more = tuple(names.Named(f"s{each}", (f"10.176.1.{each % 200 + 10}",)) for each in range(1000))
        return names.zone(names=(names.Named("web", (f"10.176.1.{number % 250 + 1}",)), *more))

    await names.apply(rig, zone(0))
    clients = [asyncio.ensure_future(client()) for _ in range(8)]
    both = names.zone(2)
    await names.apply(rig, zone(0), both)
    asked = lost = 0
    for number in range(20):
        await names.apply(rig, zone(number), both)
    for number in range(10):
        asker = names.Asker(f"10.176.1.{number + 100}", both.tenant, both.app, (both.network,))
        await names.apply(rig, zone(number), both, askers=(asker,))
    told = {"told_asked": asked, "told_lost": lost, "told_worst_ms": round(worst * 1000, 1)}
    asked = lost = 0
    before = rig.process()
    resident = before.resident_bytes()
    for number in range(10):
        await names.apply(rig, zone(number), *([both] if number % 2 else []))
    rig.driver = rig.make(resident_bytes_max=1)
    assert (await names.see(rig)).digest == ""
    await names.apply(rig, zone(1))
    replaced = rig.process() != before and not before.is_alive()
    stop = True
    await asyncio.gather(*clients)
    figures = {"replaced_asked": asked, "replaced_lost": lost, "wrong": wrong, "replaced": replaced}
    return told | figures | {"resident_mb": round(resident / 1e6, 1)}


async def measure_removal(rig: UnboundRig) -> float:
    """Milliseconds from the call until an address that is gone is answered no more."""
    await names.apply(rig, names.zone(**names.only("web", "10.176.1.5", "10.176.1.6")))
    began = time.monotonic()
    await names.apply(rig, names.zone(**names.only("web", "10.176.1.6")))
    while "10.176.1.5" in (await names.ask(rig, "web"))[1]:
        await asyncio.sleep(0.001)
    return round((time.monotonic() - began) * 1000, 1)


async def measure_death(rig: UnboundRig) -> float:
    """Milliseconds from the server's death until the driver wakes the agent."""
    await names.apply(rig, names.zone())
    assert isinstance(rig.driver, NamesDriver)
    waiting = asyncio.ensure_future(rig.driver.wait_changed())
    await asyncio.sleep(0.1)
    began = time.monotonic()
    os.kill(rig.process().pid, signal.SIGKILL)
    await asyncio.wait_for(waiting, 5)
    return round((time.monotonic() - began) * 1000, 1)


async def main(folder: Path) -> dict[str, object]:
    results: dict[str, object] = {}
    rig = UnboundRig(folder)
    try:
        for name, check in names.CHECKS.items():
            rig.driver = rig.make()
            try:
                await check(rig)
                results[name] = ""
            except Exception:
                results[name] = traceback.format_exc()
            await rig.driver.perform(
                names.ApplyNames(zones=(), askers=(), questions=(), digest=names.names_digest((), (), ()))
            )
        results["user"] = ""
        await names.apply(rig, names.zone())
        results["user"] = Path(f"/proc/{rig.process().pid}/status").read_text()
        results["removal_ms"] = await measure_removal(rig)
        results["death_ms"] = await measure_death(rig)
        results["load"] = await measure_load(rig)
    finally:
        with contextlib.suppress(Exception):
            await rig.driver.perform(
                names.ApplyNames(zones=(), askers=(), questions=(), digest=names.names_digest((), (), ()))
            )
    return results


if __name__ == "__main__":
    for words in ("link set lo up", "link add b0 type bridge", "link set b0 up"):
        subprocess.run(["ip", *words.split()], check=True)
    for gateway in names.GATEWAYS:
        for last in ("1", "9"):
            address = f"{gateway.rpartition('.')[0]}.{last}/24"
            subprocess.run(["ip", "address", "add", address, "dev", "b0"], check=True)
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
