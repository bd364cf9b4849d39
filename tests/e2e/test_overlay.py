"""WireGuard between two namespaces keeps the same contract as the fake tunnels."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.contract import overlay
from tests.e2e.fleet import wait_until
from tests.e2e.lab import CHECKOUT

from skerry.berths.namespaces import Place, hold_folder, release_folder

pytestmark = pytest.mark.e2e

PLACES = ("192.0.2.1", "192.0.2.2")
PROBE_S_MAX = 240


def move_link(start: Place, name: str, end: Place, log: Path) -> None:
    """Move a link into another place, which is named by a process in it."""
    holder = end.popen(["sleep", "60"], log)
    # It begins where this program is.
    wait_until(lambda: holder.pid in end.pids(), "a process in the place", 10)
    start.run("ip", "link", "set", "dev", name, "netns", holder.pid)
    holder.kill()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Place]]:
    """Two places with a cable between, each with the address of a part."""
    folder = tmp_path_factory.mktemp("overlay")
    hold_folder(folder / "ns")
    places = [Place(folder / "ns", f"end{node}", folder / f"disk{node}") for node in (0, 1)]
    try:
        for place in places:
            place.disk.mkdir()
            place.create()
            place.run("mount", "-t", "tmpfs", "none", "/run")
        places[0].run("ip", "link", "add", "dev", "wan0", "type", "veth", "peer", "name", "wan1")
        move_link(places[0], "wan1", places[1], folder / "log")
        for node, place in enumerate(places):
            place.run("ip", "address", "add", f"{PLACES[node]}/24", "dev", f"wan{node}")
            place.run("ip", "link", "set", "dev", f"wan{node}", "up")
            v4, v6 = overlay.ADDRESSES[node]
            place.run("ip", "address", "add", f"{v4}/32", "dev", "lo")
            place.run("ip", "address", "add", f"{v6}/128", "dev", "lo")
        yield places
    finally:
        for place in places:
            place.destroy()
        release_folder(folder / "ns")


@pytest.fixture(scope="module")
def results(ends: list[Place], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    where = [word for node, end in enumerate(ends) for word in (end.net, end.mnt, PLACES[node])]
    command = [sys.executable, "-m", "tests.e2e.overlay_probe", tmp_path_factory.mktemp("state"), *where]
    done = subprocess.run(
        [str(word) for word in command], cwd=CHECKOUT, text=True, capture_output=True, timeout=PROBE_S_MAX, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", overlay.CHECKS)
def test_wireguard_keeps_the_contract(results: dict[str, str], name: str):
    assert results[name] == ""
