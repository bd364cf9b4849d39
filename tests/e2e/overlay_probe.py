"""Runs the contract of tunnels with WireGuard between two places; prints one JSON object of results.

It is started in neither: each node's programs are entered into its own place. ``overlay_probe FOLDER NET MNT ADDRESS
NET MNT ADDRESS``; with four places behind them: where each looks for the other, directly and at a relay.
"""

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.contract import overlay

from skerry.clock import SystemClock, SystemMint
from skerry.drivers.base import run_program
from skerry.drivers.overlay import OverlayDriver
from skerry.keys.overlay import OverlayKeys
from skerry.link.relaying import write_table
from skerry.model.ids import NodeName, SiteName
from skerry.model.relay import RelayPair, RelaySide, RelayTable
from skerry.safe.paths import RealDirectory
from skerry.trust.keys import SigningKey


class RealRig:
    """Two places, each with a driver of its own."""

    def __init__(self, folder: Path, enters: Sequence[tuple[str, ...]], places: Sequence[str]) -> None:
        self.enters = enters
        self.places = places
        self.wait = asyncio.sleep
        self.drivers = [self._make_driver(folder / str(node), node) for node in (0, 1)]

    def _make_driver(self, folder: Path, node: int) -> OverlayDriver:
        folder.mkdir(parents=True, exist_ok=True)
        mint, whose = SystemMint(), (SiteName(f"s{node}"), NodeName("n1"))
        keys = OverlayKeys(
            RealDirectory.open_root(folder / "keys"), mint, SigningKey.from_seed(b"k" * 32), lambda: whose
        )
        enter = self.enters[node]

        async def run(*words: str, given: bytes = b"") -> tuple[int, bytes]:
            return await run_program(*enter, *words, given=given)

        def read_devices() -> str:
            words = (*enter, "cat", "/proc/self/net/dev")
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout

        run_folder = RealDirectory.open_root(folder / "run")
        return OverlayDriver(keys, run_folder, SystemClock(), 51820, run, read_devices)

    async def reaches(self, source: int, target: str) -> bool:
        own = overlay.ADDRESSES[source][":" in target]
        # Three packets, so that one that starts a handshake may be late.
        words = (*self.enters[source], "busybox", "ping", "-c", "2", "-W", "1", "-I", own, target)
        code, _ = await run_program(*words)
        return code == 0


async def run(folder: Path, words: Sequence[str]) -> dict[str, str]:
    """Run every check; the result is its trace, or nothing when it held."""
    enters = _list_enters(words)
    results: dict[str, str] = {}
    for name, check in overlay.CHECKS.items():
        rig = RealRig(folder, enters, (words[2], words[5]))
        try:
            await check(rig)
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        await overlay.tidy(rig)
    return results


async def run_through(folder: Path, words: Sequence[str], direct: Sequence[str], relay: Sequence[str]) -> list[bool]:
    """Whether two nodes reach each other directly, and then through a relay: the places where each looks for the other.

    The relay's table is written here, because only here the nodes' keys are known.
    """
    rig = RealRig(folder, _list_enters(words), (words[2], words[5]))
    keys = await overlay.connect(rig)
    ports = [int(place.rpartition(":")[2]) for place in relay]
    sides = [RelaySide(SiteName(f"s{node}"), ports[node], (), (keys[node],)) for node in (0, 1)]
    write_table(folder / "relay.json", RelayTable((RelayPair((sides[0], sides[1])),)))
    found: list[bool] = []
    for places in (direct, relay):
        for node in (0, 1):
            way = overlay.tunnel(rig, node, keys[1 - node], endpoint=places[node], keepalive_s=2)
            await overlay.do(rig, node, overlay.apply(way))
        await rig.wait(8)
        found.append(await rig.reaches(0, overlay.ADDRESSES[1][0]))
    await overlay.tidy(rig)
    return found


def _list_enters(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [("nsenter", f"--net={words[at]}", f"--mount={words[at + 1]}", "--") for at in (0, 3)]


if __name__ == "__main__":
    place, given = Path(sys.argv[1]), sys.argv[2:]
    if len(given) == 6:
        print(json.dumps(asyncio.run(run(place, given))))
    else:
        print(json.dumps(asyncio.run(run_through(place, given[:6], given[6:8], given[8:10]))))
