"""The real drivers keep the same contract as the fake machine."""

import json
import sys
from pathlib import Path

import pytest
from tests.e2e.driver_probe import PARTS
from tests.e2e.lab import Lab

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    with Lab(["one"]) as lab:
        site = lab.sites["one"]
        program = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.e2e.driver_probe")
        found: dict[str, str] = {}
        for part in PARTS:
            found |= json.loads(site.run(*program, site.agent_folder, site.podman_socket, part))
        return found


@pytest.mark.parametrize("name", [name for part in PARTS.values() for name in part])
def test_podman_keeps_the_contract(results: dict[str, str], name: str):
    assert results[name] == ""
