"""The real drivers keep the same contract as the fake machine."""

import json
import sys
from pathlib import Path

import pytest
from tests.contract import runtime
from tests.e2e.driver_probe import REAL_CHECKS
from tests.e2e.lab import Lab

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    with Lab(["one"]) as lab:
        site = lab.sites["one"]
        program = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.e2e.driver_probe")
        output = site.run(*program, site.agent_folder, site.podman_socket)
        return json.loads(output)


@pytest.mark.parametrize("name", [*runtime.CHECKS, *REAL_CHECKS])
def test_podman_keeps_the_contract(results: dict[str, str], name: str):
    assert results[name] == ""
