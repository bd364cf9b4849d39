"""Names of a network over two sites, as real instances ask for them: own site first, then the other, then back."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.fleet import Fleet, list_containers, wait_until, write_image
from tests.e2e.lab import CHECKOUT, Lab
from tests.e2e.tiny_image import tiny_image

from skerry.berths.namespaces import inside_net

pytestmark = pytest.mark.e2e

APP = """
services:
  web:
    image: tiny:1
    networks: [front, mesh]
    stop_grace_period: 1s
  page:
    image: tiny:1
    networks: [front]
    stop_grace_period: 1s
  db:
    image: tiny:1
    container_name: ledger
    networks: {mesh: {aliases: [store]}}
    expose: [5432]
    restart: always
    stop_grace_period: 1s
    healthcheck: {test: [CMD, /bin/sh, -c, "! stat /down"], interval: 1s, retries: 1}
    x-skerry: {entrance: [{host: shop.example, port: 8080}, {tcp: 2525, port: 8080}, {udp: 5353, port: 7}]}
networks:
  front: {}
  mesh: {x-skerry: {kind: overlay, scope: app}}
x-skerry:
  placement: {replicas: {per-site: 1}}
"""
CLIENT = Path(__file__).with_name("dns_client.py")
#: Answers each datagram at port 7 with a name and whom it seems to come from.
ECHO = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
    opened.bind(("", 7))
    print("ready", flush=True)
    while True:
        _, source = opened.recvfrom(64)
        opened.sendto(f"{sys.argv[1]} {source[0]}".encode(), source)
"""
#: A dead instance is out of names in this time.
OUT_S_MAX = 2.0
#: ... and one of the other site in this one, with a limit for a machine that others use too.
FAR_S_MAX = 10.0


class Instance:
    def __init__(self, fleet: Fleet, site: str, service: str) -> None:
        self.place = fleet.lab.sites[site]
        name = f"default/shop/{service}/0"
        found = self.place.podman.do("GET", f"/containers/{list_containers(self.place)[name]['Id']}/json")
        self.pid = str(found["State"]["Pid"])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the instance in its namespaces."""
        command = ["nsenter", "--target", self.pid, "--mount", "--net", "--", *words]
        return subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)

    def ask(self, *names: str) -> list[tuple[str, list[str]]]:
        lines = self.run("/bin/cat", "/etc/resolv.conf").stdout.splitlines()
        server = next(line.split()[1] for line in lines if line.startswith("nameserver"))
        command = [sys.executable, CLIENT, server, *names]
        enter = ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--"]
        done = subprocess.run([*enter, *command], text=True, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return [(code, found) for code, found in json.loads(done.stdout)]

    def find(self, name: str) -> list[str]:
        return self.ask(f"{name}:A")[0][1]

    def addresses(self) -> list[str]:
        return [
            each.split()[3].partition("/")[0]
            for each in self.run("/bin/ip", "-4", "-o", "addr").stdout.splitlines()
            if " lo " not in each
        ]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "shop").mkdir()
    (folder / "shop" / "compose.yaml").write_text(APP)
    with Lab(["a", "b"]) as lab, Fleet(lab) as fleet:
        lab.open_wan()
        fleet.must("image", "push", write_image(folder, "tiny", tiny_image("tiny:1")))
        for site in ("a", "b"):
            fleet.start_site(site)
        fleet.must("apply", "-f", folder / "shop" / "compose.yaml", "--yes")
        for site in ("a", "b"):
            wait_until(lambda site=site: len(_running(fleet, site)) == 3, "the start of all instances", 120)
        wait_until(lambda: Instance(fleet, "a", "web").find("db"), "the first answer", 60)
        yield fleet


def _running(fleet: Fleet, site: str) -> list[str]:
    containers = list_containers(fleet.lab.sites[site])
    return [name for name, each in containers.items() if each["State"] == "running"]


def test_every_name_leads_to_this_site_s_own(fleet: Fleet):
    web, (db,) = Instance(fleet, "a", "web"), Instance(fleet, "a", "db").addresses()
    for name in ("db", "db.shop", "store", "ledger"):
        assert web.find(name) == [db], name
    assert web.ask("_5432._tcp.db:SRV") == [("NOERROR", ["0 10 5432 db.shop."])]
    reverse = ".".join(reversed(db.split(".")))
    assert web.ask(f"{reverse}.in-addr.arpa:PTR") == [("NOERROR", ["db.shop."])]
    said = web.run("/bin/nslookup", "db")
    assert db in said.stdout, said
    assert Instance(fleet, "a", "db").find("web") != []


def test_a_trace_says_what_real_packets_do(fleet: Fleet):
    """Both sites are asked over their own links what nft, WireGuard and the name server have at this moment."""
    near, (far,) = Instance(fleet, "a", "db"), Instance(fleet, "b", "db").addresses()
    words = f"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'hello', ('{far}', 9))"

    def trace(start: str, end: str) -> Any:
        return fleet.ask("network", "trace", start, end, "--port", "5432")

    def passes() -> bool:
        enter = ["nsenter", f"--net=/proc/{near.pid}/ns/net", "--"]
        subprocess.run([*enter, sys.executable, "-c", words], check=True, timeout=30)
        return trace("shop/db@a", "shop/db@b")["verdict"] == "passes"

    wait_until(passes, "a trace that passes", 40)
    found = trace("shop/db@a", "shop/db@b")
    hops = [(line["hop"], line["site"]) for line in found["lines"] if line["verdict"] == "passes"]
    assert hops[-5:] == [("rule", "a"), ("tunnel", "a"), ("tunnel", "b"), ("rule", "b"), ("port", "b")]
    assert {line["age_s"] for line in found["lines"] if line["site"] and line["source"].startswith("the node")} == {0}
    assert any(far in line["text"] for line in found["lines"] if line["hop"] == "rule")
    # One of two networks leaves by one of them, which nobody can know; and no network leads into another.
    assert "by one of them" in trace("shop/web@a", "shop/db@b")["reason"]
    assert trace("shop/page@a", "shop/db@a")["verdict"] == "stopped"
    # The node counts what went there; the counters are no part of what guards it.
    counted = fleet.lab.sites["a"].run("nft", "list", "counters", "table", "inet", "skerry_flows")
    assert "_left" in counted


def test_one_of_two_networks_finds_both_and_one_of_one_finds_one(fleet: Fleet):
    web, page = Instance(fleet, "a", "web"), Instance(fleet, "a", "page")
    assert web.find("page") == page.addresses()
    assert page.find("web") != []
    assert page.find("db") == []


def test_one_of_two_networks_reaches_the_other_sites_by_the_one_that_is_there(fleet: Fleet):
    web, (there,) = Instance(fleet, "a", "web"), Instance(fleet, "b", "db").addresses()
    own = {each.rpartition(".")[0] for each in Instance(fleet, "a", "db").addresses()}

    def way() -> str:
        return web.run("/bin/ip", "route", "get", there).stdout

    # By the address that it has in the stretched network, whichever its first way out is.
    wait_until(lambda: way().partition(" src ")[2].split()[0].rpartition(".")[0] in own, "the route", 30)
    assert web.run("/bin/wget", "-q", "-O", "-", f"http://{there}:8080/").stdout == "hello\n"


def test_no_runtime_s_own_name_server_runs(fleet: Fleet):
    listed = fleet.lab.sites["a"].run("ps", "-e", "-o", "comm")
    programs = {program for program in listed.split() if program in ("unbound", "aardvark-dns")}
    mine = fleet.lab.sites["a"].run("ls", "/run/containers/networks/aardvark-dns") if "aardvark-dns" in programs else ""
    assert "shop" not in mine


def test_what_is_not_well_gives_way_to_the_other_site_and_comes_back(fleet: Fleet):
    web, db = Instance(fleet, "a", "web"), Instance(fleet, "a", "db")
    own, other = db.addresses(), Instance(fleet, "b", "db").addresses()
    assert db.run("/bin/touch", "/down").returncode == 0
    wait_until(lambda: web.find("db") == other, "the other site's", 30)
    assert web.run("/bin/wget", "-q", "-O", "-", "http://db:8080/").stdout == "hello\n"
    fleet.kill_core()
    # Nothing here is well: who comes to this site's entrance is led to the other one.
    for port in (80, 2525):
        assert end(come(fleet, port, 0))["body"] == "hello\n"
    fleet.lab.cut("b")
    wait_until(lambda: web.find("db") == [], "the end of what is silent", 30)
    assert web.ask("db:A") == [("NOERROR", [])]
    fleet.lab.heal("b")
    wait_until(lambda: web.find("db") == other, "the other site's, once it is heard again", 60)
    subprocess.run(["nsenter", "--target", db.pid, "--mount", "--", "/bin/busybox", "rm", "/down"], check=True)
    wait_until(lambda: web.find("db") == own, "this site's own", 30)
    fleet.start_core()


@contextlib.contextmanager
def echo(instance: Instance, name: str) -> Generator[None]:
    """Have an instance answer datagrams, as long as its network namespace is there."""
    enter = ["nsenter", f"--net=/proc/{instance.pid}/ns/net", "--", sys.executable, "-c", ECHO, name]
    with subprocess.Popen(enter, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


def say(opened: socket.socket) -> list[str]:
    """Send a datagram; return what is answered, nothing for no answer."""
    try:
        opened.send(b"?")
        return opened.recv(64).decode().split()
    except OSError:
        return []


def leave(fleet: Fleet, dead: Instance, seconds: float) -> None:
    """Kill an instance; the first site leads no datagram to it any more within so many seconds."""
    addresses, began = dead.addresses(), time.monotonic()
    assert addresses
    subprocess.run(["kill", "-KILL", dead.pid], check=True)
    table = ("nft", "list", "table", "inet", "skerry_entrance")
    while any(each in fleet.lab.sites["a"].run(*table) for each in addresses):
        assert time.monotonic() - began < seconds
    print(f"a dead copy of {dead.place.name} is left after {time.monotonic() - began:.2f} s")


def test_datagrams_go_to_the_other_site_while_nothing_is_well_here_and_leave_a_dead_copy(fleet: Fleet):
    """One visitor with one socket all the while: what the kernel remembers of a flow must not outlast its copy."""
    near, far = Instance(fleet, "a", "db"), Instance(fleet, "b", "db")
    mine = near.addresses()
    with inside_net(fleet.lab.core.net):
        visitor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with visitor, echo(near, "a"), echo(far, "b"):
        visitor.settimeout(0.2)
        visitor.connect((fleet.lab.sites["a"].address, 5353))
        own = visitor.getsockname()[0]
        wait_until(lambda: say(visitor) == ["a", own], "this site's own", 30)
        assert near.run("/bin/touch", "/down").returncode == 0
        wait_until(lambda: say(visitor)[:1] == ["b"], "the other site's", 30)
        # It is spoken to by the node's address in the network, and by no address of the world outside.
        _, seen = say(visitor)
        assert seen.rpartition(".")[0] == mine[0].rpartition(".")[0]
        assert seen not in mine
        leave(fleet, far, FAR_S_MAX)
        subprocess.run(["nsenter", "--target", near.pid, "--mount", "--", "/bin/busybox", "rm", "/down"], check=True)
        wait_until(lambda: say(visitor) == ["a", own], "this site's own", 30)
        leave(fleet, near, OUT_S_MAX)
    web = Instance(fleet, "a", "web")
    wait_until(lambda: web.find("db") and web.find("db") == Instance(fleet, "a", "db").addresses(), "the next one", 60)


def come(fleet: Fleet, *words: object) -> subprocess.Popen[bytes]:
    """Let people ask at the first site's address: a port, and for how many seconds."""
    site = fleet.lab.sites["a"]
    port, *rest = words
    command = [sys.executable, "-m", "tests.e2e.entrance_load", site.address, port, "shop.example", *rest]
    enter = ["nsenter", f"--net={site.net}", "--", *map(str, command)]
    return subprocess.Popen(enter, cwd=CHECKOUT, stdout=subprocess.PIPE)


def end(people: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = people.communicate(timeout=60)
    found = json.loads(output)
    print(found)
    return found


def test_the_last_copy_of_a_site_dies_under_load_and_the_other_site_answers(fleet: Fleet):
    db = Instance(fleet, "a", "db")
    people = come(fleet, 80, 8)
    time.sleep(1.5)  # so that the copy dies under load
    assert db.run("/bin/touch", "/down").returncode == 0  # what is started in its place is not well
    subprocess.run(["kill", "-KILL", db.pid], check=True)
    found = end(people)
    fresh = Instance(fleet, "a", "db")
    subprocess.run(["nsenter", "--target", fresh.pid, "--mount", "--", "/bin/busybox", "rm", "/down"], check=True)
    wait_until(lambda: Instance(fleet, "a", "web").find("db") == fresh.addresses(), "this site's own", 30)
    assert found["answers"] > 100
    # An answer that had begun when its copy was killed can be ended by nobody: each of the ten people has one at most.
    cut = sum(count for why, count in found["failed"].items() if why.startswith("IncompleteReadError"))
    assert (cut <= 10, sum(found["failed"].values())) == (True, cut)


def test_a_dead_instance_is_out_of_names(fleet: Fleet):
    web, db = Instance(fleet, "a", "web"), Instance(fleet, "a", "db")
    own = db.addresses()
    assert web.find("db") == own
    began = time.monotonic()
    subprocess.run(["kill", "-KILL", db.pid], check=True)
    while web.find("db") == own:
        assert time.monotonic() - began < OUT_S_MAX
    print(f"out of names after {time.monotonic() - began:.2f} s")
    wait_until(lambda: web.find("db") == Instance(fleet, "a", "db").addresses(), "the next one", 60)


def test_a_new_agent_takes_no_name_away(fleet: Fleet):
    web = Instance(fleet, "a", "web")
    own = web.find("db")
    fleet.kill_agent("a")
    assert web.find("db") == own
    fleet.start_agent("a")
    until = time.monotonic() + 4
    while time.monotonic() < until:
        assert web.find("db") == own
