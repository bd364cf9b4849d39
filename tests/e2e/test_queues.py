"""The kernel's queues in namespaces keep the same contract as the fake ones: rates are measured with real packets."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest
from tests.contract import queues
from tests.e2e.lab import CHECKOUT

from skerry.berths.namespaces import Place, hold_folder, release_folder
from skerry.drivers.flows import FlowsDriver
from skerry.model.ids import Digest
from skerry.plan.actions import ApplyFlows
from skerry.plan.flows import uplink_counter

pytestmark = pytest.mark.e2e

PROBE_S_MAX = 240


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Place]]:
    with make_places(tmp_path_factory.mktemp("queues")) as made:
        yield made


@contextlib.contextmanager
def make_places(folder: Path) -> Generator[list[Place]]:
    """A node with a bridge and two ways out, an instance behind the bridge, and the world outside."""
    hold_folder(folder / "ns")
    node, instance, outside = made = [
        Place(folder / "ns", name, folder / name) for name in ("node", "instance", "outside")
    ]
    try:
        for place in made:
            place.disk.mkdir()
            place.create()
            # The kernel's own packets, its asking for routers of version 6, would be counted with ours.
            place.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        node.run("ip", "link", "add", "dev", queues.BRIDGE, "type", "bridge")
        node.run("ip", "address", "add", "10.176.7.1/24", "dev", queues.BRIDGE)
        node.run("ip", "link", "set", "dev", queues.BRIDGE, "up")
        _cable(node, "veth7", instance, "lan0")
        node.run("ip", "link", "set", "dev", "veth7", "master", queues.BRIDGE)
        instance.run("ip", "address", "add", f"{queues.ADDRESS}/24", "dev", "lan0")
        instance.run("ip", "route", "add", "default", "via", "10.176.7.1")
        for device, peer, net in ((queues.UPLINK, "out0", "192.0.2"), (queues.OTHER, "out1", "198.51.100")):
            _cable(node, device, outside, peer)
            node.run("ip", "address", "add", f"{net}.2/24", "dev", device)
            outside.run("ip", "address", "add", f"{net}.1/24", "dev", peer)
        outside.run("ip", "route", "add", "10.176.7.0/24", "via", "192.0.2.2")
        yield made
    finally:
        for place in made:
            place.destroy()
        release_folder(folder / "ns")


def _cable(one: Place, near: str, other: Place, far: str) -> None:
    one.run("ip", "link", "add", "dev", near, "type", "veth", "peer", "name", far)
    # From outside of both places, where the files of both namespaces are seen.
    words = ("nsenter", f"--net={one.net}", "ip", "link", "set", "dev", far, "netns", str(other.net))
    subprocess.run(words, check=True, capture_output=True)
    one.run("ip", "link", "set", "dev", near, "up")
    other.run("ip", "link", "set", "dev", far, "up")


@pytest.fixture(scope="module")
def results(places: list[Place]) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.e2e.queues_probe", *(str(place.net) for place in places)]
    done = subprocess.run(command, cwd=CHECKOUT, text=True, capture_output=True, timeout=PROBE_S_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", queues.CHECKS)
def test_the_kernel_keeps_the_contract(results: dict[str, str], name: str):
    assert results[name] == ""


@pytest.fixture
def quiet_places(tmp_path: Path) -> Generator[list[Place]]:
    """Places of its own: what is sent again of connections of before would be counted too."""
    with make_places(tmp_path) as made:
        yield made


def test_packets_of_a_network_are_counted_before_and_behind_all_rules(quiet_places: list[Place]):
    """Three packets go out, two more meet somebody's rule; what is counted outlives a change."""
    node, instance, _ = quiet_places

    async def run(*words: str, given: bytes = b"") -> tuple[int, bytes]:
        inside = ("nsenter", f"--net={node.net}", *words)
        done = subprocess.run(inside, input=given, capture_output=True, check=False, timeout=30)
        return done.returncode, done.stdout + done.stderr

    async def count(action: ApplyFlows, *commands: tuple[str, ...]) -> dict[str, tuple[int, int]]:
        done = await FlowsDriver(run).perform(action)
        assert done.ok, done.reason
        for command in commands:
            instance.run(*command)
        seen = (await FlowsDriver(run).observe()).flows
        assert seen is not None
        assert seen.digest == action.digest
        return seen.counts

    def send(address: str, count: int) -> tuple[str, ...]:
        words = f"for _ in range({count}): one.sendto(b'x' * 56, ('{address}', 9))"
        return sys.executable, "-c", f"import socket\none = socket.socket(type=socket.SOCK_DGRAM)\n{words}"

    action = ApplyFlows(
        bridges=(queues.BRIDGE,), devices=(queues.UPLINK,), ports=(0, 0), digest=Digest("sha256:" + "a" * 64)
    )
    counts = asyncio.run(count(action, send("192.0.2.1", 3)))
    tried, left, meant, came = (counts[f"{queues.BRIDGE}_{what}"] for what in ("tried", "left", "meant", "came"))
    assert tried == left == (3, 3 * 84)
    # Nobody listens there: the world may say so.
    assert meant == came
    assert counts[uplink_counter(queues.UPLINK, "instances")] == (3 + came[0], 3 * 84 + came[1])
    node.run("nft", "add table inet foreign; add chain inet foreign f { type filter hook forward priority filter; }")
    node.run("nft", "add rule inet foreign f ip daddr 198.51.100.1 drop")
    try:
        action = msgspec.structs.replace(action, devices=(), digest=Digest("sha256:" + "b" * 64))
        counts = asyncio.run(count(action, send("198.51.100.1", 2)))
        assert [counts[f"{queues.BRIDGE}_{what}"][0] for what in ("tried", "left")] == [5, 3]
        assert uplink_counter(queues.UPLINK, "instances") not in counts
        asyncio.run(FlowsDriver(run).perform(ApplyFlows(bridges=(), devices=(), ports=(0, 0), digest=Digest(""))))
        code, tables = asyncio.run(run("nft", "list", "tables"))
        assert code == 0
        assert "skerry_flows" not in tables.decode()
        assert "table inet foreign" in tables.decode()
    finally:
        node.run("nft", "delete table inet foreign")
