"""``python -m skerry.sim --seeds N --first-seed S --json F``: run storms and say which invariants broke.

Exit code 1 when one did. A failing seed prints its number, the invariant and the end of its story; the same seed does
the same again. With ``--jobs 2`` two processes share the seeds.
"""

import argparse
import collections
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from skerry.sim.storms import StormResult, run_storm

#: Lines of the story that a failing seed shows.
TAIL = 40


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


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="skerry.sim", description="Run simulated worlds from seeds.")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--until-break", action="store_true", help="stop at the first seed that breaks something")
    parser.add_argument("--story", action="store_true", help="print the whole story of every seed")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")

    faults: collections.Counter[str] = collections.Counter()
    hours = cpu = 0.0
    breaks: list[dict[str, int | str | list[str]]] = []
    for done, result in enumerate(run_seeds(options.first_seed, options.seeds, options.jobs), 1):
        faults.update(result.faults)
        hours, cpu = hours + result.site_hours, cpu + result.cpu_seconds
        story = list(result.story[-TAIL:])
        breaks += [
            {"seed": result.seed, "invariant": found.invariant, "detail": found.detail, "story": story}
            for found in result.breaks
        ]
        if options.story:
            say("\n".join(result.story))
        show_breaks(result)
        if sys.stdout.isatty():
            sys.stdout.write(f"\r{done}/{options.seeds} seeds, {len(breaks)} breaks, {sum(faults.values())} faults ")
            sys.stdout.flush()
        if breaks and options.until_break:
            break
    if options.json is not None:
        figures = {
            "seeds": options.seeds,
            "first_seed": options.first_seed,
            "breaks": breaks,
            "site_hours": round(hours, 1),
            "faults": dict(sorted(faults.items())),
            "cpu_seconds": round(cpu, 1),
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    say(
        f"\n{options.seeds} seeds from {options.first_seed}: {len(breaks)} breaks, {hours:.0f} site-hours, "
        f"{sum(faults.values())} faults of {len(faults)} kinds, {cpu:.0f} CPU-seconds"
    )
    return 1 if breaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
