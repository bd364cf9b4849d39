"""The page of operations, built ones first, and the description of the API for programs (OpenAPI 3.1)."""

import json
from pathlib import Path

from skerry.api.openapi import describe_api
from skerry.operations import OPERATIONS, Operation

_AUDIENCE = {"public": "anybody", "tenant": "tenant", "operator": "operator", "either": "tenant or operator"}


def format_row(operation: Operation) -> str:
    """Format one built operation as a line of the table."""
    guard = "number" if operation.guarded else ""
    shape = "" if operation.style == "json" else operation.style
    marks = ", ".join(filter(None, [guard, shape]))
    who = f"{_AUDIENCE[operation.audience]}: {operation.permission}" if operation.permission != "public" else "anybody"
    return f"| `{operation.name}` | `{operation.method} {operation.path}` | {who} | {marks} | {operation.help} |"


def make_operations_page(_: Path) -> dict[str, str]:
    """Make operations.md."""
    built = [format_row(operation) for operation in OPERATIONS if operation.built]
    later = [f"| `{item.method} {item.path}` | {item.help} |" for item in OPERATIONS if not item.built]
    head = [
        "# Operations",
        "",
        "Made by `./dev gen` from `src/skerry/operations.py`. Routes, permissions, the client's methods and this page",
        "come from that one list. *Marks*: `number` needs `If-Match` or `If-None-Match: *`; any other word is the form",
        "of the bodies where it is not plain JSON. The same for programs: [openapi.json](openapi.json), which a core",
        "serves at `/openapi.json`.",
        "",
        "| Operation | Route | Who | Marks | What it does |",
        "|---|---|---|---|---|",
    ]
    tail = ["", "## Not built yet", "", "Refused with `E-NOT-YET`.", "", "| Route | What it will do |", "|---|---|"]
    return {"operations.md": "\n".join([*head, *built, *(tail if later else []), *later, ""])}


def make_openapi(_: Path) -> dict[str, str]:
    """Make openapi.json, the same that a core serves."""
    return {"openapi.json": json.dumps(describe_api(), indent=1, ensure_ascii=False) + "\n"}
