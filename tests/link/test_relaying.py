"""The relay as a program, on real sockets of this machine's loopback."""

import asyncio
import socket
from pathlib import Path

import msgspec
from tests.link.test_relay import KEY_A, KEY_B, data, initiation, response

from skerry.clock import SystemClock
from skerry.link.relaying import TELL_US, Relay, read_seen, seen_path
from skerry.model.ids import SiteName, digest_of
from skerry.model.relay import RelayPair, RelaySide, RelayTable


def free_ports(count: int) -> list[int]:
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for each in opened:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in opened]
    for each in opened:
        each.close()
    return ports


def write(path: Path, *pairs: RelayPair) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(RelayTable(pairs)))
    fresh.rename(path)


async def hear(opened: socket.socket) -> bytes:
    async with asyncio.timeout(5):
        return await asyncio.get_running_loop().sock_recv(opened, 2048)


def test_two_sides_talk_through_their_ports_until_the_table_leaves_them_out(tmp_path: Path):
    async def main() -> None:
        here, there = free_ports(2)
        pair = RelayPair(
            (
                RelaySide(SiteName("a"), here, ("127.0.0.1",), (KEY_A,)),
                RelaySide(SiteName("b"), there, ("127.0.0.1",), (KEY_B,)),
            )
        )
        table = tmp_path / "pairs.json"
        relay = Relay(table, "127.0.0.1", SystemClock())
        relay.look()
        write(table, pair)
        relay.look()
        sides = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for side, port in zip(sides, (here, there), strict=True):
            side.setblocking(False)
            side.connect(("127.0.0.1", port))
        a, b = sides
        b.send(initiation(b"BBBB", KEY_A))
        await asyncio.sleep(0.1)
        a.send(initiation(b"AAAA", KEY_B))
        assert await hear(b) == initiation(b"AAAA", KEY_B)
        b.send(response(b"bbbb", b"AAAA", KEY_A))
        assert await hear(a) == response(b"bbbb", b"AAAA", KEY_A)
        write(table, pair)
        relay.look()
        a.send(data(b"bbbb"))
        assert await hear(b) == data(b"bbbb")
        assert len(relay.see().pairs) == 1
        (told,) = relay.see().pairs
        assert (told.sites, told.refused, told.crowded) == (("a", "b"), 0, 0)
        assert told.passed_bytes == sum(map(len, (initiation(b"AAAA"), response(b"bbbb", b"AAAA"), data(b"bbbb"))))
        table.write_text("not a table")
        relay.look()
        assert len(relay.see().pairs) == 1
        write(table)
        relay.look()
        assert len(relay.see().pairs) == 0
        for side in sides:
            side.close()

    asyncio.run(main())


def test_a_port_that_is_taken_costs_its_pair_alone(tmp_path: Path):
    async def main() -> None:
        ports = free_ports(4)
        pairs = [
            RelayPair((RelaySide(SiteName("a"), ports[at]), RelaySide(SiteName("b"), ports[at + 1]))) for at in (0, 2)
        ]
        table = tmp_path / "pairs.json"
        write(table, *pairs)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", ports[1]))
            relay = Relay(table, "127.0.0.1", SystemClock())
            relay.look()
            assert len(relay.see().pairs) == 1
            assert relay.see().taken == tuple(sorted(ports[:2]))
        relay.look()
        assert len(relay.see().pairs) == 2
        assert relay.see().taken == ()
        write(table)
        relay.look()

    asyncio.run(main())


def test_what_a_relay_tells_is_believed_while_it_is_fresh(tmp_path: Path):
    table = tmp_path / "pairs.json"
    assert read_seen(table, 0) is None
    relay = Relay(table, "127.0.0.1", SystemClock())
    relay.tell()
    now_us = SystemClock().wall_us()
    assert read_seen(table, now_us) == relay.see()
    assert read_seen(table, now_us + 4 * TELL_US) is None
    seen_path(table).write_text("what?")
    assert read_seen(table, now_us) is None


def test_a_program_that_runs_tells_at_once_which_table_it_follows(tmp_path: Path):
    async def main() -> None:
        table = tmp_path / "pairs.json"
        write(table)
        ready = asyncio.Event()
        task = asyncio.create_task(Relay(table, "127.0.0.1", SystemClock()).run(ready.set))
        await ready.wait()
        await asyncio.sleep(0)
        seen = read_seen(table, SystemClock().wall_us())
        task.cancel()
        await asyncio.wait([task])
        assert seen is not None
        assert seen.digest == digest_of(table.read_bytes())

    asyncio.run(main())
