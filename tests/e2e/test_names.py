"""unbound in a namespace keeps the same contract as the fake name server, and loses nothing while it is told."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.contract import names
from tests.e2e.lab import CHECKOUT

pytestmark = pytest.mark.e2e

PROBE_S_MAX = 240
#: A dead instance is out of names within this, of which podman and the plan take their part.
REMOVAL_MS_MAX = 1_000
#: Of eight who ask without a pause, over eleven replacements.
REPLACED_LOST_MAX = 11


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    # Not below pytest's own folders, which are shut to others: the server has a user of its own.
    with tempfile.TemporaryDirectory(prefix="skerry-names-", dir="/run") as folder:
        Path(folder).chmod(0o711)
        command = ["unshare", "--net", sys.executable, "-m", "tests.e2e.names_probe", folder]
        done = subprocess.run(command, cwd=CHECKOUT, text=True, capture_output=True, timeout=PROBE_S_MAX, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.mark.parametrize("name", names.CHECKS)
def test_unbound_keeps_the_contract(results: dict[str, Any], name: str):
    assert results[name] == ""


def test_the_server_has_a_user_of_its_own_and_may_bind_ports_only(results: dict[str, Any]):
    status = dict(line.split(":", 1) for line in results["user"].splitlines())
    assert status["Uid"].split()[0] != "0"
    assert {int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {1 << 10}
    assert status["NoNewPrivs"].strip() == "1"


def test_what_is_gone_is_out_of_names_at_once(results: dict[str, Any]):
    print(results["removal_ms"], results["death_ms"])
    assert results["removal_ms"] < REMOVAL_MS_MAX
    assert results["death_ms"] < REMOVAL_MS_MAX


def test_nothing_is_lost_while_zones_and_settings_change(results: dict[str, Any]):
    print(results["load"])
    assert results["load"]["told_asked"] > 200
    assert (results["load"]["told_lost"], results["load"]["wrong"]) == (0, 0)


def test_one_server_takes_the_place_of_another_almost_unseen(results: dict[str, Any]):
    """A question that lies unread at the old one as that ends is asked again by whoever asked it."""
    assert results["load"]["replaced"]
    assert results["load"]["replaced_asked"] > 200
    assert results["load"]["replaced_lost"] <= REPLACED_LOST_MAX
