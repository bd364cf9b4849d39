"""An asyncio loop on virtual time: which ready task runs next is drawn from the seed, idle time is skipped.

The product's own coroutines run in it unchanged. Rules: (1) time moves only when nothing is ready, to the next timer;
(2) no file descriptor is ever waited for; (3) the same seed gives the same order of steps, whatever the hash seed.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from skerry.clock import SECOND_US, Mint

T = TypeVar("T")

#: Wall time at the start of every simulation: 2030-01-01T00:00:00Z.
EPOCH_US = 1_893_456_000 * SECOND_US
#: Steps without any progress of time after which a run is taken for an endless loop.
STEPS_AT_ONE_TIME_MAX = 200_000


class SimulationStuck(RuntimeError):
    """Nothing is ready and no timer is set, or time no longer moves: nothing can ever happen again."""


class _VirtualSelector(selectors.SelectSelector):
    """Waits for nothing: tells the loop to jump."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: SimLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.loop is not None:
            self.loop.jump(timeout)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """See the module. ``now_us`` is virtual time since the start, in microseconds."""

    def __init__(self, mint: Mint) -> None:
        self.now_us = 0
        self._mint = mint
        self._still = 0
        selector = _VirtualSelector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_us / SECOND_US

    def jump(self, timeout: float | None) -> None:
        """Move time by ``timeout`` seconds, rounded up so that the timer waited for is due."""
        if timeout is None:
            raise SimulationStuck("nothing is ready and nothing is waited for")
        if timeout > 0:
            self.now_us += max(1, -int(-timeout * SECOND_US // 1))
            self._still = 0
            return
        self._still += 1
        if self._still > STEPS_AT_ONE_TIME_MAX:
            raise SimulationStuck(f"time has stood still for {self._still} steps")

    def _run_once(self) -> None:
        ready = cast("deque[Any]", getattr(self, "_ready"))  # noqa: B009 - asyncio keeps its queue to itself
        if len(ready) > 1 and self._mint.uniform() < 0.25:
            # Not every step: a quarter of all steps is enough to find orders, and four times cheaper.
            ready.rotate(int(self._mint.uniform() * len(ready)))
        super()._run_once()  # type: ignore[misc]


class SimClock:
    """One machine's clocks over the loop's time, with skew, drift and jumps."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._boot_offset_us = 1_000 * SECOND_US
        #: Added to true wall time: what a wrong hardware clock shows.
        self.wall_offset_us = 0

    def wall_us(self) -> int:
        """True time plus this machine's error."""
        return EPOCH_US + self._loop.now_us + self.wall_offset_us

    def boot_us(self) -> int:
        """Time since this machine booted."""
        return self._loop.now_us + self._boot_offset_us

    def reboot(self) -> None:
        """Start the boot-time clock afresh."""
        self._boot_offset_us = -self._loop.now_us + SECOND_US

    async def sleep_until(self, boot_us: int) -> None:
        """Sleep in virtual time."""
        left_us = boot_us - self.boot_us()
        if left_us > 0:
            done: asyncio.Future[None] = self._loop.create_future()
            handle = self._loop.call_at((self._loop.now_us + left_us) / SECOND_US, _wake, done)
            try:
                await done
            finally:
                handle.cancel()


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def run_virtual(mint: Mint, main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end in a fresh virtual loop."""
    loop = SimLoop(mint)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(_settle())
        asyncio.set_event_loop(None)
        loop.close()


async def _settle() -> None:
    current = asyncio.current_task()
    rest = [task for task in asyncio.all_tasks() if task is not current]
    if rest:
        await asyncio.wait(rest)
