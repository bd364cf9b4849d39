"""Runs the contract of queues with the kernel's own; prints one JSON object of results.

``queues_probe NODE INSTANCE OUTSIDE``, each the path of a network namespace, made by ``test_queues.py``.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import traceback
from collections.abc import Sequence

from tests.contract import queues

from skerry.drivers.base import run_program
from skerry.drivers.queues import QueuesDriver

#: Where the outside world answers, by way.
OUTSIDE = {"up": "192.0.2.1", "aside": "198.51.100.1"}
PORT = 5001
#: Bursts are over and what is measured is the rate.
SETTLE_S, MEASURE_S = 1.5, 2.0
_SINK = f"""
import socket, time
server = socket.create_server(("", {PORT}))
print("ready", flush=True)
peer, _ = server.accept()
peer.settimeout(5)
start, count = time.monotonic(), 0
while time.monotonic() < start + {SETTLE_S}:
    peer.recv(65536)
start = time.monotonic()
while time.monotonic() < start + {MEASURE_S}:
    count += len(peer.recv(65536))
print(count * 8 / (time.monotonic() - start), flush=True)
"""
_SOURCE = f"""
import socket, sys
peer = socket.create_connection((sys.argv[1], {PORT}), timeout=5)
try:
    while True:
        peer.sendall(bytes(16384))
except OSError:
    pass
"""


class RealRig:
    def __init__(self, node: str, instance: str, outside: str) -> None:
        self.enter = {name: ("nsenter", f"--net={path}", "--") for name, path in
                      (("node", node), ("instance", instance), ("outside", outside))}  # fmt: skip
        self.driver = QueuesDriver(self.run, self.read_devices)

    async def run(self, *words: str, given: bytes = b"") -> tuple[int, bytes]:
        return await run_program(*self.enter["node"], *words, given=given)

    def read_devices(self) -> str:
        words = (*self.enter["node"], "cat", "/proc/self/net/dev")
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    async def measure(self, way: queues.Way) -> float:
        down = way == "down"
        sink, source = ("instance", "outside") if down else ("outside", "instance")
        target = queues.ADDRESS if down else OUTSIDE[way]
        receiver = await asyncio.create_subprocess_exec(
            *self.enter[sink], sys.executable, "-c", _SINK, stdout=asyncio.subprocess.PIPE
        )
        assert receiver.stdout is not None
        assert await receiver.stdout.readline() == b"ready\n"
        sender = await asyncio.create_subprocess_exec(*self.enter[source], sys.executable, "-c", _SOURCE, target)
        try:
            return float(await asyncio.wait_for(receiver.stdout.read(), 30))
        finally:
            with contextlib.suppress(ProcessLookupError):  # it ends by itself once nobody listens
                sender.kill()
            await sender.wait()
            await receiver.wait()

    async def queue_foreign(self, device: str) -> None:
        code, _ = await self.run("tc", "qdisc", "add", "dev", device, "root", "handle", "7:", "pfifo", "limit", "500")
        assert code == 0

    async def is_foreign(self, device: str) -> bool:
        _, output = await self.run("tc", "qdisc", "show", "dev", device)
        return b"pfifo 7:" in output


async def run(names: Sequence[str]) -> dict[str, str]:
    """Run every check; the result is its trace, or nothing when it held."""
    results: dict[str, str] = {}
    for name, check in queues.CHECKS.items():
        rig = RealRig(*names)
        try:
            await check(rig)
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        for device in (queues.UPLINK, queues.BRIDGE):
            await rig.run("tc", "qdisc", "del", "dev", device, "root")
        await rig.run("nft", "flush", "ruleset")
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1:]))))
