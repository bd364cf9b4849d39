"""Power cuts under the real SQLite library: record a workload once, cut it at many places, look at what is left.

A workload runs on a `MemoryDisk`, which lists every write, sync and entry; acknowledgements are noted in the same list.
A cut is a prefix of that list and a fate for each operation that nobody had synced. After it the store is opened again,
checked, given the operations that were not finished, and must end where the uncut run ended. Some openings are cut
again, and some runs are killed first: what a store shows after a kill, it must still have after a cut.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from skerry.safe.paths import Directory
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Fate, Note
from skerry.sim.vfs import mounted

#: Cuts of one recording, which costs about as much as ten of them.
CUTS_PER_RECORDING = 25
#: Violations that a report tells in full; all are counted.
STORIES_MAX = 20


class Workload(Protocol):
    """One store and what is done to it. `store` is whatever `open` returned; operations must be safe to repeat."""

    name: str

    def operations(self, dice: random.Random) -> Sequence[Any]:
        """Return what is done, in order."""
        ...

    async def open(self, directory: Directory, vfs: str) -> Any:
        """Open the store as the product does."""
        ...

    async def perform(self, store: Any, operation: Any, acknowledge: Callable[[str], None]) -> None:
        """Do one operation; call `acknowledge` with a name for each thing that the outside may rely on from now on."""
        ...

    async def problems(self, store: Any, operations: Sequence[Any], acknowledged: Sequence[str]) -> list[str]:
        """Say what is lost, doubled, half done or damaged, when `acknowledged` is what the outside was told."""
        ...

    async def state(self, store: Any) -> object:
        """Return all that the store holds, to be compared."""
        ...

    async def close(self, store: Any) -> None:
        """Close the store as the product does."""
        ...


class Violation(msgspec.Struct, frozen=True):
    """One broken promise, with what it takes to see it again."""

    seed: int
    cut: str
    problem: str


class Report(msgspec.Struct):
    """What `run_cuts` did and found."""

    workload: str
    cuts: int = 0
    cuts_in_recovery: int = 0
    kills: int = 0
    operations: int = 0
    disk_operations: int = 0
    acknowledged: int = 0
    violations: int = 0
    stories: list[Violation] = []
    cpu_seconds: float = 0.0
    #: Processor seconds of the slowest opening after a cut.
    recovery_cpu_seconds_max: float = 0.0


def make_fates(dice: random.Random) -> Callable[[tuple[Fate, ...]], Fate]:
    """Return a chooser with a mood: some cuts lose everything that may be lost, some nearly nothing, most a part."""
    kept = dice.choice((0.0, 0.05, 0.5, 0.95, 1.0))
    torn = dice.choice((0.0, 0.1, 0.6))

    def choose(fates: tuple[Fate, ...]) -> Fate:
        if len(fates) > 2 and dice.random() < torn:
            return dice.choice(fates[2:])
        return "kept" if dice.random() < kept else "lost"

    return choose


class _Run:
    """One seed: a recording and its cuts."""

    def __init__(self, workload: Workload, seed: int, report: Report) -> None:
        self._workload = workload
        self._seed = seed
        self._report = report
        self._dice = random.Random(seed)
        self._operations = workload.operations(random.Random(seed))
        #: How long the list of the disk was when each operation had been performed.
        self._ends: list[int] = []
        self._final: object = None
        self._disk = MemoryDisk()

    async def record(self) -> None:
        workload, disk = self._workload, self._disk
        with mounted(disk) as vfs:
            store = await workload.open(disk.root, vfs)
            for operation in self._operations:
                await workload.perform(store, operation, disk.note)
                self._ends.append(len(disk.operations))
            self._final = await workload.state(store)
            await workload.close(store)
        self._report.operations += len(self._operations)
        self._report.disk_operations += len(disk.operations)

    async def cut(self) -> None:
        dice, report, disk = self._dice, self._report, self._disk
        count = dice.randint(0, len(disk.operations))
        acknowledged = [note.what for note in disk.operations[:count] if isinstance(note, Note)]
        done = sum(end <= count for end in self._ends)
        story, shown = f"cut at {count}", None
        report.acknowledged += len(acknowledged)
        report.cuts += 1
        if dice.random() < 0.15:
            report.kills += 1
            disk = disk.after_kill(count)
            story = f"killed at {count}, shown, cut"
            shown, count = await self._show(disk, story)
            if shown is None:
                return
        disk = disk.after_cut(count, make_fates(dice))
        while dice.random() < 0.2:
            report.cuts_in_recovery += 1
            shown_again, _ = await self._show(disk, story)
            if shown_again is None:
                return
            count = dice.randint(0, len(disk.operations))
            disk = disk.after_cut(count, make_fates(dice))
            story += f", opened, cut at {count}"
        await self._recover(disk, story, acknowledged, done, shown)

    async def _show(self, disk: MemoryDisk, story: str) -> tuple[object | None, int]:
        """Open the store, and return what it shows and how long the list of the disk was then."""
        try:
            with mounted(disk) as vfs:
                store = await self._workload.open(disk.root, vfs)
                shown, count = await self._workload.state(store), len(disk.operations)
                await self._workload.close(store)
        except Exception as error:
            self._complain(story, f"does not open: {error!r}")
            return None, 0
        return shown, count

    async def _recover(
        self, disk: MemoryDisk, story: str, acknowledged: list[str], done: int, shown: object | None
    ) -> None:
        """Open after the last cut, check, go on where the cut came, and compare the end."""
        workload = self._workload
        try:
            with mounted(disk) as vfs:
                start = time.process_time()
                store = await workload.open(disk.root, vfs)
                spent = time.process_time() - start
                self._report.recovery_cpu_seconds_max = max(self._report.recovery_cpu_seconds_max, spent)
                for problem in await workload.problems(store, self._operations, acknowledged):
                    self._complain(story, problem)
                if shown is not None and await workload.state(store) != shown:
                    self._complain(story, "what was shown after the kill is not there after the cut")
                for operation in self._operations[done:]:
                    await workload.perform(store, operation, lambda _: None)
                if await workload.state(store) != self._final:
                    self._complain(story, "the same operations end in another state than without the cut")
                await workload.close(store)
        except Exception as error:
            self._complain(story, f"does not recover: {error!r}")

    def _complain(self, story: str, problem: str) -> None:
        self._report.violations += 1
        if len(self._report.stories) < STORIES_MAX:
            self._report.stories.append(Violation(self._seed, story, problem))


def run_cuts(workload: Workload, cuts: int, seed: int) -> Report:
    """Do `cuts` power cuts from `seed` on; the same arguments find the same violations."""
    report = Report(workload.name)
    start = time.process_time()

    async def run() -> None:
        for number in range(cuts):
            if number % CUTS_PER_RECORDING == 0:
                recording = _Run(workload, seed + number // CUTS_PER_RECORDING, report)
                await recording.record()
            await recording.cut()

    asyncio.run(run())
    report.cpu_seconds = round(time.process_time() - start, 3)
    return report
