"""Two nodes behind NATs that choose ports at random: never direct, always through the relay, which cannot read."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.contract import overlay
from tests.e2e.lab import CHECKOUT
from tests.e2e.test_overlay import move_link

from skerry.berths.namespaces import Place, hold_folder, release_folder

pytestmark = pytest.mark.e2e

#: Outer addresses of the two NATs, and of the middle towards each: the relay is at the first.
OUTER = ("198.51.100.2", "198.51.100.6")
MIDDLE = ("198.51.100.1", "198.51.100.5")
RELAY_PORTS = (52_000, 52_001)
NAT = """
table ip nat {
 chain post { type nat hook postrouting priority srcnat; oifname "out" masquerade fully-random; }
}
"""


def join(left: Place, right: Place, names: tuple[str, str], addresses: tuple[str, str], log: Path) -> None:
    """Lay a cable between two places."""
    left.run("ip", "link", "add", "dev", names[0], "type", "veth", "peer", "name", "far0")
    move_link(left, "far0", right, log)
    right.run("ip", "link", "set", "dev", "far0", "name", names[1])
    for place, name, address in ((left, names[0], addresses[0]), (right, names[1], addresses[1])):
        place.run("ip", "address", "add", address, "dev", name)
        place.run("ip", "link", "set", "dev", name, "up")


@pytest.fixture
def places(tmp_path: Path) -> Generator[list[Place]]:
    """Two ends, their NATs, and the middle with the relay's address."""
    hold_folder(tmp_path / "ns")
    made = [Place(tmp_path / "ns", name, tmp_path / name) for name in ("end0", "end1", "nat0", "nat1", "middle")]
    middle = made[4]
    try:
        for place in made:
            place.disk.mkdir()
            place.create()
            place.run("mount", "-t", "tmpfs", "none", "/run")
            place.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        for node in (0, 1):
            end, nat = made[node], made[2 + node]
            join(nat, end, ("in", "wan0"), (f"10.{node}.0.1/24", f"10.{node}.0.2/24"), tmp_path / "log")
            join(nat, middle, ("out", f"to{node}"), (f"{OUTER[node]}/30", f"{MIDDLE[node]}/30"), tmp_path / "log")
            end.run("ip", "route", "add", "default", "via", f"10.{node}.0.1")
            nat.run("ip", "route", "add", "default", "via", MIDDLE[node])
            (nat.disk / "nat.nft").write_text(NAT)
            nat.run("nft", "-f", nat.disk / "nat.nft")
            v4, v6 = overlay.ADDRESSES[node]
            end.run("ip", "address", "add", f"{v4}/32", "dev", "lo")
            end.run("ip", "address", "add", f"{v6}/128", "dev", "lo")
        yield made
    finally:
        for place in made:
            place.destroy()
        release_folder(tmp_path / "ns")


def test_what_two_nats_keep_apart_the_relay_brings_together(places: list[Place], tmp_path: Path):
    state = tmp_path / "state"
    state.mkdir()
    program = (sys.executable, "-m", "skerry", "relay", "--table", state / "relay.json", "--host", MIDDLE[0])
    relay = places[4].popen([str(word) for word in program], tmp_path / "relay.log", places[4].env)
    where = [word for node in (0, 1) for word in (places[node].net, places[node].mnt, f"10.{node}.0.2")]
    direct = [f"{OUTER[1 - node]}:51822" for node in (0, 1)]
    through = [f"{MIDDLE[0]}:{port}" for port in RELAY_PORTS]
    words = [sys.executable, "-m", "tests.e2e.overlay_probe", state, *where, *direct, *through]
    done = subprocess.run(
        [str(word) for word in words], cwd=CHECKOUT, text=True, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == [False, True], (tmp_path / "relay.log").read_text()
    assert relay.poll() is None
