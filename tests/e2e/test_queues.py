"""The kernel's queues in namespaces keep the same contract as the fake ones: rates are measured with real packets."""

import json
import subprocess
import sys
from collections.abc import Generator

import pytest
from tests.contract import queues
from tests.e2e.lab import CHECKOUT

from skerry.berths.namespaces import Place, hold_folder, release_folder

pytestmark = pytest.mark.e2e

PROBE_S_MAX = 240


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Place]]:
    """A node with a bridge and two ways out, an instance behind the bridge, and the world outside."""
    folder = tmp_path_factory.mktemp("queues")
    hold_folder(folder / "ns")
    node, instance, outside = made = [
        Place(folder / "ns", name, folder / name) for name in ("node", "instance", "outside")
    ]
    try:
        for place in made:
            place.disk.mkdir()
            place.create()
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
