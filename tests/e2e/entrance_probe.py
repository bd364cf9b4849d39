"""Runs the contract of an entrance with HAProxy and nftables in the place it is started in; prints JSON of results.

``entrance_probe FOLDER OWN OUTSIDE``: the node's own address, and the network namespace of who asks from outside.
"""

import asyncio
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import msgspec
from tests.contract import entrance
from tests.contract.entrance import HOST, OTHER, PORT, server
from tests.e2e.certificates import make_certificate, trust
from tests.e2e.entrance_load import Load, ask_once

from skerry.berths.namespaces import inside_net
from skerry.clock import SystemClock
from skerry.drivers.base import Driver
from skerry.drivers.entrance import EntranceDriver
from skerry.drivers.entrance.control import ask
from skerry.model.ids import Digest, digest_of
from skerry.plan.actions import ApplyEntrance, Backend, Datagrams, Listener, Route, Server
from skerry.safe.paths import RealDirectory

CHECK_S_MAX = 30
#: The first address of who asks from outside; others follow.
VISITOR = "192.0.2.100"
#: The node's own IPv6 address, that of a copy and that of the node towards copies, and the first of who asks.
OWN_V6, COPY_V6, SOURCE_V6, VISITOR_V6 = "2001:db8::1", "fd00:176::11", "fd00:176::1", "2001:db8::100"
ANSWER_S_MAX = 0.5


class RealRig:
    """The node, and its copies as processes."""

    def __init__(self, folder: Path, own: str, outside: str) -> None:
        self.folder, self.own, self.outside = folder, own, outside
        self.copies: dict[int, subprocess.Popen[bytes]] = {}
        self.secrets: dict[Digest, bytes] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.driver: Driver
        self.restart_agent()

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def restart_agent(self) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        state = RealDirectory.open_root(self.folder / "state")
        self.driver = EntranceDriver(self.folder / "run", state, self.open_secret, SystemClock())

    def open_secret(self, version: Digest) -> bytes:
        if version not in self.secrets:
            raise OSError("not held")
        return self.secrets[version]

    async def serve(self, copy: int, address: str = "") -> None:
        address = address or f"10.176.0.{10 + copy}"
        words = [sys.executable, "-m", "tests.e2e.entrance_server", f"c{copy}", address, str(PORT)]
        self.copies[copy] = subprocess.Popen(words)
        while (await ask_once(address, PORT, "x"))[0] != 200:
            await asyncio.sleep(0.02)

    async def kill(self, copy: int) -> None:
        process = self.copies.pop(copy, None)
        if process is not None:
            process.kill()
            process.wait()

    async def ask(self, place: str, visitor: int = 0) -> str:
        return await self.ask_at(self.own, place, visitor)

    async def ask_at(self, own: str, place: str, visitor: int = 0) -> str:
        """Ask at one of the node's own addresses."""
        kind, _, rest = place.partition("/")
        if kind == "http":
            host, _, path = rest.partition("/")
            status, body, _ = await ask_once(own, 80, host, "/" + path)
            return body.split(" ")[0] if status == 200 else ""
        if kind == "tcp":
            try:
                reader, writer = await asyncio.open_connection(own, int(rest))
            except OSError:
                return ""
            writer.write(b"HELLO\n")
            line = await reader.readline()
            writer.close()
            return line.decode().strip()
        with self.knock(own, int(rest), visitor) as opened:
            return await send(opened)

    def knock(self, own: str, port: int, visitor: int) -> socket.socket:
        """Return a socket of a visitor outside, who sends to a port of the node."""
        first = ipaddress.ip_address(VISITOR_V6 if ":" in own else VISITOR)
        with inside_net(Path(self.outside)):
            opened = socket.socket(socket.AF_INET6 if ":" in own else socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.bind((str(first + visitor), 0))
        opened.connect((own, port))
        return opened


async def send(opened: socket.socket) -> str:
    """Send a datagram; return what is answered, empty for nothing."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            await loop.sock_sendall(opened, b"?")
            return (await loop.sock_recv(opened, 99)).decode()
    except OSError:  # a refusal, or the end of the time
        return ""


async def find_process(rig: RealRig) -> int:
    """Return the id of the process, which a reload changes."""
    answer = await ask(str(rig.folder / "run" / "haproxy.sock"), b"show info\n")
    return next(int(line.split(b": ")[1]) for line in answer.splitlines() if line.startswith(b"Pid: "))


async def check_an_update_under_load_fails_no_request(rig: RealRig) -> None:
    """Two copies replaced one after the other, as the planner does it, again and again."""
    await rig.serve(1)
    await rig.serve(2)
    await entrance.apply(rig, entrance.entrance(server(1), server(2)))
    await entrance.becomes(rig, f"http/{HOST}/", {"c1", "c2"})
    pid = await find_process(rig)
    load = Load(rig.own, 80, HOST)
    load.start(6, 4)
    load.start(2, 1, "/slow")
    await asyncio.sleep(0.5)
    for copy in (1, 2) * 3:
        other = server(3 - copy)
        await entrance.apply(rig, entrance.entrance(server(copy, "drain"), other))
        while any(each.sessions for each in (await entrance.look(rig)).servers if each.name == f"c{copy}"):
            await asyncio.sleep(0.1)
        await rig.kill(copy)
        await entrance.apply(rig, entrance.entrance(other))
        await rig.serve(copy)
        await entrance.apply(rig, entrance.entrance(server(copy), other))
        while not all(each.well for each in (await entrance.look(rig)).servers):
            await asyncio.sleep(0.1)
    await load.stop()
    _tell("update", load)
    assert not load.failed, load.failed
    assert await find_process(rig) == pid


async def check_a_reload_under_load_fails_no_request(rig: RealRig) -> None:
    await rig.serve(1)
    await entrance.apply(rig, entrance.entrance(server(1)))
    await entrance.becomes(rig, f"http/{HOST}/", {"c1"})
    load = Load(rig.own, 80, HOST)
    load.start(6, 4)
    for number in range(4):
        await asyncio.sleep(0.4)
        more = Route(host=f"n{number}.example", path="/", backend="b1", secure=False, holder="t/more/web")
        routes = (*entrance.entrance(server(1)).routes, more)
        await entrance.apply(rig, entrance.entrance(server(1), routes=routes))
    await asyncio.sleep(0.4)
    await load.stop()
    _tell("reload", load)
    assert not load.failed, load.failed


async def check_a_killed_copy_under_load_is_out_within_two_seconds(rig: RealRig) -> None:
    await rig.serve(1)
    await rig.serve(2)
    await entrance.apply(rig, entrance.entrance(server(1), server(2)))
    await entrance.becomes(rig, f"http/{HOST}/", {"c1", "c2"})
    load = Load(rig.own, 80, HOST)
    load.start(4, 4)
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await rig.kill(1)
    while any(each.well for each in (await entrance.look(rig)).servers if each.name == "c1"):
        await asyncio.sleep(0.02)
    out_s = time.monotonic() - began
    await asyncio.sleep(0.3)
    await load.stop()
    print(f"a dead copy was out after {out_s:.2f} s", file=sys.stderr)
    _tell("dead copy", load)
    assert out_s <= 2.0
    assert not load.failed, load.failed


def secure(rig: RealRig, first: bytes, second: bytes) -> ApplyEntrance:
    """Return an entrance of two hosts by TLS, each with its certificate."""
    hosts = ((HOST, digest_of(first)), (OTHER, digest_of(second)))
    rig.secrets |= {digest_of(first): first, digest_of(second): second}
    routes = tuple(Route(host=host, path="/", backend="b1", secure=True, holder="t/shop/web") for host, _ in hosts)
    return entrance.entrance(server(1), routes=routes, certificates=entrance.certificates(*hosts))


async def check_each_host_has_its_certificate_and_one_is_exchanged_under_load(rig: RealRig) -> None:
    await rig.serve(1)
    first, second, third = (make_certificate(host) for host in (HOST, OTHER, HOST))
    await entrance.apply(rig, secure(rig, first, second))
    await asyncio.sleep(0.5)
    pid = await find_process(rig)
    for host, certificate, stranger in ((HOST, first, second), (OTHER, second, first)):
        assert (await ask_once(rig.own, 443, host, tls=trust(certificate)))[:2] == (200, "c1 https")
        assert (await ask_once(rig.own, 443, host, tls=trust(stranger)))[0] == 0
    status, _, headers = await ask_once(rig.own, 80, HOST, "/a?b=c")
    assert (status, headers["location"]) == (308, f"https://{HOST}/a?b=c")
    load = Load(rig.own, 443, HOST, trust(first, third))
    load.start(4, 2)
    await asyncio.sleep(0.3)
    await entrance.apply(rig, secure(rig, third, second))
    await asyncio.sleep(0.3)
    await load.stop()
    _tell("certificate", load)
    assert not load.failed, load.failed
    assert (await ask_once(rig.own, 443, HOST, tls=trust(third)))[0] == 200
    assert (await ask_once(rig.own, 443, HOST, tls=trust(first)))[0] == 0
    assert await find_process(rig) == pid
    names = {path.stat().st_mode & 0o777 for path in (rig.folder / "run").glob("*.pem")}
    assert names == {0o600}


async def check_a_certificate_that_is_none_shuts_only_its_own_host(rig: RealRig) -> None:
    await rig.serve(1)
    good = make_certificate(OTHER)
    await entrance.apply(rig, secure(rig, b"no certificate", good))
    seen = await entrance.look(rig)
    assert set(seen.flaws) == {f"http/{HOST}/"}
    await asyncio.sleep(0.3)
    assert (await ask_once(rig.own, 443, OTHER, tls=trust(good)))[0] == 200


async def check_a_port_that_is_taken_shuts_only_itself(rig: RealRig) -> None:
    await rig.serve(1)
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", entrance.TCP)
    action = entrance.entrance(server(1))
    action = entrance.entrance(
        server(1),
        listeners=(entrance.Listener(port=entrance.TCP, backend="b1t", holder="t/mail/web"),),
        backends=(*action.backends, entrance.Backend(name="b1t", mode="tcp", page="", servers=(server(1),))),
    )
    seen = await entrance.apply(rig, action)
    assert set(seen.flaws) == {f"tcp/{entrance.TCP}"}
    await entrance.becomes(rig, f"http/{HOST}/", {"c1"})
    taken.close()


async def check_a_proxy_that_was_killed_is_seen_and_made_again(rig: RealRig) -> None:
    await rig.serve(1)
    action = entrance.entrance(server(1))
    await entrance.apply(rig, action)
    os.kill(await find_process(rig), signal.SIGKILL)
    await asyncio.sleep(0.3)
    seen = await entrance.look(rig)
    assert (seen.digest, seen.holders) == ("", {f"http/{HOST}/": "t/shop/web"})
    await entrance.apply(rig, action)
    await entrance.becomes(rig, f"http/{HOST}/", {"c1"})


async def check_what_somebody_changes_by_hand_is_seen(rig: RealRig) -> None:
    await rig.serve(1)
    action = entrance.entrance(server(1))
    await entrance.apply(rig, action)
    await ask(str(rig.folder / "run" / "haproxy.sock"), b"set server b1/c1 state drain\n")
    assert (await entrance.look(rig)).digest == ""
    await entrance.apply(rig, action)
    await entrance.becomes(rig, f"http/{HOST}/", {"c1"})


async def check_who_sent_before_there_was_a_copy_is_led_to_one(rig: RealRig) -> None:
    """Whom nobody answers goes on with his socket; what the kernel remembers of that must not keep him out."""
    await rig.serve(1)
    # With this one the kernel tracks connections all the while, as the firewall has it do elsewhere.
    other = Datagrams(port=entrance.TCP, holder="t/log/web", servers=(server(1),))
    asked = Datagrams(port=entrance.UDP, holder="t/dns/web", servers=(server(1),))
    steps = (((), ""), ((asked,), "c1"), ((msgspec.structs.replace(asked, servers=()),), ""), ((asked,), "c1"))
    with rig.knock(rig.own, entrance.UDP, 0) as opened:
        for doors, answer in steps:
            await entrance.apply(rig, entrance.entrance(routes=(), backends=(), datagrams=(other, *doors)))
            for _ in range(2):
                assert await send(opened) == answer, doors


async def check_who_comes_by_ipv6_is_led_in_and_copies_are_asked_by_it(rig: RealRig) -> None:
    await rig.serve(1)
    far = Server(name="c2", address=COPY_V6, port=PORT, rank=1, source=SOURCE_V6)
    action = entrance.entrance(
        server(1),
        far,
        listeners=(Listener(port=entrance.TCP, backend="b1t", holder="t/mail/web"),),
        backends=(
            Backend(name="b1", mode="http", page="", servers=(server(1), far)),
            Backend(name="b1t", mode="tcp", page="", servers=(server(1), far)),
        ),
        datagrams=(Datagrams(port=entrance.UDP, holder="t/dns/web", servers=(server(1), far)),),
    )
    await entrance.apply(rig, action)
    await rig.serve(2, COPY_V6)
    places = [f"http/{HOST}/", f"tcp/{entrance.TCP}"]
    for place in places:
        assert await rig.ask_at(OWN_V6, place) == "c1", place
    # Of this family there is none but the other one.
    assert await rig.ask_at(OWN_V6, f"udp/{entrance.UDP}") == "c2"
    await rig.kill(1)
    for place in places:
        await entrance.becomes(rig, place, {"c2"}, 2.0)
        assert await rig.ask_at(OWN_V6, place) == "c2", place


def _tell(what: str, load: Load) -> None:
    total = sum(load.answers.values())
    print(
        f"{what}: {total} answers, {sum(load.failed.values())} failed, {load.reopened} idle connections opened again,"
        f" slowest {load.slowest_s:.2f} s",
        file=sys.stderr,
    )


REAL = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}


async def run(folder: Path, own: str, outside: str) -> dict[str, str]:
    """Run every check; the result is its trace, or nothing when it held."""
    results: dict[str, str] = {}
    for number, (name, check) in enumerate({**entrance.CHECKS, **REAL}.items()):
        rig = RealRig(folder / str(number), own, outside)
        try:
            async with asyncio.timeout(CHECK_S_MAX):
                await check(rig)
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        print(name, "holds" if not results[name] else "FAILED", file=sys.stderr)
        await entrance.tidy(rig)
        await asyncio.sleep(0.2)
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1]), *sys.argv[2:]))))
