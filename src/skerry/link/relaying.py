"""The relay as a program: sockets for the pairs of a table, which is written whole by others and read again here.

Rules: (1) it lives on its own: while nobody writes the table stays as it is; (2) what is the same in a new table is
left alone, and so is a table that cannot be read; (3) a port that is taken costs that pair alone; (4) what went over it
is told in a file beside the table.

Its sockets are read by hand, many datagrams a turn: measured, that costs a quarter of asyncio's own datagram endpoints.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from skerry.clock import SECOND_US, Clock
from skerry.link.relay import Address, Budget, PairRelay
from skerry.model.ids import Digest, digest_of
from skerry.model.relay import PAIRS_MAX, RelayPair, RelayPairSeen, RelaySeen, RelayTable, encode_table

#: How often it is looked whether there is a new table.
LOOK_US = 2 * SECOND_US
#: How often it is told what went over it; whoever reads takes three times as long for its end.
TELL_US = 15 * SECOND_US
#: A pair takes 500 bytes.
TABLE_BYTES_MAX = PAIRS_MAX * 2_048
#: Datagrams of one port in one turn: the others wait no longer than a millisecond for it.
_TURN = 64
#: The largest datagram that there is.
_DATAGRAM_BYTES_MAX = 65_535
#: What may wait for this process while it does not run; the kernel gives what it may.
_WAITING_BYTES = 4 * 1024 * 1024


class _Pair:
    """One pair with its two open ports."""

    def __init__(self, relay: PairRelay, clock: Clock) -> None:
        self.relay = relay
        self._clock = clock
        self._doors: list[socket.socket] = []
        self._buffer = bytearray(_DATAGRAM_BYTES_MAX)

    def open(self, host: str) -> None:
        """Open both ports; OSError when one is taken."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            for side in (0, 1):
                door = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
                self._doors.append(door)
                door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING_BYTES)
                door.bind((host, self.relay.pair.sides[side].port))
            for side in (0, 1):
                loop.add_reader(self._doors[side], self._carry, side)
        except OSError:
            self.close()
            raise

    def _carry(self, side: int) -> None:
        """Send what came on, from the port at which its receiver sends to this relay."""
        door, other, view = self._doors[side], self._doors[1 - side], memoryview(self._buffer)
        now_us = self._clock.boot_us()
        for _ in range(_TURN):
            try:
                size, sender = door.recvfrom_into(self._buffer)
            except OSError:
                return  # nothing more, or somebody refused what was sent to him
            content = bytes(view[:size])
            for target in self.relay.take(side, sender[:2], content, now_us):
                _send(other, content, target)

    def close(self) -> None:
        """Close both ports."""
        for door in self._doors:
            if door.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(door)
                door.close()
        self._doors.clear()


def _send(door: socket.socket, content: bytes, target: Address) -> None:
    # Where there is no room or no way a datagram is lost, as everywhere.
    with contextlib.suppress(OSError):
        door.sendto(content, target)


def write_table(path: Path, table: RelayTable) -> None:
    """Let the relay on this machine have a new table, whole."""
    _write(path, encode_table(table))


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    # Core and relay are different users, whose group has the folder: there is nothing secret in either file.
    fresh.chmod(0o640)
    fresh.replace(path)


def seen_path(table: Path) -> Path:
    """Return where a relay tells of itself: beside its table."""
    return table.with_name(f"{table.stem}.seen{table.suffix}")


def read_seen(table: Path, wall_us: int) -> RelaySeen | None:
    """Return what the relay of a table last told; None where it has told nothing for long, so that it does not run."""
    path = seen_path(table)
    try:
        status = path.stat()
        if status.st_size > TABLE_BYTES_MAX or wall_us - status.st_mtime_ns // 1_000 > 3 * TELL_US:
            return None
        return msgspec.json.decode(path.read_bytes(), type=RelaySeen)
    except (OSError, msgspec.DecodeError):
        return None


class Relay:
    """One running relay."""

    def __init__(self, table: Path, host: str, clock: Clock) -> None:
        """``table`` is the file that says what is relayed, ``host`` the address to listen at."""
        self._table = table
        self._host = host
        self._clock = clock
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._taken: set[int] = set()
        self._whole = Budget(0)
        self._digest = Digest("")
        self._read_at: tuple[int, int] = (0, 0)

    async def run(self, ready: Callable[[], None]) -> None:
        """Relay until cancelled."""
        told_us = 0
        try:
            self.look()
            ready()
            while True:
                if not told_us or self._clock.boot_us() - told_us >= TELL_US:
                    told_us = self._clock.boot_us()
                    self.tell()
                await self._clock.sleep_until(self._clock.boot_us() + LOOK_US)
                if self.look():
                    told_us = 0
        finally:
            for pair in self._pairs.values():
                pair.close()

    def look(self) -> bool:
        """Read the table again if it is another one, and say so; a port that was taken is tried again."""
        table = self._read_table()
        if table is None:
            return False
        self._whole.bytes_s = table.bytes_s
        wanted = {(pair.sides[0].port, pair.sides[1].port): pair for pair in table.pairs[:PAIRS_MAX]}
        for ports in self._pairs.keys() - wanted.keys():
            self._pairs.pop(ports).close()
        self._taken.clear()
        for ports, pair in wanted.items():
            known = self._pairs.get(ports)
            if known is not None and [side.site for side in known.relay.pair.sides] == [s.site for s in pair.sides]:
                known.relay.pair = pair
                known.relay.own.bytes_s = table.pair_bytes_s
                continue
            if known is not None:
                self._pairs.pop(ports).close()
            self._open(ports, pair, table.pair_bytes_s)
        return True

    def _open(self, ports: tuple[int, int], pair: RelayPair, pair_bytes_s: int) -> None:
        fresh = _Pair(PairRelay(pair, Budget(pair_bytes_s), self._whole), self._clock)
        try:
            fresh.open(self._host)
        except OSError:
            self._taken.update(ports)
            self._read_at = (0, 0)  # tried again with the next look
        else:
            self._pairs[ports] = fresh

    def see(self) -> RelaySeen:
        """Say what is relayed and what went over it."""
        pairs = [
            RelayPairSeen(
                sites=(each.pair.sides[0].site, each.pair.sides[1].site),
                passed_bytes=each.passed_bytes,
                refused=each.refused,
                crowded=each.crowded,
            )
            for _, each in sorted((ports, pair.relay) for ports, pair in self._pairs.items())
        ]
        return RelaySeen(digest=self._digest, pairs=tuple(pairs), taken=tuple(sorted(self._taken)))

    def tell(self) -> None:
        """Write that beside the table; where the disk is full the last word stays."""
        with contextlib.suppress(OSError):
            _write(seen_path(self._table), msgspec.json.encode(self.see()))

    def _read_table(self) -> RelayTable | None:
        try:
            status = self._table.stat()
            at = status.st_mtime_ns, status.st_ino
            if at == self._read_at or status.st_size > TABLE_BYTES_MAX:
                return None
            content = self._table.read_bytes()
            table = msgspec.json.decode(content, type=RelayTable)
        except (OSError, msgspec.DecodeError):
            return None
        self._read_at, self._digest = at, digest_of(content)
        return table
