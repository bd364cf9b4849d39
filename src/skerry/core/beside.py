"""Work that only computes, done beside the event loop, so that heartbeats and requests do not wait for it.

One thread: the interpreter runs one at a time anyhow, and hands over after 5 ms, so the loop waits about that long for
each of its turns instead of for the whole. A job is a pure function of frozen values: it touches neither the store nor
what a core keeps in memory. Inline, in simulation and tests, the loop does it itself.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from skerry.model.errors import Unavailable
from skerry.model.limits import BESIDE_JOBS_MAX

T = TypeVar("T")


class Beside:
    """One core's thread for it. All methods belong to one event loop."""

    def __init__(self, *, inline: bool = False) -> None:
        self._worker = None if inline else ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._jobs = 0

    async def work(self, job: Callable[[], T]) -> T:
        """Return what ``job`` returns; raises ``Unavailable`` when too much waits already."""
        if self._worker is None:
            return job()
        if self._jobs >= BESIDE_JOBS_MAX:
            raise Unavailable("E-BUSY", f"{self._jobs} plans wait already.", hint="Ask again in a minute.")
        self._jobs += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, job)
        finally:
            self._jobs -= 1

    def close(self) -> None:
        """End the thread after the job under way; what waits is given up."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
