"""Runs the contract of tunnels with WireGuard between two places; prints one JSON object of results.

It is started in neither: each node's programs are entered into its own place. ``overlay_probe FOLDER NET MNT ADDRESS
NET MNT ADDRESS``.
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
from skerry.model.ids import NodeName, SiteName
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
    enters = [("nsenter", f"--net={words[at]}", f"--mount={words[at + 1]}", "--") for at in (0, 3)]
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


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1]), sys.argv[2:]))))
