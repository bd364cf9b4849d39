"""docs/generated/compose-fields.md: what becomes of each field of Compose, from the one table that judges them."""

from collections.abc import Iterator
from pathlib import Path

from skerry.manifest.fields import FIELDS, Field

_INTRO = """# Compose fields

What Skerry makes of every field of the Compose specification. The table in `src/skerry/manifest/fields.py` is the
source of this page and of what `skerry validate` says; a test fails when the specification has a field that it lacks.

* **H** honoured. **T** translated: the reason says into what. **G** granted: honoured where the profile of the app
  grants it, refused otherwise; the built-in profiles `default` and `strict` grant nothing of the node. **R** refused.
* *Not yet*: known, and refused with `E-NOT-YET` until it is built.
* *By value*: what is asked for decides, and `skerry validate` says which way it went.
* `*` stands for a name that people choose, `[]` for the items of a list. What has no row of its own is judged with the
  row above it.
"""
_SECTIONS = {
    "services": "Services",
    "networks": "Networks",
    "volumes": "Volumes",
    "secrets": "Secrets",
    "configs": "Configs",
}


def make_fields_page(root: Path) -> dict[str, str]:
    """Return the page."""
    parts = [_INTRO, "## Top level\n", *_table(_pick(""))]
    for section, title in _SECTIONS.items():
        parts += [f"\n## {title}\n", *_table(_pick(f"{section}.*."))]
    return {"compose-fields.md": "\n".join(parts) + "\n"}


def _pick(prefix: str) -> Iterator[tuple[str, Field]]:
    for path, row in FIELDS.items():
        is_top = "." not in path and path not in _SECTIONS
        if path.startswith(prefix) if prefix else is_top:
            yield path.removeprefix(prefix), row


def _table(rows: Iterator[tuple[str, Field]]) -> Iterator[str]:
    yield "| field | | what becomes of it |"
    yield "|---|---|---|"
    for path, row in rows:
        if not row.whole and not row.reason and row.letter == "H":
            continue  # a mapping whose fields have rows of their own
        words = [row.reason] if row.reason else []
        words += ["not yet"] if not row.built else []
        words += ["by value"] if row.judged else []
        yield f"| `{path}` | {row.letter} | {'; '.join(words)} |"
