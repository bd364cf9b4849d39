"""Links that Skerry makes itself, with real packets: who is reached at which port, and who may say he is whom."""

import asyncio
import contextlib
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from tests.contract import runtime
from tests.e2e.compose_checks import GET, LAN, end, run

from skerry.drivers import wires
from skerry.drivers.base import bridge_name, run_program
from skerry.drivers.podman.answers import Inspected
from skerry.model.app import NetworkPlan, Port, Subnet
from skerry.model.ids import NetworkName
from skerry.plan.actions import ApplyRules, AppRules, CreateNetwork, RemoveNetwork, StartContainer
from skerry.plan.history import History
from skerry.plan.links import plan_translation
from skerry.plan.networks import rules_digest
from skerry.plan.site_plan import Now, PlanDraft

V6 = "fd12:3456:789a:1"


@contextlib.asynccontextmanager
async def lan(rig: runtime.Rig) -> AsyncIterator[None]:
    """A second network, of both families."""
    plan = NetworkPlan(subnets=(Subnet(subnet=f"{V6}::/64"),), ipv6=True)
    await runtime.done(rig, CreateNetwork(**LAN, plan=plan))
    try:
        yield
    finally:
        await runtime.done(rig, RemoveNetwork(**{name: LAN[name] for name in ("tenant", "app", "name")}))


async def guard(rig: runtime.Rig) -> None:
    """Put firewall and translation in force, as the planner would."""
    observed = await runtime.see(rig)
    rules = tuple(
        sorted(AppRules(each.tenant, each.app, each.name, each.internal, lan=each.lan) for each in observed.networks)
    )
    await runtime.done(rig, ApplyRules(networks=rules, digest=rules_digest(rules)))
    draft = PlanDraft(History(boot="b"), Now(0, 0))
    plan_translation(draft, observed)
    for action in draft.actions:
        await runtime.done(rig, action)


async def fetch(address: str, port: int) -> bytes:
    """Ask for a page from the node itself; empty where nobody answers."""
    try:
        async with asyncio.timeout(3):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            page = await reader.read()
            writer.close()
            return page
    except OSError:
        return b""


async def own_address() -> str:
    """Return the node's address on its uplink."""
    _, said = await run_program("ip", "-o", "-4", "address", "show", "scope", "global")
    rows = [line.split() for line in said.decode().splitlines()]
    return next(row[3].partition("/")[0] for row in rows if not row[1].startswith("sk"))


async def check_a_published_port_is_reached_from_everywhere_that_may(rig: runtime.Rig) -> None:
    """By the node at its loopback and its own address, and by a neighbour; not past the address that it is bound to."""
    await runtime.prepare(rig)
    async with lan(rig):
        node = await own_address()
        ports = (Port(target=8080, published=18080), Port(target=8080, published=18081, host_ip="127.0.0.1"))
        server = await run(rig, networks={NetworkName("lan"): ()}, ports=ports)
        client = await run(rig, service="client", networks={NetworkName("lan"): ()}, mounts=())
        await guard(rig)
        await asyncio.sleep(0.3)
        for address in ("127.0.0.1", node):
            assert (await fetch(address, 18080)).endswith(b"hello\n"), address
        assert (await fetch("127.0.0.1", 18081)).endswith(b"hello\n")
        assert await fetch(node, 18081) == b""
        assert (await client.ask(f"{GET} {node} 18080")).endswith("hello")
        assert "hello" not in await client.ask(f"{GET} {node} 18081 || true")
        await end(server)
        await guard(rig)
        assert await fetch("127.0.0.1", 18080) == b""
        await end(client)


async def check_datagrams_reach_a_published_port(rig: runtime.Rig) -> None:
    """UDP, there and back."""
    await runtime.prepare(rig)
    server = await run(rig, ports=(Port(target=9000, published=19000, protocol="udp"),), mounts=())
    await guard(rig)
    http = rig.console._http  # pyright: ignore - the image has no program that answers datagrams
    made = await http.read(Inspected, f"/containers/{server.seen.container}/json")
    program = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 9000));"
        " print('ready', flush=True); d, a = s.recvfrom(100); s.sendto(d + d, a)"
    )
    words = ("nsenter", f"--net=/proc/{made.state.pid}/ns/net", "--", sys.executable, "-c", program)
    echo = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert echo.stdout is not None
    assert await echo.stdout.readline() == b"ready\n"
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as visitor:
        visitor.settimeout(3)
        visitor.sendto(b"echo", ("127.0.0.1", 19000))
        assert await asyncio.to_thread(visitor.recv, 100) == b"echoecho"
    await echo.wait()
    await end(server)


async def check_a_port_of_the_node_is_not_taken_from_its_program(rig: runtime.Rig) -> None:
    """Translation would lead its visitors away in silence."""
    await runtime.prepare(rig)
    with contextlib.closing(socket.socket()) as program:
        program.bind(("", 18082))
        program.listen()
        spec = runtime.make_spec(rig, ports=(Port(target=8080, published=18082),), mounts=())
        await runtime.done(rig, runtime.create(spec))
        seen = await runtime.find(rig, spec)
        assert seen is not None
        outcome = await runtime.do(rig, runtime.start(spec, seen))
        assert outcome.code == "E-PORT-IN-USE", outcome
        assert "a program of the node" in outcome.reason
    await runtime.done(rig, runtime.remove(seen))


async def check_both_families_are_there_at_once_and_named(rig: runtime.Rig) -> None:
    """An address of each in the first instant, and a neighbour's name leads to both."""
    await runtime.prepare(rig)
    async with lan(rig):
        words = {"networks": {NetworkName("lan"): ("books",)}}
        server = await run(rig, **words)
        client = await run(rig, service="client", networks={NetworkName("lan"): ()}, mounts=())
        said = await client.ask("ip -6 addr show dev eth0; ip -6 route; cat /etc/hosts")
        assert f"{V6}::3/64" in said, said
        assert "global tentative" not in said, said
        assert f"default via {V6}::1" in said, said
        assert f"{V6}::2\tweb books" in said, said
        assert (await client.ask(f"{GET} {V6}::2 8080")).endswith("hello")
        # A network of one family has nothing of the other.
        alone = await run(rig, service="alone", mounts=())
        assert await alone.ask("ip -6 addr show dev eth0") == ""
        # Names follow while it runs: who went is no longer named.
        await end(server)
        await runtime.see(rig)
        assert "books" not in await client.ask("cat /etc/hosts")
        for inside in (client, alone):
            await end(inside)


async def check_nobody_speaks_by_anothers_address(rig: runtime.Rig) -> None:
    """With every right over his own network an instance still sends nothing by an address that is not his."""
    await runtime.prepare(rig)
    victim = await run(rig, mounts=())
    thief = await run(rig, service="thief", mounts=(), cap_add=("NET_ADMIN",))
    mine, own = victim.seen.addresses[NetworkName("default")][0], thief.seen.addresses[NetworkName("default")][0]
    assert await thief.ask(f"ping -c 1 -W 1 {mine} >/dev/null && echo answered") == "answered"
    await thief.ask(f"ip addr add {mine.rpartition('.')[0]}.99/24 dev eth0")
    assert (
        await thief.ask(f"ping -c 2 -W 1 -I {mine.rpartition('.')[0]}.99 {mine} >/dev/null || echo silent") == "silent"
    )
    await thief.ask("ip link set dev eth0 address 02:00:00:00:00:77")
    assert await thief.ask(f"ping -c 2 -W 1 -I {own} {mine} >/dev/null || echo silent") == "silent"
    await end(thief)
    await end(victim)


async def check_a_start_that_was_cut_off_is_begun_again(rig: runtime.Rig) -> None:
    """After each of its steps: namespaces alone, half a link, a bridge that nobody has named yet."""
    await runtime.prepare(rig)
    bridge = bridge_name(*(str(runtime.NETWORK[name]) for name in ("tenant", "app", "name")))
    await runtime.done(rig, RemoveNetwork(**runtime.NETWORK))
    await run_program("ip", "link", "add", "name", bridge, "type", "bridge")
    await runtime.done(rig, CreateNetwork(**runtime.NETWORK, internal=False))
    assert [each.name for each in (await runtime.see(rig)).networks] == ["default"]
    spec = runtime.make_spec(rig, mounts=())
    await runtime.done(rig, runtime.create(spec))
    seen = await runtime.find(rig, spec)
    assert seen is not None
    http = rig.console._http  # pyright: ignore - what a killed agent had asked of podman
    await http.call("POST", f"/containers/{seen.container}/init")
    assert (await runtime.find(rig, spec)).state == "created"  # pyright: ignore
    outer = wires.end_name(seen.container, "default")
    await run_program("ip", "link", "add", "name", outer, "type", "veth", "peer", "name", "sktest")
    await runtime.done(rig, runtime.start(spec, seen))
    seen = await runtime.wait_state(rig, spec, "running")
    assert len(seen.addresses["default"]) == 1
    await runtime.done(rig, runtime.stop(seen))
    seen = await runtime.wait_state(rig, spec, "exited")
    action = await runtime.complete(rig, runtime.start(spec, seen))
    assert isinstance(action, StartContainer)
    # Without its links nothing of it begins.
    broken = msgspec.structs.replace(action, links=(msgspec.structs.replace(action.links[0], mac="no address"),))
    outcome = await rig.performer.perform(broken)
    assert outcome.code == "E-NETWORK", outcome
    assert (await runtime.find(rig, spec)).state == "created"  # pyright: ignore
    assert (await rig.performer.perform(action)).ok
    seen = await runtime.wait_state(rig, spec, "running")
    await runtime.done(rig, runtime.remove(seen))
    _, left = await run_program("ip", "-br", "link", "show", "type", "veth")
    assert b"skv" not in left
    _, left = await run_program("nft", "list", "table", "netdev", wires.GUARDS)
    assert outer.encode() not in left


#: Bound over podman, of which it has a copy: it clears up only after a container that is made and not yet
#: started, or after a second without one, as on a busy machine; which of the two it was, it writes down.
LATE_PODMAN = """#!/bin/sh
case "$*" in *" container cleanup "[0-9a-f]*)
    for container; do :; done
    turn=0
    until [ -e /run/crun/$container/exec.fifo ] || [ $turn -ge 10 ]; do turn=$((turn + 1)); sleep 0.1; done
    if [ $turn -lt 10 ]; then echo met >>%(said)s; else echo alone >>%(said)s; fi
esac
exec %(real)s "$@"
"""


async def check_nothing_is_made_while_podman_still_clears_up(rig: runtime.Rig) -> None:
    """Its clearing up after a former process comes late, and would take the next one's namespaces away."""
    await runtime.prepare(rig)
    spec = runtime.make_spec(rig, mounts=())
    inside = await run(rig, mounts=())
    podman = shutil.which("podman")
    assert podman is not None
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        late, real, said = (Path(folder, name) for name in ("late", "real", "said"))
        late.write_text(LATE_PODMAN % {"said": said, "real": real})
        late.chmod(0o755)
        shutil.copy2(podman, real)
        assert (await run_program("mount", "--bind", str(late), podman))[0] == 0
        try:
            await runtime.done(rig, runtime.stop(inside.seen))
            seen = await runtime.find(rig, spec)
            assert seen is not None
            await runtime.done(rig, runtime.start(spec, seen))
        finally:
            await run_program("umount", "--lazy", podman)
        assert said.read_text() == "alone\n"
    await end(inside)


async def check_bytes_are_counted(rig: runtime.Rig) -> None:
    """What an instance received and sent since it started."""
    await runtime.prepare(rig)
    server = await run(rig, mounts=())
    await asyncio.sleep(0.5)
    assert len(await fetch(server.seen.addresses[NetworkName("default")][0], 8080)) > 5
    stats = {each.container: each for each in await rig.console.read_stats()}[server.seen.container]
    assert stats.received_bytes > 100
    assert stats.sent_bytes > 100
    await end(server)


WIRED_CHECKS = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
