"""The only door to time, sleep, randomness, new ids and background tasks.

Product code takes a ``Clock`` and a ``Mint`` as arguments; the simulator passes its own. Wall time is a hint for
display; everything that waits or expires uses the boot-time clock, which counts suspend and never jumps. All times are
integer microseconds.
"""

import asyncio
import contextlib
import hashlib
import random
import secrets
import time
from collections.abc import Coroutine
from typing import Any, Protocol

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

SECOND_US = 1_000_000


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
        self._running: set[asyncio.Task[Any]] = set()
        self._failure: asyncio.Future[BaseException] | None = None
        self.failed: list[tuple[str, BaseException]] = []

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` in the background under ``name``."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
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
            for task in list(self._running):
                task.cancel()
            for task in list(self._running):
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
