"""Agents that are killed at any of their commands leave nothing that the next one does not put right."""

from pathlib import Path

import pytest
from tests.e2e.interrupted import kill_agents

pytestmark = pytest.mark.e2e
#: The first command at which an agent is killed, and at each how manieth: for each one it takes minutes.
FIRST, STEP = 2, 6


def test_networks_of_a_node_are_whole_after_a_kill(tmp_path: Path):
    found = kill_agents(tmp_path, FIRST, STEP)
    print(found["killed"], "killed, the last at command", found["last"])
    assert found["wrong"] == []
    assert found["killed"] >= 10
