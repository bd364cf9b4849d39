"""The link emulator against its own statistics: first what it decides, then real packets between namespaces."""

import hashlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.lab import CORE_ADDRESS, Lab
from tests.e2e.link_emulator import IN_FLIGHT_BYTES_MAX, QUEUE_BYTES_MIN, Direction, Shape

from skerry.berths.namespaces import inside_net

SEED = 7
#: IPv4 and UDP headers.
HEADER_BYTES = 28


def direction(
    *,
    delay_ms: float = 0,
    jitter_ms: float = 0,
    rate_bit_s: float = 0,
    loss: float = 0,
    duplicate: float = 0,
    corrupt: float = 0,
    reorder: float = 0,
) -> Direction:
    shape = Shape(delay_ms, jitter_ms, rate_bit_s, loss, duplicate, corrupt, reorder)
    return Direction(random.Random(SEED), shape)


def arrivals(line: Direction, now: float = 1e9) -> list[bytes]:
    return [packet for packet, _ in line.due(now)]


def test_nothing_is_changed_by_default() -> None:
    line = direction()
    for number in range(10):
        line.offer(bytes([number]), now=5.0)
    assert arrivals(line, 5.0) == [bytes([number]) for number in range(10)]


def test_delay_is_waited_for_and_jitter_keeps_order() -> None:
    line = direction(delay_ms=50, jitter_ms=20)
    for number in range(100):
        line.offer(bytes([number]), now=number / 1000)
    assert arrivals(line, 0.0499) == []
    assert arrivals(line) == [bytes([number]) for number in range(100)]
    assert line.last_due <= 0.099 + 0.070


def test_reordered_packets_overtake() -> None:
    line = direction(delay_ms=50, reorder=0.5)
    for number in range(100):
        line.offer(bytes([number]), now=0.0)
    early = arrivals(line, 0.0)
    assert len(early) == line.counters.reordered
    assert 30 < len(early) < 70
    assert len(arrivals(line)) == 100 - len(early)


def test_rate_spaces_packets_and_the_buffer_is_bounded() -> None:
    line = direction(rate_bit_s=80_000)  # 10,000 bytes a second
    for _ in range(100):
        line.offer(bytes(1000), now=0.0)
    assert len(arrivals(line, 0.99)) == 9
    held = QUEUE_BYTES_MIN // 1000
    assert line.counters.dropped_queue == 100 - held
    assert len(arrivals(line)) == held - 9


def test_flight_is_bounded() -> None:
    line = direction(delay_ms=1000)
    packet = bytes(1024 * 1024)
    for _ in range(100):
        line.offer(packet, now=0.0)
    assert line.flying_bytes <= IN_FLIGHT_BYTES_MAX
    assert line.counters.dropped_queue == 100 - IN_FLIGHT_BYTES_MAX // len(packet)


def test_same_seed_same_luck() -> None:
    fates: list[object] = []
    for _ in range(2):
        line = direction(loss=0.3, duplicate=0.1, corrupt=0.1, jitter_ms=5)
        for number in range(200):
            line.offer(bytes([number]) * 20, now=0.0)
        fates.append((list(line.due(1.0)), line.counters))
    assert fates[0] == fates[1]


def test_shares_are_kept() -> None:
    line = direction(loss=0.2, duplicate=0.1, corrupt=0.05)
    for _ in range(10_000):
        line.offer(bytes(20), now=0.0)
    seen = line.counters
    assert 0.18 < seen.dropped_loss / 10_000 < 0.22
    carried = 10_000 - seen.dropped_loss
    assert 0.08 < seen.duplicated / carried < 0.12
    assert 0.04 < seen.corrupted / carried < 0.06
    out = arrivals(line)
    assert len(out) == carried + seen.duplicated
    # One bit of a corrupted packet is flipped, and only of those (a duplicate repeats the flip).
    assert all(sum(byte.bit_count() for byte in packet) <= 1 for packet in out)
    assert seen.corrupted <= sum(any(packet) for packet in out) <= 2 * seen.corrupted


def test_a_cut_loses_what_is_in_flight() -> None:
    line = direction(delay_ms=50)
    line.offer(b"old", now=0.0)
    line.reshape(Shape(delay_ms=50, cut=True))
    line.offer(b"lost", now=0.0)
    line.reshape(Shape(delay_ms=50))
    line.offer(b"new", now=0.0)
    assert arrivals(line) == [b"new"]
    assert line.counters.dropped_cut == 2


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="loss is a share"):
        Shape(loss=1.5)
    with pytest.raises(ValueError, match="corrupt is a share"):
        Shape(corrupt=-0.1)
    with pytest.raises(ValueError, match="not negative"):
        Shape(delay_ms=-1)
    with pytest.raises(ValueError, match="not negative"):
        Shape(rate_bit_s=-5)


# From here on: real packets.


class Probe:
    """A datagram socket at the site and one at the core."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.site = self._socket(lab.sites["a"].net, lab.sites["a"].address)
        self.core = self._socket(lab.core.net, CORE_ADDRESS)

    @staticmethod
    def _socket(net: Path, address: str) -> socket.socket:
        with inside_net(net):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        made.bind((address, 9000))
        made.settimeout(0.5)
        return made

    def up(self, payload: bytes) -> None:
        self.site.sendto(payload, (CORE_ADDRESS, 9000))

    def down(self, payload: bytes) -> None:
        self.core.sendto(payload, (self.lab.sites["a"].address, 9000))

    @staticmethod
    def drain(receiver: socket.socket) -> list[tuple[float, bytes]]:
        """What arrives until nothing did for half a second, with times."""
        got: list[tuple[float, bytes]] = []
        while True:
            try:
                payload = receiver.recv(2048)
            except TimeoutError:
                return got
            got.append((time.monotonic(), payload))

    def close(self) -> None:
        self.site.close()
        self.core.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(["a"], seed=SEED, podman=False) as lab:
        yield lab


@pytest.fixture
def probe(lab: Lab) -> Iterator[Probe]:
    probe = Probe(lab)
    yield probe
    probe.close()
    lab.heal("a")
    lab.set_link("a", delay_ms=0, jitter_ms=0, rate_bit_s=0, loss=0, duplicate=0, corrupt=0, reorder=0)


@pytest.mark.e2e
def test_bytes_are_counted_to_the_last(lab: Lab, probe: Probe) -> None:
    before = lab.link_stats("a")
    sizes = [1, 10, 100, 1000]
    for size in sizes:
        probe.up(bytes(size))
    probe.down(bytes(50))
    assert [len(payload) for _, payload in probe.drain(probe.core)] == sizes
    assert len(probe.drain(probe.site)) == 1
    after = lab.link_stats("a")
    up_bytes = sum(sizes) + HEADER_BYTES * len(sizes)
    assert after["up"].offered_bytes - before["up"].offered_bytes == up_bytes
    assert after["up"].delivered_bytes - before["up"].delivered_bytes == up_bytes
    assert after["down"].offered_bytes - before["down"].offered_bytes == 50 + HEADER_BYTES


@pytest.mark.e2e
def test_no_packet_arrives_before_its_delay(lab: Lab, probe: Probe) -> None:
    lab.set_link("a", delay_ms=40, jitter_ms=10, ways=("up",))
    sent: dict[bytes, float] = {}
    for number in range(30):
        payload = number.to_bytes(2, "big")
        sent[payload] = time.monotonic()
        probe.up(payload)
    got = probe.drain(probe.core)
    assert [payload for _, payload in got] == list(sent)
    assert min(at - sent[payload] for at, payload in got) >= 0.040


@pytest.mark.e2e
def test_loss_is_the_seeds(lab: Lab, probe: Probe) -> None:
    offered = 1000
    before = lab.link_stats("a")["down"]
    lab.set_link("a", loss=0.2, ways=("down",))
    for _ in range(offered // 50):
        for _ in range(50):
            probe.down(b"x" * 20)
        time.sleep(0.01)
    received = len(probe.drain(probe.site))
    after = lab.link_stats("a")["down"]
    lost = after.dropped_loss - before.dropped_loss
    assert after.offered_packets - before.offered_packets == offered
    assert received == offered - lost
    # Nothing else drew on this direction's luck in this module.
    luck = random.Random(f"{SEED}/a/down")
    assert lost == sum(luck.random() < 0.2 for _ in range(offered))
    assert 0.15 < lost / offered < 0.25


@pytest.mark.e2e
def test_rate_is_not_exceeded(lab: Lab, probe: Probe) -> None:
    lab.set_link("a", rate_bit_s=1_000_000)
    for _ in range(40):
        probe.up(bytes(1000))
    times = [at for at, _ in probe.drain(probe.core)]
    assert len(times) == 40
    # 39 gaps; the first packet may have been held up on its way out of the emulator by up to its own time on the line.
    assert times[-1] - times[0] >= 38 * (1000 + HEADER_BYTES) * 8 / 1_000_000 * 0.9


@pytest.mark.e2e
def test_cuts(lab: Lab, probe: Probe) -> None:
    def passes() -> tuple[bool, bool]:
        probe.up(b"u")
        probe.down(b"d")
        return bool(probe.drain(probe.core)), bool(probe.drain(probe.site))

    assert passes() == (True, True)
    lab.cut("a")
    assert passes() == (False, False)
    lab.heal("a")
    assert passes() == (True, True)
    lab.cut_one_way("a", "up")
    assert passes() == (False, True)
    lab.heal("a")
    lab.cut_one_way("a", "down")
    assert passes() == (True, False)


@pytest.mark.e2e
def test_a_stream_survives_a_bad_line(lab: Lab, probe: Probe) -> None:
    content = random.Random(SEED).randbytes(2_000_000)
    lab.set_link("a", delay_ms=5, jitter_ms=2, loss=0.01, duplicate=0.01, reorder=0.01, corrupt=0.005, ways=("up",))
    with inside_net(lab.core.net):
        server = socket.create_server((CORE_ADDRESS, 9001))
    with inside_net(lab.sites["a"].net):
        client = socket.socket()
    client.settimeout(60)

    def send() -> None:
        with client:
            client.connect((CORE_ADDRESS, 9001))
            client.sendall(content)

    sender = threading.Thread(target=send)
    sender.start()
    with server, server.accept()[0] as connection, connection.makefile("rb") as stream:
        received = stream.read()
    sender.join()
    stats = lab.link_stats("a")["up"]
    assert stats.dropped_loss
    assert stats.duplicated
    assert stats.reordered
    assert stats.corrupted
    # TCP's own checksum catches single flipped bits, so the stream is whole.
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()


@pytest.mark.e2e
def test_a_bad_request_is_answered_and_changes_nothing(lab: Lab, probe: Probe) -> None:
    with pytest.raises(OSError, match="nowhere"):
        lab.cut("nowhere")
    with pytest.raises(OSError, match="share"):
        lab.set_link("a", loss=2)
    probe.up(b"still here")
    assert [payload for _, payload in probe.drain(probe.core)] == [b"still here"]
