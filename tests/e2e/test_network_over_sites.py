"""One network over several sites: real instances, real tunnels, and everybody who is to be kept out."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import ClassVar

import pytest
from tests.e2e.fleet import Fleet, list_containers, wait_until, write_image
from tests.e2e.lab import CHECKOUT, Lab
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

#: The app of the page that tells people how.
PAGE = CHECKOUT / "docs/how-to/span-sites-with-one-network.md"
APP = PAGE.read_text().partition("```yaml")[2].partition("\n")[2].partition("```")[0]
ECHO = """
import socket, sys
with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as opened:
    opened.bind((sys.argv[1], 7))
    while True:
        data, source = opened.recvfrom(64)
        opened.sendto(data + b" " + source[0].encode(), source)
"""
#: Ten datagrams a second until it is told to end, or for so many seconds until the first answer; then how many were
#: sent, how many answered, and whom the echo saw. What comes late, on a busy machine, is not lost.
TALK = """
import signal, socket, sys, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
sent, heard, seen = 0, set(), set()
with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as opened:
    opened.connect((sys.argv[1], 7))
    opened.settimeout(0.02)
    def listen(until, enough):
        while time.monotonic() < until and len(heard) < enough:
            try:
                number, _, source = opened.recv(64).partition(b" ")
            except OSError:
                continue
            heard.add(int(number)); seen.add(source.decode())
    begun = time.monotonic()
    patience = float(sys.argv[2]) if sys.argv[2:] else 0
    while not ended and not (patience and (heard or time.monotonic() > begun + patience)):
        try:
            opened.send(str(sent).encode())
        except OSError:
            pass
        sent += 1
        listen(begun + sent / 10, 1 if patience else sent + 1)
    if not patience:
        listen(time.monotonic() + 1, sent)
        listen(time.monotonic() + (5 if heard else 0), sent)
print(sent, len(heard), *sorted(seen))
"""


#: Nothing passes between some addresses.
CLOSED = """
table ip closed {{
 chain forward {{
  type filter hook forward priority filter;
  ip saddr {{ {0} }} ip daddr {{ {0} }} drop
 }}
}}
"""


class Instance:
    """A running instance, with the addresses that podman gave it."""

    def __init__(self, fleet: Fleet, site: str, name: str) -> None:
        self.site = fleet.lab.sites[site]
        found = self.site.podman.do("GET", f"/containers/{list_containers(self.site)[name]['Id']}/json")
        (network,) = found["NetworkSettings"]["Networks"].values()
        self.v4, self.v6 = network["IPAddress"], network["GlobalIPv6Address"]
        self._enter = ("nsenter", f"--net=/proc/{found['State']['Pid']}/ns/net")

    def run(self, script: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a script in the instance's network."""
        return subprocess.Popen([*self._enter, sys.executable, "-c", script, *words], stdout=subprocess.PIPE)

    def enter(self, *words: str) -> str:
        """Run a program of this machine in the instance's network; its output."""
        return subprocess.run([*self._enter, *words], capture_output=True, text=True, check=True, timeout=20).stdout

    def pings(self, own: str, target: str) -> bool:
        """Whether one of two packets from an address is answered."""
        words = ("busybox", "ping", "-c", "2", "-W", "1", "-I", own, target)
        return subprocess.run([*self._enter, *words], capture_output=True, timeout=20, check=False).returncode == 0

    def talk(self, target: str) -> "Talk":
        return Talk(self.run(TALK, target))


class Talk:
    """Somebody who speaks ten times a second."""

    #: All there ever were: a test that fails leaves some.
    processes: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.processes.append(process)

    def end(self) -> tuple[int, int, list[str]]:
        """Let it end, and ``read``."""
        self._process.send_signal(signal.SIGTERM)
        return self.read()

    def read(self) -> tuple[int, int, list[str]]:
        """How many were sent, how many answered, and from whom they seemed to come."""
        output, _ = self._process.communicate(timeout=20)
        sent, heard, *seen = output.decode().split()
        return int(sent), int(heard), seen


def count(talk: Talk, seconds: float) -> tuple[int, int, list[str]]:
    time.sleep(seconds)  # packets flow meanwhile
    return talk.end()


class Town:
    """Three sites, two tenants and two networks."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._echoes: list[subprocess.Popen[bytes]] = []

    def find(self, site: str, service: str = "web", tenant: str = "default") -> Instance:
        return Instance(self.fleet, site, f"{tenant}/shop/{service}/0")

    def echo(self, instance: Instance) -> None:
        self._echoes += [instance.run(ECHO, instance.v4), instance.run(ECHO, instance.v6)]

    def stop(self) -> None:
        for process in (*self._echoes, *Talk.processes):
            if process.poll() is None:
                process.kill()
                process.communicate()

    def settled(self) -> bool:
        return all(
            {f"{tenant}/shop/{service}/0" for tenant in ("default", "rival") for service in ("web", "aside")}
            <= {
                name for name, each in list_containers(self.fleet.lab.sites[site]).items() if each["State"] == "running"
            }
            for site in ("a", "b", "c")
        )

    def reaches(self, source: Instance, target: str) -> bool:
        """Say whether something is answered within two seconds."""
        return Talk(source.run(TALK, target, "2")).read()[1] > 0


def _add_rival(fleet: Fleet) -> tuple[str, ...]:
    """Make another tenant of the same sites; what its commands begin with."""
    token = fleet.ask("tenant", "create", "rival", "--sites", "")["first"]["token"]
    listed = fleet.ask("context", "list")["items"]
    here = next(each for each in listed if each["current"])
    words = ("--url", here["url"], "--tenant", "rival", "--signer", here["signer"])
    done = fleet.cli("context", "set", "rival", *words, stdin=token.encode())
    assert done.exit == 0, done.err
    fleet.must("context", "use", here["name"])
    return "--context", "rival"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Generator[Town]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "shop").mkdir()
    (folder / "shop" / "compose.yaml").write_text(APP)
    with Lab(["a", "b", "c"]) as lab, Fleet(lab) as fleet:
        lab.open_wan()
        fleet.agent_env["SKERRY_AGENT_OVERLAY_LOOK_S"] = "20"
        image = write_image(folder, "tiny", tiny_image("tiny:1"))
        fleet.must("image", "push", image)
        for site in ("a", "b", "c"):
            fleet.start_site(site, f"tier={'far' if site == 'c' else 'near'}")
        rival = _add_rival(fleet)
        fleet.must(*rival, "image", "push", image)
        for words in ((), rival):
            fleet.must(*words, "apply", "-f", folder / "shop" / "compose.yaml", "--yes")
        town = Town(fleet)
        wait_until(town.settled, "the start of all instances", 120)
        for site in ("a", "b", "c"):
            town.echo(town.find(site))
        try:
            yield town
        finally:
            town.stop()


def test_instances_reach_each_other_by_address_and_are_seen_by_their_own(town: Town):
    here = town.find("a")
    ways = [way for there in map(town.find, ("b", "c")) for way in ((here.v4, there.v4), (here.v6, there.v6))]
    for _, target in ways:
        wait_until(lambda target=target: town.reaches(here, target), f"an answer of {target}", 60)
    talks = [(own, here.talk(target)) for own, target in ways]
    time.sleep(3)  # packets flow meanwhile
    for own, talk in talks:
        sent, heard, seen = talk.end()
        assert heard >= sent - 1, (sent, heard)
        assert seen == [own]


@pytest.mark.parametrize(("tenant", "service"), [("default", "aside"), ("rival", "web"), ("rival", "aside")])
def test_nobody_else_gets_a_packet_through(town: Town, tenant: str, service: str):
    stranger = town.find("a", service, tenant)
    targets = (town.find("b").v4, town.find("b").v6, town.find("a").v4)
    talks = [stranger.talk(target) for target in targets]
    time.sleep(2)  # they try meanwhile
    assert [talk.end()[1] for talk in talks] == [0, 0, 0], targets


def test_nobody_passes_for_another_within_a_network(town: Town):
    """The link of an instance is podman's; another address of its network, or another hardware address, is dropped."""
    here, there = town.find("a"), town.find("b")
    other = here.v4.rpartition(".")[0] + "." + str(int(here.v4.rpartition(".")[2]) + 9)
    here.enter("ip", "address", "add", f"{other}/32", "dev", "eth0")
    try:
        assert here.pings(here.v4, there.v4)
        assert not here.pings(other, there.v4)
    finally:
        here.enter("ip", "address", "delete", f"{other}/32", "dev", "eth0")
    (link,) = json.loads(here.enter("ip", "-json", "link", "show", "dev", "eth0"))
    try:
        here.enter("ip", "link", "set", "dev", "eth0", "address", "02:00:00:00:00:99")
        assert not here.pings(here.v4, there.v4)
    finally:
        here.enter("ip", "link", "set", "dev", "eth0", "address", link["address"])
    wait_until(lambda: here.pings(here.v4, there.v4), "the way by its own address", 20)


def test_a_dead_core_and_a_killed_agent_lose_no_packet(town: Town):
    here, there = town.find("a"), town.find("b")
    talk = here.talk(there.v4)
    town.fleet.kill_core()
    time.sleep(3)  # a while without the core
    for site in ("a", "b"):
        town.fleet.kill_agent(site)
    time.sleep(3)  # and without agents
    for site in ("a", "b"):
        town.fleet.start_agent(site)
    sent, heard, _ = count(talk, 5)
    assert sent > 100
    assert heard == sent
    town.fleet.start_core()
    wait_until(lambda: town.fleet.agent_status("a")["link"] == "up", "the link")


def test_a_dead_tunnel_is_made_again_and_nothing_leaves_by_another_way(town: Town):
    here, there = town.find("a"), town.find("b")
    site = town.fleet.lab.sites["a"]
    site.run("ip", "link", "delete", "dev", "skw2")
    assert "10.64.0.0/10 drop" in site.run("nft", "list", "chain", "inet", "skerry", "forward")
    wait_until(lambda: town.reaches(here, there.v4), "the way back", 60)


def test_a_third_site_relays_where_a_firewall_forbids_the_direct_way_until_it_opens(town: Town):
    """No NAT is there: the sites find out by themselves, and find back without a packet lost."""
    here, there, fleet = town.find("a"), town.find("b"), town.fleet
    third, core = fleet.lab.sites["c"], fleet.lab.core
    fleet.must("site", "relay", "c", "--ports", "52000-52009")
    ends = [fleet.lab.sites[name] for name in ("a", "b")]
    core.run("nft", CLOSED.format(", ".join(each.address for each in ends)))
    for site in ends:
        # What was agreed on directly is void: a new tunnel begins with a handshake.
        site.run("ip", "link", "delete", "dev", "skw2")
    talk = here.talk(there.v4)
    wait_until(lambda: "skerry relay" in third.run("ps", "-e", "-o", "args"), "the relay", 60)
    wait_until(lambda: town.reaches(here, there.v6), "the way through the third site", 60)
    fleet.kill_core()
    fleet.kill_agent("c")
    assert town.reaches(here, there.v4)
    talk.end()
    talk = here.talk(there.v4)
    core.run("nft", "delete", "table", "ip", "closed")

    def is_direct() -> bool:
        return all("skw3" in site.run("ip", "route", "show", "proto", "217") for site in ends)

    # Each end looks now and then by itself, and both have to have seen that the other answers: a few rounds of that.
    wait_until(is_direct, "the direct way", 180)
    time.sleep(2)  # packets that go directly are counted too
    sent, heard, seen = talk.end()
    assert (heard, seen) == (sent, [here.v4])
    assert town.reaches(there, here.v6)
    fleet.start_core()
    fleet.start_agent("c")
    wait_until(lambda: fleet.agent_status("c")["link"] == "up", "the link")


def test_keys_change_without_a_packet_lost(town: Town):
    here, there, away = town.find("a"), town.find("b"), town.find("c")

    def is_steady() -> bool:
        talks = [here.talk(there.v4), away.talk(here.v6)]
        time.sleep(2)  # packets flow meanwhile
        return all(sent == heard for sent, heard, _ in [each.end() for each in talks])

    # The sites hear of each other's keys by the core, which the tests before have killed.
    for name in ("a", "b", "c"):
        wait_until(lambda name=name: town.fleet.agent_status(name)["link"] == "up", f"the link of {name}", 100)
    # A tunnel at the other end is a new one: what was agreed on with the old one is void, which takes it seconds.
    wait_until(is_steady, "ways on which nothing is lost before", 60)
    talk, back = here.talk(there.v4), away.talk(here.v6)
    assert town.fleet.agent_cli("a", "rekey").exit == 0
    assert town.fleet.agent_cli("a", "rekey").exit != 0
    site = town.fleet.lab.sites["a"]

    def moved() -> bool:
        return "dev skw0" in site.run("ip", "route", "show", "proto", "217")

    wait_until(moved, "the use of the new key", 150)
    time.sleep(5)  # packets by the new key are counted too
    for each in (talk, back):
        sent, heard, _ = each.end()
        assert heard == sent


def test_a_member_that_the_revision_leaves_out_is_out(town: Town, tmp_path: Path):
    here, there = town.find("a"), town.find("c")
    assert town.reaches(here, there.v4)
    talk = here.talk(there.v4)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "compose.yaml").write_text(APP)
    town.fleet.must("apply", "-f", tmp_path / "shop" / "compose.yaml", "--sites", "tier=near", "--yes")
    range_there = there.v4.rpartition(".")[0]
    site = town.fleet.lab.sites["a"]
    wait_until(lambda: range_there not in site.run("nft", "list", "table", "inet", "skerry"), "the end of it", 60)
    talk.end()
    assert not town.reaches(here, there.v4)
    assert town.reaches(here, town.find("b").v4)
