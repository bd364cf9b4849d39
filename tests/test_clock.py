"""Alarm and ClockTimeout by a clock turned by hand."""

import asyncio

import pytest

from skerry.clock import SECOND_US, Alarm, ClockTimeout, Tasks, Worker, read_offset_us
from tests.clocks import ManualClock, settle


class Rings:
    def __init__(self) -> None:
        self.clock = ManualClock(0)
        self.tasks = Tasks()
        self.times: list[int] = []
        self.alarm = Alarm(self.clock, self.tasks, "alarm", lambda: self.times.append(self.clock.boot_us()))


async def test_an_alarm_rings_once_at_its_time():
    rings = Rings()
    rings.alarm.set(10)
    await rings.clock.advance(9)
    assert rings.times == []
    await rings.clock.advance(100)
    assert rings.times == [10]


async def test_an_alarm_set_later_forgets_the_earlier_time():
    rings = Rings()
    rings.alarm.set(10)
    rings.alarm.set(30)
    await rings.clock.advance(100)
    assert rings.times == [30]


async def test_an_alarm_set_earlier_rings_earlier():
    rings = Rings()
    rings.alarm.set(30)
    await settle()
    rings.alarm.set(10)
    await rings.clock.advance(100)
    assert rings.times == [10]


async def test_an_alarm_may_be_set_again_by_its_own_ring():
    rings = Rings()

    def ring() -> None:
        rings.times.append(rings.clock.boot_us())
        if len(rings.times) < 3:
            rings.alarm.set(rings.clock.boot_us() + 5)

    rings.alarm = Alarm(rings.clock, rings.tasks, "alarm", ring)
    rings.alarm.set(10)
    await rings.clock.advance(100)
    assert rings.times == [10, 15, 20]


async def test_a_stopped_alarm_is_silent_until_set_again():
    rings = Rings()
    rings.alarm.set(10)
    rings.alarm.stop()
    await rings.clock.advance(50)
    assert rings.times == []
    rings.alarm.set(60)
    await rings.clock.advance(50)
    assert rings.times == [60]


class Jobs:
    def __init__(self) -> None:
        self.tasks = Tasks()
        self.done: list[int] = []
        self.gate = asyncio.Event()
        self.worker = Worker[int](self.tasks, "jobs", self.do)

    async def do(self, job: int) -> None:
        if job == 0:
            await self.gate.wait()
        self.done.append(job)


async def test_a_worker_does_one_thing_after_the_other_and_then_costs_no_task():
    jobs = Jobs()
    for job in (1, 0, 2):
        jobs.worker.add(job)
    await settle()
    assert jobs.done == [1]
    jobs.gate.set()
    await settle()
    assert jobs.done == [1, 0, 2]
    assert len(asyncio.all_tasks()) == 1
    jobs.worker.add(3)
    await settle()
    assert jobs.done[-1] == 3


async def test_a_stopped_worker_forgets_what_waited_and_may_begin_anew():
    jobs = Jobs()
    jobs.worker.add(0)
    jobs.worker.add(1)
    await settle()
    jobs.worker.stop()
    await settle()
    assert jobs.done == []
    jobs.worker.add(2)
    await settle()
    assert jobs.done == [2]
    assert jobs.tasks.failed == []


async def test_a_failure_is_kept_and_does_not_end_the_worker_for_good():
    jobs = Jobs()

    async def fail(job: int) -> None:
        raise ValueError(job)

    jobs.worker = Worker[int](jobs.tasks, "jobs", fail)
    for job in (1, 2):
        jobs.worker.add(job)
        await settle()
    assert [str(error) for _, error in jobs.tasks.failed] == ["1", "2"]


async def run_for(clock: ManualClock, tasks: Tasks, us: int, until: int) -> str:
    try:
        async with ClockTimeout(clock, tasks, us):
            await clock.sleep_until(until)
    except TimeoutError:
        return "late"
    return "done"


@pytest.mark.parametrize(("needs_us", "says"), [(5, "done"), (SECOND_US * 2, "late")])
async def test_a_timeout_ends_only_what_takes_too_long(needs_us: int, says: str):
    clock, tasks = ManualClock(0), Tasks()
    work = tasks.start("work", run_for(clock, tasks, SECOND_US, needs_us))
    await clock.advance(3 * SECOND_US)
    assert await work == says
    assert tasks.failed == []


async def test_a_cancelled_block_is_cancelled_not_late():
    clock, tasks = ManualClock(0), Tasks()
    work = tasks.start("work", run_for(clock, tasks, SECOND_US, 2 * SECOND_US))
    await settle()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not work.cancelling() > 1


async def test_tasks_are_stopped_in_the_order_of_their_start():
    tasks, ended = Tasks(), list[str]()

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    for number in range(20):
        tasks.start(f"task {number}", wait(f"task {number}"))
    await settle()
    await tasks.stop()
    assert ended == [f"task {number}" for number in range(20)]


def test_what_local_time_is_ahead_of_utc_is_known_of_zones_that_the_machine_has():
    winter, summer = 1_893_456_000 * SECOND_US, 1_909_000_000 * SECOND_US
    assert [read_offset_us("Europe/Oslo", at) for at in (winter, summer)] == [3600 * SECOND_US, 7200 * SECOND_US]
    assert read_offset_us("UTC", winter) == 0
    assert [read_offset_us(zone, winter) for zone in ("Europe/Nowhere", "../../etc/passwd", "", "a\0b")] == [None] * 4
