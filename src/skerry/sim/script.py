"""One simulated world that is played by commands: what every command of a transcript works on.

Neighbours: ``script_people.py``, ``script_weather.py``, ``script_looks.py`` and ``script_sweep.py`` hold the commands,
``transcripts.py`` their table, and plays whole texts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from skerry.clock import SeededMint
from skerry.model.ids import SiteName
from skerry.sim.checkers import Checker
from skerry.sim.joining import Joining
from skerry.sim.loop import SimLoop
from skerry.sim.weather import Weather
from skerry.sim.world import World


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

    def news(self) -> list[str]:
        """Lines of the story since the last answer, without their times."""
        lines = [line[14:] for line in self.world.story[self._told :]]
        self._told = len(self.world.story)
        return lines


#: What a command does with its plain and its named words; it returns its answer.
Command = Callable[[Script, list[str], Mapping[str, str]], Awaitable[list[str]]]
