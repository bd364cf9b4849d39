"""A pool is made, grown and mounted step by step, holds what it promises and touches nothing that is not its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.drivers.volumes.pool_probe import CHECKS

ROOT = Path(__file__).parents[3]
#: Only ends what hangs: it takes a few seconds.
PROBE_S_MAX = 240

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: needs root")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    words = ["unshare", "--mount", sys.executable, "-m", "tests.drivers.volumes.pool_probe"]
    folder = tmp_path_factory.mktemp("pool")
    said = subprocess.run([*words, folder], cwd=ROOT, capture_output=True, timeout=PROBE_S_MAX, check=False)
    assert said.returncode == 0, said.stderr.decode()
    return json.loads(said.stdout)


@pytest.mark.parametrize("name", CHECKS)
def test_a_pool(found: dict[str, str], name: str):
    assert found[name] == ""
