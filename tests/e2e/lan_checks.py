"""Networks at a device of the node, with real packets: a pair of links is the cable, a namespace is the LAN."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.contract import runtime
from tests.e2e import tiny_image
from tests.e2e.compose_checks import LAN, Inside, end, run
from tests.e2e.wired_checks import guard, own_address

from skerry.drivers.base import bridge_name, run_program
from skerry.drivers.kernel import probe_kernel
from skerry.model.app import Address, Further, NetworkPlan, Subnet
from skerry.model.ids import NetworkName
from skerry.model.lan import Lan, LanKind, find_lan_lack
from skerry.plan.actions import CreateNetwork, RemoveNetwork

NAME = NetworkName("lan")
#: The router of the LAN; instances get what is above 10.9.0.15.
ROUTER, RANGE = "10.9.0.1", "10.9.0.0/24"
MAC = "02:00:00:00:09:10"
BRIDGE = bridge_name(*(str(LAN[name]) for name in ("tenant", "app", "name")))
DEVICE = "lan0"
#: As in the image: what the machine itself has of ping and nc differs.
BUSYBOX = str(tiny_image.BUSYBOX)


async def ok(*argv: str) -> str:
    code, said = await run_program(*argv)
    assert code == 0, (argv, said)
    return said.decode()


class Cable:
    """The far end of the node's device."""

    def __init__(self, process: int) -> None:
        self._enter = ("nsenter", f"--net=/proc/{process}/ns/net", "--")

    async def ask(self, *argv: str) -> tuple[int, str]:
        code, said = await run_program(*self._enter, *argv)
        return code, said.decode()

    async def reaches(self, address: str) -> bool:
        code, _ = await self.ask(BUSYBOX, "ping", "-c", "1", "-W", "2", address)
        return code == 0


@contextlib.asynccontextmanager
async def cable() -> AsyncIterator[Cable]:
    """A device of the node whose far end is a LAN with a router."""
    holder = await asyncio.create_subprocess_exec("unshare", "--net", "sleep", "120")
    try:
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{holder.pid}/ns/net").readlink() == own:
            await asyncio.sleep(0.02)  # until it has come into its own network
        found = Cable(holder.pid)
        await ok("ip", "link", "add", DEVICE, "type", "veth", "peer", "name", "far0", "netns", str(holder.pid))
        for line in (f"address add {ROUTER}/24 dev far0", "link set dev far0 up"):
            assert (await found.ask("ip", *line.split()))[0] == 0, line
        yield found
    finally:
        await run_program("ip", "link", "delete", "dev", DEVICE)
        holder.kill()
        await holder.wait()


@contextlib.asynccontextmanager
async def network(rig: runtime.Rig, kind: LanKind) -> AsyncIterator[None]:
    """A network of that kind at the device."""
    lease = Subnet(subnet=RANGE, gateway=ROUTER, first="10.9.0.16", last="10.9.0.254")
    plan = NetworkPlan(subnets=(lease,), lan=Lan(kind=kind, parent=DEVICE))
    action = CreateNetwork(**{**LAN, "internal": True}, plan=plan)
    runtime.PLANS[NAME] = plan
    if kind == "bridge":
        await runtime.done(rig, action)
    try:
        yield
    finally:
        await runtime.done(rig, RemoveNetwork(**{name: LAN[name] for name in ("tenant", "app", "name")}))
        del runtime.PLANS[NAME]


def attached(**words: object) -> dict[str, object]:
    address = Address(device="wan0", way=1, **words)  # pyright: ignore[reportArgumentType] - as a test gives them
    return {"networks": {NAME: ()}, "mounts": (), "further": Further(addresses={NAME: address})}


async def look(inside: Inside, far: Cable) -> None:
    """Both ways, by its own address and hardware address, without a part of the node in it."""
    (address,) = inside.seen.addresses[NAME]
    assert (address, inside.seen.macs[NAME]) == ("10.9.0.16", MAC)
    assert await far.reaches(address)
    _, said = await far.ask("ip", "neighbour", "show", address)
    assert MAC in said, said
    assert await inside.ask(f"ping -c 1 -W 2 {ROUTER} >/dev/null && echo answered") == "answered"
    assert f"default via {ROUTER} dev wan0" in await inside.ask("ip route")


async def check_a_bridge_at_a_device_of_the_node(rig: runtime.Rig) -> None:
    """It has no address of the node, its instances are guarded, and the node's other devices are not reached by it."""
    await runtime.prepare(rig)
    async with cable() as far, network(rig, "bridge"):
        inside = await run(rig, **attached(mac=MAC))
        await guard(rig)
        await look(inside, far)
        assert (await ok("ip", "-4", "-o", "address", "show", "dev", BRIDGE)) == ""
        # Who sends to the bridge itself finds nothing of the node behind it.
        bridge = json.loads(await ok("ip", "-json", "link", "show", "dev", BRIDGE))[0]["address"]
        node = await own_address()
        for line in (f"neighbour add 10.9.0.2 lladdr {bridge} dev far0", f"route add {node} via 10.9.0.2"):
            assert (await far.ask("ip", *line.split()))[0] == 0, line
        assert not await far.reaches(node)
        await end(inside)
    _, left = await run_program("ip", "-br", "link")
    assert BRIDGE.encode() not in left


async def check_a_bridge_that_lost_its_device_is_made_whole(rig: runtime.Rig) -> None:
    """As after a cable's adapter was pulled out, and after a kill in the middle."""
    await runtime.prepare(rig)
    async with cable(), network(rig, "bridge"):
        await ok("ip", "link", "set", "dev", DEVICE, "nomaster")
        assert [each.torn for each in (await runtime.see(rig)).networks if each.lan] == [True]
        await runtime.done(rig, CreateNetwork(**{**LAN, "internal": True}, plan=runtime.PLANS[NAME]))
        assert [each.torn for each in (await runtime.see(rig)).networks if each.lan] == [False]


async def check_a_device_with_addresses_is_put_into_no_bridge(rig: runtime.Rig) -> None:
    """What the node speaks by is left as it is, and the reason names the way out."""
    await runtime.prepare(rig)
    async with cable():
        await ok("ip", "address", "add", "192.0.2.9/24", "dev", DEVICE)
        before = await ok("ip", "-o", "address", "show", "dev", DEVICE), await ok("ip", "route")
        plan = NetworkPlan(lan=Lan(kind="bridge", parent=DEVICE))
        outcome = await runtime.do(rig, CreateNetwork(**{**LAN, "internal": True}, plan=plan))
        assert outcome.code == "E-NETWORK"
        assert "192.0.2.9" in outcome.reason
        assert "macvlan" in outcome.reason
        assert before == (await ok("ip", "-o", "address", "show", "dev", DEVICE), await ok("ip", "route"))
        large = NetworkPlan(mtu=9000, lan=Lan(kind="macvlan", parent=DEVICE))
        outcome = await runtime.do(rig, CreateNetwork(**{**LAN, "internal": True}, plan=large))
        assert "9000" in outcome.reason, outcome
        assert "lan" not in [each.name for each in (await runtime.see(rig)).networks]
        del runtime.PLANS[NAME]


async def check_an_interface_on_a_device_of_the_node(rig: runtime.Rig) -> None:
    """``macvlan``: a device of its own beside the node's, which keeps its address; it is seen and counted as others."""
    await runtime.prepare(rig)
    async with cable() as far, network(rig, "macvlan"):
        await ok("ip", "address", "add", "10.9.0.2/24", "dev", DEVICE)
        await ok("ip", "link", "set", "dev", DEVICE, "up")
        inside = await run(rig, **attached(mac=MAC, mtu=1400))
        await look(inside, far)
        assert "mtu 1400" in await inside.ask("ip link show dev wan0")
        assert await far.reaches("10.9.0.2")
        await runtime.done(rig, runtime.stop(inside.seen))
        spec = runtime.make_spec(rig, **attached(mac=MAC, mtu=1400))
        seen = await runtime.wait_state(rig, spec, "exited")
        await runtime.done(rig, runtime.start(spec, seen))
        again = Inside(rig, await runtime.wait_state(rig, spec, "running"))
        await look(again, far)
        await end(again)


#: Takes what comes from 10.9.0.16, or gives it ``argv[1]`` bytes; prints how many came through in how many seconds.
_MEASURE = """
import socket, sys, time
sent, began = int(sys.argv[1]), time.monotonic()
link = socket.create_connection(("10.9.0.16", 7), 15)
link.sendall(bytes(sent))
link.shutdown(socket.SHUT_WR)
answer = b"".join(iter(lambda: link.recv(65536), b""))
print(int(answer) if sent else len(answer), time.monotonic() - began)
"""


async def check_an_interface_sends_and_is_sent_no_more_than_its_rate(rig: runtime.Rig) -> None:
    """A megabyte takes its second, each way."""
    await runtime.prepare(rig)
    rate, size = 8_000_000, 2 << 20
    async with cable() as far, network(rig, "bridge"):
        inside = await run(rig, **attached(mac=MAC, up_bps=rate, down_bps=rate))
        for given, program in ((0, f"dd if=/dev/zero bs=65536 count={size >> 16} 2>/dev/null"), (size, "wc -c")):
            listening = asyncio.create_task(inside.ask(f"nc -l -p 7 -e /bin/sh -c '{program}'"))
            await asyncio.sleep(0.5)  # until it listens
            code, said = await far.ask(sys.executable, "-c", _MEASURE, str(given))
            assert code == 0, said
            came, took = said.split()
            assert int(came) == size, said
            # What may come at once, and what the kernel merges on the way, is a part of it.
            assert rate / 8 < int(came) / float(took) * 4, said
            assert int(came) / float(took) < 1.5 * rate / 8, said
            await listening
        await end(inside)


_SEGMENT = (
    "import socket; s = socket.create_server(('0.0.0.0', 7777)); s.settimeout(15); c, _ = s.accept();"
    " print(c.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))"
)


async def check_a_connection_agrees_on_packets_that_fit_the_narrowest_line(rig: runtime.Rig) -> None:
    """Both ends take 1,500 bytes and the line between them 1,300, of which 52 are headers."""
    await runtime.prepare(rig)
    async with cable() as far:
        for line in (f"link set dev {DEVICE} mtu 1300 up", f"address add 10.9.0.2/24 dev {DEVICE}"):
            await ok("ip", *line.split())
        inside = await run(rig, mounts=())
        await guard(rig)
        server = asyncio.create_task(far.ask(sys.executable, "-c", _SEGMENT))
        await asyncio.sleep(0.5)  # until it listens
        await inside.ask(f"nc -w 3 {ROUTER} 7777 </dev/null")
        code, said = await server
        assert (code, said.strip()) == (0, "1248"), said
        await end(inside)


async def check_what_this_kernel_lacks_is_told_as_the_reason(rig: runtime.Rig) -> None:
    """The node says what its kernel has, by trying; where it has no VLANs, that is the whole reason."""
    facts = await probe_kernel()
    assert facts["net.macvlan"] == "true"
    assert facts["qdisc.htb"] == "true"
    code, _ = await run_program(
        "unshare", "--net", "--", "ip", "link", "add", "link", "lo", "name", "v0", "type", "vlan", "id", "7"
    )
    lack = find_lan_lack(Lan(kind="vlan", parent=DEVICE, id=7), facts)
    assert lack == ("" if code == 0 else "a kernel that has VLANs (802.1q)")


LAN_CHECKS = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
