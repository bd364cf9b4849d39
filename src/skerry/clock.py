"""The only door to time, sleep, randomness, new ids and background tasks.

Product code takes a ``Clock`` and a ``Mint`` as arguments; the simulator passes its own. Wall time is a hint for
display; everything that waits or expires uses the boot-time clock, which counts suspend and never jumps. All times are
integer microseconds.
"""

import asyncio
import collections
import datetime
import hashlib
import random
import secrets
import time
import zoneinfo
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

SECOND_US = 1_000_000

Item = TypeVar("Item")


class Clock(Protocol):
    """Time as seen by one machine."""

    def wall_us(self) -> int:
        """Microseconds since 1970 by the hardware clock: may be wrong, may jump."""
        ...

    def boot_us(self) -> int:
        """Microseconds since this machine booted, suspend included; never goes back."""
        ...

    async def sleep_until(self, boot_us: int) -> None:
        """Return once ``boot_us()`` is at or past the given value."""
        ...


def read_offset_us(zone: str, at_us: int) -> int | None:
    """Return what local time of a zone such as ``Europe/Oslo`` is ahead of UTC; None for one this machine has not."""
    try:
        moment = datetime.datetime.fromtimestamp(at_us // SECOND_US, zoneinfo.ZoneInfo(zone))
    except (ValueError, OSError, OverflowError, zoneinfo.ZoneInfoNotFoundError):
        return None
    offset = moment.utcoffset()
    return None if offset is None else int(offset.total_seconds()) * SECOND_US


class Mint(Protocol):
    """Randomness and fresh ids."""

    def draw(self, count: int) -> bytes:
        """Return ``count`` unpredictable bytes."""
        ...

    def uniform(self) -> float:
        """Return a number in [0, 1), for jitter."""
        ...

    def split(self, subject: str) -> "Mint":
        """Return a mint of its own for ``subject``: one more subject does not change what the others draw."""
        ...


def make_ulid(mint: Mint, wall_us: int) -> str:
    """Return a ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32; sorts by time."""
    number = ((wall_us // 1000) & (2**48 - 1)) << 80 | int.from_bytes(mint.draw(10), "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


async def unhurried(items: Iterable[Item], count: int) -> AsyncIterator[Item]:
    """Give a long row of small things out, and after every ``count`` let all others have a turn of the event loop."""
    for number, item in enumerate(items):
        if number and number % count == 0:
            await asyncio.sleep(0)
        yield item


class SystemClock:
    """The machine's own clocks."""

    def wall_us(self) -> int:
        """Read the hardware clock."""
        return time.time_ns() // 1000

    def boot_us(self) -> int:
        """Read CLOCK_BOOTTIME, which counts suspend."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    async def sleep_until(self, boot_us: int) -> None:
        """Sleep in steps, because the event loop's clock stands still during suspend."""
        while (left_us := boot_us - self.boot_us()) > 0:  # noqa: ASYNC110 - nothing signals the passing of time
            await asyncio.sleep(min(left_us / SECOND_US, 60))


def pause(seconds: float) -> None:
    """Let time pass in a program that has no event loop; what waits for a change looks again afterwards."""
    time.sleep(seconds)


class SystemMint:
    """The operating system's randomness."""

    def draw(self, count: int) -> bytes:
        """Draw from the kernel."""
        return secrets.token_bytes(count)

    def uniform(self) -> float:
        """Draw from the kernel."""
        return secrets.randbelow(2**53) / 2**53

    def split(self, subject: str) -> Mint:
        """Kernel randomness needs no separate streams."""
        return self


class SeededMint:
    """A repeatable mint for simulation and tests; each subject has a stream of its own."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._random = random.Random(hashlib.sha256(seed.encode()).digest())

    def draw(self, count: int) -> bytes:
        """Return the next bytes of this stream."""
        return self._random.randbytes(count)

    def uniform(self) -> float:
        """Return the next number of this stream."""
        return self._random.random()

    def split(self, subject: str) -> "SeededMint":
        """Start the stream of ``subject``; the same subject always starts at the same place."""
        return SeededMint(f"{self._seed}/{subject}")


class Tasks:
    """Background tasks with names and an owner: the only way product code starts one.

    A task that ends with an exception is kept in ``failed`` and wakes ``wait_failed``, so no failure is silent.
    """

    def __init__(self) -> None:
        # A dict for its order: tasks are stopped in the order in which they were started, the same in each run.
        self._running: dict[asyncio.Task[Any], None] = {}
        self._failure: asyncio.Future[BaseException] | None = None
        self.failed: list[tuple[str, BaseException]] = []

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` in the background under ``name``."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.failed.append((task.get_name(), error))
            if self._failure is not None and not self._failure.done():
                self._failure.set_result(error)

    async def wait_failed(self) -> BaseException:
        """Return the first failure of any task, now or later."""
        if self.failed:
            return self.failed[0][1]
        self._failure = asyncio.get_running_loop().create_future()
        return await self._failure

    async def stop(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        while self._running:
            running = list(self._running)
            for task in running:
                task.cancel()
            # Not one by one: waiting for a task that has ended lets nobody else run, not even its own farewell.
            await asyncio.gather(*running, return_exceptions=True)


class Worker(Generic[Item]):
    """Does one thing after the other, in a task that exists only while there is something to do.

    10,000 sessions that are idle then cost no tasks. Who adds bounds how much may wait.
    """

    def __init__(self, tasks: Tasks, name: str, do: Callable[[Item], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._name = name
        self._do = do
        self._waiting: collections.deque[Item] = collections.deque()
        self._task: asyncio.Task[Any] | None = None

    def add(self, item: Item) -> None:
        """Do ``item`` after everything added before."""
        self._waiting.append(item)
        if self._task is None:
            self._task = self._tasks.start(self._name, self._work())

    def stop(self) -> None:
        """Forget what waits and interrupt what is being done; ``add`` begins anew."""
        self._waiting.clear()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            self._task = None

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._do(self._waiting.popleft())
        finally:
            # Unless it was stopped, and another one began meanwhile.
            if self._task is asyncio.current_task():
                self._task = None


class Alarm:
    """One wake-up that can be set again and again; ``ring`` is called once per setting, at or after its time.

    Setting it later than before costs nothing: the sleeper looks at the new time when it wakes.
    """

    def __init__(self, clock: Clock, tasks: Tasks, name: str, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._tasks = tasks
        self._name = name
        self._ring = ring
        self._due_us: int | None = None
        self._sleeping_until_us = 0
        self._sleeper: asyncio.Task[Any] | None = None

    def set(self, boot_us: int) -> None:
        """Ring at ``boot_us``, not at any time set before."""
        self._due_us = boot_us
        if self._sleeper is not None and boot_us < self._sleeping_until_us:
            self._sleeper.cancel()
            self._sleeper = None
        if self._sleeper is None:
            self._sleeping_until_us = boot_us
            self._sleeper = self._tasks.start(self._name, self._sleep())

    def stop(self) -> None:
        """Never ring again unless set again."""
        self._due_us = None
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    async def _sleep(self) -> None:
        while self._due_us is not None:
            self._sleeping_until_us = self._due_us
            await self._clock.sleep_until(self._due_us)
            if self._due_us <= self._clock.boot_us():
                self._due_us = None
                # ``ring`` may set the alarm again; this loop then goes on, so nothing may cancel it meanwhile.
                self._sleeping_until_us = 0
                self._ring()
        self._sleeper = None


class ClockTimeout:
    """``async with ClockTimeout(clock, tasks, us):`` ends the block with ``TimeoutError`` after ``us`` microseconds.

    Like ``asyncio.timeout``, by the machine's boot-time clock, which the simulator turns and which counts suspend.
    """

    def __init__(self, clock: Clock, tasks: Tasks, us: int) -> None:
        self._clock = clock
        self._tasks = tasks
        self._us = us
        self._expired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout needs a task to interrupt")
        self._task = task
        self._cancelling = task.cancelling()
        self._watch = self._tasks.start("timeout", self._expire(self._clock.boot_us() + self._us))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    async def _expire(self, boot_us: int) -> None:
        await self._clock.sleep_until(boot_us)
        self._expired = True
        self._task.cancel()
