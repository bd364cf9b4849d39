import asyncio

import pytest

from skerry.clock import SECOND_US, SeededMint
from skerry.sim.loop import SimClock, SimLoop, SimulationStuck, run_virtual


async def many(clock: SimClock, log: list[tuple[int, str]]) -> None:
    async def one(name: str) -> None:
        for round_number in range(5):
            await clock.sleep_until(clock.boot_us() + 3600 * SECOND_US)
            await asyncio.sleep(0)
            log.append((round_number, name))

    await asyncio.gather(*(one(name) for name in "abcdef"))


def run(seed: str) -> tuple[list[tuple[int, str]], int]:
    log: list[tuple[int, str]] = []
    elapsed = 0

    async def main() -> None:
        nonlocal elapsed
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        await many(SimClock(loop), log)
        elapsed = loop.now_us

    run_virtual(SeededMint(seed), main())
    return log, elapsed


def test_hours_pass_at_once_and_exactly():
    _, elapsed = run("a")
    assert elapsed == 5 * 3600 * SECOND_US


def test_the_seed_decides_the_order():
    assert run("a") == run("a")
    assert len({str(run(seed)[0]) for seed in "abcdefgh"}) > 1


def test_a_run_that_waits_for_nothing_ends():
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimulationStuck):
        run_virtual(SeededMint("a"), main())


def test_a_clock_that_is_wrong_about_the_year_still_sleeps_right():
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        clock = SimClock(loop)
        clock.wall_offset_us = -(10**15)
        before = clock.boot_us()
        await clock.sleep_until(before + 7 * SECOND_US)
        return clock.boot_us() - before

    assert run_virtual(SeededMint("a"), main()) == 7 * SECOND_US
