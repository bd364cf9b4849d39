"""A bell wakes whoever waits for something to have changed; it carries no news of its own.

Whoever is woken reads the present state, so a missed ring costs nothing and a needless one little.
"""

import asyncio


class Bell:
    """All methods belong to one event loop."""

    def __init__(self) -> None:
        #: Rings so far: remember it before looking at the state, then wait for more.
        self.rings = 0
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake everybody who waits."""
        self.rings += 1
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def wait(self, seen: int) -> None:
        """Return once the bell has rung more often than ``seen``."""
        while self.rings <= seen:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            finally:
                if future in self._waiting:
                    self._waiting.remove(future)
