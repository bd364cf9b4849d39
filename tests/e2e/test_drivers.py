"""The real drivers keep the same contract as the fake machine, whoever makes the links of instances."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.driver_probe import PARTS
from tests.e2e.lab import Lab

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
#: Only ends what hangs: a part takes a minute.
PART_S_MAX = 300
#: Checks that only make sense where Skerry makes the links.
ONLY_WIRED = "wired"


def observe(links: str) -> dict[str, str]:
    with Lab(["one"]) as lab:
        site = lab.sites["one"]
        program = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.e2e.driver_probe")
        found: dict[str, str] = {}
        for part in PARTS:
            if links == "skerry" or part != ONLY_WIRED:
                argv = site.argv(*program, site.agent_folder, site.podman_socket, part, links)
                said = subprocess.run(
                    argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PART_S_MAX, check=True
                )
                found |= json.loads(said.stdout)
        return found


@pytest.fixture(scope="module")
def by_podman() -> dict[str, str]:
    return observe("podman")


@pytest.fixture(scope="module")
def by_skerry() -> dict[str, str]:
    return observe("skerry")


@pytest.mark.parametrize("name", [name for part in PARTS if part != ONLY_WIRED for name in PARTS[part]])
def test_podman_keeps_the_contract(by_podman: dict[str, str], name: str):
    assert by_podman[name] == ""


@pytest.mark.parametrize("name", [name for part in PARTS.values() for name in part])
def test_podman_keeps_the_contract_with_links_by_skerry(by_skerry: dict[str, str], name: str):
    assert by_skerry[name] == ""
