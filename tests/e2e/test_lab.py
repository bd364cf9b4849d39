"""The lab itself: that its sites behave like machines, and that nothing of them stays."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e import lab as lab_module
from tests.e2e.lab import CHECKOUT, CORE_ADDRESS, LABS, Lab, Site, list_leftovers, remove_leftovers
from tests.e2e.tiny_image import tiny_image

from skerry.berths.namespaces import inside_net, run

pytestmark = pytest.mark.e2e

IMAGE = "localhost/tiny:1"
PORT = 8080
UID_RANGE = {"container_id": 0, "host_id": 200_000, "size": 65_536}


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.02)


def answers(lab: Lab, site: str, port: int = PORT) -> bool:
    try:
        return lab.http_get(site, port).body == b"hello\n"
    except (OSError, http.client.HTTPException):
        return False


def start_web(site: Site, port: int = PORT) -> None:
    """A container with user ids of its own, a network, a published port and limits, as the agent starts them."""
    site.podman.do("POST", "/images/load", tiny_image(IMAGE))
    site.podman.do("POST", "/networks/create", {"name": "shop", "driver": "bridge", "dns_enabled": True})
    spec: dict[str, Any] = {
        "name": "web",
        "image": IMAGE,
        "userns": {"nsmode": "private"},
        "idmappings": {"UIDMap": [UID_RANGE], "GIDMap": [UID_RANGE]},
        "netns": {"nsmode": "bridge"},
        "networks": {"shop": {"aliases": ["web"]}},
        "portmappings": [{"container_port": 8080, "host_port": port, "protocol": "tcp"}],
        "resource_limits": {"memory": {"limit": 64 * 1024 * 1024}, "pids": {"limit": 64}},
    }
    site.podman.do("POST", "/containers/create", spec)
    site.podman.do("POST", "/containers/web/start")


def state(site: Site) -> dict[str, Any]:
    return site.podman.do("GET", "/containers/web/json")["State"]


def traces(name: str) -> list[str]:
    """What a lab of this name still has on this machine."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line]
    found += [str(path) for folder in (LABS, lab_module.DISKS) for path in folder.glob(f"{name}*")]
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if name.encode() in (process / "cmdline").read_bytes() or name in (process / "mountinfo").read_text():
                    found.append(f"process {process.name}")
            except OSError:
                continue  # it ended while we looked
    return found


def root_network() -> list[str]:
    """What looks like a lab's in the machine's own network: links, named namespaces, rules."""
    lines = "".join(run(*command) for command in (("ip", "-o", "link"), ("ip", "netns"), ("nft", "list", "ruleset")))
    ours = ("skl", "wan0", "to-one", "veth", "NETAVARK")
    return [line for line in lines.splitlines() if any(word in line for word in ours)]


def container_cgroups() -> set[str]:
    return {path.name for path in Path("/sys/fs/cgroup").glob("**/libpod-*")}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(["north", "south"]) as lab:
        for site in lab.sites.values():
            start_web(site)
        for name in lab.sites:
            wait_until(lambda name=name: answers(lab, name))
        yield lab


def test_each_site_publishes_the_same_port_and_the_machine_none(lab: Lab) -> None:
    assert answers(lab, "north")
    assert answers(lab, "south")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", PORT), timeout=5):
        pass


def test_the_core_is_reached_over_the_link_and_by_nothing_else(lab: Lab) -> None:
    with inside_net(lab.core.net):
        server = socket.create_server((CORE_ADDRESS, 7000))

    def greet() -> None:
        for _ in range(2):
            connection, peer = server.accept()
            with connection:
                connection.sendall(peer[0].encode())

    greeter = threading.Thread(target=greet)
    greeter.start()
    before = lab.link_stats("north")
    seen: list[str] = []
    for site in lab.sites.values():
        with inside_net(site.net):
            client = socket.create_connection((CORE_ADDRESS, 7000), timeout=10)
        with client:
            seen.append(client.recv(100).decode())
    greeter.join()
    server.close()
    assert seen == [site.address for site in lab.sites.values()]
    assert lab.link_stats("north")["up"].delivered_bytes > before["up"].delivered_bytes


def test_a_cut_site_does_not_reach_the_core_and_serves_on(lab: Lab) -> None:
    lab.cut("north")
    try:
        with inside_net(lab.sites["north"].net), pytest.raises(TimeoutError):
            socket.create_connection((CORE_ADDRESS, 7000), timeout=0.5)
        assert answers(lab, "north")
    finally:
        lab.heal("north")
    # Refused, so there is a way to the core again; nobody listens there now.
    with inside_net(lab.sites["north"].net), pytest.raises(ConnectionRefusedError):
        socket.create_connection((CORE_ADDRESS, 7000), timeout=10)


def test_podman_dies_and_no_request_is_lost(lab: Lab) -> None:
    site = lab.sites["north"]
    pid = state(site)["Pid"]
    with lab.request_counter("north", PORT, interval_s=0.02) as counter:
        wait_until(lambda: counter.count().ok > 5)
        site.kill_podman()
        assert not site.podman.ping()
        dead = counter.count()
        wait_until(lambda: counter.count().ok > dead.ok + 5)
        site.start_podman()
    assert counter.count().lost == 0
    assert state(site)["Pid"] == pid


def test_a_killed_container_leaves_no_network_behind(lab: Lab) -> None:
    """The reason why mounts are shared inside a site."""
    site = lab.sites["south"]
    with lab.request_counter("south", PORT, interval_s=0.02) as counter:
        wait_until(lambda: counter.count().ok > 0)
        os.kill(state(site)["Pid"], signal.SIGKILL)
        # Not "stopped": only "exited" says that podman's own clean-up is through.
        wait_until(lambda: state(site)["Status"] == "exited")
        assert run(*site.argv("iptables-save")).count("DNAT --to") == 0
        assert "veth" not in site.run("ip", "-o", "link")
        site.podman.do("POST", "/containers/web/start")
        down = counter.count()
        wait_until(lambda: counter.count().ok > down.ok)
    assert counter.count().lost > 0
    assert "refused" in counter.count().last_loss or "Connection" in counter.count().last_loss


def test_a_reboot_ends_all_and_keeps_the_disk(lab: Lab) -> None:
    site = lab.sites["north"]
    (site.agent_folder / "journal").write_text("kept")
    sleeper = lab.popen(site, ["sleep", "600"], site.log_folder / "sleeper.log")
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    old_boot, old_pids = site.run("cat", boot_id), set(site.pids())
    assert sleeper.pid in old_pids
    assert state(site)["Pid"] in old_pids
    before = lab.link_stats("north")
    lab.set_link("north", delay_ms=3)
    lab.cut("north")

    lab.reboot_site("north")

    assert sleeper.wait() == -signal.SIGKILL
    assert not old_pids & set(site.pids())
    assert (site.agent_folder / "journal").read_text() == "kept"
    assert site.run("cat", boot_id) != old_boot != boot_id.read_text()
    assert "skl" not in site.run("ip", "-o", "link")
    assert state(site)["Status"] in ("created", "exited")
    assert not answers(lab, "north")
    assert answers(lab, "south")
    # Still cut; and the line remembers what it carried.
    with inside_net(site.net), pytest.raises(TimeoutError):
        socket.create_connection((CORE_ADDRESS, 7000), timeout=0.5)
    assert lab.link_stats("north")["up"].offered_bytes >= before["up"].offered_bytes
    lab.heal("north")
    lab.set_link("north", delay_ms=0)
    site.podman.do("POST", "/containers/web/start")
    wait_until(lambda: answers(lab, "north"))


def test_nothing_is_left() -> None:
    network = root_network()
    with Lab(["one"]) as lab:
        start_web(lab.sites["one"])
        lab.popen(lab.core, ["sleep", "600"], lab.core.disk / "log")
        # The clean-up does not depend on podman's memory of its containers.
        lab.sites["one"].podman.do("DELETE", "/containers/web", force="true", timeout=0)
        networks: dict[str, Any] = {"netns": {"nsmode": "bridge"}, "networks": {"shop": {}}}
        lab.sites["one"].podman.do("POST", "/containers/create", {"name": "web2", "image": IMAGE, **networks})
        lab.sites["one"].podman.do("POST", "/containers/web2/start")
        ids = lab.sites["one"].container_ids()
        assert len(ids) == 2
        assert traces(lab.name)
    assert traces(lab.name) == []
    assert not {f"libpod-{container_id}" for container_id in ids} & container_cgroups()
    assert root_network() == network


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "lab.keep()"])
def test_an_abandoned_lab_is_removed_by_the_next_and_a_running_one_is_not(lab: Lab, end: str) -> None:
    story = (
        "import os, signal\n"
        "from tests.e2e.lab import Lab\n"
        "from tests.e2e.test_lab import start_web\n"
        "lab = Lab(['one']).start()\n"
        "start_web(lab.sites['one'])\n"
        "print(lab.name, flush=True)\n"
    )
    command = [sys.executable, "-c", story + end]
    ended = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, timeout=120)
    name = ended.stdout.strip()
    assert [trace for trace in traces(name) if trace.startswith("process")]
    assert name in list_leftovers()
    remove_leftovers()
    assert traces(name) == []
    assert answers(lab, "north")


def test_a_lab_that_fails_to_start_leaves_nothing() -> None:
    lab = Lab(["one", "two"], podman=False)
    lab.disk.mkdir()
    (lab.disk / "two").write_text("in the way of the second site's disk")
    with pytest.raises(OSError, match="two"):
        lab.start()
    assert traces(lab.name) == []


def test_a_mount_outside_of_its_place_ends_nothing() -> None:
    """Who sees a site's disk mounted is taken for the site's; so a mount that all see must be refused."""
    with Lab(["one"], podman=False) as lab:
        site = lab.sites["one"]
        run("mount", "--bind", site.agent_folder, site.agent_folder)
        try:
            with pytest.raises(OSError, match="mounted"):
                site.kill_all()
        finally:
            run("umount", site.agent_folder)
        assert site.pids() == []


@pytest.mark.parametrize("names", [[], ["core"], ["One"], ["a", "a"], ["much-too-long-name"], ["../up"]])
def test_impossible_sites_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="lab"):
        Lab(names)
