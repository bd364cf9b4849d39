"""Notices arrive as systemd reads them, and nothing that the supervisor does can harm the work."""

import asyncio
import socket

import pytest

from skerry import supervise


@pytest.fixture
def door(tmp_path):
    """A notify socket as systemd makes one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


class StepClock:
    """Time that moves only when somebody sleeps; ends the sleeper after some steps."""

    def __init__(self, steps):
        self.now_us = 0
        self.steps = steps

    def wall_us(self):
        return self.now_us

    def boot_us(self):
        return self.now_us

    async def sleep_until(self, boot_us):
        self.now_us = boot_us
        self.steps -= 1
        if self.steps == 0:
            raise asyncio.CancelledError


def receive_all(listener):
    listener.setblocking(False)
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found


def test_states_travel_in_one_datagram(door):
    assert supervise.notify(door.getsockname(), supervise.READY, supervise.format_status("3 apps serving"))
    assert door.recv(4096) == b"READY=1\nSTATUS=3 apps serving"


def test_an_abstract_address_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # the kernel picks a free abstract name
        listener.settimeout(5)
        assert supervise.notify("@" + listener.getsockname()[1:].decode(), supervise.STOPPING)
        assert listener.recv(4096) == b"STOPPING=1"


def test_a_status_is_one_line_of_bounded_length():
    assert supervise.format_status("cut off\nREADY=1") == "STATUS=cut off READY=1"
    assert len(supervise.format_status("x" * 10_000)) == len("STATUS=") + supervise.STATUS_CHARACTERS_MAX


def test_without_a_supervisor_notices_go_nowhere(tmp_path):
    assert not supervise.notify("", supervise.READY)
    assert not supervise.notify(str(tmp_path / "gone"), supervise.READY)
    assert not supervise.notify("x" * 500, supervise.READY)


def test_a_supervisor_that_does_not_read_blocks_nothing(door):
    sent = [supervise.notify(door.getsockname(), supervise.ALIVE) for _ in range(5_000)]
    assert sent[0]
    assert not sent[-1]


async def test_the_watchdog_is_fed_three_times_an_interval(door):
    clock = StepClock(steps=6)
    with pytest.raises(asyncio.CancelledError):
        await supervise.keep_watchdog(door.getsockname(), 30_000_000, clock, lambda: True)
    assert receive_all(door) == [supervise.ALIVE] * 6
    assert clock.now_us == 60_000_000


async def test_the_watchdog_is_not_fed_while_the_work_is_unwell(door):
    answers = iter([True, False, False, True])
    with pytest.raises(asyncio.CancelledError):
        await supervise.keep_watchdog(door.getsockname(), 30_000_000, StepClock(steps=4), lambda: next(answers))
    assert receive_all(door) == [supervise.ALIVE] * 2


@pytest.mark.parametrize(("address", "interval_us"), [("", 30_000_000), ("/run/notify", 0)])
async def test_without_a_watchdog_nothing_is_started(address, interval_us):
    await supervise.keep_watchdog(address, interval_us, StepClock(steps=1), lambda: pytest.fail("asked"))
