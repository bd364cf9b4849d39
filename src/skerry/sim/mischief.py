"""Kinds of faults of a storm: which of them a seed has, and what each does to one site or to the core."""

import asyncio

from skerry.clock import SECOND_US
from skerry.sim.course import Course
from skerry.sim.dice import Dice
from skerry.sim.habits import Habits

KINDS = (
    "cut",
    "one-way",
    "slow",
    "flap",
    "agent-kill",
    "power-cut",
    "core-kill",
    "crash",
    "drift",
    "runtime-fail",
    "runtime-half",
    "runtime-slow",
    "runtime-away",
    "disk-full",
    "clock",
    "core-restored",
    "poison",
    "flood",
    "site-set-back",
    "disk-error",
    "disk-no-room",
    "disk-slow",
    "less-memory",
)
#: Only where sites keep their files on simulated disks.
DISK_KINDS = ("disk-error", "disk-no-room", "disk-slow")
#: At most once in a run: after it some promises no longer hold, or it makes a run slow.
RARE = ("core-restored", "poison", "flood", "site-set-back")


def draw_kinds(dice: Dice) -> tuple[str, ...]:
    """Draw the kinds of one seed: one, all, or a part of them."""
    draw = dice.unit()
    if draw < 0.1:
        return (dice.pick(KINDS),)
    if draw < 0.2:
        return KINDS
    share = 0.15 + 0.35 * dice.unit()
    return tuple(kind for kind in KINDS if dice.chance(share))


class Mischief:
    """The faults of one world."""

    def __init__(self, course: Course, habits: Habits, dice: Dice) -> None:
        self.course = course
        self.world = course.world
        self.weather = course.weather
        self.habits = habits
        self.dice = dice
        self._done: set[str] = set()

    async def happen(self, kind: str) -> None:
        """Let a fault of this kind happen somewhere."""
        if kind in RARE:
            if kind in self._done:
                return
            self._done.add(kind)
        site = self.dice.pick(sorted(self.world.sites))
        weather, dice = self.weather, self.dice
        later, later_now = self.course.later, self.course.later_now
        length = dice.pick((5, 60, 600)) * dice.unit() * (10 if self.course.is_long else 1)
        match kind:
            case "cut" | "one-way":
                weather.cut(site, "both" if kind == "cut" else dice.pick(("up", "down")))
                later_now(length, lambda: weather.mend(site))
            case "flap":
                for _ in range(4):
                    weather.cut(site)
                    await self.course.pass_time(3 * dice.unit())
                    weather.mend(site)
                    await self.course.pass_time(3 * dice.unit())
            case "slow":
                weather.slow(site, dice.below(2000), dice.below(1000), dice.pick((0, 16_000, 64_000, 1_000_000)))
            case "agent-kill" | "power-cut":
                await weather.stop_agent(site, power=kind == "power-cut")
                later(length * dice.pick((0, 1)), lambda: weather.start_agent(site))
            case "core-kill":
                await self._kill_core(length)
            case "crash":
                weather.crash(site, dice.unit())
            case "drift":
                weather.drift(site, dice.unit())
            case "runtime-fail" | "runtime-half":
                weather.trouble(site, **{kind.removeprefix("runtime-"): 0.2 + 0.6 * dice.unit()})
                later_now(length, lambda: weather.trouble(site, fail=0.0, half=0.0))
            case "runtime-slow":
                weather.trouble(site, slow_us=dice.below(20) * SECOND_US)
                later_now(length, lambda: weather.trouble(site, slow_us=0))
            case "runtime-away":
                weather.trouble(site, unavailable=True)
                later_now(length, lambda: weather.trouble(site, unavailable=False))
            case "disk-full":
                weather.fill_disk(site, dice.below(dice.pick((1, 20_000, 100_000))))
                if dice.chance(0.5):
                    await self.habits.grow(self.habits.pick_tenant())
            case "clock":
                weather.jump_clock(dice.pick((site, site, "core")), self._draw_jump())
            case "core-restored":
                await weather.restore_core()
            case "poison":
                if self.world.images:
                    weather.poison(*dice.pick(sorted(self.world.images)))
            case "flood":
                await weather.flood(site, 200)
            case "less-memory":
                await weather.lose_memory(site, dice.pick((0.25, 0.5, 1.0)))
            case "disk-error":
                weather.trouble_disk(site, kind, errors_after=dice.below(40), errors_stay=dice.chance(0.3))
                later_now(length, lambda: weather.mend_disk(site))
            case "disk-no-room":
                weather.trouble_disk(site, kind, room=dice.below(200_000))
                later_now(length, lambda: weather.mend_disk(site))
            case "disk-slow":
                weather.trouble_disk(site, kind, slow_us=dice.below(3 * SECOND_US))
                later_now(length, lambda: weather.mend_disk(site))
            case _:
                weather.image_disk(site)
                later(length, lambda: self._set_back(site, alone=dice.chance(0.6)))

    async def _set_back(self, site: str, *, alone: bool) -> None:
        """Put the old disk in; ``alone``: the site writes events of its own before it hears of what it had written."""
        if alone:
            self.weather.cut(site)
        await self.weather.set_back(site)
        if alone:
            for _ in range(self.dice.below(8)):
                await self.weather.advance(20)
                self.weather.crash(site, self.dice.unit())
            self.course.later_now(60 * self.dice.unit(), lambda: self.weather.mend(site))

    def _draw_jump(self) -> int:
        return self.dice.pick((-365 * 86_400, -3600, 3600, 10 * 365 * 86_400))

    async def _kill_core(self, length: float) -> None:
        """Half of the time while it is being asked for something."""
        if self.dice.chance(0.5):
            wish = asyncio.get_running_loop().create_task(self.habits.wish_something())
            for _ in range(self.dice.below(12)):
                await _next_turn()
            await self.weather.stop_core()
            await asyncio.wait([wish])
            wish.result()
        else:
            await self.weather.stop_core()
        self.course.later(length, self.weather.start_core)


async def _next_turn() -> None:
    """Let whatever is ready go one step."""
    loop = asyncio.get_running_loop()
    turn: asyncio.Future[None] = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn
