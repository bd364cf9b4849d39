"""The command ``sweep``: an apply in a fresh world, killed after its first, second, third … step, to its last."""

import asyncio
from collections.abc import Callable, Mapping

from skerry.clock import SECOND_US
from skerry.model.ids import SiteName
from skerry.sim.apps import AppWords
from skerry.sim.script import Script


async def sweep(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
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
