"""Real processes hurt one by one: what ran still runs, and whoever looks is told what is wrong.

One core and two sites for the whole file, the smallest image there is. Each test ends with the questions of
``checks.py``.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.checks import find_problems
from tests.e2e.fleet import LINK_PORT, Fleet, list_started, run_command, wait_until, write_image
from tests.e2e.lab import CORE_ADDRESS, Lab
from tests.e2e.tiny_image import tiny_image
from tests.terminals import Terminal

from skerry.berths.namespaces import inside_net

pytestmark = pytest.mark.e2e

IMAGE = "localhost/tiny:1"
WEB = "web"
PORT, OTHER_PORT = 8080, 8081
#: With apps that answer people; a hundred kills and ten thousand are in kill_loop.py.
AGENT_KILLS = 5
#: The agent's disk at the site "small": what an agent keeps free of images (512 MiB), and little else.
SMALL_DISK_MB = 640


def manifest(port: int, **environment: str) -> str:
    app: dict[str, Any] = {"image": IMAGE, "ports": [f"{port}:8080"], "environment": environment, "restart": "always"}
    # JSON is YAML.
    return json.dumps({"services": {"web": app}})


class Town:
    """A fleet with one app at both sites."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.lab = fleet.lab

    def write(self, text: str) -> Path:
        place = self.lab.core.disk / "manifest.yaml"
        place.write_text(text)
        return place

    def apply(self, text: str, name: str = WEB, sites: str = "tier=town") -> Any:
        return self.fleet.cli("apply", "-f", self.write(text), "--name", name, "--sites", sites, "--yes")

    def answers(self, site: str, port: int = PORT) -> bool:
        return self.lab.http_get(site, port, timeout_s=1).body == b"hello\n"

    def started(self, site: str) -> dict[str, tuple[str, str, int]]:
        return list_started(self.lab.sites[site])

    def revisions(self) -> list[dict[str, Any]]:
        return self.fleet.ask("app", "history", WEB)["items"]

    def agree(self) -> None:
        problems: list[str] = []

        def fine() -> bool:
            problems[:] = find_problems(self.fleet, WEB)
            return not problems

        try:
            # A site that has lost its core several times waits up to a minute before it dials again.
            wait_until(fine, "agreement", 100)
        except TimeoutError:
            pytest.fail("; ".join(problems))


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with Lab(["one", "small"]) as lab, Fleet(lab) as fleet:
        small = lab.sites["small"]
        small.run("mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MB}m,mode=711", "skl", small.agent_folder)
        for name in lab.sites:
            fleet.start_site(name, "tier=town", f"name={name}")
        image = write_image(lab.core.disk, "tiny", tiny_image(IMAGE))
        fleet.must("image", "push", image, IMAGE)
        town = Town(fleet)
        assert town.apply(manifest(PORT)).exit == 0
        for name in lab.sites:
            wait_until(lambda name=name: town.answers(name), f"an answer of {name}")
        town.agree()
        yield town


@pytest.fixture(autouse=True)
def _what_ran_still_runs(town: Town) -> Iterator[None]:
    yield
    for name in town.lab.sites:
        wait_until(lambda name=name: town.answers(name), f"an answer of {name}")
    town.agree()


def test_a_join_token_is_good_once(town: Town):
    given = town.fleet.ask("site", "add", "third", "--label", "tier=nowhere")
    lab = town.lab
    # A box that nobody has joined yet: an agent with a folder of its own at the machine of site one.
    first, second = (Box(town, number) for number in (1, 2))
    try:
        assert first.join(given).exit == 0
        refused = second.join(given)
        assert refused.exit == 1
        assert "token" in refused.err
        assert "error: " in refused.err
        assert town.fleet.ask("site", "show", "third")["node_list"][0]["node"] == "node-1"
        assert len(town.fleet.ask("site", "show", "third")["node_list"]) == 1
    finally:
        first.stop()
        second.stop()
    assert lab.sites["one"].podman.ping()
    town.fleet.must("site", "remove", "third", "--yes")


class Box:
    """An agent on a box of its own, without a runtime."""

    def __init__(self, town: Town, number: int) -> None:
        self._site = town.lab.sites["one"]
        self._run = f"/run/box-{number}"
        folder = self._site.disk / f"box-{number}"
        self._env = {**self._site.env, "SKERRY_AGENT_SOCKET": f"{self._run}/agent.sock"}
        words = ("--state", folder, "--run", self._run, "--podman-socket", "/run/nobody.sock")
        self._process = self._site.popen(
            (*town.fleet.program("agent"), *words), self._site.log_folder / "box", self._env
        )
        self._town = town
        wait_until(lambda: self._ask("status").exit in (0, 3), "an answer of the box")

    def _ask(self, *words: object) -> Any:
        return run_command(self._site.argv(*self._town.fleet.program("agent"), *words), self._env)

    def join(self, given: dict[str, str]) -> Any:
        return self._ask("join", given["token"], "--core", given["core"], "--site", given["site"])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


def test_agents_are_killed_and_no_container_notices(town: Town):
    before = town.started("one")
    for number in range(AGENT_KILLS):
        town.fleet.kill_agent("one")
        town.fleet.start_agent("one")
        if number % 5 == 4:
            wait_until(lambda: town.fleet.agent_status("one")["settled"], "settling")
        assert town.started("one") == before
    assert town.started("one") == before


def test_a_port_in_use_is_told_and_taken_once_it_is_free(town: Town):
    with inside_net(town.lab.sites["one"].net):
        taken = socket.create_server(("0.0.0.0", OTHER_PORT))
    with taken:
        assert town.apply(manifest(OTHER_PORT), "second", "name=one").exit == 0

        def is_told() -> bool:
            shown = town.fleet.cli("app", "show", "second").out
            return "in use" in shown and str(OTHER_PORT) in shown

        wait_until(is_told, "the reason")
        assert town.answers("one")
        status = town.fleet.cli("status")
        assert status.exit == 3
        assert "second" in status.out
    wait_until(lambda: town.answers("one", OTHER_PORT), "an answer on the port that is free now", 90)
    assert town.fleet.cli("delete", "app/second", "--yes").exit == 0
    wait_until(lambda: len(town.started("one")) == 1, "the end of the second app")


def test_podman_is_killed(town: Town):
    site, before = town.lab.sites["one"], town.started("one")
    site.kill_podman()
    wait_until(lambda: "bad" in town.fleet.agent_cli("one", "doctor").out, "a bad runtime in doctor")
    assert town.answers("one")
    site.start_podman()
    wait_until(lambda: town.fleet.agent_status("one")["settled"], "settling")
    assert town.started("one") == before


def test_the_disk_of_a_site_is_full(town: Town):
    site, before = town.lab.sites["small"], town.started("small")
    filler = site.agent_folder / "filler"
    subprocess.run(site.argv("dd", "if=/dev/zero", f"of={filler}", "bs=1M"), capture_output=True, check=False)
    assert "warning" in town.fleet.agent_cli("small", "doctor").out
    image = write_image(town.lab.core.disk, "more", tiny_image("localhost/more:1", b"more\n"))
    town.fleet.must("image", "push", image, "localhost/more:1")
    more = json.dumps({"services": {"web": {"image": "localhost/more:1", "ports": [f"{OTHER_PORT}:8080"]}}})
    assert town.apply(more, "more", "name=small").exit == 0
    # The site's reason, or the core's if it has heard first how little is free there.
    reason = re.compile(r"disk full|image \S+ needs")
    wait_until(lambda: reason.search(town.fleet.cli("app", "show", "more").out), "the reason")
    assert town.answers("small")
    assert town.started("small") == before
    # A small change of what is there needs no room of its own.
    assert town.apply(manifest(PORT, ROUND="full")).exit == 0
    wait_until(lambda: town.started("small") and town.started("small") != before, "the change", 90)
    wait_until(lambda: town.answers("small"), "an answer")
    site.run("rm", filler)
    wait_until(lambda: town.lab.http_get("small", OTHER_PORT, timeout_s=1).body == b"more\n", "the other app", 90)
    assert town.fleet.cli("delete", "app/more", "--yes").exit == 0
    wait_until(lambda: len(town.started("small")) == 1, "the end of the other app")


def test_the_core_is_killed_during_apply(town: Town):
    for number in range(2):
        numbers = len(town.revisions())
        place = town.write(manifest(PORT, ROUND=f"killed {number}"))
        argv, env = town.fleet.cli_argv("apply", "-f", place, "--name", WEB, "--sites", "tier=town", "--yes")
        applying = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.2 * (number + 1))  # so that it dies in the midst of it, early and late
        town.fleet.kill_core()
        applying.wait(120)
        town.fleet.start_core()
        # Whoever got no answer asks again, and it is done once.
        assert town.apply(manifest(PORT, ROUND=f"killed {number}")).exit == 0
        assert "so already" in town.apply(manifest(PORT, ROUND=f"killed {number}")).err
        assert len(town.revisions()) == numbers + 1


def test_two_applies_at_once(town: Town):
    texts = [manifest(PORT, ROUND=f"racer {number}") for number in range(2)]
    racing = []
    for number, text in enumerate(texts):
        place = town.lab.core.disk / f"racer-{number}.yaml"
        place.write_text(text)
        argv, env = town.fleet.cli_argv("apply", "-f", place, "--name", WEB, "--sites", "tier=town", "--yes")
        racing.append(subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    said = [(racer.communicate(timeout=60)[0], racer.returncode) for racer in racing]
    # Both came after one another, or one was told that it was late.
    assert sorted(code for _, code in said) in ([0, 0], [0, 6]), said


def test_garbage_and_endless_bytes_on_the_link_disturb_nobody(town: Town):
    before = {name: town.started(name) for name in town.lab.sites}
    endless = b"\x16\x03\x01\xff\xff" + b"\x00" * 65_000
    with inside_net(town.lab.sites["one"].net):
        strangers = [socket.create_connection((CORE_ADDRESS, LINK_PORT), 5) for _ in range(20)]
    cut = 0
    for number, stranger in enumerate(strangers):
        with stranger:
            stranger.settimeout(30)
            try:
                for _ in range(1 if number % 2 else 40):
                    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" if number % 2 else endless)
                while stranger.recv(4096):
                    pass
                cut += 1
            except ConnectionError:
                cut += 1
    assert cut == len(strangers), "a stranger is listened to for as long as it likes"
    for name in town.lab.sites:
        wait_until(lambda name=name: town.fleet.agent_status(name)["link"] == "up", f"the link of {name}")
        assert town.started(name) == before[name]
    assert town.apply(manifest(PORT, ROUND="after garbage")).exit == 0


#: A manifest, and what is said of it.
BAD = (
    ('{"services": {"web": {"image": "localhost/nobody:1"}}}', "localhost/nobody:1"),
    ('{"services": {"web": {"image": "localhost/tiny:1", "potrs": ["80:80"]}}}', "potrs"),
    ('{"services": {"web": {"image": "localhost/tiny:1", "privileged": true}}}', "privileged"),
    ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nservices: *c\n", "error"),
)


def test_a_bad_manifest_changes_nothing(town: Town):
    before = town.revisions()
    for text, words in BAD:
        refused = town.apply(text)
        assert (refused.exit, words in refused.err) == (1, True), refused
    assert town.revisions() == before


def test_a_container_killed_comes_back_by_itself(town: Town):
    before = town.started("one")
    (name,) = before
    os.kill(before[name][2], signal.SIGKILL)
    wait_until(lambda: town.started("one").get(name, before[name])[2] not in (0, before[name][2]), "a new process")


def test_a_shell_in_an_instance_has_a_terminal(town: Town):
    words = ("exec", "-it", f"{WEB}/web", "--site", "one", "--", "sh", "-c", "while :; do stty size; read line; done")
    argv, env = town.fleet.cli_argv(*words)
    terminal = Terminal([str(each) for each in argv], env, columns=101, rows=31)
    try:
        terminal.wait_for("31 101")
        terminal.resize(132, 50)
        while terminal.wait_for("\r\n") != "50 132":
            terminal.type("\n")
        terminal.type("\x03")
        assert terminal.end() == 130
    finally:
        terminal.close()


def test_a_port_of_an_instance_is_reached_from_the_cores_machine(town: Town):
    argv, env = town.fleet.cli_argv("forward", f"{WEB}/web", "0:8080", "--site", "one")
    program = subprocess.Popen(argv, env=env | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    try:
        url = program.stdout.readline().split(" ")[0]
        ask = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())"
        for _ in range(2):
            page = run_command(town.lab.core.argv(sys.executable, "-c", ask, url), env)
            assert (page.exit, page.out.strip()) == (0, "hello"), page.err
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 130
    finally:
        program.kill()
        program.wait(10)
        program.stdout.close()
    audited = [each["operation"] for each in town.fleet.ask("audit", "list")["items"]]
    assert audited.count("forward_port") == 2


def test_exec_logs_and_rollback(town: Town):
    done = town.fleet.cli("exec", f"{WEB}/web", "--site", "one", "--", "cat", "/www/index.html")
    assert (done.exit, done.out) == (0, "hello\n")
    text = "".join(f"line {number}\n" for number in range(50_000))
    echoed = town.fleet.cli("exec", f"{WEB}/web", "--site", "one", "-i", "--", "cat", stdin=text.encode())
    assert (echoed.exit, echoed.out == text) == (0, True)
    assert town.fleet.cli("logs", WEB, "--site", "one").exit == 0
    assert town.apply(manifest(PORT, ROUND="before")).exit == 0
    number = town.fleet.ask("app", "show", WEB)["summary"]["revision"]
    assert town.apply(manifest(PORT, ROUND="after")).exit == 0
    rolled = town.fleet.cli("app", "rollback", WEB, "--to", number, "--yes")
    assert rolled.exit == 0, rolled.err
    town.agree()
    environment = town.fleet.cli("exec", f"{WEB}/web", "--site", "one", "--", "cat", "/proc/1/environ").out
    assert "ROUND=before" in environment
