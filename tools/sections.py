"""`./dev test` and `./dev check`: run sections of tests, count them, print one table and close with the sums.

Rule: a section that has nothing to run says so and counts nothing; a command that dies without a report counts as one
failure; budgets are printed and never asserted. Neighbours: `dev` installs what is needed before; the markers that
separate the sections are declared in pyproject.toml.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".cache" / "dev"
USAGE, INTERRUPTED, NOTHING_COLLECTED = 64, 130, 5
HUNG = -1  # in place of an exit code, for a command that had to be stopped
SEEDS, FIRST_SEED = 100, 1  # of the simulation, the same on every change so that a red run is repeatable
HANG_FACTOR = 3.0  # times its budget: only ends a section that hangs
#: Labs share nothing, and each file has labs of its own; more than two would only make each other slow. Their order is
#: that of tests/e2e/conftest.py.
TWO_FILES_AT_ONCE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
#: Tests that share nothing at all: each of the two processors takes a file when it is done with another.
TWO_AT_ONCE = ("-n", "2", "--dist", "loadfile")
CLEAN_UP_S = 30.0  # what an interrupted command gets to remove its namespaces and mounts


@dataclass(frozen=True)
class Count:
    """Outcomes of one command or of many."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


@dataclass(frozen=True)
class Step:
    """One command. It writes the file `report`, which `read` counts; without them the exit code is one check."""

    command: list[str]
    report: Path | None = None
    read: Callable[[Path], Count] | None = None
    root: bool = False


@dataclass(frozen=True)
class Section:
    """A part of `./dev test` and the seconds it may take in CI; `built` is false while there is nothing to run."""

    name: str
    budget_s: int
    steps: Callable[[list[str]], list[Step]]
    built: Callable[[], bool] = lambda: True


def read_junit(path: Path) -> Count:
    """Count a JUnit file as pytest writes it."""
    total = Count()
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        tests, failed, errors, skipped = (
            int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
        )
        total += Count(tests - failed - errors - skipped, failed + errors, skipped)
    return total


def read_seeds(path: Path) -> Count:
    """Count the report of `./dev sim --json`: a seed passes when it broke no invariant."""
    report = json.loads(path.read_text())
    broken = len({found["seed"] for found in report["breaks"]})
    return Count(report["seeds"] - broken, broken)


def make_pytest(name: str, *arguments: str, root: bool = False) -> Step:
    """Make the step that runs pytest with `arguments` and counts its JUnit file."""
    report = REPORTS / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", "-rs", f"--junitxml={report}", *arguments]
    return Step(command, report, read_junit, root)


def list_check(extra: list[str]) -> list[Step]:
    """Everything that reads the sources without running them, and the tests about the sources."""
    run = [sys.executable, "-m"]
    places = [name for name in ("src", "tests", "bench", "tools", "dev") if (ROOT / name).exists()]
    return [
        Step([*run, "ruff", "check", "--quiet", *places]),
        Step([*run, "ruff", "format", "--quiet", "--check", *places]),
        Step([*run, "tools.contracts"]),
        Step([*run, "pyright"]),
        Step([*run, "tools.gen", "--check"]),
        make_pytest("check", "tests/test_tidy.py", "tests/test_docs.py", *extra),
    ]


def list_unit(extra: list[str]) -> list[Step]:
    """Every test without a marker of its own section; pytest refuses markers that nobody has declared."""
    others = [section.name for section in SECTIONS if section.name not in ("check", "unit") and section.built()]
    marked = " and ".join(f"not {name}" for name in others)
    apart = ("--ignore=tests/test_tidy.py", "--ignore=tests/test_docs.py")
    return [make_pytest("unit", "-m", marked, *apart, *TWO_AT_ONCE, *extra)]


def list_sim(extra: list[str]) -> list[Step]:
    """A fixed set of seeds, then the tests that need many simulated worlds."""
    report = REPORTS / "sim.json"
    seeds = ["--seeds", str(SEEDS), "--first-seed", str(FIRST_SEED), "--jobs", "2", "--json", str(report)]
    storms = [Step([sys.executable, "-m", "skerry.sim", *seeds], report, read_seeds)]
    has_storms = (ROOT / "src" / "skerry" / "sim" / "__main__.py").exists()
    return [*(storms if has_storms else []), make_pytest("sim-tests", "-m", "sim", *TWO_AT_ONCE, *extra)]


def make_marked(name: str, *arguments: str, root: bool = False) -> Callable[[list[str]], list[Step]]:
    """Make the steps of a section that is the marker of the same name."""
    return lambda extra: [make_pytest(name, "-m", name, *arguments, *extra, root=root)]


def list_browser(extra: list[str]) -> list[Step]:
    """The console's own types and warnings, then its stories in a browser."""
    return [
        Step(["npm", "--prefix", "console", "run", "--silent", "check"]),
        make_pytest("browser", "-m", "browser", *extra),
    ]


SECTIONS = [
    Section("check", 120, list_check),
    Section("unit", 240, list_unit),
    Section("postgres", 60, make_marked("postgres", *TWO_AT_ONCE)),
    Section("sim", 300, list_sim),
    Section("powercut", 120, make_marked("powercut")),
    Section("e2e", 540, make_marked("e2e", *TWO_FILES_AT_ONCE, root=True)),
    Section("vm", 300, make_marked("vm", root=True), lambda: (ROOT / "tests" / "vm").is_dir()),
    Section("browser", 180, list_browser, lambda: (ROOT / "tests" / "browser").is_dir()),
]


@contextlib.contextmanager
def start_group(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a process group of its own; on the way out the whole group is asked to stop, then made to."""
    # Where byte code is forbidden every section rewrites all tests again, 14 s of processor, and each program that a
    # test starts compiles all of Skerry.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(CLEAN_UP_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def run_step(step: Step, limit_s: float) -> Count:
    """Run one command and count it."""
    if step.report:
        step.report.unlink(missing_ok=True)
    needs_sudo = step.root and os.geteuid() != 0
    command = [shutil.which("sudo") or "sudo", "-E", *step.command] if needs_sudo else step.command
    print(f"\n$ {shlex.join(command).replace(f'{ROOT}/', '')}", flush=True)
    with start_group(command) as child:
        try:
            code = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            print(f"no end after {limit_s:.0f} s: stopped", flush=True)
            code = HUNG
    return count_step(step, code)


def count_step(step: Step, code: int) -> Count:
    """Count a command that ended with `code`; a red exit code is never lost, whatever its report says."""
    if step.report is None or step.read is None:
        return Count(passed=1) if code == 0 else Count(failed=1)
    if not step.report.exists():
        return Count(failed=1)
    count = step.read(step.report)
    explained = code == 0 or (count.failed > 0 and code != HUNG) or (code == NOTHING_COLLECTED and count == Count())
    return count if explained else count + Count(failed=1)


def run_section(section: Section, extra: list[str]) -> Count:
    """Run the steps of one section and sum them."""
    total, limit_s = Count(), HANG_FACTOR * section.budget_s
    for step in section.steps(extra):
        started = time.monotonic()
        total += run_step(step, limit_s)
        limit_s = max(limit_s - (time.monotonic() - started), 1.0)
    return total


def choose_sections(names: list[str], sections: list[Section]) -> list[Section] | str:
    """Find the sections to run: those named, or every one that is built; a sentence when a name cannot be run."""
    known = {section.name: section for section in sections}
    for name in names:
        if name not in known:
            return f"no section '{name}': there are {', '.join(known)}"
        if not known[name].built():
            return f"not built yet: there are no {name} tests"
    return [section for section in sections if (section.name in names if names else section.built())]


def format_row(name: str, seconds: float, budget_s: int, count: Count | None) -> str:
    """Format one line of the closing table; without a count there was nothing to count."""
    row = f"{name:<10}{seconds:>9.1f}{budget_s:>8}"
    return row if count is None else f"{row}{count.passed:>8}{count.failed:>8}{count.skipped:>9}"


def main(arguments: list[str], sections: list[Section]) -> int:
    """Run the sections that `arguments` name: [--set-up-s N] [SECTION…] [-- pytest flags]. Returns the exit code."""
    set_up_s = float(arguments[1]) if arguments[:1] == ["--set-up-s"] else 0.0
    arguments = arguments[2:] if arguments[:1] == ["--set-up-s"] else arguments
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    chosen, extra = choose_sections(arguments[:cut], sections), arguments[cut + 1 :]
    if isinstance(chosen, str):
        print(f"dev: {chosen}", file=sys.stderr)
        return USAGE

    REPORTS.mkdir(parents=True, exist_ok=True)
    total, interrupted = Count(), False
    rows = [format_row("set-up", set_up_s, 300, None)]
    for section in chosen:
        started = time.monotonic()
        try:
            count = run_section(section, extra)
        except KeyboardInterrupt:
            count, interrupted = Count(failed=1), True
        row = format_row(section.name, time.monotonic() - started, section.budget_s, count)
        rows.append(row if count != Count() else f"{row}  nothing to run yet")
        total += count
        if interrupted:
            break
    print(f"\n{'section':<10}{'seconds':>9}{'budget':>8}{'passed':>8}{'failed':>8}{'skipped':>9}")
    print("\n".join(rows))
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return INTERRUPTED if interrupted else int(total.failed > 0 or total.passed == 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a CI that gives up gets the same clean-up as Ctrl-C
    # Who starts us in the background has SIGINT ignored, and so would every program that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1:], SECTIONS))
