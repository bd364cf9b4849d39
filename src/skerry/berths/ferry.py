"""Carries the link of a berth's site to the core: what listens is in the berth, what goes on to the core is outside.

The root document says where sites find the core, often ``127.0.0.1``; there the ferry listens, inside the berth. Each
connection then crosses the berth's own pair of devices as a connection of its own, from outside to inside because a
machine's firewall rarely minds that way, and so the devices can be cut, delayed and throttled like any link. Rule: the
ferry carries bytes and reads none of them.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from skerry.berths.namespaces import inside_net
from skerry.clock import Tasks
from skerry.model import limits

_CHUNK_BYTES = 64 * 1024
#: Strangers that may reach a crossing's door before the ferry itself does; a door is open for one crossing only.
_STRANGERS_MAX = 8

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FerryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Between where and where."""

    #: The file of the berth's network namespace.
    net: Path
    #: Where the site finds the core, inside the berth.
    listen: tuple[tuple[str, int], ...]
    #: The pair of devices: the device and the address of its outer end, the address of its inner end.
    device: str
    outer: str
    inner: str
    #: Where the core's link listener is, outside.
    core: tuple[str, int]


class Ferry:
    """One running ferry."""

    def __init__(
        self, config: FerryConfig, inside: Callable[[Path], AbstractContextManager[None]] = inside_net
    ) -> None:
        """``inside`` enters a network namespace."""
        self._config = config
        self._inside = inside
        self._tasks = Tasks()
        self._carried = 0

    async def run(self, ready: Callable[[], None]) -> None:
        """Carry until cancelled; OSError when the berth is not there or a port in it is taken."""
        servers = [await asyncio.start_server(self._accept, sock=door) for door in self._open_doors()]
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            for server in servers:
                server.close()
            await self._tasks.stop()

    def _open_doors(self) -> list[socket.socket]:
        with self._inside(self._config.net):
            return [
                socket.create_server(place, family=socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
                for place in dict.fromkeys(self._config.listen)
            ]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._carried >= limits.FERRY_CONNECTIONS_MAX:
            writer.close()
            return
        self._carried += 1
        # A task of the ferry's own, so that its end is waited for.
        await asyncio.wait([self._tasks.start("carry", self._carry((reader, writer)))])
        self._carried -= 1

    async def _carry(self, site: Stream) -> None:
        """Carry one connection; whatever goes wrong looks to the site like a link that broke."""
        opened = [site]
        try:
            async with asyncio.timeout(limits.FERRY_CONNECT_S_MAX):
                opened += await self._cross()
                opened.append(await asyncio.open_connection(*self._config.core))
            _, inner, outer, core = opened
            # Two conversations, because the pair may be cut: then each end finds out by itself.
            await asyncio.gather(_join(site, inner), _join(outer, core))
        except OSError:  # a timeout is one too
            pass
        finally:
            for _, writer in opened:
                writer.close()

    async def _cross(self) -> tuple[Stream, Stream]:
        """Connect from outside to inside over the pair; return both ends."""
        loop, config = asyncio.get_running_loop(), self._config
        with self._inside(config.net):
            door = socket.create_server((config.inner, 0), backlog=_STRANGERS_MAX)
        outer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            door.setblocking(False)
            outer.setblocking(False)
            # While the pair is down, nothing may look for the berth elsewhere.
            outer.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, config.device.encode())
            outer.bind((config.outer, 0))
            await loop.sock_connect(outer, door.getsockname())
            inner = await _let_in(door, outer.getsockname())
        except BaseException:
            outer.close()
            raise
        finally:
            door.close()
        return await asyncio.open_connection(sock=inner), await asyncio.open_connection(sock=outer)


async def _let_in(door: socket.socket, expected: tuple[str, int]) -> socket.socket:
    loop = asyncio.get_running_loop()
    for _ in range(_STRANGERS_MAX):
        came, peer = await loop.sock_accept(door)
        if peer == expected:
            return came
        came.close()
    raise OSError("others came through the door")


async def _join(left: Stream, right: Stream) -> None:
    """Carry both ways until one end closes or breaks, and close both."""
    ways = (_pump(left[0], right[1]), _pump(right[0], left[1]))
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for _, writer in (left, right):
            writer.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(_CHUNK_BYTES):
            writer.write(content)
            await writer.drain()
