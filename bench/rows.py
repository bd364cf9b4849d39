"""Rows of a benchmark: a value beside its goal and the baseline of the same run, and the page that shows them."""

import pathlib
from collections.abc import Iterable
from typing import Any


def make_row(
    name: str,
    what: str,
    value: float,
    unit: str,
    goal: float | None,
    *,
    baseline: float | None = None,
    is_floor: bool = False,
) -> dict[str, Any]:
    """Return one row. The value may be at most ``goal``, or at least with ``is_floor``; None is no goal."""
    value = round(value, 3)
    goal = None if goal is None else round(goal, 3)
    return {
        "id": name,
        "what": what,
        "value": value,
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 3),
        "ratio": None if not baseline else round(value / baseline, 2),
        "goal": goal,
        "floor": is_floor,
        "holds": goal is None or (value >= goal if is_floor else value <= goal),
    }


def show(row: dict[str, Any]) -> None:
    """Print one row as soon as it is there."""
    against = "" if row["baseline"] is None else f"  baseline {row['baseline']:g}"
    goal, verdict = ("", "") if row["goal"] is None else (f" goal {row['goal']:g}", _judge(row))
    print(f"{row['id']:<24}{row['value']:>12g} {row['unit']:<5}{goal}{against}  {verdict}", flush=True)


def _judge(row: dict[str, Any]) -> str:
    return "holds" if row["holds"] else "DOES NOT HOLD"


def write_page(title: str, intro: str, rows: Iterable[dict[str, Any]]) -> str:
    """Return the rows as a page: what was measured, the goal, and whether it holds."""
    lines = [f"# {title}", "", intro, "", "| What | Value | Goal | Baseline | Holds |", "|---|---|---|---|---|"]
    for row in rows:
        unit = row["unit"]
        sign = "≥" if row["floor"] else "≤"
        goal, holds = ("", "") if row["goal"] is None else (f"{sign} {row['goal']:g} {unit}", _say(row["holds"]))
        baseline = "" if row["baseline"] is None else f"{row['baseline']:g} {unit}"
        lines.append(f"| {row['what']} | {row['value']:g} {unit} | {goal} | {baseline} | {holds} |")
    return "\n".join(lines) + "\n"


def _say(holds: bool) -> str:
    return "yes" if holds else "no"


def read_cpu_s(pid: int) -> float:
    """Return the seconds of processor that a process has used: fields 14 and 15 of proc(5), in clock ticks."""
    return parse_cpu_s(pathlib.Path(f"/proc/{pid}/stat").read_text())


def parse_cpu_s(stat: str, ticks_a_second: int = 100) -> float:
    """Read what ``read_cpu_s`` reads; a program's own name may hold spaces and brackets."""
    words = stat.rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / ticks_a_second
