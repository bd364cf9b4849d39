"""``skerry up`` and ``skerry down`` as people use them: real processes, files and ports, no containers."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e


class Machine:
    """A home of its own, and the command line in it."""

    def __init__(self, folder):
        self.folder = folder
        self.env = os.environ | {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }
        opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.ports = [str(each.getsockname()[1]) for each in opened]
        for each in opened:
            each.close()

    def run(self, *words):
        command = [sys.executable, "-m", "skerry", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60, check=False)

    def ok(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def up(self, *words):
        return self.run("up", "--sites", "0", "-d", "--api-port", self.ports[0], "--link-port", self.ports[1], *words)

    def start(self):
        done = self.up()
        assert done.returncode == 0, done.stderr

    def pid(self, program):
        return int((self.folder / "run/skerry" / f"{program}.pid").read_text())


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    machine.run("down")


def is_running(pid):
    try:
        return b"skerry" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_up_makes_a_core_that_can_be_used_at_once_and_down_ends_it(machine):
    machine.start()
    assert json.loads(machine.ok("status", "-o", "json"))["root"] is True
    given = json.loads(machine.ok("site", "add", "oslo", "-o", "json"))
    assert given["core"] == f"127.0.0.1:{machine.ports[1]}"
    pids = [machine.pid("core"), machine.pid("signer")]
    assert all(map(is_running, pids))
    machine.ok("down")
    assert not any(map(is_running, pids))
    assert machine.run("status").returncode == 8


def test_up_again_goes_on_with_the_same_keys_and_state(machine):
    machine.start()
    machine.ok("site", "add", "oslo")
    before = machine.pid("core")
    machine.start()
    assert machine.pid("core") == before
    os.kill(before, signal.SIGKILL)
    os.kill(machine.pid("signer"), signal.SIGKILL)
    machine.start()
    assert machine.pid("core") != before
    assert machine.ok("site", "list", "-o", "name").split() == ["site/oslo"]
    machine.ok("site", "label", "oslo", "tier=store")


def test_up_with_other_ports_leaves_the_running_core_where_it_is(machine):
    machine.start()
    done = machine.run("up", "--sites", "0", "-d")
    assert done.returncode == 0
    assert f"http://127.0.0.1:{machine.ports[0]}" in done.stderr
    machine.ok("status")


def test_the_keys_are_the_persons_and_not_the_cores(machine):
    machine.start()
    config, state = machine.folder / "config/skerry", machine.folder / "state/skerry"
    for path in (config / "keyring").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert not list(state.rglob("root.key"))
    assert not (state / "core/bootstrap.token").exists()
    assert (config / "signer-core.json").stat().st_mode & 0o077 == 0
    assert (config / "contexts/local.json").stat().st_mode & 0o077 == 0


def test_an_interrupted_founding_is_finished_by_the_next_up(machine):
    machine.start()
    # As if the process had ended after the context was written and before the signer was told.
    (machine.folder / "config/skerry/signer-core.json").unlink()
    machine.start()
    assert (machine.folder / "config/skerry/signer-core.json").exists()


def test_a_lost_context_is_told_and_nothing_is_made_anew(machine):
    machine.start()
    (machine.folder / "config/skerry/contexts/local.json").unlink()
    done = machine.run("up", "--sites", "0", "-d", "--api-port", machine.ports[0], "--link-port", machine.ports[1])
    assert done.returncode == 1
    assert "has an operator already" in done.stderr


def test_a_port_in_use_is_told_with_what_to_type(machine):
    with socket.create_server(("127.0.0.1", int(machine.ports[0]))):
        done = machine.run("up", "--sites", "0", "-d", "--api-port", machine.ports[0])
    assert done.returncode == 1
    assert "core ended at once" in done.stderr
    assert "another program has the port: skerry up --api-port" in done.stderr
    assert not (machine.folder / "run/skerry/signer.pid").exists()


def test_a_reader_who_goes_away_ends_nothing(machine):
    """`skerry up -d 2>&1 | head -1`: the reader is gone before the core is founded."""
    command = [sys.executable, "-m", "skerry", "up", "--sites", "0", "-d"]
    command += ["--api-port", machine.ports[0], "--link-port", machine.ports[1]]
    with subprocess.Popen(command, env=machine.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as started:
        assert started.stdout is not None
        assert started.stdout.readline()
        started.stdout.close()
        assert started.wait(60) == 0
    assert all(map(is_running, [machine.pid("core"), machine.pid("signer")]))
    assert json.loads(machine.ok("status", "-o", "json"))["root"] is True


def test_where_sites_find_the_core_is_signed_once_and_kept(machine):
    first = machine.up("--endpoint", "core.example:443")
    assert first.returncode == 0, first.stderr
    machine.ok("down")
    other = machine.up("--endpoint", "elsewhere.example:443")
    assert other.returncode == 64
    assert "no site would dial elsewhere.example:443" in other.stderr
    assert not (machine.folder / "run/skerry/signer.pid").exists()
    machine.start()
    assert json.loads(machine.ok("site", "add", "oslo", "-o", "json"))["core"] == "core.example:443"


def test_another_link_port_than_the_signed_one_is_refused(machine):
    machine.start()
    machine.ok("down")
    done = machine.run("up", "--sites", "0", "-d", "--api-port", machine.ports[0], "--link-port", "1")
    assert done.returncode == 64
    assert f"skerry up --link-port {machine.ports[1]}" in done.stderr
