"""Service chains with real packets: a node of namespaces, steered by the real planner, driver and firewall."""

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest
from tests.contract import chains as contract
from tests.plan.chain_scene import (
    DESK,
    FROM_INSIDE,
    FROM_LAN,
    INSIDE,
    LAN,
    LAN_V4,
    LAN_V6,
    OUTSIDE,
    PEOPLE,
    V4,
    Town,
    address,
    bridge,
    mac,
    make_chain,
    v6,
)
from tests.plan.scenery import APP, TENANT

from skerry.berths.namespaces import Place, hold_folder, inside_net, release_folder
from skerry.clock import SystemClock, SystemMint
from skerry.drivers.base import run_program
from skerry.drivers.chain_probes import ChainProbesDriver
from skerry.drivers.chains import PRIORITY, PROTOCOL, TABLE, ChainsDriver
from skerry.drivers.networks import build_table
from skerry.drivers.translation import build_translation
from skerry.model.app import Port
from skerry.model.chain import Chain, ChainEnd, ChainMatch
from skerry.model.observed import ChainProbed, ChainsSeen
from skerry.plan.actions import ApplyChains, ApplyRules, ApplyTranslation, AppRules, ProbeChain, WayOut
from skerry.plan.chain_probes import judge_probe
from skerry.plan.networks import rules_digest

pytestmark = pytest.mark.e2e

LAN_NODE = ("10.177.9.1", "2001:db8:77::1")
NODE, BEYOND = ("198.51.100.1", "2001:db8:9::1"), ("198.51.100.9", "2001:db8:9::9")
STEPS = ("wall", "look", "store")
#: One run of the throughput, and how often each path has its turn.
FLOW_S, TURNS = 2, 3


#: Counts what one connection brings, and how long it took.
_SINK = """
import socket, time
server = socket.create_server(("", 5201))
print("ready", flush=True)
end, _ = server.accept()
began, count = time.monotonic(), 0
while chunk := end.recv(1 << 20):
    count += len(chunk)
print(count, time.monotonic() - began)
"""
#: Sends for so many seconds, at a rate in bits a second or as fast as it goes.
_SOURCE = """
import socket, sys, time
target, seconds, rate = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
end = socket.create_connection((target, 5201), timeout=5)
chunk = bytes(2500 if rate else 1 << 18)
began, count = time.monotonic(), 0
while (now := time.monotonic() - began) < seconds:
    if rate and count * 8 > rate * now:
        time.sleep(0.0005)  # to the rate that was asked for
        continue
    end.sendall(chunk)
    count += len(chunk)
end.close()
"""


class Flow:
    """One TCP connection's rate in bits a second, once it has ended."""

    rate = 0.0


class Node:
    """A node with its bridges, instances at them, and a machine beyond it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ("node", "beyond", "desk", *PEOPLE)
        self.places = {name: Place(folder / "ns", name, folder / name) for name in names}
        self.node, self.beyond = self.places["node"], self.places["beyond"]
        self.driver = ChainsDriver(self.run)
        self.town = Town()

    async def run(self, *words: str, given: bytes = b"") -> tuple[int, bytes]:
        return await run_program(*self.node.argv(*words), given=given)

    def build(self) -> None:
        for place in self.places.values():
            place.disk.mkdir()
            place.create()
            place.run("sh", "-c", "for f in all default; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done")
        for name in ("node", "wall", "look", "store"):
            words = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"
            self.places[name].run("sh", "-c", words)
        # As strict as a machine may be that Skerry finds.
        self.node.run("sh", "-c", "for f in all default; do echo 1 > /proc/sys/net/ipv4/conf/$f/rp_filter; done")
        for network in V4:
            self.node.run("ip", "link", "add", bridge(network), "type", "bridge")
            self._address(self.node, bridge(network), address(network, 1), address(network, 1, six=True), 24, 64)
        self._cable("node", "wan0", "beyond", "wan0")
        self._address(self.node, "wan0", *NODE, 24, 64)
        self._address(self.beyond, "wan0", *BEYOND, 24, 64)
        self._cable("node", LAN, "desk", "eth0")
        self._address(self.node, LAN, *LAN_NODE, 24, 64)
        self._address(self.places["desk"], "eth0", *DESK, 24, 64)
        for family, gateway in zip(("-4", "-6"), LAN_NODE, strict=True):
            self.places["desk"].run("ip", family, "route", "add", "default", "via", gateway)
        # The node translates for its LAN by rules that are not Skerry's, as a router at a branch does.
        own = f"ip saddr {LAN_V4} oifname wan0 masquerade; ip6 saddr {LAN_V6} oifname wan0 masquerade;"
        self.nft(f"table inet router {{ chain out {{ type nat hook postrouting priority srcnat; {own} }}; }}")
        for name, (number, networks) in PEOPLE.items():
            for place, network in enumerate(networks):
                outer = f"{name}{place}"
                self._cable(name, f"eth{place}", "node", outer, mac(network, number))
                self.node.run("ip", "link", "set", outer, "master", bridge(network), "up")
                own = address(network, number), address(network, number, six=True)
                self._address(self.places[name], f"eth{place}", *own, 24, 64)
            # Out by the last of its networks, as chance has it where there are several.
            for six in (False, True):
                gateway = address(networks[-1], 1, six=six)
                self.places[name].run("ip", "-6" if six else "-4", "route", "add", "default", "via", gateway)
        rules = tuple(sorted(AppRules(TENANT, APP, name, False) for name in V4))
        self.nft(build_table(ApplyRules(networks=rules, digest=rules_digest(rules))))
        ways = tuple(WayOut(TENANT, APP, name, (V4[name], v6(name)), False) for name in V4)
        self.nft(build_translation(ApplyTranslation(networks=ways, ports=(), digest=rules_digest(()))))

    def _cable(self, one: str, device: str, other: str, far: str, hardware: str = "") -> None:
        """Connect two places."""
        near = self.places[one]
        words = ["address", hardware] if hardware else []
        near.run("ip", "link", "add", "dev", device, *words, "type", "veth", "peer", "name", "peer-end")
        # Where namespaces are kept is seen from outside of them only.
        words = ["nsenter", f"--net={near.net}", "ip", "link", "set", "dev", "peer-end"]
        subprocess.run([*words, "netns", str(self.places[other].net)], check=True, capture_output=True)
        self.places[other].run("ip", "link", "set", "dev", "peer-end", "name", far)

    @staticmethod
    def _address(place: Place, device: str, v4: str, v6: str, bits: int, bits6: int) -> None:
        place.run("ip", "address", "add", f"{v4}/{bits}", "dev", device)
        place.run("ip", "address", "add", f"{v6}/{bits6}", "dev", device, "nodad")
        place.run("ip", "link", "set", "dev", device, "up")

    def nft(self, text: str) -> None:
        subprocess.run(self.node.argv("nft", "-f", "-"), input=text.encode(), check=True, capture_output=True)

    def apply(self) -> ApplyChains | None:
        """Look, plan and do, as an agent does."""

        async def step() -> ApplyChains | None:
            self.town.seen = (await self.driver.observe()).chains
            action = self.town.plan()
            if action is not None:
                outcome = await self.driver.perform(action)
                assert outcome.ok, outcome
            return action

        return asyncio.run(step())

    def steer(self, *chains: object, **words: set[str]) -> None:
        """Have these chains and nothing else, and see that then there is nothing left to do."""
        self.town.chains = chains  # type: ignore[assignment]
        self.town.down = words.get("down", set())
        self.apply()
        assert self.apply() is None

    def count(self) -> dict[str, int]:
        """Packets given to each step: ``c0s1_out`` are those of the first one of the first chain on their way out."""
        self.driver = ChainsDriver(self.run)
        seen = asyncio.run(self.driver.observe()).chains
        assert seen is not None
        return seen.counts

    def probe(self) -> ChainProbed:
        """Send the test packets that the last plan has, from a process that sees this node's devices alone."""
        self.town.seen = asyncio.run(ChainsDriver(self.run).observe()).chains
        self.town.plan()
        (action,) = (each for each in self.town.draft.actions if isinstance(each, ProbeChain))
        with inside_net(self.node.net):
            outcome = asyncio.run(ChainProbesDriver(SystemClock(), SystemMint()).perform(action))
        assert outcome.passes is not None
        return judge_probe(action, outcome.passes) if not outcome.reason else pytest.fail(outcome.reason)

    def ping(self, source: str = "client", target: str = BEYOND[0], count: int = 4) -> int:
        """Return how many answers there were."""
        command = self.places[source].argv("busybox", "ping", "-c", count, "-W", "1", "-i", "0.1", target)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        found = re.search(r"(\d+) packets received", done.stdout)
        return int(found[1]) if found else 0

    @contextlib.contextmanager
    def flow(self, seconds: float, rate: float = 0, sender: str = "client") -> Generator[Flow]:
        """Send by TCP to the machine beyond, at most ``rate`` bits a second where one is given."""
        found = Flow()
        sink = subprocess.Popen(self.beyond.argv(sys.executable, "-c", _SINK), stdout=subprocess.PIPE, text=True)
        assert sink.stdout is not None
        assert sink.stdout.readline() == "ready\n"
        words = self.places[sender].argv(sys.executable, "-c", _SOURCE, BEYOND[0], seconds, rate)
        source = subprocess.Popen(words)
        try:
            yield found
            source.wait(30)
            received, took = sink.communicate(timeout=30)[0].split()
            found.rate = int(received) * 8 / float(took)
        finally:
            source.kill()
            sink.kill()
            source.wait()
            sink.communicate()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Generator[Node]:
    folder = tmp_path_factory.mktemp("chains")
    hold_folder(folder / "ns")
    node = Node(folder)
    try:
        node.build()
        yield node
    finally:
        for place in node.places.values():
            if place.exists:
                place.destroy()
        release_folder(folder / "ns")


@pytest.fixture
def node(built: Node) -> Generator[Node]:
    yield built
    built.steer()
    assert "skerry_chains" not in built.node.run("nft", "list", "tables")


class RealRig:
    """The node as the contract of drivers wants it."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def steer(self, *chains: Chain, down: frozenset[str] = frozenset()) -> None:
        self._node.steer(*chains, down=set(down))

    def ping(self, *, desk: bool = False, far: bool = False, count: int = 4) -> int:
        source = "desk" if desk else "client"
        return self._node.ping(source, address(OUTSIDE, 30) if far else BEYOND[0], count)

    def look(self) -> ChainsSeen:
        seen = asyncio.run(ChainsDriver(self._node.run).observe()).chains
        assert seen is not None
        return seen

    def probe(self) -> ChainProbed:
        return self._node.probe()

    def deafen(self, step: str, *, deaf: bool) -> None:
        self._node.places[step].run("sh", "-c", f"echo {int(not deaf)} > /proc/sys/net/ipv4/ip_forward")


@pytest.mark.parametrize("name", contract.CHECKS)
def test_the_kernel_keeps_the_contract(node: Node, name: str):
    contract.CHECKS[name](RealRig(node))


def test_test_packets_of_every_kind_are_known_again_and_none_leaves_the_site(node: Node):
    node.beyond.run(
        "nft", "add table inet seen; add chain inet seen come { type filter hook prerouting priority -300; }"
    )
    node.beyond.run("nft", "add rule inet seen come ip daddr 192.0.2.0/24 counter")
    for match in (
        ChainMatch(),
        ChainMatch(protocol="tcp", ports=((443, 443),)),
        ChainMatch(protocol="udp", ports=((53, 60),)),
        ChainMatch(protocol="icmp", from_cidr=(v6(INSIDE),)),
    ):
        node.steer(make_chain(match=match))
        found = node.probe()
        assert (found.sent, found.arrived) == (3, 3), (match, found)
    assert "10.176.1.10" not in found.what
    assert re.search(r"counter packets 0 ", node.beyond.run("nft", "list", "table", "inet", "seen"))
    node.beyond.run("nft", "delete", "table", "inet", "seen")
    # Nothing is left of it, and the bridge is as it was.
    assert "skerry-probe" not in node.node.run("ip", "link", "show")


def test_a_step_that_takes_long_is_what_is_slow(node: Node):
    node.steer(make_chain())
    slow = node.places["look"]
    slow.run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "1540", "limit", "100000")
    try:
        with node.flow(1.5, rate=3e6):
            time.sleep(0.7)  # until the queue of the slow step is long
            found = node.probe()
    finally:
        slow.run("tc", "qdisc", "delete", "dev", "eth0", "root")
    steps = {step.service: step.median_us for step in found.steps}
    assert steps["look"] > 10_000, found
    assert max(steps["wall"], steps["store"]) < steps["look"] / 2


@pytest.mark.parametrize(
    ("sender", "start", "target"),
    [("client", FROM_INSIDE, BEYOND[0]), ("client", FROM_INSIDE, BEYOND[1]), ("desk", FROM_LAN, BEYOND[1])],
)
def test_every_packet_passes_every_step_in_order_both_ways(node: Node, sender: str, start: ChainEnd, target: str):
    assert node.ping(sender, target) == 4
    node.steer(make_chain(start=start))
    assert node.ping(sender, target) == 4
    assert node.count() == {f"c0s{step}_{way}": 4 for step in (1, 2, 3) for way in ("out", "back")}
    # A packet that may pass three machines after the client's first one dies at the second step: order, not number.
    words = node.places["client"].argv("busybox", "ping", "-c", "1", "-W", "1", "-t", "4", target)
    if ":" not in target:
        subprocess.run(words, capture_output=True, check=False)
        counts = node.count()
        assert (counts["c0s1_out"], counts["c0s2_out"], counts["c0s3_out"]) == (5, 5, 4)


def test_the_machine_beyond_sees_the_node_and_not_who_is_inside(node: Node):
    node.steer(make_chain())
    program = "import socket; s = socket.create_server(('', 80)); print('ready', flush=True); print(s.accept()[1][0])"
    server = subprocess.Popen(node.beyond.argv(sys.executable, "-c", program), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    visit = f"import socket; socket.create_connection(('{BEYOND[0]}', 80), timeout=5)"
    node.places["client"].run(sys.executable, "-c", visit)
    assert server.communicate(timeout=10)[0].strip() == NODE[0]


def test_users_come_in_by_a_published_port_and_through_the_chain(node: Node):
    node.town.ports = {"client": (Port(target=80, published=8080),)}
    client = address(INSIDE, 10)
    # As a runtime does it.
    led = f"iifname wan0 tcp dport 8080 dnat ip to {client}:80"
    node.nft(f"table ip runtime {{ chain come {{ type nat hook prerouting priority dstnat; {led}; }}; }}")
    program = (
        "import socket; s = socket.create_server(('', 80)); print('ready', flush=True)\n"
        "while end := s.accept()[0]: end.sendall(b'well'); end.close()"
    )
    words = node.places["client"].argv(sys.executable, "-c", program)
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    visit = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).recv(9))"
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        node.steer(make_chain("store", "wall", start=ChainEnd(kind="users"), end=FROM_INSIDE))
        assert "well" in node.beyond.run(sys.executable, "-c", visit, NODE[0], "8080")
        counts = node.count()
        assert all(counts[f"c0s{step}_{way}"] >= 3 for step in (1, 2) for way in ("out", "back")), counts
        # The chain opens nothing: who knows the way to the instance itself is dropped as ever.
        node.beyond.run("ip", "route", "add", V4[INSIDE], "via", NODE[0])
        with pytest.raises(OSError, match="timed out"):
            node.beyond.run(sys.executable, "-c", visit, client, "80")
        node.steer(make_chain("store", "wall", start=ChainEnd(kind="users"), end=FROM_INSIDE), down={"wall"})
        with pytest.raises(OSError, match="No route to host"):
            node.beyond.run(sys.executable, "-c", visit, NODE[0], "8080")
    finally:
        server.kill()
        server.communicate()
        node.beyond.run("ip", "route", "flush", "root", V4[INSIDE])
        node.node.run("nft", "delete", "table", "ip", "runtime")
        node.town.ports = {}


def test_nobody_else_may_pass_where_the_chain_lets_its_packets_pass(node: Node):
    node.steer(make_chain("wall", "look"))
    # Bridges stay shut to each other, and so does the node itself.
    assert node.ping("client", address(OUTSIDE, 30), 1) == 0
    assert node.ping("far", address(INSIDE, 10), 1) == 0
    assert node.ping("client", NODE[0], 1) == 0
    assert node.ping("far") == 4
    assert set(node.count().values()) == {0}


def test_a_chain_between_two_networks_opens_them_to_each_other_and_only_through_it(node: Node):
    far = address(OUTSIDE, 30)
    end = msgspec.structs.replace(make_chain().start, name=str(OUTSIDE))
    assert node.ping("client", far, 1) == 0
    node.steer(make_chain("wall", "look", end=end))
    assert node.ping("client", far) == 4
    assert node.count() == {f"c0s{step}_{way}": 4 for step in (1, 2) for way in ("out", "back")}
    assert node.ping("far", address(INSIDE, 10)) == 4
    node.steer(make_chain("wall", "look", end=end, symmetric=False))
    assert node.ping("client", far) == 4
    assert node.count() == {"c0s1_out": 4, "c0s2_out": 4}


@pytest.mark.parametrize(("sender", "start"), [("client", FROM_INSIDE), ("desk", FROM_LAN)])
def test_a_change_while_packets_flow_loses_none(node: Node, sender: str, start: ChainEnd):
    steps = (("wall", "look", "store"), ("wall", "store"), ("look",), (), ("wall", "look", "store"))
    node.steer()
    log = node.folder / "ping"
    words: list[str | Path] = ["busybox", "ping", "-i", "0.02", "-c", "150", "-W", "1", BEYOND[0]]
    pinging = node.places[sender].popen(words, log)
    time.sleep(0.2)  # pings before the first change
    with node.flow(3, rate=20e6, sender=sender) as flow:
        for through in steps:
            time.sleep(0.35)  # packets between two changes
            node.steer(*(make_chain(*through, start=start) for _ in through[:1]))
    pinging.wait(30)
    found = re.search(r"(\d+) packets transmitted, (\d+) packets received", log.read_text())
    assert found is not None
    sent, received = int(found[1]), int(found[2])
    print(f"five changes under ping and TCP: {sent - received} of {sent} lost, {flow.rate / 1e6:.1f} of 20.0 Mbit/s")
    assert (sent, received) == (150, 150)
    assert flow.rate > 19e6


def test_rules_routes_and_tables_of_others_are_not_touched(node: Node):
    foreign = (
        f"ip rule add fwmark 7 lookup 77 priority {PRIORITY}",
        "ip rule add from 192.0.2.0/24 lookup 1397424144 priority 100",
        "ip route add 192.0.2.0/24 dev wan0 table 1397424144 proto 99",
        f"ip route add 192.0.2.0/25 dev wan0 table 77 proto {PROTOCOL}",
        "ip route add blackhole 192.0.2.128/25 table 77",
        "nft add table inet skerry_chains_not",
        "nft add table ip skerry_chains",
    )

    def list_foreign() -> list[str]:
        kept: list[str] = []
        for family in ("-4", "-6"):
            kept += node.node.run("ip", family, "rule").splitlines()
            kept += node.node.run("ip", family, "route", "show", "table", "all").splitlines()
        kept += node.node.run("nft", "list", "ruleset").splitlines()
        return [line for line in kept if not re.search(r"\bexpires\b", line)]

    for line in foreign:
        node.node.run(*line.split())
    try:
        before = list_foreign()
        node.steer(make_chain())
        node.steer(make_chain("wall"), down={"wall"})
        node.steer()
        assert list_foreign() == before
    finally:
        for line in reversed(foreign):
            words = line.replace(" add ", " delete ").split()
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                node.node.run(*words)


def test_what_a_killed_agent_left_by_half_is_made_whole(node: Node):
    node.steer(make_chain())
    node.node.run("ip", "rule", "delete", "priority", PRIORITY)
    node.node.run("nft", "delete", "table", "inet", TABLE)
    node.driver = ChainsDriver(node.run)
    assert node.apply() is not None
    assert node.apply() is None
    assert node.ping() == 4
    assert node.count()["c0s3_out"] == 4
    node.node.run("ip", "rule", "add", "fwmark", "1397489000", "lookup", "1397489000", "protocol", PROTOCOL)
    node.driver = ChainsDriver(node.run)
    assert node.apply() is not None
    assert "1397489000" not in node.node.run("ip", "rule")


def test_throughput_beside_the_bare_path(node: Node):
    rates: dict[str, list[float]] = {"bare": [], "three steps": []}
    for _ in range(TURNS):
        for path, chains in (("bare", ()), ("three steps", (make_chain(),))):
            node.steer(*chains)
            with node.flow(FLOW_S) as flow:
                pass
            rates[path].append(flow.rate / 1e9)
    for path, found in rates.items():
        print(
            f"{path}: median {sorted(found)[TURNS // 2]:.2f} Gbit/s, turns {', '.join(f'{one:.2f}' for one in found)}"
        )
    # One machine's processors do all of it: each step is two more passes through the node and one through itself.
    assert max(rates["three steps"]) > max(rates["bare"]) / 10
