"""Volumes on a real btrfs, in a file in memory: the contract of all storages, and what only subvolumes have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract import storage
from tests.drivers.volumes.btrfs_probe import CHECKS

ROOT = Path(__file__).parents[3]
#: Only ends what hangs: it takes a few seconds.
PROBE_S_MAX = 240

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: needs root")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("btrfs")
    words = ["unshare", "--mount", sys.executable, "-m", "tests.drivers.volumes.btrfs_probe", folder]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, timeout=PROBE_S_MAX, check=False)
    assert said.returncode == 0, said.stderr.decode()
    return json.loads(said.stdout)


@pytest.mark.parametrize("name", CHECKS)
def test_on_btrfs(found: dict[str, str], name: str):
    assert found[f"btrfs {name}"] == ""


@pytest.mark.parametrize("name", storage.CHECKS)
def test_a_plain_folder_keeps_the_contract(found: dict[str, str], name: str):
    assert found[f"directory {name}"] == ""
