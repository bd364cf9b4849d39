"""The isolation matrix: packets from every network of every tenant at every site to every address, on namespaces.

Two nodes have the product's own firewall table. The wires between them bear the names of its tunnels, so what a tunnel
lets through is left to the table alone, as if the other end were in wrong hands; the tunnels' own bounds are tested in
``test_overlay.py``. What arrives is seen in the namespaces of instances and nodes: no answer is asked for.
"""

import contextlib
import ipaddress
import itertools
import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.e2e.lab import CHECKOUT

from skerry.berths.namespaces import Place, hold_folder, release_folder
from skerry.drivers.networks import build_table
from skerry.model.document import NetworkPart
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.network import bridge_name, part_ranges
from skerry.plan.actions import ApplyRules, AppRules
from skerry.plan.networks import rules_digest

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
            self._give(node, "lo", NODES[site], (32, 128))
            for end in (each for each in ENDS if each.site == site and not each.copy):
                node.run("ip", "link", "add", end.bridge, "type", "bridge")
                self._give(node, end.bridge, end.gateways, (26 if end.network == "mesh" else 24, 64))
        for end, place in self.places.items():
            node = self.nodes[end.site]
            self._cable(place, "eth0", node, end.name)
            node.run("ip", "link", "set", end.name, "master", end.bridge, "up")
            self._give(place, "eth0", end.addresses, (26 if end.network == "mesh" else 24, 64))
            for family, gateway in zip(("-4", "-6"), end.gateways, strict=True):
                place.run("ip", family, "route", "add", "default", "via", gateway)
        self._cable(self.nodes[1], "skw0", self.nodes[2], "skw0")
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

    def _cable(self, one: Place, near: str, other: Place, far: str) -> None:
        one.run("ip", "link", "add", "dev", near, "type", "veth", "peer", "name", "peer-end")
        words = ["nsenter", f"--net={one.net}", "ip", "link", "set", "dev", "peer-end", "netns", str(other.net)]
        subprocess.run(words, check=True, capture_output=True)
        other.run("ip", "link", "set", "dev", "peer-end", "name", far)

    @staticmethod
    def _give(place: Place, device: str, addresses: tuple[str, str], bits: tuple[int, int]) -> None:
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


def make_rules(site: int) -> ApplyRules:
    """Return what a node of the site has in force: a row for each network there."""
    networks: list[AppRules] = []
    for tenant, network in itertools.product(TENANTS, NETWORKS):
        own, others = (tuple(map(str, ranges(tenant, network, each))) for each in (site, 3 - site))
        reach = (own, others) if network == "mesh" else ((), ())
        networks.append(AppRules(TenantName(tenant), APP, NetworkName(network), network == "shut", *reach))
    rules = tuple(sorted(networks))
    return ApplyRules(networks=rules, digest=rules_digest(rules))


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
