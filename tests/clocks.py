"""A clock that a test turns by hand, and a way to let everything that is ready run."""

import asyncio
import heapq


class ManualClock:
    """Time stands still until ``advance``; sleepers wake in the order of their times."""

    def __init__(self, boot_us: int = 1_000_000_000) -> None:
        self._boot_us = boot_us
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def wall_us(self) -> int:
        return 1_700_000_000_000_000 + self._boot_us

    def boot_us(self) -> int:
        return self._boot_us

    async def sleep_until(self, boot_us: int) -> None:
        if boot_us > self._boot_us:
            self._count += 1
            sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._sleepers, (boot_us, self._count, sleeper))
            await sleeper

    async def advance(self, us: int) -> None:
        """Let ``us`` microseconds pass, stopping at each sleeper's time and letting it run."""
        end = self._boot_us + us
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, sleeper = heapq.heappop(self._sleepers)
            self._boot_us = max(self._boot_us, due)
            if not sleeper.done():
                sleeper.set_result(None)
                await settle()
        self._boot_us = end
        await settle()


async def settle(rounds: int = 50) -> None:
    """Give every task that is ready its turns; nothing here waits for real time."""
    for _ in range(rounds):
        await asyncio.sleep(0)
