"""Turns the loops: each is woken by its bell or its timer, runs alone, and is tried again after a failure.

A loop that meets a bug or a store that is full says so and goes on later; a store that has failed ends the process
from outside (faults.md §3.4).
"""

import contextlib
from collections.abc import Awaitable, Callable

import structlog

from skerry.clock import SECOND_US, ClockTimeout
from skerry.core import loops
from skerry.core.bell import Bell
from skerry.core.state import Core
from skerry.model.errors import SkerryError
from skerry.safe.errors import StoreAway, StoreFailed

#: First and longest pause after a turn that failed.
_PAUSE_US_MIN = SECOND_US
_PAUSE_US_MAX = 60 * SECOND_US

_log = structlog.get_logger("skerry.core")


class Runner:
    """Owns the tasks of one core's loops."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def start(self) -> None:
        """Start all loops."""
        core = self._core
        planner, watcher, keeper = loops.Planner(core), loops.Watcher(core), loops.Keeper(core)
        core.tasks.start("loop plan", self._turn("plan", planner.turn, core.wishes, loops.PLAN_US))
        core.tasks.start("loop publish", self._turn("publish", self._publish, None, loops.PUBLISH_US))
        core.tasks.start("loop watch", self._turn("watch", watcher.turn, None, loops.WATCH_US))
        core.tasks.start("loop keep", self._turn("keep", keeper.turn, None, loops.KEEP_US))

    async def _publish(self) -> None:
        await loops.publish(self._core)

    async def _turn(self, name: str, turn: Callable[[], Awaitable[None]], bell: Bell | None, period_us: int) -> None:
        bell = bell or Bell()
        pause_us = _PAUSE_US_MIN
        while True:
            seen = bell.rings
            try:
                await turn()
            except StoreFailed:
                raise
            except StoreAway as away:
                # The store itself limits how often it is tried; when it is back, work must go on at once.
                _log.warning("loop waits", loop=name, code=away.code, detail=away.detail)
                failed, pause_us = True, _PAUSE_US_MIN
            except SkerryError as error:
                _log.warning("loop failed", loop=name, code=error.code, detail=error.detail)
                failed = True
            except Exception:
                _log.exception("loop failed", loop=name)
                failed = True
            else:
                failed = False
            if failed:
                await self._core.clock.sleep_until(self._core.clock.boot_us() + pause_us)
                pause_us = min(pause_us * 2, _PAUSE_US_MAX)
                continue
            pause_us = _PAUSE_US_MIN
            with contextlib.suppress(TimeoutError):
                async with ClockTimeout(self._core.clock, self._core.tasks, period_us):
                    await bell.wait(seen)
