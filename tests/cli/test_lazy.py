"""Help and completion cost click and nothing else: measured as modules, because time is a benchmark's."""

import os
import subprocess
import sys

import pytest
from bench.cli import serve_agent

HEAVY = ("httpx2", "rich", "ruamel", "jsonschema", "stamina", "nacl", "msgspec", "asyncio", "ssl", "skerry.sdk.client")
PROBE = """
import sys
sys.argv = {argv!r}
from skerry.__main__ import main
try:
    main()
except SystemExit:
    pass
print("\\nLOADED", *sorted(sys.modules), file=sys.stderr)
"""


def load(*arguments, **environment):
    code = PROBE.format(argv=["skerry", *arguments])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
    )
    return set(done.stderr.rpartition("LOADED")[2].split()), done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("site", "--help"), ("sit",)])
def test_help_loads_no_client_and_no_drawing(arguments):
    loaded, _ = load(*arguments)
    assert loaded.isdisjoint(HEAVY)


def test_completion_loads_no_client_either():
    loaded, out = load(_SKERRY_COMPLETE="bash_complete", COMP_WORDS="skerry site jo", COMP_CWORD="2")
    assert out.split() == ["plain,join-token"]
    assert loaded.isdisjoint(HEAVY)


def test_asking_the_agent_loads_little_more_than_help(tmp_path):
    serve_agent(tmp_path / "agent.sock")
    loaded, out = load("agent", "status", SKERRY_AGENT_SOCKET=str(tmp_path / "agent.sock"))
    assert "settled:  yes" in out
    assert loaded.isdisjoint(HEAVY)


def test_a_pipe_is_not_drawn_on():
    loaded, _ = load("context", "list", XDG_CONFIG_HOME="/nonexistent")
    assert "rich" not in loaded
