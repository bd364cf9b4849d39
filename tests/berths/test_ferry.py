"""The ferry between two namespaces that are the same one, over a pair of devices that is the loopback."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from skerry.berths.ferry import Ferry, FerryConfig
from skerry.model import limits


def stay(net):
    """Enter a namespace without leaving one's own: entering needs root."""
    return contextlib.nullcontext()


def take_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Way:
    """A core that says everything again in capitals, and a ferry to it."""

    def __init__(self, device="lo"):
        self.port = take_port()
        self.device = device
        self.came = 0

    async def __aenter__(self):
        self.core = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        config = FerryConfig(
            net=Path("/proc/self/ns/net"),
            listen=(("127.0.0.1", self.port),),
            device=self.device,
            outer="127.0.0.1",
            inner="127.0.0.1",
            core=self.core.sockets[0].getsockname(),
        )
        ready = asyncio.Event()
        self.running = asyncio.ensure_future(Ferry(config, stay).run(ready.set))
        await asyncio.wait_for(ready.wait(), 10)
        return self

    async def __aexit__(self, *_):
        self.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.running
        self.core.close()

    async def answer(self, reader, writer):
        self.came += 1
        while content := await reader.read(65_536):
            writer.write(content.upper())
        writer.close()

    def dial(self):
        return asyncio.open_connection("127.0.0.1", self.port)


async def say(stream, line):
    stream[1].write(line)
    return await asyncio.wait_for(stream[0].readline(), 10)


async def test_bytes_go_both_ways_and_an_end_is_an_end():
    async with Way() as way:
        site = await way.dial()
        assert await say(site, b"hello\n") == b"HELLO\n"
        long = b"x" * 500_000 + b"\n"
        site[1].write(long)
        assert await asyncio.wait_for(site[0].readexactly(len(long)), 10) == long.upper()
        site[1].write_eof()
        assert await asyncio.wait_for(site[0].read(), 10) == b""
        site[1].close()


async def test_connections_are_carried_side_by_side_and_have_a_limit():
    async with Way() as way:
        sites = [await way.dial() for _ in range(limits.FERRY_CONNECTIONS_MAX)]
        answers = await asyncio.gather(*(say(site, b"%d\n" % number) for number, site in enumerate(sites)))
        assert answers == [b"%d\n" % number for number in range(len(sites))]
        one_more = await way.dial()
        assert await asyncio.wait_for(one_more[0].read(), 10) == b""
        one_more[1].close()
        for _, writer in sites:
            writer.close()
        assert way.came == len(sites)


async def test_a_pair_that_is_not_there_looks_like_a_link_that_broke():
    async with Way(device="no-such-device") as way:
        site = await way.dial()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(site[0].read(), 10) == b""
        assert way.came == 0
        site[1].close()


async def test_a_core_that_is_not_there_looks_the_same_and_the_next_one_is_found():
    async with Way() as way:
        place = way.core.sockets[0].getsockname()
        way.core.close()
        await way.core.wait_closed()
        site = await way.dial()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(site[0].read(), 10) == b""
        site[1].close()
        way.core = await asyncio.start_server(way.answer, *place)
        site = await way.dial()
        assert await say(site, b"again\n") == b"AGAIN\n"
        site[1].close()


async def test_a_taken_port_in_the_berth_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = FerryConfig(
            net=Path("/proc/self/ns/net"),
            listen=(taken.getsockname(),),
            device="lo",
            outer="127.0.0.1",
            inner="127.0.0.1",
            core=("127.0.0.1", 1),
        )
        with pytest.raises(OSError, match="in use"):
            await Ferry(config, stay).run(lambda: None)
