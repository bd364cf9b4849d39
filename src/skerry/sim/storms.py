"""Storms: a world, a mix of faults and what people do, all drawn from one seed; then calm, and everything must be well.

Swarm testing: each seed enables a random subset of fault kinds at rates of its own, because a fault that is always on
hides what another would show. Safety is checked after every step and every few seconds, liveness after healing.
"""

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeVar

import msgspec
import structlog

from skerry.clock import SECOND_US, SeededMint
from skerry.model.rollout import Gate, Rollout, Share
from skerry.sim import guard
from skerry.sim.apps import AppWords
from skerry.sim.checkers import Break, Checker
from skerry.sim.history import judge
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.weather import Weather
from skerry.sim.world import World

T = TypeVar("T")

#: Virtual seconds between two looks during a storm.
LOOK_S = 10
#: Virtual seconds in which a healed fleet must be as wished (I22 to I26): back-off and all transfers included.
CALM_S = 1800
#: Virtual seconds in which a site without WAN must have everything running again (P6).
ALONE_S = 400

#: How revisions come to sites where an app has a rollout: short enough for what the calm leaves of time.
ROLLOUT = Rollout(
    canary=Share(sites=1),
    bake_us=20 * SECOND_US,
    waves=(Share(permille=500), Share(permille=1000)),
    gate=Gate(healthy_us=20 * SECOND_US, timeout_us=120 * SECOND_US),
)

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
)
#: Only where sites keep their files on simulated disks.
DISK_KINDS = ("disk-error", "disk-no-room", "disk-slow")
#: The share of worlds in which they do; those cost more.
DISK_SHARE = 0.15
#: At most once in a run: after it some promises no longer hold, or it makes a run slow.
RARE = ("core-restored", "poison", "flood", "site-set-back")
WISHES = ("apply", "apply", "apply", "rollback", "delete", "delete-volumes", "pause", "resume", "restart")
APPS = ("shop", "till", "wall", "hub")


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


class Dice:
    """Draws from the storm's own stream."""

    def __init__(self, mint: SeededMint) -> None:
        self._mint = mint

    def unit(self) -> float:
        """A number in [0, 1)."""
        return self._mint.uniform()

    def below(self, count: int) -> int:
        """A whole number below ``count``."""
        return int(self._mint.uniform() * count)

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def chance(self, probability: float) -> bool:
        """Say yes so often."""
        return self._mint.uniform() < probability


class Storm:
    """One seed."""

    def __init__(self, seed: int, loop: SimLoop, mint: SeededMint) -> None:
        self.dice = Dice(mint.split("storm"))
        #: Of its own, so that storms of before keep their dice.
        self._looks = Dice(mint.split("looks"))
        self.world = World(loop, mint.split("world"))
        self.weather = Weather(self.world)
        self.checker = Checker(self.world, self.weather)
        draw = self.dice.unit()
        if draw < 0.1:
            self.kinds: tuple[str, ...] = (self.dice.pick(KINDS),)
        elif draw < 0.2:
            self.kinds = KINDS
        else:
            share = 0.15 + 0.35 * self.dice.unit()
            self.kinds = tuple(kind for kind in KINDS if self.dice.chance(share))
        self.world.on_disk = self.dice.chance(DISK_SHARE)
        if not self.world.on_disk:
            self.kinds = tuple(kind for kind in self.kinds if kind not in DISK_KINDS)
        self.is_long = self.dice.chance(0.08)
        self.site_count = 1 if self.is_long else 1 + self.dice.below(4)
        self.tenants = 1 + self.dice.below(3)
        self.duration_s = (8 * 3600 if self.is_long else 600) + self.dice.below(2400)
        self.pace_s = self.dice.pick((20, 60, 180)) * (20 if self.is_long else 1)
        self.serial = 0
        self._done: set[str] = set()
        self._pending: list[tuple[float, Callable[[], Awaitable[None]]]] = []

    # --- the run -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Begin, storm, let sites be alone, heal, converge."""
        kinds = ", ".join(self.kinds) or "none"
        disks = " on disks" if self.world.on_disk else ""
        self.world.tell(f"{self.site_count} sites{disks}, {self.tenants} tenants, {self.duration_s} s, faults: {kinds}")
        await self.world.begin(self.site_count, self.tenants)
        await self._wish("apply")
        if "core-restored" in self.kinds:
            await self.weather.advance(self.dice.below(300))
            self.weather.back_up()
        end = self._now() + self.duration_s
        while self._now() < end:
            await self._pass_time(self.pace_s * 2 * self.dice.unit())
            if self.kinds and self.dice.chance(0.6):
                await self._fault(self.dice.pick(self.kinds))
            else:
                await self._wish(self.dice.pick(WISHES))
            if self.dice.chance(0.3):
                await self.world.read(self.dice.pick(APPS), self._tenant())
            if self._looks.chance(0.2):
                await self.world.look()
            self.checker.check_step()
        await self._finish_pending()
        await self._leave_alone()
        await self._calm()

    def _now(self) -> float:
        return self.world.loop.now_us / SECOND_US

    async def _pass_time(self, seconds: float) -> None:
        """Let time pass, with the ends of faults when they are due, and looks in between."""
        end = self._now() + seconds
        while self._now() < end:
            due = [each for each in self._pending if each[0] <= self._now()]
            for each in due:
                self._pending.remove(each)
                await each[1]()
            await self.weather.advance(min(LOOK_S if not self.is_long else 300, max(end - self._now(), 0.1)))
            self.checker.check_step()

    async def _finish_pending(self) -> None:
        for _, end in self._pending:
            await end()
        self._pending = []

    def _later(self, seconds: float, end: Callable[[], Awaitable[None]]) -> None:
        self._pending.append((self._now() + seconds, end))

    # --- what people do ----------------------------------------------------------------------------------------------

    async def _wish(self, wish: str) -> None:
        tenant = self._tenant()
        app = self.dice.pick(APPS[: 1 + self.dice.below(len(APPS))])
        match wish:
            case "apply":
                await self.world.apply(
                    app, self._words(), tenant, size=500 + self.dice.below(self.dice.pick((10_000, 30_000, 150_000)))
                )
            case "rollback":
                await self.world.rollback(app, 1 + self.dice.below(2), tenant)
            case "delete" | "delete-volumes":
                grace_s = self.dice.pick((0, 60, 900))
                await self.world.delete(app, tenant, volumes=wish == "delete-volumes", grace_s=grace_s)
            case _:
                await self.world.switch(wish, app, tenant)

    async def _grow(self, tenant: str) -> None:
        """Ask for many large images that no site has: they want the link and the disk for a while."""
        self.serial += 1
        names = [f"part-{number}" for number in range(3 + self.dice.below(3))]
        words = AppWords(services={name: f"fresh-{self.serial}-{name}" for name in names}, volume=False)
        await self.world.apply("bulk", words, tenant, size=60_000 + self.dice.below(100_000))

    def _tenant(self) -> str:
        number = self.dice.below(self.tenants)
        return "default" if number == 0 else f"tenant-{number}"

    def _words(self) -> AppWords:
        self.serial += 1
        names = ("web", "db")[: 1 + self.dice.below(2)]
        match = self.dice.pick(((), (), ("side=east",), ("tier=store",)))
        total = self.dice.pick((0, 0, 0, 2))
        rollout = self.dice.pick((None, None, ROLLOUT)) if not total else None
        return AppWords(
            services={name: f"image-{self.dice.below(6)}" for name in names},
            match=match,
            total=total,
            per_site=1 + self.dice.below(2),
            volume=not total and self.dice.chance(0.7),
            health=self.dice.chance(0.3),
            ill=rollout is not None and self.dice.chance(0.3),
            rollout=rollout,
            command=("serve", str(self.dice.below(3))),
        )

    # --- what happens ------------------------------------------------------------------------------------------------

    async def _fault(self, kind: str) -> None:
        if kind in RARE:
            if kind in self._done:
                return
            self._done.add(kind)
        site = self.dice.pick(sorted(self.world.sites))
        weather, dice = self.weather, self.dice
        length = dice.pick((5, 60, 600)) * dice.unit() * (10 if self.is_long else 1)
        match kind:
            case "cut" | "one-way":
                weather.cut(site, "both" if kind == "cut" else dice.pick(("up", "down")))
                self._later(length, lambda: _now(lambda: weather.mend(site)))
            case "flap":
                for _ in range(4):
                    weather.cut(site)
                    await self._pass_time(3 * dice.unit())
                    weather.mend(site)
                    await self._pass_time(3 * dice.unit())
            case "slow":
                weather.slow(site, dice.below(2000), dice.below(1000), dice.pick((0, 16_000, 64_000, 1_000_000)))
            case "agent-kill" | "power-cut":
                await weather.stop_agent(site, power=kind == "power-cut")
                self._later(length * dice.pick((0, 1)), lambda: weather.start_agent(site))
            case "core-kill":
                await self._kill_core(length)
            case "crash":
                weather.crash(site, dice.unit())
            case "drift":
                weather.drift(site, dice.unit())
            case "runtime-fail" | "runtime-half":
                weather.trouble(site, **{kind.removeprefix("runtime-"): 0.2 + 0.6 * dice.unit()})
                self._later(length, lambda: _now(lambda: weather.trouble(site, fail=0.0, half=0.0)))
            case "runtime-slow":
                weather.trouble(site, slow_us=dice.below(20) * SECOND_US)
                self._later(length, lambda: _now(lambda: weather.trouble(site, slow_us=0)))
            case "runtime-away":
                weather.trouble(site, unavailable=True)
                self._later(length, lambda: _now(lambda: weather.trouble(site, unavailable=False)))
            case "disk-full":
                weather.fill_disk(site, dice.below(dice.pick((1, 20_000, 100_000))))
                if dice.chance(0.5):
                    await self._grow(self._tenant())
            case "clock":
                weather.jump_clock(dice.pick((site, site, "core")), self._jump())
            case "core-restored":
                await weather.restore_core()
            case "poison":
                if self.world.images:
                    weather.poison(*dice.pick(sorted(self.world.images)))
            case "flood":
                await weather.flood(site, 200)
            case "disk-error":
                weather.trouble_disk(site, kind, errors_after=dice.below(40), errors_stay=dice.chance(0.3))
                self._later(length, lambda: _now(lambda: weather.mend_disk(site)))
            case "disk-no-room":
                weather.trouble_disk(site, kind, room=dice.below(200_000))
                self._later(length, lambda: _now(lambda: weather.mend_disk(site)))
            case "disk-slow":
                weather.trouble_disk(site, kind, slow_us=dice.below(3 * SECOND_US))
                self._later(length, lambda: _now(lambda: weather.mend_disk(site)))
            case _:
                weather.image_disk(site)
                self._later(length, lambda: self._set_back(site, alone=dice.chance(0.6)))

    async def _set_back(self, site: str, *, alone: bool) -> None:
        """Put the old disk in; ``alone``: the site writes events of its own before it hears of what it had written."""
        if alone:
            self.weather.cut(site)
        await self.weather.set_back(site)
        if alone:
            for _ in range(self.dice.below(8)):
                await self.weather.advance(20)
                self.weather.crash(site, self.dice.unit())
            self._later(60 * self.dice.unit(), lambda: _now(lambda: self.weather.mend(site)))

    def _jump(self) -> int:
        return self.dice.pick((-365 * 86_400, -3600, 3600, 10 * 365 * 86_400))

    async def _kill_core(self, length: float) -> None:
        """Half of the time while it is being asked for something."""
        if self.dice.chance(0.5):
            wish = asyncio.get_running_loop().create_task(self._wish(self.dice.pick(WISHES)))
            for _ in range(self.dice.below(12)):
                await _next_turn()
            await self.weather.stop_core()
            await asyncio.wait([wish])
            wish.result()
        else:
            await self.weather.stop_core()
        self._later(length, self.weather.start_core)

    # --- the calm ----------------------------------------------------------------------------------------------------

    async def _leave_alone(self) -> None:
        """No WAN, machines that work, every one of them rebooted: what is here must run (I18, I20).

        Half of the time while the newest wish is on its way over thin links: what waits for the link must not hold up
        what does not.
        """
        if self.dice.chance(0.5):
            await self.weather.start_core()
            for name in sorted(self.world.sites):
                self.weather.slow(name, 50, 0, 16_000)
            await self._grow(self._tenant())
            await self._pass_time(4 + self.dice.below(8))
        for name in sorted(self.world.sites):
            self.weather.cut(name)
        await self.weather.heal_machines()
        for name in sorted(self.world.sites):
            await self.weather.stop_agent(name, power=True)
            await self.weather.start_agent(name)
        await self._pass_time(ALONE_S)
        for name, site in sorted(self.world.sites.items()):
            idle = self.weather.find_idle(site)
            if idle:
                self.checker.complain("I18", f"{name}, alone and rebooted: {idle}")

    async def _calm(self) -> None:
        failing_s = 300 if self.dice.chance(0.3) else 0
        if failing_s:
            # The runtimes fail until the very end: what was tried in vain, three times too, is tried again soon enough.
            for name in sorted(self.world.sites):
                self.weather.trouble(name, fail=0.8)
            await self._grow(self._tenant())
        self.weather.heal_links()
        await self._pass_time(max(failing_s, 120))
        for name in sorted(self.world.sites):
            self.weather.trouble(name, fail=0.0)
        await self.weather.repair()
        if self.dice.chance(0.5):
            # Life goes on: a document that comes after clocks and links were mended is like any other. Not in waves,
            # which come later than what is looked at below.
            words = msgspec.structs.replace(self._words(), rollout=None, ill=False)
            await self.world.apply(self.dice.pick(APPS), words, self._tenant())
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


async def _now(act: Callable[[], None]) -> None:
    act()


async def _next_turn() -> None:
    """Let whatever is ready go one step."""
    loop = asyncio.get_running_loop()
    turn: asyncio.Future[None] = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn


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
