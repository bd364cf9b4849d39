"""A network over two sites against wireguard-go by hand, between the same namespaces: bytes a second, and their cost.

Two nodes with a cable between and an instance behind a bridge at each. For the one half of the runs the product's own
drivers make tunnels, the firewall table, the counters and the guards of the links; for the other half all of that is
taken away and ``wireguard-go`` and ``wg`` are used as their manuals say. Runs take turns, so that what else the machine
does falls on both.
"""

import asyncio
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from typing import Any, NamedTuple

from bench.rows import make_row, read_cpu_s
from tests.contract import overlay
from tests.e2e.lab import CHECKOUT
from tests.e2e.overlay_probe import RealRig

from skerry.berths.namespaces import Place, hold_folder, release_folder
from skerry.drivers.base import run_program
from skerry.drivers.flows import FlowsDriver, Run
from skerry.drivers.networks import TABLE, build_table
from skerry.drivers.wires import GUARDS, build_guards, end_name
from skerry.model.ids import Digest
from skerry.model.network import TUNNEL_MTU, bridge_name, part_ranges
from skerry.plan.actions import ApplyFlows, ApplyRules, AppRules, Link
from skerry.plan.addresses import choose_mac
from skerry.plan.networks import rules_digest

OUTER = ("192.0.2.1", "192.0.2.2")
PORT = 5001
#: Of each way; each run is long beside the handshake and TCP's beginning.
RUNS, RUN_S = 10, 3.0
CONTAINER = "c" * 64
BY_HAND = "byhand"
BY_HAND_PORT = 51900
DIGEST = Digest("sha256:" + "0" * 64)
NODES = (0, 1)
PART = overlay.PARTS[0]
BRIDGE = bridge_name(PART.tenant, PART.app, PART.network)
END = end_name(CONTAINER, PART.network)


class Carried(NamedTuple):
    """What one run carried, and what it cost all processes of ours."""

    bytes: int
    seconds: float
    cpu_s: float

    @property
    def megabit_s(self) -> float:
        """Payload, not packets."""
        return self.bytes * 8 / self.seconds / 1e6

    @property
    def cpu_s_per_gb(self) -> float:
        """Seconds of processor for 1,000,000,000 bytes."""
        return self.cpu_s / (self.bytes / 1e9)


class Cable:
    """Two nodes, and an instance behind each."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.nodes = [Place(folder / "ns", f"node{node}", folder / f"node{node}") for node in NODES]
        self.instances = [Place(folder / "ns", f"inst{node}", folder / f"inst{node}") for node in NODES]
        enters = [("nsenter", f"--net={node.net}", f"--mount={node.mnt}", "--") for node in self.nodes]
        self.rig = RealRig(folder / "rig", enters, OUTER)
        self.keys: list[bytes] = []

    @property
    def all(self) -> list[Place]:
        """Nodes and instances."""
        return [*self.nodes, *self.instances]

    def build(self) -> None:
        """Make everything but tunnels and rules."""
        for place in self.all:
            place.disk.mkdir()
            place.create()
        _join(self.nodes[0], "wan0", self.nodes[1], "wan0")
        for node, (place, instance) in enumerate(zip(self.nodes, self.instances, strict=True)):
            place.run("mount", "-t", "tmpfs", "none", "/run")
            place.run("ip", "address", "add", f"{OUTER[node]}/24", "dev", "wan0")
            place.run("ip", "link", "set", "dev", "wan0", "up")
            place.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            place.run("ip", "link", "add", BRIDGE, "mtu", TUNNEL_MTU, "type", "bridge")
            place.run("ip", "address", "add", f"{_gateway(node)}/26", "dev", BRIDGE)
            place.run("ip", "link", "set", "dev", BRIDGE, "up")
            _join(instance, "eth0", place, END)
            place.run("ip", "link", "set", "dev", END, "mtu", TUNNEL_MTU, "master", BRIDGE, "up")
            words = ("mtu", TUNNEL_MTU, "address", _link(node).mac)
            instance.run("ip", "link", "set", "dev", "eth0", *words, "up")
            instance.run("ip", "address", "add", f"{_address(node)}/26", "dev", "eth0")
            instance.run("ip", "route", "add", "default", "via", _gateway(node))

    async def use_ours(self) -> None:
        """Let the product's drivers make everything that they make between two sites."""
        if not self.keys:
            self.keys = await overlay.connect(self.rig)
        for node, place in enumerate(self.nodes):
            await overlay.do(self.rig, node, overlay.apply(overlay.tunnel(self.rig, node, self.keys[1 - node])))
            rules = (AppRules(PART.tenant, PART.app, PART.network, False, *_reach(node)),)
            _nft(place, build_table(ApplyRules(networks=rules, digest=rules_digest(rules))))
            _nft(place, build_guards(CONTAINER, (_link(node),)))
            counted = ApplyFlows(bridges=(BRIDGE,), devices=("wan0",), ports=(51820, 51823), digest=DIGEST)
            outcome = await FlowsDriver(_entering(place)).perform(counted)
            assert outcome.ok, outcome

    async def end_ours(self) -> None:
        """Take all of that away."""
        for node, place in enumerate(self.nodes):
            await overlay.do(self.rig, node, overlay.apply())
            for table in (f"inet {TABLE}", f"netdev {GUARDS}", "inet skerry_flows"):
                place.run("nft", "delete", "table", *table.split())

    def use_by_hand(self) -> None:
        """Make a tunnel as its manual says."""
        keys: list[str] = []
        for node, place in enumerate(self.nodes):
            if not (self.folder / f"{node}.key").exists():
                secret = place.run("wg", "genkey")
                (self.folder / f"{node}.key").write_text(secret)
            words = f"wg pubkey < {self.folder / f'{node}.key'}"
            keys.append(place.run("sh", "-c", words).strip())
        for node, place in enumerate(self.nodes):
            place.run("setsid", "wireguard-go", BY_HAND)
            peer = ("peer", keys[1 - node], "endpoint", f"{OUTER[1 - node]}:{BY_HAND_PORT}")
            own = ("listen-port", BY_HAND_PORT, "private-key", self.folder / f"{node}.key")
            place.run("wg", "set", BY_HAND, *own, *peer, "allowed-ips", _range(1 - node))
            place.run("ip", "link", "set", "dev", BY_HAND, "mtu", TUNNEL_MTU, "up")
            place.run("ip", "route", "replace", _range(1 - node), "dev", BY_HAND)

    def end_by_hand(self) -> None:
        """Delete the links; their processes end with them."""
        for place in self.nodes:
            place.run("ip", "link", "delete", "dev", BY_HAND)

    def carry(self) -> Carried:
        """Let one instance send to the other."""
        _await_way(self.instances[0], _address(1))
        tunnels = [pid for node in self.nodes for pid in node.pids() if _name(pid) == "wireguard-go"]
        before = sum(map(read_cpu_s, tunnels))
        script = CHECKOUT / "bench" / "bulk.py"
        hearing = self.instances[1].argv(sys.executable, script, "hear", _address(1), PORT)
        sending = self.instances[0].argv(sys.executable, script, "send", _address(1), PORT, RUN_S)
        with subprocess.Popen(hearing, stdout=subprocess.PIPE, text=True) as hearer:
            assert hearer.stdout is not None
            try:
                hearer.stdout.readline()
                done = subprocess.run(sending, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
                sent, heard = json.loads(done.stdout), json.loads(hearer.communicate(timeout=60)[0])
            finally:
                hearer.kill()
        cpu_s = sum(map(read_cpu_s, tunnels)) - before + sent["cpu_s"] + heard["cpu_s"]
        return Carried(heard["bytes"], heard["seconds"], cpu_s)


def _join(one: Place, near: str, other: Place, far: str) -> None:
    one.run("ip", "link", "add", "dev", near, "type", "veth", "peer", "name", "peer-end")
    # From outside of both places, where the files of both namespaces are seen.
    words = ["nsenter", f"--net={one.net}", "ip", "link", "set", "dev", "peer-end", "netns", str(other.net)]
    subprocess.run(words, check=True, capture_output=True)
    other.run("ip", "link", "set", "dev", "peer-end", "name", far)


def _nft(place: Place, text: str) -> None:
    subprocess.run(place.argv("nft", "-f", "-"), input=text.encode(), check=True, capture_output=True)


def _entering(place: Place) -> Run:
    async def run(*words: str, given: bytes = b"") -> tuple[int, bytes]:
        return await run_program(*place.argv(*words), given=given)

    return run


def _await_way(place: Place, target: str) -> None:
    """Wait until a packet comes back: the tunnel's first handshake needs two."""
    for _ in range(20):
        with contextlib.suppress(OSError):
            place.run("busybox", "ping", "-c", "1", "-W", "1", target)
            return
        time.sleep(0.2)  # a handshake that was lost is tried again by itself
    raise OSError(f"no packet reaches {target}")


def _range(node: int) -> str:
    return str(part_ranges(overlay.PARTS[node]).v4)


def _gateway(node: int) -> str:
    return str(part_ranges(overlay.PARTS[node]).v4[1])


def _address(node: int) -> str:
    return str(part_ranges(overlay.PARTS[node]).v4[2])


def _link(node: int) -> Link:
    """The instance's place in the network, as the planner would give it."""
    address = f"{_address(node)}/26"
    mac = choose_mac(BRIDGE, f"{node}")
    return Link(network=PART.network, device="eth0", mac=mac, addresses=(address,), gateways=(_gateway(node),))


def _reach(node: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    own, other = (part_ranges(overlay.PARTS[each]) for each in (node, 1 - node))
    return (str(own.v4), str(own.v6)), (str(other.v4), str(other.v6))


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


@contextlib.contextmanager
def _cable() -> Generator[Cable]:
    with tempfile.TemporaryDirectory(prefix="skerry-bench-", dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        hold_folder(folder / "ns")
        cable = Cable(folder)
        try:
            cable.build()
            yield cable
        finally:
            for place in cable.all:
                place.destroy()
            release_folder(folder / "ns")


async def carry_in_turns(cable: Cable) -> tuple[list[Carried], list[Carried]]:
    """Carry by ours and by hand in turns."""
    ours: list[Carried] = []
    bare: list[Carried] = []
    for turn in range(RUNS):
        # Each goes first as often as the other.
        for is_ours in (turn % 2 == 0, turn % 2 == 1):
            if is_ours:
                await cable.use_ours()
                ours.append(cable.carry())
                await cable.end_ours()
            else:
                cable.use_by_hand()
                bare.append(cable.carry())
                cable.end_by_hand()
    return ours, bare


def measure() -> Iterable[dict[str, Any]]:
    """Measure both ways; give their rows."""
    with _cable() as cable:
        ours, bare = asyncio.run(carry_in_turns(cable))
    yield from weigh(ours, bare)


def weigh(ours: list[Carried], bare: list[Carried]) -> Iterable[dict[str, Any]]:
    """Compare medians; the goal of throughput is nine tenths of what wireguard-go carries by itself."""
    speeds = [statistics.median(each.megabit_s for each in runs) for runs in (ours, bare)]
    costs = [statistics.median(each.cpu_s_per_gb for each in runs) for runs in (ours, bare)]
    what = (
        f"instance to instance over two sites, median of {len(ours)} runs in turns; wireguard-go by hand between the "
        "same instances is the baseline, nine tenths of it the goal"
    )
    yield make_row("overlay", what, speeds[0], "Mbit/s", 0.9 * speeds[1], baseline=speeds[1], is_floor=True)
    what = "processor for a gigabyte of it: tunnels at both ends, sender and receiver"
    yield make_row("overlay-cpu", what, costs[0], "CPU-s/GB", costs[1] / 0.9, baseline=costs[1])
