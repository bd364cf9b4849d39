"""The page of settings: every field of the programs' settings in src/skerry/app.py with its default and meaning."""

import ast
from pathlib import Path

#: The settings of a program, by its name; what all of them share comes first.
_CLASSES = {
    "_Supervised": "every program",
    "CoreSettings": "core",
    "AgentSettings": "agent",
    "SignerSettings": "signer",
    "FerrySettings": "ferry",
    "RelaySettings": "relay",
}


def read_settings(text: str, name: str) -> list[tuple[str, str, str, str]]:
    """Return (name, type, default, meaning) of each field of a class; fields without a comment share the one above."""
    lines = text.splitlines()
    found = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    settings: list[tuple[str, str, str, str]] = []
    meaning = ""
    for node in found.body:
        if not isinstance(node, ast.AnnAssign):
            continue
        comment: list[str] = []
        place = node.lineno - 2
        while lines[place].strip().startswith("#:"):
            comment.insert(0, lines[place].strip().removeprefix("#:").strip())
            place -= 1
        meaning = " ".join(comment) or meaning
        default = "must be given" if node.value is None else f"`{ast.unparse(node.value)}`".replace("`''`", "empty")
        settings.append((ast.unparse(node.target), ast.unparse(node.annotation), default, meaning))
    return settings


def make_settings_page(root: Path) -> dict[str, str]:
    """Make settings.md."""
    text = (root / "src" / "skerry" / "app.py").read_text()
    page = [
        "# Settings",
        "",
        "Made by `./dev gen` from `src/skerry/app.py`. A program reads its settings file (`--settings FILE`, TOML),",
        "then variables such as `SKERRY_CORE_API_PORT`, then flags such as `--api-port`; the later one wins. An",
        "unknown name is an error. `SKERRY_DATABASE_URL` is the core's `database_url`, for the core and for all of",
        "`skerry core`.",
    ]
    for name, title in _CLASSES.items():
        page += ["", f"## Of {title}", "", "| Setting | Type | Default | Meaning |", "|---|---|---|---|"]
        for setting, kind, default, meaning in read_settings(text, name):
            words = meaning.replace("|", "/").replace("``", "`")
            page.append(f"| `{setting}` | `{kind.replace('|', 'or')}` | {default} | {words} |")
    return {"settings.md": "\n".join([*page, ""])}
