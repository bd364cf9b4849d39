"""Files on simulated disks: what was acknowledged outlives a cut, a failing disk ends the store, a slow one is late."""

import asyncio
import errno

import pytest

from skerry.agent import journal
from skerry.clock import SECOND_US, SeededMint
from skerry.safe.errors import StoreFailed, StoreFull
from skerry.sim.disk_file import DiskFile, SlowDb, Trouble, draw_fates
from skerry.sim.disk_operations import Note, Sync, Write
from skerry.sim.loop import SimClock, SimLoop, run_virtual


def virtually(test):
    def run() -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, SimLoop)
            await test(SimClock(loop))

        run_virtual(SeededMint("disk file"), main())

    run.__name__ = test.__name__
    return run


def tell(message: str):
    return lambda connection: journal.append_events(connection, [journal.Draft(time_us=0, type="t", message=message)])


def messages(file: DiskFile) -> list[str]:
    return [event.message for event in journal.read_outbox(file.raw, 0, 100)]


@pytest.mark.parametrize("seed", range(8))
def test_what_was_acknowledged_outlives_every_cut(seed: int):
    @virtually
    async def play(clock: SimClock) -> None:
        file, trouble = DiskFile(journal.OPTIONS, Trouble()), Trouble()
        told: list[str] = []
        for round_ in range(4):
            db = SlowDb(file.open(), clock, trouble, lambda _: None)
            assert messages(file) == told
            for number in range(3):
                await db.run(tell(f"{round_}/{number}"))
                told.append(f"{round_}/{number}")
            db.abandon()
            file.cut(draw_fates(SeededMint(f"fates {seed} {round_}")))
        file.close()

    play()


@virtually
async def test_an_image_of_the_disk_is_what_it_was(clock: SimClock):
    file = DiskFile(journal.OPTIONS, Trouble())
    db = SlowDb(file.open(), clock, Trouble(), lambda _: None)
    await db.run(tell("before"))
    image = file.copy()
    await db.run(tell("after"))
    db.abandon()
    for _ in range(2):
        file.restore(image)
        opened = file.open()
        assert messages(file) == ["before"]
        opened.abandon()
    file.close()


@virtually
async def test_a_disk_that_fails_ends_the_store_and_one_without_room_undoes_the_write(clock: SimClock):
    trouble, failures = Trouble(), []
    file = DiskFile(journal.OPTIONS, trouble)
    db = SlowDb(file.open(), clock, trouble, failures.append)
    trouble.room = 100
    with pytest.raises(StoreFull):
        await db.run(tell("no room"))
    trouble.room = None
    await db.run(tell("room"))
    trouble.errors_after = 1
    with pytest.raises(StoreFailed):
        await db.run(tell("lost"))
    assert len(failures) == 1
    db.abandon()
    opened = file.open()
    assert messages(file) == ["room"]
    opened.abandon()
    file.close()


@virtually
async def test_a_slow_disk_answers_late_and_in_order(clock: SimClock):
    trouble = Trouble(slow_us=2 * SECOND_US)
    file = DiskFile(journal.OPTIONS, trouble)
    db = SlowDb(file.open(), clock, trouble, lambda _: None)
    start_us = clock.boot_us()
    assert await asyncio.gather(*(db.run(tell(str(number))) for number in range(3))) == [1, 2, 3]
    assert clock.boot_us() - start_us == 6 * SECOND_US
    trouble.slow_us = 0
    await db.run(tell("fast"))
    assert clock.boot_us() - start_us == 6 * SECOND_US
    db.abandon()
    file.close()


def test_one_error_or_all_from_now_on():
    once, for_good = Trouble(errors_after=1), Trouble(errors_after=1, errors_stay=True)
    for trouble, last in ((once, False), (for_good, True)):
        trouble.meet(Note("not an operation that can fail"))
        trouble.meet(Write(1, 0, b"x"))
        with pytest.raises(OSError, match="Input") as caught:
            trouble.meet(Sync(1))
        assert caught.value.errno == errno.EIO
        if last:
            with pytest.raises(OSError, match="Input"):
                trouble.meet(Sync(1))
        else:
            trouble.meet(Sync(1))
