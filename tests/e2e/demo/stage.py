"""What every demo shows and writes: one line a step while it runs, a table at the end, and the same as JSON."""

import argparse
import http.client
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.e2e.fleet import Ended


class StepFailed(Exception):
    """A step did not show what it promises; the message says what was seen."""


class Report:
    """What one step found, filled in by the step."""

    def __init__(self) -> None:
        self.bytes = 0
        self.requests_lost = 0
        self.detail = ""


class Stage:
    """Runs steps and keeps their results."""

    def __init__(self, title: str, *, out: Any = sys.stdout) -> None:
        self._out = out
        self.steps: list[dict[str, Any]] = []
        self._say(f"\n{title}\n")

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def note(self, text: str) -> None:
        """Say something between steps."""
        self._say(f"    {text}")

    def step(self, name: str, action: Callable[[Report], None]) -> None:
        """Run one step; a failure is shown, recorded and raised."""
        report = Report()
        started = time.monotonic()
        if self._out.isatty():
            self._out.write(f"  ... {name}")
            self._out.flush()
        try:
            action(report)
            ok = True
        except StepFailed as failure:
            ok, report.detail = False, str(failure)
        except BaseException as failure:
            ok, report.detail = False, f"{type(failure).__name__}: {failure}"
            self._record(name, ok, started, report)
            raise
        self._record(name, ok, started, report)
        if not ok:
            raise StepFailed(f"{name}: {report.detail}")

    def step_measured(
        self,
        name: str,
        action: Callable[[Report], None],
        read_sent: Callable[[], int],
        read_lost: Callable[[], int],
        settle: Callable[[], object],
    ) -> None:
        """Run one step and report its bytes on links and the requests lost, counted once ``settle`` has returned."""

        def measured(report: Report) -> None:
            sent, lost = read_sent(), read_lost()
            try:
                action(report)
                settle()
            except (TimeoutError, Ended) as error:
                raise StepFailed(str(error)) from error
            finally:
                report.bytes = read_sent() - sent
                report.requests_lost = read_lost() - lost

        self.step(name, measured)

    def _record(self, name: str, ok: bool, started: float, report: Report) -> None:
        seconds = round(time.monotonic() - started, 1)
        self.steps.append(
            {
                "name": name,
                "ok": ok,
                "seconds": seconds,
                "bytes": report.bytes,
                "requests_lost": report.requests_lost,
                "detail": report.detail,
            }
        )
        mark = "ok " if ok else "NO "
        tail = f" - {report.detail}" if report.detail else ""
        start = "\r" if self._out.isatty() else ""
        self._say(f"{start}  {mark} {name}  ({seconds} s){tail}")

    def table(self) -> None:
        """Print all steps as a table."""
        width = max((len(step["name"]) for step in self.steps), default=4)
        self._say("")
        self._say(f"  {'step'.ljust(width)}      seconds   bytes on the link   requests lost")
        for step in self.steps:
            mark = "ok" if step["ok"] else "NO"
            self._say(
                f"  {step['name'].ljust(width)}  {mark}  {step['seconds']:>8}   {step['bytes']:>17,}"
                f"   {step['requests_lost']:>13}"
            )
        self._say("")

    def write(self, path: Path | None) -> None:
        """Write the results as JSON where asked."""
        if path is not None:
            path.write_text(json.dumps({"steps": self.steps}, indent=2) + "\n")


def arguments(description: str, *, interactive: bool = True) -> argparse.ArgumentParser:
    """Return the parser that every demo begins with; ``interactive`` is for those that let a visitor choose."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--unattended", action="store_true", help="ask nothing, stop at the first step that fails")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, and say how to look")
    if interactive:
        parser.add_argument("--interactive", action="store_true", help="choose the sabotage yourself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the steps as JSON")
    return parser


def play(
    stage: Stage,
    asked: argparse.Namespace,
    run: Callable[[], None],
    end: Callable[[bool], None],
    read_logs: Callable[[], Iterable[tuple[str, str]]] = tuple,
) -> int:
    """Tell a story and show its table; return the exit code.

    ``end`` is always called, with whether all is to be kept running; ``read_logs`` gives what to show of a failure.
    """
    # Both, because a shell that starts us in the background has SIGINT ignored, and we would inherit that.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    code = 1
    try:
        run()
        code = 0
    except StepFailed as failure:
        stage.note(f"stopped: {failure}")
        for name, text in read_logs():
            stage.note(f"{name}: {text}")
    except KeyboardInterrupt:
        stage.note("interrupted")
        code = 130
    except (OSError, http.client.HTTPException) as problem:
        stage.note(f"stopped: {problem}")
    finally:
        # A second Ctrl-C must not leave half of it behind.
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.SIG_IGN)
        stage.table()
        stage.write(asked.json)
        end(asked.keep and code != 130)
    return code
