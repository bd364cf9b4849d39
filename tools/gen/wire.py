"""The page of link messages: tag and fields of every struct of src/skerry/wire.py, in the order in which they travel.

Messages are arrays: a field's place is its name on the wire. A change of this page other than a line added at the end
of a message breaks older sites.
"""

import ast
from pathlib import Path


def list_messages(text: str) -> list[tuple[str, str, str, list[tuple[str, str, str]]]]:
    """Return (name, tag, first line of the docstring, fields as (name, type, default)) in the file's order."""
    found: list[tuple[str, str, str, list[tuple[str, str, str]]]] = []
    for node in ast.parse(text).body:
        if not isinstance(node, ast.ClassDef) or not any(ast.unparse(base) == "_Message" for base in node.bases):
            continue
        tag = next((ast.literal_eval(word.value) for word in node.keywords if word.arg == "tag"), "")
        fields = [
            (item.target.id, ast.unparse(item.annotation), "" if item.value is None else ast.unparse(item.value))
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        ]
        found.append((node.name, tag, (ast.get_docstring(node) or "").partition("\n")[0], fields))
    return found


def make_wire_page(root: Path) -> dict[str, str]:
    """Make wire.md."""
    lines = [
        "# Messages of the link",
        "",
        "Made by `./dev gen` from `src/skerry/wire.py`. Arrays in MessagePack: the tag first, then the fields in this",
        "order. A struct without a tag travels inside others.",
    ]
    for name, tag, first, fields in list_messages((root / "src" / "skerry" / "wire.py").read_text()):
        lines += ["", f"## {name}" + (f" (`{tag}`)" if tag else ""), "", first, ""]
        if fields:
            lines += ["| # | Field | Type | Default |", "|---|---|---|---|"]
        for number, (field, kind, default) in enumerate(fields, 1):
            shown = f"`{default}`" if default else ""
            lines.append(f"| {number} | `{field}` | `{kind.replace('|', 'or')}` | {shown} |")
    return {"wire.md": "\n".join([*lines, ""])}
