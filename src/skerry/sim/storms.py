"""Storms: a world, a mix of faults and what people do, all drawn from one seed; then calm, and everything must be well.

Swarm testing: each seed enables a random subset of fault kinds at rates of its own, because a fault that is always on
hides what another would show. Safety is checked after every step and every few seconds, liveness after healing.
"""

import asyncio
import resource
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from skerry.clock import SECOND_US, SeededMint
from skerry.sim import guard
from skerry.sim.checkers import Break
from skerry.sim.course import Course
from skerry.sim.coverage import list_words
from skerry.sim.dice import Dice
from skerry.sim.habits import APPS, Habits
from skerry.sim.history import judge
from skerry.sim.keepers import Keepers
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.mischief import DISK_KINDS, Mischief, draw_kinds
from skerry.sim.rifts import Rifts
from skerry.sim.tastes import Tastes
from skerry.sim.ties import Ties
from skerry.sim.world import World

#: Virtual seconds in which a healed fleet must be as wished (I22 to I26): back-off and all transfers included.
CALM_S = 1800
#: Virtual seconds in which a site without WAN must have everything running again (P6).
ALONE_S = 400
#: And so many for what ended by itself meanwhile: back-off after several ends included.
AGAIN_S = 120
#: The share of worlds whose sites keep their files on simulated disks; those cost more.
DISK_SHARE = 0.15


class StormResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one seed."""

    seed: int
    breaks: tuple[Break, ...]
    site_hours: float
    faults: dict[str, int]
    cpu_seconds: float
    trace_hash: str
    story: tuple[str, ...]
    #: Whether sites kept their files on simulated disks.
    on_disk: bool = False
    #: Words of manifests that owners said, see ``coverage.py``.
    words: frozenset[str] = frozenset()


def draw_tastes(mint: SeededMint, site_count: int) -> Tastes:
    """Draw what the owners of a seed's world like to say, without running it."""
    return Tastes(Dice(mint.split("tastes")), [f"site-{number + 1}" for number in range(site_count)])


class Storm:
    """One seed."""

    def __init__(self, seed: int, loop: SimLoop, mint: SeededMint) -> None:
        self.dice = Dice(mint.split("storm"))
        #: Of its own, so that storms of before keep their dice.
        self._looks = Dice(mint.split("looks"))
        self.course = Course(World(loop, mint.split("world")))
        self.world, self.weather, self.checker = self.course.world, self.course.weather, self.course.checker
        self.kinds = draw_kinds(self.dice)
        self.world.on_disk = self.dice.chance(DISK_SHARE)
        if not self.world.on_disk:
            self.kinds = tuple(kind for kind in self.kinds if kind not in DISK_KINDS)
        self.course.is_long = self.dice.chance(0.08)
        self.site_count = 1 if self.course.is_long else 1 + self.dice.below(4)
        ties = Ties(Dice(mint.split("ties")))
        self.world.with_names, self.world.is_quiet = ties.with_names, ties.is_quiet
        self.keepers = Keepers(self.world, Dice(mint.split("keepers")))
        self.habits = Habits(self.world, self.dice, draw_tastes(mint, self.site_count), ties, self.keepers)
        self.habits.tenants = 1 + self.dice.below(3)
        self.mischief = Mischief(self.course, self.habits, self.dice)
        self._gusts = Dice(mint.split("gusts"))
        self.rifts = Rifts(self.course, ties, self._gusts)
        self.duration_s = (8 * 3600 if self.course.is_long else 600) + self.dice.below(2400)
        self.pace_s = self.dice.pick((20, 60, 180)) * (20 if self.course.is_long else 1)

    async def run(self) -> None:
        """Begin, storm, let sites be alone, heal, converge."""
        kinds = ", ".join(self.kinds) or "none"
        disks = " on disks" if self.world.on_disk else ""
        self.world.tell(
            f"{self.site_count} sites{disks}, {self.habits.tenants} tenants, {self.duration_s} s, faults: {kinds}; "
            f"themes: {', '.join((*self.habits.tastes.themes, *self.habits.ties.sorts)) or 'none'}"
        )
        await self.world.begin(self.site_count, self.habits.tenants)
        self.keepers.furnish()
        await self.habits.begin()
        await self.habits.wish("apply")
        if "core-restored" in self.kinds:
            await self.weather.advance(self.dice.below(300))
            self.weather.back_up()
        end = self.course.now_s + self.duration_s
        while self.course.now_s < end:
            await self.course.pass_time(self.pace_s * 2 * self.dice.unit())
            if self.kinds and self.dice.chance(0.6):
                await self.mischief.happen(self.dice.pick(self.kinds))
            else:
                await self.habits.wish_something()
            if self.rifts.kinds and self._gusts.chance(0.4):
                await self.rifts.happen()
            if self.dice.chance(0.3):
                await self.world.read(self.dice.pick(APPS), self.habits.pick_tenant())
            if self._looks.chance(0.2):
                await self.world.look()
            if self.keepers.is_keeping and self.keepers.dice.chance(0.4):
                await self.keepers.happen()
            self.checker.check_step()
        await self.course.finish_pending()
        await self._leave_alone()
        await self._calm()

    async def _leave_alone(self) -> None:
        """No WAN, machines that work, every one of them rebooted: what is here must run (I18, I20).

        Half of the time while the newest wish is on its way over thin links: what waits for the link must not hold up
        what does not.
        """
        if self.dice.chance(0.5):
            await self.weather.start_core()
            for name in sorted(self.world.sites):
                self.weather.slow(name, 50, 0, 16_000)
            await self.habits.grow(self.habits.pick_tenant())
            await self.course.pass_time(4 + self.dice.below(8))
        for name in sorted(self.world.sites):
            self.weather.cut(name)
        await self.weather.heal_machines()
        for name in sorted(self.world.sites):
            await self.weather.stop_agent(name, power=True)
            await self.weather.start_agent(name)
        await self.course.pass_time(ALONE_S)
        self._find_idle("alone and rebooted")
        # What ends by itself now begins again, but for what its owner wants to rest after so long.
        for name in sorted(self.world.sites):
            self.weather.crash(name, self._looks.unit())
        await self.course.pass_time(AGAIN_S)
        self._find_idle("alone for long")

    def _find_idle(self, how: str) -> None:
        for name, site in sorted(self.world.sites.items()):
            idle = self.weather.find_idle(site)
            if idle:
                self.checker.complain("I18", f"{name}, {how}: {idle}")

    async def _calm(self) -> None:
        failing_s = 300 if self.dice.chance(0.3) else 0
        if failing_s:
            # The runtimes fail until the very end: what was tried in vain, three times too, is tried again soon enough.
            for name in sorted(self.world.sites):
                self.weather.trouble(name, fail=0.8)
            await self.habits.grow(self.habits.pick_tenant())
        self.weather.heal_links()
        await self.course.pass_time(max(failing_s, 120))
        for name in sorted(self.world.sites):
            self.weather.trouble(name, fail=0.0)
        await self.weather.repair()
        await self.habits.leave_boxes()
        await self.habits.open_windows()
        if self.dice.chance(0.5):
            # Life goes on: a document that comes after clocks and links were mended is like any other. Not in waves,
            # which come later than what is looked at below.
            words = msgspec.structs.replace(self.habits.draw_words(), rollout=None, ill=False)
            await self.habits.apply(self.dice.pick(APPS), words, self.habits.pick_tenant())
        late = await self.weather.converge(CALM_S)
        if late:
            self.checker.complain(late[:3], late[4:])
        self.checker.check_step()
        for tenant, app in sorted(self.world.confirmed):
            await self.world.read(app, tenant)
        await self.checker.check_calm()
        self.checker.check_step()
        for name, sent, most in self.world.count_samples():
            if sent > most:
                self.checker.complain("samples", f"{name} sent {sent} samples, at most {most} were due")
        for invariant, detail in judge(self.world.records):
            self.checker.complain(invariant, detail)


def measure_cpu() -> float:
    """CPU seconds of this process so far: a figure for people, never part of a run."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_storm(seed: int) -> StormResult:
    """Run one seed from its beginning to its verdict."""
    started = measure_cpu()
    errors: list[str] = []
    _catch_errors(errors)
    mint = SeededMint(f"storm {seed}")

    async def main() -> Storm:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        storm = Storm(seed, loop, mint)
        try:
            await storm.run()
            for error in errors:
                storm.checker.complain("crash", error)
        finally:
            await storm.world.end()
        return storm

    guard.begin()
    try:
        storm = run_virtual(mint.split("loop"), main())
    finally:
        guard.end()
    return StormResult(
        seed=seed,
        breaks=tuple(storm.checker.breaks),
        site_hours=storm.site_count * storm.world.loop.now_us / SECOND_US / 3600,
        faults=storm.weather.faults,
        cpu_seconds=measure_cpu() - started,
        trace_hash=storm.world.trace_hash,
        story=tuple(storm.world.story),
        on_disk=storm.world.on_disk,
        words=frozenset(word for each in storm.world.revisions.values() for word in list_words(each)),
    )


def _catch_errors(errors: list[str]) -> None:
    """What the product logs as an error is a finding; the rest of its log is not wanted here."""

    def catch(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        if method in ("error", "exception", "critical"):
            errors.append(f"{event.get('event')}: {event.get('loop') or event.get('work') or ''} {_name_error()}")
        raise structlog.DropEvent

    structlog.configure(processors=[catch], cache_logger_on_first_use=False)


def _name_error() -> str:
    error = sys.exc_info()[1]
    return "" if error is None else f"{type(error).__name__}: {error}"
