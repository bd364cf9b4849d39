"""``python -m skerry.sim --seeds N --first-seed S --json F``: run storms and say which invariants broke.

Exit code 1 when one did. A failing seed prints its number, the invariant and the end of its story; the same seed does
the same again. With ``--jobs 2`` two processes share the seeds. A run that is interrupted, or has used up its
``--cpu-seconds``, keeps the figures of the seeds that it has finished. ``--page F`` writes them for people.
"""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType

from skerry.sim.report import TAIL, Figures, write_page
from skerry.sim.storms import StormResult, run_storm

#: Set when somebody wants the run to end.
INTERRUPTED = threading.Event()


def run_seeds(first: int, count: int, jobs: int) -> Iterator[StormResult]:
    """Run seeds one after the other, or side by side, in the order of their numbers."""
    seeds = range(first, first + count)
    if jobs <= 1:
        yield from map(run_storm, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run_storm, seeds)


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def show_breaks(result: StormResult) -> None:
    """Print what a seed broke and how it came to it."""
    for found in result.breaks:
        say(f"\nseed {result.seed} broke {found.invariant}: {found.detail}")
    if result.breaks:
        say("\n".join(result.story[-TAIL:]))


def _note_interrupt(number: int, frame: FrameType | None) -> None:
    INTERRUPTED.set()


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="skerry.sim", description="Run simulated worlds from seeds.")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--cpu-seconds", type=float, help="begin no further seed after so many, with --jobs 1")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write the figures for people to this file")
    parser.add_argument("--until-break", action="store_true", help="stop at the first seed that breaks something")
    parser.add_argument("--story", action="store_true", help="print the whole story of every seed")
    parser.add_argument("--coverage", action="store_true", help="print in how many worlds owners said which words")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")

    figures = Figures(options.first_seed, options.seeds)
    for result in run_seeds(options.first_seed, options.seeds, options.jobs):
        figures.add(result)
        if options.story:
            say("\n".join(result.story))
        show_breaks(result)
        if sys.stdout.isatty():
            sys.stdout.write(f"\r{figures.seeds}/{options.seeds} seeds, {len(figures.breaks)} breaks ")
            sys.stdout.flush()
        if INTERRUPTED.is_set() or (options.until_break and figures.breaks):
            break
        if options.cpu_seconds is not None and figures.cpu_seconds >= options.cpu_seconds:
            break
    if options.json is not None:
        options.json.write_text(json.dumps(figures.as_json(), indent=2) + "\n")
    if options.page is not None:
        words = ["python -m skerry.sim", *(word for word in arguments if word != str(options.json))]
        options.page.write_text(write_page(figures, [word for word in words if word != "--json"]))
    if options.coverage:
        say("\n".join(figures.list_words()))
    say(f"\n{figures}")
    return 1 if figures.breaks else 0


if __name__ == "__main__":
    # A shell starts its background jobs with SIGINT ignored; this run is ended by it, after the seed that it is at. An
    # exception in the midst of one could be swallowed by whoever is being cleaned up.
    signal.signal(signal.SIGINT, _note_interrupt)
    sys.exit(main(sys.argv[1:]))
