"""Transcripts: commands in, what came of them out, as text that a person can read and a test compares.

A transcript is blocks of one or more commands, a line ``----``, the recorded answer, and a blank line; ``#`` begins a
comment. ``run_transcript`` plays the commands in a fresh world and returns the text with the answers of now. After
every block the invariants are checked, and a broken one becomes part of the answer.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec

from skerry.agent.local import LocalProblem
from skerry.agent.status import StatusDesk
from skerry.clock import SECOND_US, SeededMint
from skerry.core.loops import flush_bytes
from skerry.model.asks import DrainSite, WhyQuery
from skerry.model.ids import AppName, SiteName, TenantName
from skerry.model.policy import Autonomy, Priority
from skerry.model.rollout import Gate, Rollout, TimeWindow
from skerry.sim import guard
from skerry.sim.apps import AppWords
from skerry.sim.backups import Backups
from skerry.sim.checkers import Checker
from skerry.sim.joining import Joining
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.weather import Weather
from skerry.sim.world import ADMIN, World
from skerry.store import events, sites
from skerry.store.events import EventFilter
from skerry.store.scope import Scope

#: Rollouts by name: in waves with a short bake, and the same with a person's word between them.
_ROLLOUTS = {
    "waves": Rollout(bake_us=60 * SECOND_US, gate=Gate(healthy_us=60 * SECOND_US, timeout_us=300 * SECOND_US)),
    "asked": Rollout(bake_us=0, approve="each-wave", gate=Gate(healthy_us=0, timeout_us=300 * SECOND_US)),
}
_ROLLOUTS["night"] = msgspec.structs.replace(_ROLLOUTS["waves"], windows=(TimeWindow(2 * 60, 5 * 60, zone="utc"),))
#: What an app may wish of a site that is cut off.
_AUTONOMIES = {
    "stop": Autonomy(offline="stop-after", max_offline_us=86_400 * SECOND_US),
    "alarm": Autonomy(max_offline_us=3_600 * SECOND_US),
    "wait": Autonomy(restart_offline=False),
    "replace": Autonomy(replace_after_us=600 * SECOND_US),
    "move": Autonomy(replace_after_us=600 * SECOND_US, on_return="keep-replacement"),
    "hands-off": Autonomy(local_control="none"),
    "hands-on": Autonomy(local_control="full"),
}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}


class Script:
    """One world, played by commands."""

    def __init__(self, seed: str = "transcript") -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.world = World(loop, SeededMint(seed))
        self.weather = Weather(self.world)
        self.checker = Checker(self.world, self.weather)
        self.joining = Joining(self.world)
        self.tokens: dict[str, str] = {}
        self._told = 0
        self.machine_told: dict[SiteName, int] = {}

    async def do(self, line: str) -> list[str]:
        """Run one command and return its answer."""
        words = line.split()
        plain = [word for word in words if "=" not in word]
        named = dict(word.split("=", 1) for word in words if "=" in word)
        for count in (2, 1):
            command = COMMANDS.get(" ".join(plain[:count]))
            if command is not None:
                return await command(self, plain[count:], named)
        return [f"there is no command {line!r}"]

    def news(self) -> list[str]:
        """Lines of the story since the last answer, without their times."""
        lines = [line[14:] for line in self.world.story[self._told :]]
        self._told = len(self.world.story)
        return lines


def seconds(text: str) -> int:
    """Read ``3d``, ``90s`` or ``-1h``."""
    match = re.fullmatch(r"(-?\d+)([smhdy])", text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: 90s, 5m, 2h, 3d, 1y")
    return int(match[1]) * _UNITS_S[match[2]]


# --- making it -------------------------------------------------------------------------------------------------------


async def _world(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.world.begin(int(named.get("sites", "3")), int(named.get("tenants", "1")))
    return [f"{len(script.world.sites)} sites, {len(script.world.people.tenants)} tenants"]


async def _token(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.tokens[plain[0]] = await script.joining.make_token(plain[0])
    return [f"a token for {plain[0]}"]


async def _join(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    box, site = plain
    return [await script.joining.join(box, site, script.tokens[named.get("token", site)])]


# --- what people do --------------------------------------------------------------------------------------------------


async def _apply(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    known = (
        "tenant",
        "match",
        "total",
        "per_site",
        "restart",
        "size",
        "port",
        "volume",
        "health",
        "rollout",
        "offline",
        "priority",
        "memory",
        "fence",
        "apart",
        "together",
        "sites_max",
    )

    def names(word: str) -> tuple[str, ...]:
        return tuple(named[word].split(",")) if word in named else ()

    words = AppWords(
        services={name: image for name, image in named.items() if name not in known},
        match=(named["match"].replace(":", "="),) if "match" in named else (),
        total=int(named.get("total", "0")),
        per_site=int(named.get("per_site", "1")),
        port=int(named.get("port", "0")),
        volume=named.get("volume", "yes") == "yes" and "total" not in named,
        health=named.get("health") == "yes",
        ill=named.get("health") == "ill",
        autonomy=_AUTONOMIES[named["offline"]] if "offline" in named else None,
        priority=_read_priority(named["priority"]) if "priority" in named else None,
        memory_bytes=int(named.get("memory", "0")) << 20,
        rollout=_ROLLOUTS[named["rollout"]] if "rollout" in named else None,
        restart=named.get("restart", "always"),  # type: ignore[arg-type]
        fence=names("fence"),
        apart=names("apart"),
        together=names("together"),
        sites_max=int(named.get("sites_max", "0")),
    )
    await script.world.apply(plain[0], words, named.get("tenant", "default"), int(named.get("size", "1000")))
    return script.news()


def _read_priority(text: str) -> Priority:
    """Read ``300``, or ``300!`` for one that nobody may preempt."""
    return Priority(value=int(text.removesuffix("!")), preemptible=not text.endswith("!"))


async def _sign(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have the registrar sign a site anew: its ``country``, and labels by their names."""
    labels = {name: value for name, value in named.items() if name != "country"}
    await script.world.sign_site(plain[0], named.get("country", ""), labels)
    return [f"{plain[0]} is signed anew"]


async def _why(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Say why a site has no instance of an app, as ``skerry why`` does."""
    caller = script.world.as_tenant(TenantName(named.get("tenant", "default")))
    found = await script.world.core.service.explain_app(caller, app=plain[0], query=WhyQuery(site=plain[1]))
    lines = [f"{each.service} {each.constraint}: {each.detail}" for each in found.rejections]
    return [*lines, *found.notes] or ["nothing"]


async def _push(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    tenant = TenantName(named.get("tenant", "default"))
    await script.world.push_image(tenant, plain[0], int(named.get("size", "1000")))
    return [f"pushed {plain[0]}"]


async def _rollback(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.world.rollback(plain[0], int(named.get("back", "1")), named.get("tenant", "default"))
    return script.news()


async def _rollout(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    caller = script.world.as_tenant(TenantName(named.get("tenant", "default")))
    view = await script.world.core.service.show_rollout(caller, app=plain[0])
    stage = "canary" if view.stage == 0 else f"wave {view.stage} of {view.waves}"
    counts = f"{view.let_in} let in, {view.proven} proven, {view.failed} failed, {view.waiting} waiting"
    reason = f": {view.reason}" if view.reason else ""
    return [f"revision {view.number} is {view.phase} at {stage}: {counts}{reason}"]


async def _delete(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.world.delete(
        plain[0],
        named.get("tenant", "default"),
        volumes="volumes" in plain,
        grace_s=seconds(named.get("grace", "60s")),
    )
    return script.news()


def _switch(verb: str) -> "Command":
    async def switch(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
        await script.world.switch(verb, plain[0], named.get("tenant", "default"))
        return script.news()

    return switch


def _keep_free(verb: str) -> "Command":
    async def keep_free(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
        service = script.world.core.service
        match verb:
            case "cordon":
                await service.cordon_site(ADMIN, site=plain[0])
            case "uncordon":
                await service.uncordon_site(ADMIN, site=plain[0])
            case _:
                found = await service.drain_site(ADMIN, site=plain[0], body=DrainSite())
                lines = [f"{each.tenant} copy {each.ordinal} goes to {each.to}" for each in found.moving]
                return [*lines, *(f"{each.tenant} copy {each.ordinal} stays: {each.reason}" for each in found.staying)]
        return [f"{plain[0]} is {verb}ed"]

    return keep_free


# --- what happens ----------------------------------------------------------------------------------------------------


async def _cut(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.cut(plain[0], plain[1] if len(plain) > 1 else "both")
    return script.news()


async def _heal(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    for site in plain or sorted(script.world.sites):
        script.weather.mend(site)
    return script.news()


async def _slow(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.slow(plain[0], int(named.get("delay_ms", "0")), 0, int(named.get("bit_s", "0")))
    return script.news()


async def _kill(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    if plain[0] == "core":
        await script.weather.stop_core()
    else:
        await script.weather.stop_agent(plain[0])
    return script.news()


async def _power_cut(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.stop_agent(plain[0], power=True)
    return script.news()


async def _start(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await (script.weather.start_core() if plain[0] == "core" else script.weather.start_agent(plain[0]))
    return script.news()


async def _backup(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.back_up()
    return script.news()


async def _restore(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.restore_core()
    return script.news()


async def _image(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.image_disk(plain[0])
    return script.news()


async def _set_back(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.set_back(plain[0])
    return script.news()


async def _repair(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.repair()
    return script.news() or ["nothing was lost"]


async def _crash(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.crash(plain[0], float(named.get("choice", "0")))
    return script.news()


async def _drift(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.drift(plain[0])
    return script.news()


async def _runtime(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    faults: dict[str, float | int | bool] = {}
    for name, text in named.items():
        match name:
            case "unavailable":
                faults[name] = text == "yes"
            case "slow":
                faults["slow_us"] = seconds(text) * SECOND_US
            case _:
                faults[name] = float(text)
    script.weather.trouble(plain[0], **faults)
    return script.news()


async def _disk(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.fill_disk(plain[0], int(named["left"]))
    return script.news()


async def _clock(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.jump_clock(plain[0], seconds(plain[1]))
    return script.news()


async def _poison(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.poison(named.get("tenant", "default"), plain[0])
    return script.news()


async def _by_hand(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """A person at a box says restart, stop or start."""
    name, verb, what = plain
    here = script.world.sites[SiteName(name)]
    done = await StatusDesk(here.agent, here.db, here.clock).control(verb, {"what": what})  # type: ignore[arg-type]
    return [f"{done.code} {done.detail}"] if isinstance(done, LocalProblem) else [f"{verb} {', '.join(done.instances)}"]


# --- time and looking ------------------------------------------------------------------------------------------------


async def _advance(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    left = seconds(plain[0])
    while left > 0:
        await script.weather.advance(min(left, 60))
        left -= 60
        script.checker.check_step()
    return script.news()


async def _converge(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    late = await script.weather.converge(seconds(named.get("within", "30m")))
    return [*script.news(), f"not yet: {late}" if late else "all is as wished"]


async def _show(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for name in plain or sorted(script.world.sites):
        site = script.world.sites[SiteName(name)]
        holdings = site.agent.holdings
        stored = None if holdings is None else holdings.stored
        state = "agent down" if not site.running else f"link {site.agent.link.state}"
        lines.append(f"{name}: {state}, generation {0 if stored is None else stored.generation}")
        names = {image.config: image.name for image in script.world.images.values()}
        ordered = sorted(site.machine.containers.values(), key=lambda seen: (seen.instance, seen.container))
        lines += [f"  {seen.instance} {seen.state}, {names.get(seen.image_config, '?')}" for seen in ordered]
        lines += [f"  volume {volume}" for volume in sorted(site.machine.volumes)]
        lines += [f"  {wait.subject}: {wait.reason}" for wait in site.agent.reconciler.plan.waits]
    return lines


async def _machine(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    name = SiteName(plain[0])
    story = script.world.sites[name].machine.story
    since, script.machine_told[name] = script.machine_told.get(name, 0), len(story)
    return [f"{kind} {subject}" for kind, subject in story[since:]] or ["nothing"]


async def _core(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for tenant, app in sorted(script.world.confirmed):
        row = script.world.app_row((TenantName(tenant), AppName(app)))
        state = "lost" if row.lost else "ended" if not row.revision_number else "held" if row.held else "run"
        lines.append(f"{tenant}/{app}: number {row.number}, {state}")
    for name in sorted(script.world.sites):
        state = sites.read_state(script.world.core.view, name)
        learning = ", learning" if state.learning else ""
        lines.append(f"{name}: generation {state.generation}, holds {state.held_generation}{learning}")
    return lines


async def _use(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Show the newest samples without watching, and what all samples have cost since the last ``use``."""
    core, lines = script.world.core.core, list[str]()
    for name in plain or sorted(script.world.sites):
        newest = core.use.newest(SiteName(name))
        if newest is None:
            lines.append(f"{name}: no sample")
            continue
        age_s = (core.clock.boot_us() - newest.boot_us) // SECOND_US
        lines.append(f"{name}: {age_s} s old, cpu {newest.cpu_m}, {len(newest.instances)} instances")
    await flush_bytes(core)
    total = sum(
        sent + received
        for name in script.world.sites
        for purpose, sent, received in sites.read_link_bytes(script.world.core.view, name)
        if purpose == "samples"
    )
    lines.append(f"{core.use.samples} samples, {total} bytes on links")
    return lines


async def _watch(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Look every half minute for so long, as ``skerry top`` does."""
    await script.world.watch(seconds(plain[0]))
    return [f"watched for {plain[0]}"]


async def _log(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    scope = Scope(tenant=TenantName(named.get("tenant", "default")), platform=True)
    chosen = (
        EventFilter(site=plain[0], kind=named.get("kind", "")) if plain else EventFilter(kind=named.get("kind", ""))
    )
    found = events.list_events(script.world.core.view, scope, 0, 1000, chosen)
    return [f"{each.event.type} {each.event.message}".rstrip() for each in found] or ["nothing"]


async def _check(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.checker.check_calm()
    script.news()
    return ["every invariant holds"] if not script.checker.breaks else []


async def _sweep(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Kill ``agent``, ``power`` or ``core`` after the first, second, third … frame or effect of an apply."""
    places = 0
    while await _kill_after(places + 1, plain[0], named):
        places += 1
    return [f"killed after each of {places} steps: every time all is as wished, and each instance was started once"]


async def _kill_after(place: int, what: str, named: Mapping[str, str]) -> bool:
    """Play an apply in a fresh world with a kill after so many steps; say whether there were so many."""
    script = Script(f"sweep {what}")
    world, weather = script.world, script.weather
    await world.begin(1)
    site = world.sites[SiteName("site-1")]
    reached, steps = asyncio.Event(), 0

    def step(then: Callable[..., None], *words: object) -> None:
        nonlocal steps
        steps += 1
        then(*words)
        if steps == place:
            reached.set()

    frame, effect = site.link.witness, world.on_effect
    site.link.witness = lambda upward, content: step(frame, upward, content)
    world.on_effect = lambda here, action: step(effect, here, action)
    await world.apply("shop", AppWords(services=dict(named), health=False))
    end = world.loop.now_us + 10 * SECOND_US
    while not reached.is_set() and world.loop.now_us < end:
        await weather.advance(0.002)
    if reached.is_set():
        await (weather.stop_core() if what == "core" else weather.stop_agent("site-1", power=what == "power"))
        await (weather.start_core() if what == "core" else weather.start_agent("site-1"))
    late = await weather.converge(1800)
    script.checker.check_step()
    starts = [subject for kind, subject in site.machine.story if kind == "start"]
    found = [*script.checker.breaks]
    await world.end()
    twice = what != "power" and len(starts) != len(set(starts))
    if late or twice or found:
        raise AssertionError(f"{what} killed after step {place}: {late} {starts} {found}")
    return reached.is_set()


Command = Callable[[Script, list[str], Mapping[str, str]], Awaitable[list[str]]]

COMMANDS: dict[str, Command] = {
    "world": _world,
    "token": _token,
    "join": _join,
    "sign": _sign,
    "why": _why,
    "apply": _apply,
    "push": _push,
    "rollback": _rollback,
    "delete": _delete,
    "pause": _switch("pause"),
    "resume": _switch("resume"),
    "promote": _switch("promote"),
    "halt": _switch("halt"),
    "abort": _switch("abort"),
    "rollout": _rollout,
    "restart": _switch("restart"),
    "cordon": _keep_free("cordon"),
    "uncordon": _keep_free("uncordon"),
    "drain": _keep_free("drain"),
    "cut": _cut,
    "heal": _heal,
    "slow": _slow,
    "kill": _kill,
    "power cut": _power_cut,
    "start": _start,
    "backup": _backup,
    "restore": _restore,
    "repair": _repair,
    "image disk": _image,
    "set back": _set_back,
    "crash": _crash,
    "remove": _drift,
    "runtime": _runtime,
    "disk": _disk,
    "clock": _clock,
    "poison": _poison,
    "at": _by_hand,
    "advance": _advance,
    "converge": _converge,
    "show": _show,
    "machine": _machine,
    "core": _core,
    "use": _use,
    "watch": _watch,
    "log": _log,
    "check": _check,
    "sweep": _sweep,
}


def run_transcript(text: str, backups: Backups | None = None) -> str:
    """Play a transcript in a fresh world, with ``backups`` as its way of backing up; return it with today's answers."""

    async def main() -> str:
        script = Script()
        script.world.core.backups = backups or script.world.core.backups
        try:
            return "\n".join([line async for line in _play(script, text)]) + "\n"
        finally:
            await script.world.end()

    guard.begin()
    try:
        return run_virtual(SeededMint("transcript loop"), main())
    finally:
        guard.end()


async def _play(script: Script, text: str) -> AsyncIterator[str]:
    answering = False
    commands: list[str] = []
    for line in text.splitlines():
        if answering:
            if not line.strip():
                answering = False
                yield ""
            continue
        yield line
        if line.strip() == "----":
            for answer in await _answer(script, commands):
                yield answer
            commands, answering = [], True
        elif line.strip() and not line.startswith("#"):
            commands.append(line.strip())


async def _answer(script: Script, commands: list[str]) -> list[str]:
    answers: list[str] = []
    for command in commands:
        answers += await script.do(command)
    script.checker.check_step()
    found, script.checker.breaks = script.checker.breaks, []
    return [*answers, *(f"BROKEN {each.invariant}: {each.detail}" for each in found)]
