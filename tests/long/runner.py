"""Runs one long run and wraps its figures with what a reader needs to judge them: commit, machine, seconds."""

import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.long.runs import JSON, LongRun

HANG_FACTOR = 3


def is_built(run: LongRun, root: Path) -> bool:
    """Tell whether the run's module exists, judged by files so that nothing is imported."""
    path = (root / "src" if run.module.startswith("skerry.") else root).joinpath(*run.module.split("."))
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def describe_commit(root: Path) -> str:
    """The commit that runs, with a plus when files differ from it."""
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return (head.stdout.strip() or "none") + ("+" if changed.stdout.strip() else "")


def describe_machine() -> dict[str, Any]:
    """What a reader needs to compare figures of two machines; no names and no paths."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "architecture": platform.machine(),
    }


def perform_run(run: LongRun, root: Path) -> dict[str, Any]:
    """Run to the end and return the result that is to be kept; `ok` is false when it failed, hung or wrote nothing."""
    with tempfile.TemporaryDirectory(prefix="skerry-long-") as folder:
        report = Path(folder) / "figures.json"
        words = [str(report) if word == JSON else word for word in run.arguments]
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        code = _run_group([sys.executable, "-m", run.module, *words], root, 60.0 * HANG_FACTOR * run.budget_min)
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            figures = json.loads(report.read_text())
        except (OSError, ValueError):
            figures = None
    return {
        "name": run.name,
        "why": run.why,
        "command": ["python", "-m", run.module, *run.arguments],
        "commit": describe_commit(root),
        "machine": describe_machine(),
        "ok": code == 0 and figures is not None,
        "exit": code,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "figures": figures,
    }


def _run_group(command: list[str], root: Path, limit_s: float) -> int:
    """Run in a process group of its own; a run that hangs is interrupted, so that it can clean up, and then killed."""
    child = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return child.wait(limit_s)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
