"""The course of a storm: how time passes in it, with looks on the way, and the ends of what was begun when due."""

from collections.abc import Awaitable, Callable

from skerry.clock import SECOND_US
from skerry.sim.checkers import Checker
from skerry.sim.weather import Weather
from skerry.sim.world import World

#: Virtual seconds between two looks, and in a world of many hours.
LOOK_S = 10
LOOK_LONG_S = 300


class Course:
    """One world on its way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.weather = Weather(world)
        self.checker = Checker(world, self.weather)
        #: Many hours of virtual time: everything takes longer, and is looked at more rarely.
        self.is_long = False
        self._pending: list[tuple[float, Callable[[], Awaitable[None]]]] = []

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self.world.loop.now_us / SECOND_US

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, with the ends of faults when they are due, and looks in between."""
        end = self.now_s + seconds
        while self.now_s < end:
            due = [each for each in self._pending if each[0] <= self.now_s]
            for each in due:
                self._pending.remove(each)
                await each[1]()
            await self.weather.advance(min(LOOK_LONG_S if self.is_long else LOOK_S, max(end - self.now_s, 0.1)))
            self.checker.check_step()

    def later(self, seconds: float, end: Callable[[], Awaitable[None]]) -> None:
        """Do something in so many seconds."""
        self._pending.append((self.now_s + seconds, end))

    def later_now(self, seconds: float, end: Callable[[], None]) -> None:
        """Do something in so many seconds that takes no time."""

        async def act() -> None:
            end()

        self.later(seconds, act)

    async def finish_pending(self) -> None:
        """End everything that was begun."""
        for _, end in self._pending:
            await end()
        self._pending = []
