"""The page of error codes: every `E-…` word of the product and the files that say it."""

import ast
import re
from pathlib import Path

_CODE = re.compile(r"E-[A-Z0-9]+(?:-[A-Z0-9]+)*")


def find_codes(text: str) -> set[str]:
    """Return the string literals of a Python source that are error codes."""
    literals = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return {value for value in literals if isinstance(value, str) and _CODE.fullmatch(value)}


def make_error_page(root: Path) -> dict[str, str]:
    """Make error-codes.md."""
    places: dict[str, list[str]] = {}
    for path in sorted((root / "src" / "skerry").rglob("*.py")):
        if path.name == "next_steps.py":
            continue  # it lists them all
        for code in find_codes(path.read_text()):
            places.setdefault(code, []).append(str(path.relative_to(root / "src" / "skerry")))
    rows = [f"| `{code}` | {', '.join(f'`{place}`' for place in places[code])} |" for code in sorted(places)]
    head = [
        "# Error codes",
        "",
        "Made by `./dev gen`. A code is never renamed and never means another thing.",
    ]
    return {"error-codes.md": "\n".join([*head, "", "| Code | Said in |", "|---|---|", *rows, ""])}
