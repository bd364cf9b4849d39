"""When volumes are measured: seldom, in turns with pauses, sooner when room is lost, and one round at a time."""

import pytest
from tests.clocks import ManualClock

from skerry.agent.meter import HASTY_US, LOST_BYTES, PAUSE_US, ROUND_US, VolumeMeter
from skerry.clock import Tasks
from skerry.drivers.base import Measured
from skerry.model.ids import VolumeId
from skerry.model.limits import MEASURED_ENTRIES_MAX

ONE, TWO = VolumeId("t/a/one"), VolumeId("t/a/two")
BOTH = frozenset((ONE, TWO))
FREE = 50 << 30


class Gauge:
    def __init__(self, *turns: Measured) -> None:
        self.turns = list(turns)
        self.asked: list[int] = []

    async def measure(self, entries_max: int) -> Measured:
        self.asked.append(entries_max)
        return self.turns.pop(0) if self.turns else Measured({ONE: 9}, True)


@pytest.fixture
async def tasks():
    tasks = Tasks()
    yield tasks
    await tasks.stop()


async def test_a_round_goes_in_turns_and_the_last_sizes_stand_until_new_ones_come(tasks):
    clock, gauge = ManualClock(), Gauge(Measured({ONE: 1}, False), Measured({}, False), Measured({TWO: 2}, True))
    meter = VolumeMeter(clock, tasks, gauge)
    meter.consider(FREE, BOTH)
    await clock.advance(0)
    assert (meter.sizes, gauge.asked) == ({ONE: 1}, [MEASURED_ENTRIES_MAX])
    meter.consider(0, BOTH)
    await clock.advance(PAUSE_US)
    assert len(gauge.asked) == 2, "one round at a time"
    await clock.advance(PAUSE_US)
    assert meter.sizes == {ONE: 1, TWO: 2}
    await clock.advance(ROUND_US)
    meter.consider(FREE, BOTH)
    await clock.advance(0)
    assert meter.sizes == {ONE: 9}, "what is gone is not in the next round's sizes"


async def test_rounds_are_seldom_but_lost_room_is_looked_into_soon(tasks):
    clock, gauge = ManualClock(), Gauge()
    meter = VolumeMeter(clock, tasks, gauge)
    for free, pause_us, rounds in (
        (FREE, 0, 1),
        (FREE - LOST_BYTES, HASTY_US - 1, 1),
        (FREE - LOST_BYTES, 1, 2),
        (FREE - LOST_BYTES, HASTY_US, 2),
        (FREE, ROUND_US - HASTY_US, 3),
    ):
        await clock.advance(pause_us)
        meter.consider(free, frozenset((ONE,)))
        await clock.advance(0)
        assert len(gauge.asked) == rounds, (free, pause_us)


async def test_a_new_volume_is_measured_soon_and_one_that_cannot_be_measured_hurries_nobody(tasks):
    clock, gauge = ManualClock(), Gauge(Measured({}, True))
    meter = VolumeMeter(clock, tasks, gauge)
    for pause_us, volumes, rounds in (
        (0, frozenset[VolumeId](), 1),
        (HASTY_US - 1, frozenset((ONE,)), 1),
        (1, frozenset((ONE,)), 2),
        (HASTY_US, BOTH, 3),
        (HASTY_US, BOTH, 3),
        (ROUND_US, BOTH, 4),
    ):
        await clock.advance(pause_us)
        meter.consider(FREE, volumes)
        await clock.advance(0)
        assert len(gauge.asked) == rounds, (pause_us, volumes)
    assert meter.sizes == {ONE: 9}


async def test_without_a_gauge_nothing_is_measured(tasks):
    meter = VolumeMeter(ManualClock(), tasks, None)
    meter.consider(FREE, BOTH)
    assert meter.sizes == {}
