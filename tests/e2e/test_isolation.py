"""The isolation matrix: packets from every network of every tenant at every site to every address, on namespaces.

Two nodes have the product's own firewall table. The wires between them bear the names of its tunnels, so what a tunnel
lets through is left to the table alone, as if the other end were in wrong hands; the tunnels' own bounds are tested in
``test_overlay.py``. What arrives is seen in the namespaces of instances and nodes: no answer is asked for.
"""

import asyncio
import contextlib
import ipaddress
import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from tests.e2e.lab import CHECKOUT

from skerry.berths.namespaces import Place, hold_folder, inside_net, release_folder
from skerry.clock import SystemClock
from skerry.drivers.base import run_program
from skerry.drivers.entrance import EntranceDriver
from skerry.drivers.networks import build_table
from skerry.model.document import NetworkPart
from skerry.model.ids import AppName, Digest, NetworkName, TenantName
from skerry.model.network import bridge_name, part_ranges
from skerry.plan.actions import ApplyEntrance, ApplyRules, AppRules, Datagrams, Server
from skerry.plan.entrance import entrance_digest
from skerry.plan.networks import rules_digest
from skerry.safe.paths import RealDirectory

pytestmark = pytest.mark.e2e

APP = AppName("shop")
#: Networks of each tenant at each site: one over both sites, one of the site alone, and one without a way out.
TENANTS = ("alpha", "beta")
NETWORKS = ("mesh", "plain", "shut")
SITES = (1, 2)
_PEER = CHECKOUT / "tests" / "e2e" / "isolation_peer.py"
PROTOCOLS = ("tcp", "udp", "icmp")
#: Addresses of the nodes themselves.
NODES = {1: ("198.51.100.1", "2001:db8::1"), 2: ("198.51.100.2", "2001:db8::2")}


class End(NamedTuple):
    """An instance: whose, in which network, at which site, and which of its copies."""

    tenant: str
    network: str
    site: int
    copy: int = 0

    @property
    def name(self) -> str:
        return f"{self.tenant[0]}{self.network[0]}{self.site}{self.copy}"

    @property
    def room(self) -> tuple[str, str, int]:
        """Network and site; those over both sites are one."""
        return self.tenant, self.network, 0 if self.network == "mesh" else self.site

    @property
    def addresses(self) -> tuple[str, str]:
        return tuple(str(each[2 + self.copy]) for each in ranges(self.tenant, self.network, self.site))  # type: ignore[return-value]

    @property
    def gateways(self) -> tuple[str, str]:
        return tuple(str(each[1]) for each in ranges(self.tenant, self.network, self.site))  # type: ignore[return-value]

    @property
    def bridge(self) -> str:
        return bridge_name(self.tenant, APP, self.network)


#: One instance in every network of everybody everywhere, and one network with two.
ENDS = (*(End(*each) for each in itertools.product(TENANTS, NETWORKS, SITES)), End("alpha", "plain", 1, 1))


def ranges(tenant: str, network: str, site: int) -> tuple[ipaddress.IPv4Network, ipaddress.IPv6Network]:
    number = 10 * TENANTS.index(tenant) + 2 * NETWORKS.index(network) + site
    if network == "mesh":
        found = part_ranges(NetworkPart(TenantName(tenant), APP, NetworkName(network), number))
        return found.v4, found.v6
    return ipaddress.IPv4Network(f"10.180.{number}.0/24"), ipaddress.IPv6Network(f"fd00:0:0:{number}::/64")


class Sea:
    """Two nodes, an instance in each network at each, and a wire that is called as tunnels are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes = {site: Place(folder / "ns", f"node{site}", folder / f"node{site}") for site in SITES}
        self.places = {end: Place(folder / "ns", end.name, folder / end.name) for end in ENDS}

    @property
    def all(self) -> list[Place]:
        return [*self.nodes.values(), *self.places.values()]

    def build(self) -> None:
        for place in self.all:
            place.disk.mkdir()
            place.create()
        for site, node in self.nodes.items():
            words = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"
            node.run("sh", "-c", words)
            self.give(node, "lo", NODES[site], (32, 128))
            for end in (each for each in ENDS if each.site == site and not each.copy):
                node.run("ip", "link", "add", end.bridge, "type", "bridge")
                self.give(node, end.bridge, end.gateways, (26 if end.network == "mesh" else 24, 64))
        for end, place in self.places.items():
            node = self.nodes[end.site]
            self.cable(place, "eth0", node, end.name)
            node.run("ip", "link", "set", end.name, "master", end.bridge, "up")
            self.give(place, "eth0", end.addresses, (26 if end.network == "mesh" else 24, 64))
            for family, gateway in zip(("-4", "-6"), end.gateways, strict=True):
                place.run("ip", family, "route", "add", "default", "via", gateway)
        self.cable(self.nodes[1], "skw0", self.nodes[2], "skw0")
        for site, node in self.nodes.items():
            node.run("ip", "link", "set", "skw0", "address", f"02:00:00:00:00:0{site}", "up")
            near, far = (f"169.254.217.{each}" for each in (site, 3 - site))
            node.run("ip", "address", "add", f"{near}/24", "dev", "skw0")
            node.run("ip", "address", "add", f"fe80::{site}/64", "dev", "skw0", "nodad")
            # A tunnel has no neighbours to look for, and what looks for them is dropped.
            other = ("lladdr", f"02:00:00:00:00:0{3 - site}", "dev", "skw0")
            node.run("ip", "neighbour", "add", f"fe80::{3 - site}", *other)
            # Everything of the other site, not only what a tunnel would lead there: the table alone is in the way.
            for end in (each for each in ENDS if each.site != site):
                v4, v6 = ranges(end.tenant, end.network, end.site)
                node.run("ip", "-4", "route", "replace", str(v4), "via", far, "dev", "skw0")
                node.run("ip", "-6", "route", "replace", str(v6), "via", f"fe80::{3 - site}", "dev", "skw0")
            words = node.argv("nft", "-f", "-")
            subprocess.run(words, input=build_table(make_rules(site)).encode(), check=True, capture_output=True)

    def cable(self, one: Place, near: str, other: Place, far: str) -> None:
        one.run("ip", "link", "add", "dev", near, "type", "veth", "peer", "name", "peer-end")
        words = ["nsenter", f"--net={one.net}", "ip", "link", "set", "dev", "peer-end", "netns", str(other.net)]
        subprocess.run(words, check=True, capture_output=True)
        other.run("ip", "link", "set", "dev", "peer-end", "name", far)

    @staticmethod
    def give(place: Place, device: str, addresses: tuple[str, str], bits: tuple[int, int]) -> None:
        place.run("ip", "address", "add", f"{addresses[0]}/{bits[0]}", "dev", device)
        place.run("ip", "address", "add", f"{addresses[1]}/{bits[1]}", "dev", device, "nodad")
        place.run("ip", "link", "set", "dev", device, "up")

    def send(self, wishes: Mapping[End, list[tuple[str, str, str, str]]]) -> dict[str, set[tuple[str, ...]]]:
        """Let ends send packets; return what was seen where, by the name of the place."""
        with contextlib.ExitStack() as stack:
            seers = {place.name: stack.enter_context(self._watch(place)) for place in self.all}
            for end, packets in wishes.items():
                words = self.places[end].argv(sys.executable, _PEER, "send")
                # Twice: the first packet to a neighbour may be lost while it is looked for.
                for _ in range(2):
                    subprocess.run(words, input=json.dumps(packets), text=True, check=True)
            answers = {name: json.loads(seer.communicate(timeout=20)[0]) for name, seer in seers.items()}
            return {name: {tuple(each) for each in packets} for name, packets in answers.items()}

    @contextlib.contextmanager
    def _watch(self, place: Place) -> Generator[subprocess.Popen[str]]:
        # A node drops what is on its wires already; what counts is what gets behind its table.
        verb = "hear" if place.name.startswith("node") else "see"
        words = place.argv(sys.executable, _PEER, verb)
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as seer:
            try:
                assert seer.stdout is not None
                assert seer.stdout.readline() == "ready\n"
                yield seer
            finally:
                seer.kill()


def make_rules(site: int, doors: tuple[int, ...] = ()) -> ApplyRules:
    """Return what a node of the site has in force: a row for each network there; ``doors`` are of the first one."""
    networks: list[AppRules] = []
    for tenant, network in itertools.product(TENANTS, NETWORKS):
        own, others = (tuple(map(str, ranges(tenant, network, each))) for each in (site, 3 - site))
        reach = (own, others) if network == "mesh" else ((), ())
        rules = AppRules(TenantName(tenant), APP, NetworkName(network), network == "shut", *reach)
        networks.append(msgspec.structs.replace(rules, doors=doors) if not networks else rules)
    ordered = tuple(sorted(networks))
    return ApplyRules(networks=ordered, digest=rules_digest(ordered))


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Generator[Sea]:
    folder = tmp_path_factory.mktemp("isolation")
    hold_folder(folder / "ns")
    found = Sea(folder)
    try:
        found.build()
        yield found
    finally:
        for place in found.all:
            place.destroy()
        release_folder(folder / "ns")


def list_targets(end: End) -> Iterator[tuple[str, str]]:
    """Give every address but its own that an end could wish to reach, with the name of the place that has it."""
    for other in ENDS:
        if other != end:
            yield from ((each, other.name) for each in other.addresses)
        if not other.copy:
            yield from ((each, f"node{other.site}") for each in other.gateways)
    for site, addresses in NODES.items():
        yield from ((each, f"node{site}") for each in addresses)


def is_open(end: End, target: str, protocol: str) -> bool:
    """Say whether such a packet may arrive: within one network, and at its gateway elsewhere a question for life."""
    for other in ENDS:
        if target in other.addresses:
            return other.room == end.room
        if target in other.gateways and other.room == end.room:
            return other.site != end.site and protocol == "icmp"
    return False


def test_no_packet_passes_but_within_one_network(sea: Sea):
    wishes = {
        end: [(protocol, "", target, end.name) for target, _ in list_targets(end) for protocol in PROTOCOLS]
        for end in ENDS
    }
    assert sum(map(len, wishes.values())) == len(ENDS) * (2 * (len(ENDS) - 1) + 2 * 12 + 4) * len(PROTOCOLS)
    expected: dict[str, set[tuple[str, ...]]] = {place.name: set() for place in sea.all}
    for end in ENDS:
        for target, place in list_targets(end):
            source = end.addresses[":" in target]
            for protocol in PROTOCOLS:
                if is_open(end, target, protocol):
                    heard_at = "" if place.startswith("node") else target
                    expected[place].add((protocol, source, heard_at, "" if protocol == "tcp" else end.name))
    # What is open is there, in both families: eight pairs of ends, and the gateways of parts at the other site.
    assert sum(map(len, expected.values())) == (2 * 2 + 2) * 2 * len(PROTOCOLS) + 4 * 2
    seen = sea.send(wishes)
    for name, packets in seen.items():
        own = next((end.addresses for end in ENDS if end.name == name), ("",))
        assert {each for each in packets if each[2] in own} == expected[name], name


def test_nobody_speaks_by_an_address_of_another_network(sea: Sea):
    wishes: dict[End, list[tuple[str, str, str, str]]] = {}
    for end in ENDS:
        strangers = [other for other in ENDS if other.bridge != end.bridge or other.site != end.site]
        wishes[end] = [
            ("udp", stranger.addresses[six], target.addresses[six], end.name)
            for stranger in strangers
            for target in ENDS
            if target != end and target.room != end.room
            for six in (0, 1)
        ]
    seen = sea.send(wishes)
    for end in ENDS:
        foreign = {each for each in seen[end.name] if each[2] in end.addresses}
        assert foreign == set(), end


#: Answers each datagram with its own name and whom it seems to come from, at the port where every end listens.
ECHO = """
import socket, sys
name, *addresses = sys.argv[1:]
ends = []
for address in addresses:
    end = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    end.bind((address, 7000))
    ends.append(end)
print("ready", flush=True)
import select
while True:
    for end in select.select(ends, [], [])[0]:
        _, source = end.recvfrom(64)
        end.sendto(f"{name} {source[0]}".encode(), source)
"""
#: Where people come from, and the node's own addresses there.
OUTSIDE = (("203.0.113.1", "203.0.113.2"), ("2001:db8:1::1", "2001:db8:1::2"))
DOOR = 5353


class Outside:
    """Somebody beyond the first site's node, who keeps his socket, and copies that answer."""

    def __init__(self, sea: Sea, folder: Path) -> None:
        self.sea, self.node = sea, sea.nodes[1]
        self.place = Place(sea.folder / "ns", "out", folder)
        (folder / "state").mkdir()
        state = RealDirectory.open_root(folder / "state")
        self.driver = EntranceDriver(folder / "run", state, bytes.fromhex, SystemClock(), self._run)

    async def _run(self, *words: str, given: bytes = b"") -> tuple[int, bytes]:
        return await run_program(*self.node.argv(*words), given=given)

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        self.place.create()
        try:
            self.sea.cable(self.place, "eth0", self.node, "out")
            for number, place, device in ((0, self.node, "out"), (1, self.place, "eth0")):
                self.sea.give(place, device, (OUTSIDE[0][number], OUTSIDE[1][number]), (24, 64))
            for family, (gateway, _) in zip(("-4", "-6"), OUTSIDE, strict=True):
                self.place.run("ip", family, "route", "add", "default", "via", gateway)
            yield
        finally:
            self.place.destroy()

    @contextlib.contextmanager
    def serve(self, end: End) -> Generator[None]:
        words = self.sea.places[end].argv(sys.executable, "-c", ECHO, end.name, *end.addresses)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as echo:
            assert echo.stdout is not None
            assert echo.stdout.readline() == "ready\n"
            try:
                yield
            finally:
                echo.kill()

    def knock(self, address: str, port: int = DOOR) -> socket.socket:
        with inside_net(self.place.net):
            opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.settimeout(1)
        opened.connect((address, port))
        return opened

    def lead(self, *ends: tuple[End, int], doors: tuple[int, ...] = (7000,)) -> None:
        """Have the node lead people to these, each with its rank; the firewall lets them into the first network."""
        table = build_table(make_rules(1, doors)).encode()
        subprocess.run(self.node.argv("nft", "-f", "-"), input=table, check=True, capture_output=True)
        sources = [str(each[1]) for each in ranges("alpha", "mesh", 1)]
        servers = tuple(
            Server(name=f"{end.name}{six}", address=address, port=7000, rank=rank, source=sources[six] if rank else "")
            for end, rank in ends
            for six, address in enumerate(end.addresses)
        )
        action = ApplyEntrance(
            datagrams=(Datagrams(port=DOOR, holder="a/shop/web", servers=servers),), digest=Digest("")
        )
        action = msgspec.structs.replace(action, digest=entrance_digest(action))
        outcome = asyncio.run(self.driver.perform(action))
        assert outcome.ok, outcome


def say(opened: socket.socket) -> str:
    """Send a datagram; return what is answered, empty for nothing."""
    try:
        opened.send(b"?")
        return opened.recv(64).decode()
    except OSError:
        return ""


def test_people_are_led_to_another_site_while_none_of_this_one_has_a_copy(sea: Sea, tmp_path: Path):
    near, far, stranger = End("alpha", "mesh", 1), End("alpha", "mesh", 2), End("beta", "mesh", 2)
    outside = Outside(sea, tmp_path)
    with (
        outside.open(),
        outside.serve(near),
        outside.serve(far),
        outside.serve(stranger),
        contextlib.ExitStack() as stack,
    ):
        people = [stack.enter_context(outside.knock(own)) for own, _ in OUTSIDE]
        # Who they are is kept where they are seen; at the other site the node speaks for them.
        here = [f"{near.name} {mine}" for _, mine in OUTSIDE]
        there = [f"{far.name} {gateway}" for gateway in near.gateways]
        for expected, ends in ((here, [(near, 0), (far, 1)]), (there, [(far, 1)]), (here, [(near, 0), (far, 1)])):
            outside.lead(*ends)
            for _ in range(2):
                assert [say(each) for each in people] == expected
        outside.lead((far, 1), doors=())
        assert [say(each) for each in people] == ["", ""]
        outside.lead((stranger, 1))
        assert [say(each) for each in people] == ["", ""]
        outside.lead((far, 1))
        assert [say(each) for each in people] == there
        # Nobody gets there by himself, nor an instance by the node's own door.
        for address in far.addresses:
            assert say(stack.enter_context(outside.knock(address, 7000))) == ""
        for end in (near, End("beta", "plain", 1)):
            for own, _ in OUTSIDE:
                with inside_net(sea.places[end].net):
                    opened = socket.socket(socket.AF_INET6 if ":" in own else socket.AF_INET, socket.SOCK_DGRAM)
                opened.settimeout(0.3)
                opened.connect((own, DOOR))
                assert say(stack.enter_context(opened)) == "", (end, own)
