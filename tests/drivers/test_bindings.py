"""The driver of bindings without a kernel that does what it says; tests/e2e/test_network_over_sites.py has one."""

import asyncio
import json
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from skerry.clock import SystemClock
from skerry.drivers.bindings import BindingsDriver, read_chains
from skerry.drivers.wires import end_name
from skerry.model.ids import InstanceId, NetworkName, digest_of
from skerry.plan.actions import BindLinks, DropOverlayKey, InsideRoute, Link

CONTAINER = "c" * 64
GUARD = Link(network=NetworkName("mesh"), device="", mac="02:00:00:00:00:07", addresses=("10.64.0.66", "fd00::2"))
ROUTE = InsideRoute("10.64.0.128/26", "10.64.0.65", "10.64.0.66")
ACTION = BindLinks(
    container=CONTAINER,
    instance=InstanceId("alpha/shop/web/0"),
    guards=(GUARD,),
    routes=(ROUTE,),
    digest=digest_of(b"bound"),
)
INSIDE = [
    {"ifname": "lo", "ifindex": 1, "addr_info": [{"local": "127.0.0.1"}]},
    {"ifname": "eth0", "ifindex": 2, "link_index": 9, "addr_info": [{"local": "10.64.0.66"}, {"local": "fd00::2"}]},
]
OUTSIDE = [
    {"ifname": "veth7", "ifindex": 8, "link_index": 2, "master": "sk0"},
    {"ifname": "veth9", "ifindex": 9, "link_index": 2, "master": "sk0"},
]


def write_chains(chains: list[tuple[str, str]]) -> str:
    """What nft says of guards, and of another table beside them."""
    lines = ["table netdev other {", "\tchain skvother {", "\t}", "}", "table netdev skerry_guards {"]
    for name, device in chains:
        hook = [f'\t\ttype filter hook ingress device "{device}" priority filter; policy drop;'] if device else []
        lines += [f"\tchain {name} {{", *hook, "\t}"]
    return "\n".join([*lines, "}", ""])


class Machine:
    """Answers programs by the end of their words, and remembers what they were given."""

    def __init__(self) -> None:
        self.inside, self.outside, self.routes = INSIDE, OUTSIDE, list[dict[str, str]]()
        self.chains = list[tuple[str, str]]()
        self.given: dict[str, str] = {}
        self.code = 0

    async def run(self, *words: str, given: bytes = b"") -> tuple[int, bytes]:
        said = " ".join(words)
        self.given[words[0] if words[0] == "nft" else " ".join(words[3:])] = given.decode()
        if said == "ip -json link":
            return 0, json.dumps(self.outside).encode()
        if "address show" in said:
            return 0, json.dumps(self.inside).encode()
        if "list chains" in said:
            return 0, write_chains(self.chains).encode()
        if "-4 route show" in said:
            return 0, json.dumps(self.routes).encode()
        if words[:3] == ("nft", "-f", "-") and not self.code:
            self.chains = [(end_name(CONTAINER, "mesh"), "veth9")]
        return self.code, b"no" if self.code else b""


@pytest.fixture
def process() -> Generator[int]:
    """A process in a network namespace of its own."""
    words = ["unshare", "--net", "sleep", "60"]
    with subprocess.Popen(words) as made:
        # It is its own once the program has begun.
        while Path(f"/proc/{made.pid}/ns/net").stat().st_ino == Path("/proc/self/ns/net").stat().st_ino:
            os.sched_yield()
        yield made.pid
        made.kill()


def make_driver(machine: Machine, folder: Path, *processes: int) -> BindingsDriver:
    left = list(processes)

    async def read_process(container: str) -> int:
        assert container == CONTAINER
        return left.pop(0) if len(left) > 1 else left[0]

    def find_index(device: str) -> int:
        found = [each["ifindex"] for each in machine.outside if each["ifname"] == device]
        if not found:
            raise OSError("no such device")
        return found[0]

    return BindingsDriver(read_process, folder, SystemClock(), machine.run, find_index)


async def bindings(driver: BindingsDriver) -> dict[str, str]:
    found = (await driver.observe()).bindings
    assert found is not None
    return dict(found)


def test_the_outer_end_is_found_by_both_numbers_and_the_next_agent_knows_of_it(process: int, tmp_path: Path):
    async def main() -> None:
        machine = Machine()
        driver = make_driver(machine, tmp_path, process)
        assert await bindings(driver) == {}
        outcome = await driver.perform(ACTION)
        assert outcome.ok, outcome
        assert 'device "veth9"' in machine.given["nft"]
        assert "meta iif != 9 accept" in machine.given["nft"]
        assert "ip saddr { 10.64.0.66 } accept" in machine.given["nft"]
        assert "ether saddr != 02:00:00:00:00:07 drop" in machine.given["nft"]
        given = machine.given["ip -4 -batch -"]
        assert given == "route replace 10.64.0.128/26 via 10.64.0.65 dev eth0 proto 217\n"
        assert await bindings(driver) == {CONTAINER: ACTION.digest}
        follower = make_driver(machine, tmp_path, process)
        assert await bindings(follower) == {CONTAINER: ACTION.digest}
        # Somebody took the guard away.
        machine.chains = []
        assert await bindings(make_driver(machine, tmp_path, process)) == {}

    asyncio.run(main())


def test_routes_that_are_as_wished_are_left_and_others_of_ours_go(process: int, tmp_path: Path):
    machine = Machine()
    machine.routes = [
        {"dst": "10.64.0.128/26", "gateway": "10.64.0.65", "dev": "eth0"},
        {"dst": "10.64.9.0/26", "gateway": "10.64.0.65", "dev": "eth0"},
    ]
    assert asyncio.run(make_driver(machine, tmp_path, process).perform(ACTION)).ok
    assert machine.given["ip -4 -batch -"] == "route delete 10.64.9.0/26 proto 217\n"


def test_guards_of_links_that_have_gone_are_taken_away(process: int, tmp_path: Path):
    machine = Machine()
    machine.chains = [("skvgone", "veth1"), ("skvmore", ""), ("skvhere", "veth7")]
    assert asyncio.run(make_driver(machine, tmp_path, process).perform(ACTION)).ok
    gone = [line for line in machine.given["nft"].splitlines() if line.startswith("delete chain netdev skerry_guards")]
    assert gone[:2] == [f"delete chain netdev skerry_guards {name}" for name in ("skvgone", "skvmore")]
    assert not any("skvhere" in line for line in gone)


def test_a_name_that_went_to_another_link_is_no_guard_of_this_one(process: int, tmp_path: Path):
    async def main() -> None:
        machine = Machine()
        driver = make_driver(machine, tmp_path, process)
        assert (await driver.perform(ACTION)).ok
        # It started anew: its link has another number, and its former name leads to another instance now.
        machine.outside = [
            {"ifname": "veth9", "ifindex": 12, "link_index": 2, "master": "sk0"},
            {"ifname": "veth7", "ifindex": 13, "link_index": 2, "master": "sk0"},
        ]
        machine.inside = [{**INSIDE[1], "link_index": 13}]
        assert await bindings(driver) == {}
        assert (await driver.perform(ACTION)).ok
        assert machine.given["nft"].startswith(f"delete chain netdev skerry_guards {end_name(CONTAINER, 'mesh')}\n")
        assert 'device "veth7"' in machine.given["nft"]
        assert await bindings(driver) == {CONTAINER: ACTION.digest}

    asyncio.run(main())


def test_what_cannot_be_done_is_an_outcome_and_is_not_remembered(process: int, tmp_path: Path):
    async def main() -> None:
        machine = Machine()
        for processes, said in (((0,), "no process"), ((os.getpid(),), "of its own"), ((process, 1), "anew meanwhile")):
            outcome = await make_driver(machine, tmp_path, *processes).perform(ACTION)
            assert (outcome.code, said in outcome.reason) == ("E-RUNTIME", True)
        driver = make_driver(machine, tmp_path, process)
        machine.outside = OUTSIDE[:1]
        assert "outer end" in (await driver.perform(ACTION)).reason
        machine.outside, machine.code = OUTSIDE, 1
        assert (await driver.perform(ACTION)).code == "E-NETWORK"
        machine.code, machine.inside = 0, INSIDE[:1]
        assert (await driver.perform(ACTION)).code == "E-NETWORK"
        assert (await driver.perform(DropOverlayKey(number=1))).code == "E-DRIVER"
        assert await bindings(driver) == {}

    asyncio.run(main())


def test_a_file_that_nobody_understands_is_none(tmp_path: Path):
    (tmp_path / "bindings.json").write_text("what?")
    assert asyncio.run(bindings(make_driver(Machine(), tmp_path, 0))) == {}


def test_guards_are_read_by_their_devices_in_either_spelling():
    text = write_chains([("skva", "veth1"), ("skvb", "")])
    assert read_chains(text) == {"skva": "veth1", "skvb": ""}
    assert read_chains(text.replace('device "veth1"', "devices = { veth1 }")) == {"skva": "veth1", "skvb": ""}
    assert read_chains("") == {}
