"""The relay as a program: sockets for the pairs of a table, which the core writes whole and this process reads again.

Rules: (1) it lives on its own: while the core is away the table stays as it is; (2) what is the same in a new table is
left alone, and so is a table that cannot be read; (3) a port that is taken costs that pair alone.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from skerry.clock import SECOND_US, Clock
from skerry.link.relay import Address, PairRelay
from skerry.model.relay import PAIRS_MAX, RelayPair, RelayTable

#: How often it is looked whether there is a new table.
LOOK_US = 2 * SECOND_US
#: A pair takes 500 bytes.
TABLE_BYTES_MAX = PAIRS_MAX * 2_048


class _Door(asyncio.DatagramProtocol):
    """One side's port."""

    def __init__(self, pair: "_Pair", side: int) -> None:
        self._pair = pair
        self._side = side

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._pair.carry(self._side, (addr[0], addr[1]), data)


class _Pair:
    """One pair with its two open ports."""

    def __init__(self, pair: RelayPair, clock: Clock) -> None:
        self.relay = PairRelay(pair)
        self._clock = clock
        self._doors: list[asyncio.DatagramTransport] = []

    async def open(self, host: str) -> None:
        """Open both ports; OSError when one is taken."""
        loop = asyncio.get_running_loop()
        try:
            for side in (0, 1):
                place = host, self.relay.pair.sides[side].port
                door, _ = await loop.create_datagram_endpoint(lambda side=side: _Door(self, side), local_addr=place)
                self._doors.append(door)
        except BaseException:
            self.close()
            raise

    def carry(self, side: int, sender: Address, content: bytes) -> None:
        """Send a datagram on, from the port at which its receiver sends to this relay."""
        for target in self.relay.take(side, sender, content, self._clock.boot_us()):
            if len(self._doors) == 2:
                self._doors[1 - side].sendto(content, target)

    def close(self) -> None:
        """Close both ports."""
        for door in self._doors:
            door.close()
        self._doors.clear()


def write_table(path: Path, table: RelayTable) -> None:
    """Let the relay on this machine have a new table, whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(msgspec.json.encode(table))
    fresh.replace(path)


class Relay:
    """One running relay."""

    def __init__(self, table: Path, host: str, clock: Clock) -> None:
        """``table`` is the file that the core writes, ``host`` the address to listen at."""
        self._table = table
        self._host = host
        self._clock = clock
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._read_at: tuple[int, int] = (0, 0)

    async def run(self, ready: Callable[[], None]) -> None:
        """Relay until cancelled."""
        try:
            await self.look()
            ready()
            while True:
                await self._clock.sleep_until(self._clock.boot_us() + LOOK_US)
                await self.look()
        finally:
            for pair in self._pairs.values():
                pair.close()

    async def look(self) -> None:
        """Read the table again if it is another one."""
        table = self._read_table()
        if table is None:
            return
        wanted = {(pair.sides[0].port, pair.sides[1].port): pair for pair in table.pairs[:PAIRS_MAX]}
        for ports in self._pairs.keys() - wanted.keys():
            self._pairs.pop(ports).close()
        for ports, pair in wanted.items():
            known = self._pairs.get(ports)
            if known is not None and [side.site for side in known.relay.pair.sides] == [s.site for s in pair.sides]:
                known.relay.pair = pair
                continue
            if known is not None:
                known.close()
            fresh = _Pair(pair, self._clock)
            with contextlib.suppress(OSError):
                await fresh.open(self._host)
                self._pairs[ports] = fresh

    @property
    def counts(self) -> tuple[int, int, int]:
        """Pairs, messages that went on, and messages that did not."""
        relays = [pair.relay for pair in self._pairs.values()]
        return len(relays), sum(each.passed for each in relays), sum(each.dropped for each in relays)

    def _read_table(self) -> RelayTable | None:
        try:
            status = self._table.stat()
            at = status.st_mtime_ns, status.st_ino
            if at == self._read_at or status.st_size > TABLE_BYTES_MAX:
                return None
            table = msgspec.json.decode(self._table.read_bytes(), type=RelayTable)
        except (OSError, msgspec.DecodeError):
            return None
        self._read_at = at
        return table
