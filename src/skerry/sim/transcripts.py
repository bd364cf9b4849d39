"""Transcripts: commands in, what came of them out, as text that a person can read and a test compares.

A transcript is blocks of one or more commands, a line ``----``, the recorded answer, and a blank line; ``#`` begins a
comment. ``run_transcript`` plays the commands in a fresh world and returns the text with the answers of now. After
every block the invariants are checked, and a broken one becomes part of the answer.
"""

from collections.abc import AsyncIterator

from skerry.clock import SeededMint
from skerry.sim import (
    guard,
    script_doors,
    script_looks,
    script_networks,
    script_owners,
    script_people,
    script_sticks,
    script_weather,
)
from skerry.sim.backups import Backups
from skerry.sim.loop import run_virtual
from skerry.sim.script import Command, Script
from skerry.sim.script_sweep import sweep

COMMANDS: dict[str, Command] = {
    **script_people.COMMANDS,
    **script_owners.COMMANDS,
    **script_weather.COMMANDS,
    **script_looks.COMMANDS,
    **script_networks.COMMANDS,
    **script_doors.COMMANDS,
    **script_sticks.COMMANDS,
    "sweep": sweep,
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
        answers += await _do(script, command)
    script.checker.check_step()
    found, script.checker.breaks = script.checker.breaks, []
    return [*answers, *(f"BROKEN {each.invariant}: {each.detail}" for each in found)]


async def _do(script: Script, line: str) -> list[str]:
    """Run one command and return its answer."""
    words = line.split()
    plain = [word for word in words if "=" not in word]
    named = dict(word.split("=", 1) for word in words if "=" in word)
    for count in (2, 1):
        command = COMMANDS.get(" ".join(plain[:count]))
        if command is not None:
            return await command(script, plain[count:], named)
    return [f"there is no command {line!r}"]
