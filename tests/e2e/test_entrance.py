"""HAProxy, nftables and uacme in a namespace of their own keep the contracts of their fakes, also under load."""

import ipaddress
import json
import subprocess
import sys
from collections.abc import Generator

import pytest
from tests.contract import certificates, entrance
from tests.e2e import entrance_probe
from tests.e2e.lab import CHECKOUT

from skerry.berths.namespaces import Place, hold_folder, release_folder

pytestmark = pytest.mark.e2e

OWN, OUTSIDE = "192.0.2.1", "192.0.2.2"
PROBE_S_MAX = 240


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Place]]:
    """A node with the addresses of two copies, and somebody outside."""
    folder = tmp_path_factory.mktemp("entrance")
    hold_folder(folder / "ns")
    places = [Place(folder / "ns", f"door{node}", folder / f"disk{node}") for node in (0, 1)]
    try:
        for place in places:
            place.disk.mkdir()
            place.create()
        places[0].run("ip", "link", "add", "dev", "out0", "type", "veth", "peer", "name", "out1")
        # From outside of both places, where the files of both namespaces are seen.
        words = ("nsenter", f"--net={places[0].net}", "ip", "link", "set", "dev", "out1", "netns", str(places[1].net))
        subprocess.run(words, check=True, capture_output=True)
        for node, place in enumerate(places):
            place.run("ip", "address", "add", f"{(OWN, OUTSIDE)[node]}/24", "dev", f"out{node}")
            place.run("ip", "link", "set", "dev", f"out{node}", "up")
        for copy in (1, 2):
            places[0].run("ip", "address", "add", f"10.176.0.{10 + copy}/32", "dev", "lo")
        for address in (entrance_probe.COPY_V6, entrance_probe.SOURCE_V6):
            places[0].run("ip", "address", "add", f"{address}/128", "dev", "lo")
        places[0].run("ip", "address", "add", f"{entrance_probe.OWN_V6}/64", "dev", "out0", "nodad")
        for first, bits in ((entrance_probe.VISITOR, 24), (entrance_probe.VISITOR_V6, 64)):
            for visitor in range(entrance.VISITORS):
                address = ipaddress.ip_address(first) + visitor
                flag = ("nodad",) if bits == 64 else ()
                places[1].run("ip", "address", "add", f"{address}/{bits}", "dev", "out1", *flag)
        yield places
    finally:
        for place in places:
            place.destroy()
        release_folder(folder / "ns")


@pytest.fixture(scope="module")
def results(ends: list[Place], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("state")
    words = ["nsenter", f"--net={ends[0].net}", "--", sys.executable, "-m", "tests.e2e.entrance_probe"]
    command = [*words, str(folder), OWN, str(ends[1].net)]
    done = subprocess.run(command, cwd=CHECKOUT, text=True, capture_output=True, timeout=PROBE_S_MAX, check=False)
    print(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def got(ends: list[Place], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What came of asking a real authority, after the entrance's own checks."""
    folder = tmp_path_factory.mktemp("certificates")
    command = ends[0].argv("env", "-C", CHECKOUT, sys.executable, "-m", "tests.e2e.certificates_probe", folder, OWN)
    done = subprocess.run(command, cwd=CHECKOUT, text=True, capture_output=True, timeout=PROBE_S_MAX, check=False)
    print(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", certificates.CHECKS)
def test_uacme_keeps_the_contract_with_a_real_authority(got: dict[str, str], name: str):
    assert got[name] == ""


@pytest.mark.parametrize("name", [*entrance.CHECKS, *entrance_probe.REAL])
def test_haproxy_keeps_the_contract(results: dict[str, str], name: str):
    assert results[name] == ""
