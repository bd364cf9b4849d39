"""A real agent, a real podman, and what happens to boxes: podman hangs or dies, disks fill, people meddle.

No core: ``agent_probe`` holds one signed app from its journal, as a site does that has been cut off for a year.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.lab import Lab
from tests.e2e.lab_site import Site

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
COUNT = 2
#: Only ends a test that hangs.
WAIT_S = 30.0


class Box:
    """The one site of a lab with its agent."""

    def __init__(self, lab: Lab, restarts: tuple[str, ...] = ("always",) * COUNT) -> None:
        self.lab = lab
        self.site: Site = lab.sites["one"]
        self._restarts = restarts
        self._agent: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = (sys.executable, "-m", "tests.e2e.agent_probe", self.site.agent_folder, "/run/skerry")
        words = (*command, self.site.podman_socket, ",".join(self._restarts))
        self._agent = self.lab.popen(self.site, words, self.site.log_folder / "agent.log", {"PYTHONPATH": str(ROOT)})

    def kill(self) -> None:
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()

    def alive(self) -> bool:
        return self._agent is not None and self._agent.poll() is None

    def containers(self) -> dict[str, dict[str, Any]]:
        listed = self.site.podman.do("GET", "/containers/json", all=True)
        ours = [item for item in listed if "dev.skerry.service" in (item["Labels"] or {})]
        return {item["Labels"]["dev.skerry.service"]: item for item in ours}

    def running(self) -> list[str]:
        return sorted(name for name, item in self.containers().items() if item["State"] == "running")

    def pids(self) -> dict[str, int]:
        return {name: item["Pid"] for name, item in self.containers().items()}

    def serves(self) -> bool:
        return all(self.lab.http_get("one", 18000 + number).status == 200 for number in range(COUNT))

    def log(self) -> str:
        """What a failing test shows: the agent's last words, and how it sees its site."""
        ask = ("curl", "-s", "-m", "5", "--unix-socket", "/run/skerry/agent.sock", "http://box/status")
        status = subprocess.run(self.site.argv(*ask), capture_output=True, text=True, check=False).stdout
        return f"{self.running()}\n{status}\n{(self.site.log_folder / 'agent.log').read_text(errors='replace')[-3000:]}"


def until(box: Box, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            if ready():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, box.log()
        time.sleep(0.1)


def whole(box: Box) -> bool:
    return box.running() == [f"s{number}" for number in range(COUNT)] and box.serves()


@pytest.fixture(scope="module")
def shared() -> Generator[Box]:
    with Lab(["one"]) as lab:
        box = Box(lab)
        box.start()
        yield box
        box.kill()


@pytest.fixture
def box(shared: Box) -> Box:
    if not shared.alive():
        shared.start()
    until(shared, lambda: whole(shared))
    return shared


def test_an_agent_killed_again_and_again_restarts_nothing(box: Box):
    before = box.pids()
    for _ in range(5):
        box.kill()
        box.start()
        time.sleep(0.4)
    until(box, lambda: (box.site.agent_folder / "journal.db").exists() and box.alive())
    assert box.pids() == before


def test_a_podman_that_hangs_stops_nothing_and_is_used_again_when_it_goes_on(box: Box):
    before = box.pids()
    os.kill(podman_pid(box), signal.SIGSTOP)
    try:
        os.kill(before["s0"], signal.SIGKILL)
        time.sleep(2)
        assert box.alive()
        assert box.lab.http_get("one", 18001).status == 200
    finally:
        os.kill(podman_pid(box), signal.SIGCONT)
    until(box, lambda: whole(box) and box.pids()["s0"] != before["s0"])
    assert box.pids()["s1"] == before["s1"]


def test_a_podman_that_dies_stops_nothing_and_its_successor_is_found(box: Box):
    before = box.pids()
    box.site.kill_podman()
    time.sleep(1)
    assert box.alive()
    assert box.serves()
    os.kill(before["s1"], signal.SIGKILL)
    time.sleep(0.5)
    box.site.start_podman()
    until(box, lambda: whole(box) and box.pids()["s1"] != before["s1"])
    assert box.pids()["s0"] == before["s0"]


def test_a_container_whose_guardian_was_killed_is_made_afresh(box: Box):
    one = box.containers()["s0"]["Id"]
    inspected = box.site.podman.do("GET", f"/containers/{one}/json")
    for pid in (inspected["State"]["ConmonPid"], inspected["State"]["Pid"]):
        os.kill(pid, signal.SIGKILL)
    until(box, lambda: whole(box) and box.containers()["s0"]["Id"] != one)


def test_people_who_freeze_stop_and_remove_by_hand_are_put_right(box: Box):
    ids = {name: item["Id"] for name, item in box.containers().items()}
    box.site.podman.do("POST", f"/containers/{ids['s0']}/pause")
    box.site.podman.do("DELETE", f"/containers/{ids['s1']}", force=True)
    until(box, lambda: whole(box))
    assert box.containers()["s0"]["Id"] == ids["s0"]


def test_a_container_name_held_by_a_stranger_is_taken_back(box: Box):
    seen = box.containers()["s1"]
    box.kill()
    box.site.podman.do("DELETE", f"/containers/{seen['Id']}", force=True)
    body = {"name": seen["Names"][0], "image": seen["ImageID"], "netns": {"nsmode": "none"}}
    stranger = box.site.podman.do("POST", "/containers/create", body)["Id"]
    box.start()
    until(box, lambda: whole(box))
    assert box.containers()["s1"]["Id"] != stranger


def test_firewall_and_port_rules_that_were_lost_come_back_before_the_next_start(box: Box):
    box.site.run("nft", "delete", "table", "inet", "skerry")
    dead = ["-p", "tcp", "-j", "DNAT", "--to-destination", "10.176.250.250:8080"]
    box.site.run("iptables", "-t", "nat", "-N", "NETAVARK-DN-DEAD")
    box.site.run("iptables", "-t", "nat", "-A", "NETAVARK-DN-DEAD", *dead)
    box.kill()
    box.start()
    until(box, lambda: "made_from" in box.site.run("nft", "list", "tables", "inet") + _table(box))
    until(box, lambda: "10.176.250.250" not in box.site.run("iptables-save", "-t", "nat"))
    until(box, lambda: whole(box))


def test_a_reboot_cut_off_brings_everything_back(box: Box):
    data = box.site.agent_folder / "volumes/alpha/shop/v0/data/kept"
    data.write_text("x")
    box.kill()
    box.lab.cut("one")
    box.lab.reboot_site("one")
    box.start()
    until(box, lambda: whole(box))
    box.lab.heal("one")
    assert data.read_text() == "x"


def test_a_disk_of_volumes_that_is_not_mounted_starts_nothing_empty(box: Box):
    volumes = box.site.agent_folder / "volumes/alpha"
    box.kill()
    box.lab.reboot_site("one")
    volumes.rename(box.site.agent_folder / "unmounted")
    box.start()
    until(box, lambda: "skerry agent accept-loss alpha/shop/v0" in box.log())
    assert box.running() == []
    assert not volumes.exists()
    (box.site.agent_folder / "unmounted").rename(volumes)
    until(box, lambda: whole(box))


def test_bytes_flipped_in_the_journal_restart_nothing_and_lose_nothing(box: Box):
    before = box.pids()
    box.kill()
    journal = sqlite3.connect(box.site.agent_folder / "journal.db")
    for statement in ("UPDATE note SET body = x'00'", "UPDATE outbox SET event = x'00' WHERE sequence % 2"):
        assert journal.execute(statement).rowcount > 0
    journal.commit()
    journal.close()
    box.start()
    until(box, lambda: '"joined":true' in box.log() and box.serves())
    assert box.pids() == before
    os.kill(before["s0"], signal.SIGKILL)
    until(box, lambda: whole(box) and box.pids()["s0"] != before["s0"])
    assert box.pids()["s1"] == before["s1"]


def test_a_journal_that_has_lost_its_document_leaves_alone_what_runs(box: Box):
    before = box.pids()
    box.kill()
    kept = (box.site.agent_folder / "journal.db").read_bytes()
    journal = sqlite3.connect(box.site.agent_folder / "journal.db")
    journal.execute("UPDATE document SET head = x'00'")
    journal.commit()
    journal.close()
    box.start()
    time.sleep(3)
    assert box.alive(), box.log()
    assert box.pids() == before
    assert box.serves()
    box.kill()
    for left in ("journal.db-wal", "journal.db-shm"):
        (box.site.agent_folder / left).unlink(missing_ok=True)
    (box.site.agent_folder / "journal.db").write_bytes(kept)
    box.start()
    until(box, lambda: whole(box))


def test_what_is_never_restarted_still_survives_two_reboots():
    with Lab(["one"]) as lab:
        box = Box(lab, ("no", "on-failure"))
        for _ in range(3):
            box.start()
            until(box, lambda: whole(box))
            box.kill()
            lab.reboot_site("one")


def test_a_full_disk_ends_neither_agent_nor_instances():
    with Lab(["one"]) as lab:
        box = Box(lab)
        box.site.run("mount", "-t", "tmpfs", "-o", "size=2g", "skl", box.site.agent_folder)
        box.start()
        until(box, lambda: whole(box))
        box.site.run("mount", "-o", "remount,size=40m", box.site.agent_folder)
        fill = f"dd if=/dev/zero of={box.site.agent_folder}/full bs=1M count=50 2>/dev/null; true"
        box.site.run("sh", "-c", fill)
        before = box.pids()
        os.kill(before["s0"], signal.SIGKILL)
        until(box, lambda: whole(box) and box.pids()["s0"] != before["s0"])
        box.kill()
        box.start()
        time.sleep(3)
        assert box.alive(), box.log()
        assert box.pids()["s1"] == before["s1"]
        box.site.run("rm", f"{box.site.agent_folder}/full")
        until(box, lambda: whole(box))
        box.kill()


def podman_pid(box: Box) -> int:
    podman = box.site._podman
    assert podman is not None
    return podman.pid


def _table(box: Box) -> str:
    try:
        return box.site.run("nft", "list", "table", "inet", "skerry")
    except OSError:
        return ""
