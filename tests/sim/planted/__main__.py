"""``python -m tests.sim.planted [--seeds N] [--only WORD] [--json F] [--page F]``: does the simulation find bugs?

Each bug is planted in a copy of the sources; storms run from seed 1 until an invariant breaks. Exit code 1 when a bug
is stale or more than one in twenty is missed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sim.planted.bugs import BUGS, Bug

ROOT = Path(__file__).resolve().parents[3]
SHARE = 0.95


@dataclass(frozen=True)
class Verdict:
    """What became of one bug."""

    name: str
    area: str
    outcome: str  # found, missed, stale
    by: str = ""
    seed: int = 0
    seconds: float = 0.0


def plant(bug: Bug, folder: Path) -> bool:
    """Copy the sources with the bug in them; False when its place is gone."""
    source = folder / "src" / "skerry"
    shutil.copytree(ROOT / "src" / "skerry", source, ignore=shutil.ignore_patterns("__pycache__"))
    path = source / bug.file
    text = path.read_text()
    if text.count(bug.marker) != 1:
        return False
    path.write_text(text.replace(bug.marker, bug.replacement))
    return True


def run(bug: Bug, seeds: int) -> Verdict:
    """Plant one bug and look for it."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="skerry-planted-") as name:
        folder = Path(name)
        if not plant(bug, folder):
            return Verdict(bug.name, bug.area, "stale")
        environment = {**os.environ, "PYTHONPATH": f"{folder / 'src'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        words = ["tests.sim.planted.siege"] if bug.siege else ["skerry.sim", "--until-break", "--seeds", str(seeds)]
        report = folder / "report.json"
        command = [sys.executable, "-m", *words, "--json", str(report)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600)
        seconds = round(time.monotonic() - started, 1)
        if not report.exists():
            last = done.stderr.strip().splitlines()[-1:] or ["it ended without a report"]
            return Verdict(bug.name, bug.area, "found", f"the run ended: {last[0][:120]}", 0, seconds)
        breaks = json.loads(report.read_text())["breaks"]
    if not breaks:
        return Verdict(bug.name, bug.area, "missed", "", 0, seconds)
    by = sorted({each["invariant"] for each in breaks})
    return Verdict(bug.name, bug.area, "found", ", ".join(by), breaks[0]["seed"], seconds)


def write_page(verdicts: list[Verdict], seeds: int) -> str:
    """Put the verdicts into a page for docs/results."""
    found = sum(each.outcome == "found" for each in verdicts)
    first = sorted(each.seed for each in verdicts if each.outcome == "found" and each.seed)
    lines = [
        "# Planted bugs",
        "",
        "Written by `python -m tests.sim.planted`; nothing here is typed by hand.",
        "",
        f"{found} of {len(verdicts)} planted bugs were found within {seeds} seeds each; median seed "
        f"{first[len(first) // 2] if first else 0}.",
        "",
        "| Bug | Area | Outcome | By | Seed | Seconds |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.name} | {each.area} | {each.outcome} | {each.by} | {each.seed or ''} | {each.seconds} |"
        for each in verdicts
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.sim.planted")
    parser.add_argument("--seeds", type=int, default=200, help="seeds after which a bug counts as missed")
    parser.add_argument("--jobs", type=int, default=2, help="bugs looked for side by side")
    parser.add_argument("--only", default="", help="bugs whose name or area holds this word")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(arguments)
    chosen = [bug for bug in BUGS if options.only in f"{bug.name} {bug.area}"]
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for each in pool.map(lambda bug: run(bug, options.seeds), chosen):
            verdicts.append(each)
            sys.stdout.write(f"{each.outcome:<7} {each.name}: {each.by} (seed {each.seed}, {each.seconds} s)\n")
            sys.stdout.flush()
    found = sum(each.outcome == "found" for each in verdicts)
    if options.page:
        options.page.write_text(write_page(verdicts, options.seeds))
    if options.json:
        figures = {"planted": len(verdicts), "found": found, "bugs": [asdict(each) for each in verdicts]}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    stale = any(each.outcome == "stale" for each in verdicts)
    return int(stale or found < SHARE * len(verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
