"""The page of limits: every constant of src/skerry/model/limits.py with its value and its reason."""

import re
from pathlib import Path

_ASSIGNMENT = re.compile(r"^([A-Z][A-Z0-9_]*)(?:: [^=]+)? = (.+)$")


def read_limits(text: str) -> list[tuple[str, str, str]]:
    """Return (name, value, reason) in the file's order; constants without a blank line between share one reason."""
    limits: list[tuple[str, str, str]] = []
    reason: list[str] = []
    in_reason = False
    for line in text.splitlines():
        if line.startswith("#:"):
            reason = [*(reason if in_reason else []), line.removeprefix("#:").strip()]
            in_reason = True
        elif found := _ASSIGNMENT.match(line):
            limits.append((found[1], found[2], " ".join(reason)))
            in_reason = False
        elif not line.strip():
            reason, in_reason = [], False
    return limits


def make_limits_page(root: Path) -> dict[str, str]:
    """Make limits.md."""
    limits = read_limits((root / "src" / "skerry" / "model" / "limits.py").read_text())
    rows = [f"| `{name}` | `{value}` | {reason.replace('|', '/')} |" for name, value, reason in limits]
    head = ["# Limits", "", "Made by `./dev gen` from `src/skerry/model/limits.py`. The unit is in the name.", ""]
    return {"limits.md": "\n".join([*head, "| Limit | Value | Reason |", "|---|---|---|", *rows, ""])}
