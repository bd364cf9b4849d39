"""The demo, unattended: its steps hold, and where it promises that nobody notices, nobody does."""

import json
import subprocess
import sys
from typing import Any

import pytest
from tests.e2e.lab import CHECKOUT, list_leftovers

pytestmark = pytest.mark.e2e

#: Only ends a demo that hangs; it takes about three minutes.
DEMO_S_MAX = 420


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    results = tmp_path_factory.mktemp("demo") / "steps.json"
    before = set(list_leftovers())
    command = [sys.executable, "-m", "tests.e2e.demo.spine", "--unattended", "--json", str(results)]
    done = subprocess.run(
        command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=DEMO_S_MAX, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(list_leftovers()) <= before, "the demo left something behind"
    return json.loads(results.read_text())["steps"]


def find(steps: list[dict[str, Any]], words: str) -> dict[str, Any]:
    return next(step for step in steps if words in step["name"])


def test_every_step_holds(steps: list[dict[str, Any]]):
    assert [step["name"] for step in steps if not step["ok"]] == []
    assert len(steps) == 14


@pytest.mark.parametrize("words", ["link of quarry is cut", "agent of quarry is killed", "core is killed", "agrees"])
def test_nobody_notices(steps: list[dict[str, Any]], words: str):
    assert find(steps, words)["requests_lost"] == 0


def test_a_change_costs_kilobytes(steps: list[dict[str, Any]]):
    # Images are at the sites already: what goes over the links is documents, facts and events.
    assert find(steps, "is changed meanwhile")["bytes"] < 200_000
    assert find(steps, "is healed")["bytes"] < 100_000
