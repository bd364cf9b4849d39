"""A wide-area link in user space: delay, jitter, loss, reordering, duplication, corruption, rate and cuts, from a seed.

Each link is a pair of TUN devices, one in the site's network namespace and one at the far end; this process carries
packets between them. ``Direction`` decides what becomes of each packet and knows neither devices nor clocks;
``Emulator`` is its shell; ``EmulatorClient`` is how the lab speaks to it, one JSON line each way over a unix socket.
Rule: the n-th packet offered to a direction meets the same luck under the same seed.
Started by ``lab.py`` as ``python -m tests.e2e.link_emulator SOCKET SEED``.
"""

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from skerry.berths.namespaces import inside_net

#: ``up`` is from the site to the core, ``down`` from the core to the site.
Way = Literal["up", "down"]
WAYS: tuple[Way, Way] = ("up", "down")

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
#: Largest packet; the devices have the kernel's default MTU of 1500 bytes.
PACKET_BYTES_MAX = 2048
#: Packets taken from one device before the others have their turn.
BATCH_PACKETS = 64
#: What a direction may hold in flight for its delay: 100 Mbit/s over five seconds. Beyond it packets are dropped.
IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024
#: A slow link's buffer: this much, or this long at its rate, whichever is more.
QUEUE_BYTES_MIN = 64 * 1024
QUEUE_S = 0.1
#: Packets that wait in the kernel for this process; the default of 500 overflows at 100 Mbit/s on a busy machine.
KERNEL_QUEUE_PACKETS = 5000
CONTROL_LINE_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """How one direction treats packets. Shares are between 0 and 1; ``rate_bit_s`` 0 means unthrottled."""

    delay_ms: float = 0.0
    #: Added to the delay, uniformly from 0 to this; packets keep their order.
    jitter_ms: float = 0.0
    rate_bit_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    #: Share that has one bit flipped.
    corrupt: float = 0.0
    #: Share that skips the delay and so overtakes others.
    reorder: float = 0.0
    cut: bool = False

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "corrupt", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1")
        if min(self.delay_ms, self.jitter_ms, self.rate_bit_s) < 0:
            raise ValueError("delay, jitter and rate are not negative")


@dataclass(slots=True)
class Counters:
    """What one direction did since the link was made; bytes are IP packets, headers included."""

    offered_packets: int = 0
    offered_bytes: int = 0
    delivered_packets: int = 0
    delivered_bytes: int = 0
    dropped_cut: int = 0
    dropped_loss: int = 0
    dropped_queue: int = 0
    #: Refused by the receiving device, because it is down.
    dropped_device: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    #: Time in the emulator, summed over delivered packets, and its extremes (0 until one was delivered).
    held_s_sum: float = 0.0
    held_s_min: float = 0.0
    held_s_max: float = 0.0


@dataclass(slots=True)
class Direction:
    """One way of one link: packets in with a time, packets out with the time at which each is due."""

    luck: random.Random
    shape: Shape = field(default_factory=Shape)
    counters: Counters = field(default_factory=Counters)
    #: (due, order, packet, offered at): what is in flight.
    flying: list[tuple[float, int, bytes, float]] = field(default_factory=list[tuple[float, int, bytes, float]])
    flying_bytes: int = 0
    #: When the last packet accepted has left the sender's buffer, and when it is due.
    free_at: float = 0.0
    last_due: float = 0.0
    order: int = 0

    def offer(self, packet: bytes, now: float) -> None:
        """Take a packet from the sender: drop it, or let it fly."""
        shape, counters = self.shape, self.counters
        counters.offered_packets += 1
        counters.offered_bytes += len(packet)
        if shape.cut:
            counters.dropped_cut += 1
            return
        if shape.loss and self.luck.random() < shape.loss:
            counters.dropped_loss += 1
            return
        sent_at = self._pass_queue(len(packet), now)
        if sent_at is None:
            counters.dropped_queue += 1
            return
        if shape.corrupt and self.luck.random() < shape.corrupt:
            counters.corrupted += 1
            packet = self._flip_a_bit(packet)
        self._fly(packet, sent_at, now)
        if shape.duplicate and self.luck.random() < shape.duplicate:
            counters.duplicated += 1
            self._fly(packet, sent_at, now)

    def due(self, now: float) -> Iterator[tuple[bytes, float]]:
        """Hand out each packet whose time has come, with the time at which it was offered."""
        flying = self.flying
        while flying and flying[0][0] <= now:
            _, _, packet, offered_at = heapq.heappop(flying)
            self.flying_bytes -= len(packet)
            yield packet, offered_at

    def delivered(self, packet: bytes, held_s: float) -> None:
        """Count a packet that reached the other end after ``held_s``."""
        counters = self.counters
        counters.held_s_min = min(counters.held_s_min, held_s) if counters.delivered_packets else held_s
        counters.held_s_max = max(counters.held_s_max, held_s)
        counters.held_s_sum += held_s
        counters.delivered_packets += 1
        counters.delivered_bytes += len(packet)

    def reshape(self, shape: Shape) -> None:
        """Change the treatment from the next packet on; a cut also loses what is in flight, as a broken line does."""
        self.shape = shape
        if shape.cut:
            self.counters.dropped_cut += len(self.flying)
            self.flying.clear()
            self.flying_bytes = 0
            self.free_at = self.last_due = 0.0

    def _pass_queue(self, size: int, now: float) -> float | None:
        """When the packet has left the sender at the link's rate; None if the buffer is full."""
        if self.flying_bytes + size > IN_FLIGHT_BYTES_MAX:
            return None
        rate = self.shape.rate_bit_s
        if not rate:
            return now
        start = max(now, self.free_at)
        waiting_bytes = (start - now) * rate / 8
        if waiting_bytes + size > max(QUEUE_BYTES_MIN, rate / 8 * QUEUE_S):
            return None
        self.free_at = start + size * 8 / rate
        return self.free_at

    def _fly(self, packet: bytes, sent_at: float, now: float) -> None:
        shape = self.shape
        if shape.reorder and self.luck.random() < shape.reorder:
            self.counters.reordered += 1
            due = sent_at
        else:
            delay_ms = shape.delay_ms + (self.luck.random() * shape.jitter_ms if shape.jitter_ms else 0.0)
            due = self.last_due = max(self.last_due, sent_at + delay_ms / 1000)
        self.order += 1
        self.flying_bytes += len(packet)
        heapq.heappush(self.flying, (due, self.order, packet, now))

    def _flip_a_bit(self, packet: bytes) -> bytes:
        bit = self.luck.randrange(len(packet) * 8)
        changed = bytearray(packet)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)


def open_tun(net: Path, device: str) -> int:
    """Make a TUN device in a network namespace; it lives as long as the descriptor."""
    with inside_net(net):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", device.encode(), IFF_TUN | IFF_NO_PI))
        except OSError:
            os.close(fd)
            raise
    return fd


@dataclass(slots=True)
class Port:
    """One end of a link: the device, and the direction that packets read from it take."""

    fd: int
    peer_fd: int
    direction: Direction


class Emulator:
    """All links of a lab in one process: reads devices, asks directions, writes devices, answers the lab."""

    def __init__(self, control: socket.socket, seed: int) -> None:
        self._control = control
        self._seed = seed
        self._directions: dict[str, dict[Way, Direction]] = {}
        self._ports: dict[str, tuple[Port, Port]] = {}
        self._by_fd: dict[int, Port] = {}
        self._clients: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self._poll.register(control, select.EPOLLIN)

    def serve(self) -> None:
        """Carry packets and answer the lab until it says ``stop``."""
        while True:
            for fd, _ in self._poll.poll(self._wait_s()):
                if port := self._by_fd.get(fd):
                    self._read(port)
                elif fd == self._control.fileno():
                    client, _ = self._control.accept()
                    client.settimeout(5)
                    self._clients[client.fileno()] = client
                    self._poll.register(client, select.EPOLLIN)
                elif (client := self._clients.get(fd)) and not self._answer(client):
                    return
            for port in self._by_fd.values():
                if port.direction.flying:
                    self._write_due(port)

    def _wait_s(self) -> float:
        heads = [port.direction.flying[0][0] for port in self._by_fd.values() if port.direction.flying]
        return max(0.0, min(heads) - time.monotonic()) if heads else -1

    def _read(self, port: Port) -> None:
        direction, now = port.direction, time.monotonic()
        for _ in range(BATCH_PACKETS):
            try:
                packet = os.read(port.fd, PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:  # the device went with its namespace; without this the poll would spin on it
                self._poll.unregister(port.fd)
                return
            direction.offer(packet, now)

    def _write_due(self, port: Port) -> None:
        now = time.monotonic()
        for packet, offered_at in port.direction.due(now):
            try:
                os.write(port.peer_fd, packet)
            except OSError:  # down, or a corrupted header that the device will not take
                port.direction.counters.dropped_device += 1
            else:
                port.direction.delivered(packet, now - offered_at)

    def _answer(self, client: socket.socket) -> bool:
        """Answer one line; False when the lab wants the end."""
        with contextlib.suppress(OSError):
            line = client.makefile("rb").readline(CONTROL_LINE_BYTES_MAX)
            if line:
                try:
                    request = json.loads(line)
                    if request["do"] == "stop":
                        return False
                    answer = {"ok": self._do(request)}
                except (KeyError, TypeError, ValueError, OSError) as error:
                    answer = {"error": f"{type(error).__name__}: {error}"}
                client.sendall(json.dumps(answer).encode() + b"\n")
        # One line a connection: simple, and a client that goes away cannot hold anything.
        self._poll.unregister(client)
        del self._clients[client.fileno()]
        client.close()
        return True

    def _do(self, request: dict[str, Any]) -> Any:
        link = str(request["link"])
        match request["do"]:
            case "add":
                self._add(link, request["site"], request["core"])
            case "remove":
                self._remove(link)
            case "shape":
                for way in request["ways"]:
                    direction = self._directions[link][way]
                    direction.reshape(replace(direction.shape, **request["shape"]))
            case "stats":
                return {way: asdict(direction.counters) for way, direction in self._directions[link].items()}
            case _:
                raise ValueError(f"no such request: {request['do']}")
        return None

    def _add(self, link: str, site: list[str], core: list[str]) -> None:
        if link in self._ports:
            raise ValueError(f"link {link} is there already")
        # Shape, counters and luck outlive the devices: a site that reboots comes back behind the same line.
        ways = self._directions.setdefault(
            link, {way: Direction(random.Random(f"{self._seed}/{link}/{way}")) for way in WAYS}
        )
        site_fd = open_tun(Path(site[0]), site[1])
        try:
            core_fd = open_tun(Path(core[0]), core[1])
        except OSError:
            os.close(site_fd)
            raise
        ports = (Port(site_fd, core_fd, ways["up"]), Port(core_fd, site_fd, ways["down"]))
        self._ports[link] = ports
        for port in ports:
            self._by_fd[port.fd] = port
            self._poll.register(port.fd, select.EPOLLIN)

    def _remove(self, link: str) -> None:
        for port in self._ports.pop(link):
            del self._by_fd[port.fd]
            os.close(port.fd)  # leaves the poll by itself
            port.direction.flying.clear()
            port.direction.flying_bytes = 0


class EmulatorClient:
    """The lab's hand on a running emulator; every call is one short connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, link: str, site: tuple[Path, str], core: tuple[Path, str]) -> None:
        """Make a link between two (namespace, device); a name used before keeps its shape and counters."""
        self._ask(do="add", link=link, site=[str(word) for word in site], core=[str(word) for word in core])

    def remove(self, link: str) -> None:
        """Take the link's devices away."""
        self._ask(do="remove", link=link)

    def shape(self, link: str, ways: tuple[Way, ...] = WAYS, **changes: float | bool) -> None:
        """Change fields of ``Shape`` for the given directions; what is not named stays."""
        if not set(ways) <= set(WAYS):
            raise ValueError(f"not the ways of a link: {ways}")
        if unknown := changes.keys() - {known.name for known in fields(Shape)}:
            raise ValueError(f"no such shape: {sorted(unknown)}")
        self._ask(do="shape", link=link, ways=list(ways), shape=changes)

    def stats(self, link: str) -> dict[Way, Counters]:
        """Read both directions' counters."""
        return {way: Counters(**counters) for way, counters in self._ask(do="stats", link=link).items()}

    def stop(self) -> None:
        """End the emulator, and with it every device."""
        self._ask(do="stop")

    def _ask(self, **request: Any) -> Any:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(10)
            connection.connect(str(self._path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            line = connection.makefile("rb").readline(CONTROL_LINE_BYTES_MAX)
        if not line:
            return None
        answer = json.loads(line)
        if "error" in answer:
            raise OSError(f"link emulator: {answer['error']}")
        return answer["ok"]


def main(path: str, seed: str) -> None:
    """Listen at ``path`` and serve."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.bind(path)
    control.listen(8)
    Emulator(control, int(seed)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
