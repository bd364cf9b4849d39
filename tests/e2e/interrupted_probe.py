"""An agent that is killed after each of its commands, and the one after it: prints JSON of what was wrong.

Started in a place of its own with ``interrupted_probe FOLDER``. An *agent* here is a process with the real drivers that
looks, compares as the planners do, and performs what is not as wished: it makes everything that Skerry has at a node's
network, or takes it away. Its programs are found through wrappers that count what changes something and kill the agent
with SIGKILL before or after the one that is asked for. Then comes an agent that nobody kills, and what is there after
it is what is there when nobody was ever killed: nothing is missing, nothing doubled, nothing left, nothing of others
touched. Once it has the same wish, and once the wish was withdrawn meanwhile.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from skerry.clock import SystemClock, SystemMint, pause
from skerry.drivers import wires
from skerry.drivers.base import Driver
from skerry.drivers.chains import ChainsDriver
from skerry.drivers.entrance import EntranceDriver
from skerry.drivers.flows import FlowsDriver
from skerry.drivers.names import NamesDriver
from skerry.drivers.networks import NetworksDriver
from skerry.drivers.overlay import OverlayDriver
from skerry.drivers.queues import QueuesDriver
from skerry.drivers.translation import TranslationDriver
from skerry.keys.overlay import OverlayKeys
from skerry.model.app import Subnet
from skerry.model.ids import AppName, Digest, NetworkName, NodeName, ServiceName, SiteName, TenantName, digest_of
from skerry.model.instance import InstanceSpec
from skerry.model.network import bridge_name
from skerry.model.observed import ChainHop, Observation
from skerry.plan.actions import (
    Action,
    ApplyChains,
    ApplyEntrance,
    ApplyFlows,
    ApplyNames,
    ApplyOverlay,
    ApplyQueues,
    ApplyRules,
    ApplyTranslation,
    AppRules,
    Backend,
    Cap,
    CreateNetwork,
    Datagrams,
    Link,
    Listener,
    MakeOverlayKey,
    Named,
    OpenPort,
    Outcome,
    QueueClass,
    Server,
    Steer,
    Tunnel,
    UplinkQueue,
    WayOut,
    Zone,
)
from skerry.plan.chain_marks import HOPS
from skerry.plan.chains import chains_digest
from skerry.plan.entrance import entrance_digest
from skerry.plan.names import names_digest
from skerry.plan.networks import rules_digest
from skerry.plan.overlay import overlay_digest
from skerry.safe.paths import RealDirectory
from skerry.trust.keys import SigningKey

WHOSE = TenantName("alpha"), AppName("shop"), NetworkName("front")
BRIDGE = bridge_name(*WHOSE)
NET, GATEWAY, ADDRESS = "10.176.7.0/24", "10.176.7.1", "10.176.7.2"
NET_V6, GATEWAY_V6, ADDRESS_V6 = "fd00:7::/64", "fd00:7::1", "fd00:7::2"
UPLINK, DEVICE = "up0", "eth0"
CONTAINER, MAC = "c" * 64, "02:5c:00:00:00:02"
PROGRAMS = ("ip", "nft", "tc", "wg", "setsid", "setpriv", "haproxy", "conntrack", "tee")
WRAPPER = """#!/bin/sh
case " $* " in *" list "*|*" show "*|*" -json "*) exec {program} "$@";; esac
count=$(($(cat {folder}/count) + 1))
echo $count > {folder}/count
if [ "$count" = "$(cat {folder}/before)" ]; then kill -KILL "$(cat {folder}/agent)"; exit 1; fi
{program} "$@"
code=$?
if [ "$count" = "$(cat {folder}/after)" ]; then kill -KILL "$(cat {folder}/agent)"; fi
exit $code
"""
#: Of another program: a bridge, a pair of links, a table, a rule and a route.
FOREIGN = """
ip link add br-lan type bridge
ip address add 192.168.9.1/24 dev br-lan
ip link add lan0 type veth peer name lan1
ip link set lan0 master br-lan
ip link set br-lan up
ip link add up0 type veth peer name up1
ip address add 198.51.100.1/24 dev up0
ip link set up0 up
ip rule add priority 100 fwmark 7 lookup 100
ip route add unreachable 203.0.113.0/24 table 100
nft add table inet theirs
nft add chain inet theirs forward '{ type filter hook forward priority filter; policy accept; }'
nft add rule inet theirs forward ip saddr 192.168.9.0/24 accept
"""


def made_from(*parts: object) -> Digest:
    return digest_of(msgspec.json.encode(parts))


def list_wishes() -> tuple[Action, ...]:
    """Return everything that a node's network can have, in the order in which a plan has it."""
    networks = (AppRules(*WHOSE, False),)
    ways = (WayOut(*WHOSE, (NET, NET_V6)),)
    ports = (OpenPort("tcp", 8081, "", ADDRESS, 80),)
    hops = (ChainHop(HOPS, BRIDGE, ADDRESS),)
    steers = (Steer(bridge=BRIDGE, family="ip", sources=(NET,), mark=HOPS, counter="c0s1_out"),)
    classes = tuple(QueueClass(number, 10**6, 10**8, order) for order, number in enumerate((0x10, 0x20)))
    uplinks = (UplinkQueue(UPLINK, classes),)
    cap = Cap(
        number=0x123,
        tenant=WHOSE[0],
        app=WHOSE[1],
        networks=(WHOSE[2],),
        addresses=(ADDRESS,),
        up_bps=10**6,
        down_bps=10**6,
    )
    caps = (cap,)
    tunnels = (Tunnel(own=1, aside=False, site=SiteName("b"), key=b"k" * 32, endpoint="", ranges=("10.64.9.0/26",)),)
    tenant, app, network = WHOSE
    named = (Named("web", (ADDRESS,)),)
    zones = (Zone(tenant=tenant, app=app, network=network, gateways=(GATEWAY,), names=named),)
    servers = (Server(name="c1", address=ADDRESS, port=80),)
    door = ApplyEntrance(
        listeners=(Listener(port=2525, backend="b1", holder="alpha/shop/web"),),
        backends=(Backend(name="b1", mode="tcp", page="", servers=servers),),
        datagrams=(Datagrams(port=5353, holder="alpha/shop/web", servers=servers),),
        digest=Digest(""),
    )
    return (
        ApplyRules(networks=networks, digest=rules_digest(networks)),
        ApplyTranslation(networks=ways, ports=ports, digest=made_from(ways, ports)),
        ApplyChains(hops=hops, steers=steers, digest=chains_digest(hops, steers)),
        ApplyFlows(bridges=(BRIDGE,), devices=(UPLINK,), ports=(51820, 51823), digest=made_from(BRIDGE)),
        ApplyQueues(uplinks=uplinks, caps=caps, digest=made_from(uplinks, caps)),
        ApplyOverlay(tunnels=tunnels, digest=overlay_digest(tunnels)),
        ApplyNames(zones=zones, askers=(), questions=(), digest=names_digest(zones, (), ())),
        msgspec.structs.replace(door, digest=entrance_digest(door)),
    )


def list_nothing() -> tuple[Action, ...]:
    """Return the same where nothing is wished; a firewall table is always there."""
    return (
        ApplyEntrance(digest=Digest("")),
        ApplyNames(zones=(), askers=(), questions=(), digest=Digest("")),
        ApplyOverlay(tunnels=(), digest=Digest("")),
        ApplyQueues(uplinks=(), caps=(), digest=Digest("")),
        ApplyFlows(bridges=(), devices=(), ports=(0, 0), digest=Digest("")),
        ApplyChains(hops=(), steers=(), digest=chains_digest((), ())),
        ApplyTranslation(networks=(), ports=(), digest=made_from()),
        ApplyRules(networks=(), digest=rules_digest(())),
    )


def is_so(action: Action, seen: Observation) -> bool:
    """Compare as the planner of each does."""
    match action:
        case ApplyRules():
            return seen.rules == action.digest
        case ApplyTranslation():
            return seen.translation == action.digest
        case ApplyChains():
            assert seen.chains is not None
            idle = not (action.hops or action.steers)
            return (seen.chains.digest, seen.chains.hops) == ("" if idle else action.digest, action.hops)
        case ApplyFlows():
            return seen.flows is not None and seen.flows.digest == action.digest
        case ApplyQueues():
            assert seen.queues is not None
            devices = {UPLINK, BRIDGE} if action.uplinks else set[str]()
            return (seen.queues.digest, seen.queues.devices) == (action.digest, devices)
        case ApplyOverlay():
            return seen.overlay is not None and seen.overlay.digest == action.digest
        case ApplyNames():
            assert seen.names is not None
            return seen.names.digest == action.digest and not (seen.names.left and not action.zones)
        case ApplyEntrance():
            assert seen.entrance is not None
            return seen.entrance.digest == action.digest and not seen.entrance.left
        case _:
            raise AssertionError(action)


class Agent:
    """The drivers of one process."""

    def __init__(self, folder: Path) -> None:
        directory = RealDirectory.open_root
        clock, mint, whose = SystemClock(), SystemMint(), (SiteName("a"), NodeName("n1"))
        folder.mkdir(exist_ok=True)
        self.folder = folder
        (folder / "resolv.conf").touch()
        keys = OverlayKeys(directory(folder / "keys"), mint, SigningKey.from_seed(b"k" * 32), lambda: whose)
        self.overlay = OverlayDriver(keys, directory(folder / "overlay"), clock, 51820)
        drivers: list[Driver] = [
            NetworksDriver(no_addresses),
            TranslationDriver(),
            ChainsDriver(),
            FlowsDriver(),
            QueuesDriver(),
            self.overlay,
            NamesDriver(folder / "names", clock, mint, resolvers=folder / "resolv.conf"),
            EntranceDriver(folder / "entrance", directory(folder / "state"), bytes.fromhex, clock),
        ]
        self.drivers = {kind: driver for driver in drivers for kind in driver.performs}

    async def build(self) -> None:
        """Make what is missing: the bridge and the link of an instance as the runtime's driver does, then the rest."""
        network = CreateNetwork(
            tenant=WHOSE[0],
            app=WHOSE[1],
            name=WHOSE[2],
            internal=False,
            ranges=(Subnet(subnet=NET, gateway=GATEWAY), Subnet(subnet=NET_V6, gateway=GATEWAY_V6)),
        )
        seen = await wires.observe_wires()
        if not seen.networks:
            check(await wires.make_bridge(network))
        # An instance runs once its links are made; one that does not run is given them again.
        runs = self.folder / "runs"
        if not runs.exists() or runs.read_text() != os.environ["INSTANCE"]:
            check(await wires.attach(CONTAINER, int(os.environ["INSTANCE"]), SPEC, (LINK,)))
            runs.write_text(os.environ["INSTANCE"])
        check(await self.overlay.perform(MakeOverlayKey(number=1)))
        await self.settle(list_wishes())

    async def clear(self) -> None:
        """Take everything away; the instance's end, and with it that of its link, is the runtime's."""
        await self.settle(list_nothing())
        await wires.forget_links(CONTAINER, (WHOSE[2],))
        if (await wires.observe_wires()).networks:
            check(await wires.remove_bridge(*WHOSE))

    async def settle(self, wishes: tuple[Action, ...]) -> None:
        for action in wishes:
            driver = self.drivers[type(action)]
            if not is_so(action, await driver.observe()):
                check(await driver.perform(action))
                assert is_so(action, await driver.observe()), action


async def no_addresses() -> set[str]:
    return set()


def check(outcome: Outcome) -> None:
    assert outcome.ok, outcome


LINK = Link(
    network=WHOSE[2], device=DEVICE, mac=MAC, addresses=(f"{ADDRESS}/24", f"{ADDRESS_V6}/64"), gateways=(GATEWAY,)
)
SPEC = InstanceSpec(
    tenant=WHOSE[0],
    app=WHOSE[1],
    service=ServiceName("web"),
    ordinal=0,
    image=digest_of(b"image"),
    image_config=digest_of(b"config"),
    image_size_bytes=0,
)


class Node:
    """The place, what is there, and agents in it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.instance: subprocess.Popen[bytes] | None = None
        self._path = os.environ["PATH"]
        (folder / "bin").mkdir(parents=True)
        for name in PROGRAMS:
            program = shutil.which(name)
            assert program is not None, name
            wrapper = folder / "bin" / name
            wrapper.write_text(WRAPPER.format(program=program, folder=folder))
            wrapper.chmod(0o755)
        self._run("sh", "-e", "-c", FOREIGN)

    def _run(self, *words: str) -> str:
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def live(self, *, is_alive: bool) -> None:
        """Have the runtime's instance there, or not, and its link with it."""
        if self.instance is not None and not is_alive:
            self.instance.kill()
            self.instance.wait()
            self.instance = None
            (self.folder / "state" / "runs").unlink(missing_ok=True)
        elif self.instance is None and is_alive:
            quiet = subprocess.DEVNULL
            self.instance = subprocess.Popen(["unshare", "--net", "sleep", "3600"], stdout=quiet, stderr=quiet)
            while _network_of(self.instance.pid) == _network_of(os.getpid()):
                pause(0.01)  # it is about to have a network of its own

    def act(self, work: Callable[[Agent], Coroutine[Any, Any, None]], **kill: int) -> bool:
        """Let an agent work, killed ``before`` or ``after`` a command of that number; say whether it was."""
        for name, number in {"count": 0, "before": 0, "after": 0, **kill}.items():
            (self.folder / name).write_text(str(number))
        child = os.fork()
        if child == 0:
            self._work(work)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        assert os.WEXITSTATUS(status) == 0, f"an agent did not come to its end: {work.__name__} {kill}"
        return False

    def _work(self, work: Callable[[Agent], Coroutine[Any, Any, None]]) -> NoReturn:
        code = 1
        try:
            (self.folder / "agent").write_text(str(os.getpid()))
            os.environ["PATH"] = f"{self.folder}/bin:{self._path}"
            os.environ["INSTANCE"] = str(self.instance.pid) if self.instance is not None else ""
            asyncio.run(work(Agent(self.folder / "state")))
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)

    def look(self) -> dict[str, list[str]]:
        """Say what is at the node, without what is another one each time."""
        links = json.loads(self._run("ip", "-json", "-details", "address"))
        kept = ("ifname", "ifalias", "master", "mtu", "qdisc")
        found = {
            "links": [str([each.get(word) for word in kept]) for each in links],
            "addresses": [f"{each['ifname']} {one['local']}" for each in links for one in each["addr_info"]],
            "routes": [
                line for family in ("-4", "-6") for line in self._lines("ip", family, "route", "show", "table", "all")
            ],
            "rules": [line for family in ("-4", "-6") for line in self._lines("ip", family, "rule")],
            "tables": re.split(r"\n(?=table)", self._run("nft", "--stateless", "list", "ruleset")),
            "queues": [_NUMBER.sub("", line) for line in self._lines("tc", "qdisc", "show")],
            "programs": self._list_programs(),
            "files": [str(path.relative_to(self.folder)) for path in (self.folder / "state").rglob("*")],
        }
        return {what: sorted(line for line in lines if "fe80::" not in line) for what, lines in found.items()}

    def _lines(self, *words: str) -> list[str]:
        return self._run(*words).splitlines()

    def _list_programs(self) -> list[str]:
        own, found = _network_of(os.getpid()), list[str]()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if _network_of(int(path.name)) == own:
                    found.append((path / "comm").read_text().strip())
        return [name for name in found if name in ("haproxy", "unbound", "wireguard-go")]


def _network_of(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


#: A number that the kernel chose, and one that it counts.
_NUMBER = re.compile(r"(?<=pfifo )[0-9a-f]+:|direct_packets_stat [0-9]+")


def tell(node: Node, wanted: dict[str, list[str]], story: str) -> list[str]:
    """Say in words what is not as it would be had nobody been killed."""
    found = node.look()
    return [
        f"{story}: {sign} {what}: {line}"
        for what, lines in wanted.items()
        for sign, more, less in (("left", found[what], lines), ("missing", lines, found[what]))
        for line in (Counter(more) - Counter(less)).elements()
    ]


#: What an agent was at when it was killed, where, and what the next one is to do: from nothing and back to it.
STORIES = (("build", "after", "build"), ("clear", "after", "clear"), ("build", "before", "clear"))


def run(folder: Path, first: int, step: int) -> dict[str, Any]:
    """Kill agents at every ``step``-th command from the ``first`` on; say what was wrong and how many were killed."""
    node = Node(folder)
    works = {"build": Agent.build, "clear": Agent.clear}
    wanted: dict[str, dict[str, list[str]]] = {}
    for word in ("build", "clear", "build", "clear"):
        node.live(is_alive=word == "build")
        node.act(works[word])
        wanted[word] = node.look()
    wrong: list[str] = []
    killed, number = [], first
    while len(killed) == 0 or killed[-1]:
        killed.append(0)
        for word, side, then in STORIES:
            node.live(is_alive=word == "build")
            killed[-1] += node.act(works[word], **{side: number})
            node.live(is_alive=then == "build")
            node.act(works[then])
            wrong += tell(node, wanted[then], f"killed while it did {word}, {side} command {number}; then {then}")
        number += step
    return {"wrong": wrong, "killed": sum(killed), "last": number - step}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), *map(int, sys.argv[2:]))))
