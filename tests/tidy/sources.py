"""Reads the checkout once: every file that git tracks or would track, as (path, text) values.

Rule: checks take these values, so a test can hand them a made-up file. Neighbours: `code.py`, `texts.py`, `mirror.py`.
"""

import ast
import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Source:
    """One text file; `path` is relative to the checkout, with `/`."""

    path: str
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """The room of src/skerry that the file lies in: `plan` of src/skerry/plan/site.py, `wire` of wire.py."""
        parts = self.path.removeprefix("src/skerry/").split("/")
        return parts[0].removesuffix(".py")

    @property
    def module(self) -> str:
        """The dotted name under which the file is imported."""
        name = self.path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        return name.removesuffix(".__init__")


@functools.cache
def read_checkout() -> tuple[Source, ...]:
    """Every text file of the checkout that is not ignored, sorted by path."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found: list[Source] = []
    for name in sorted(set(filter(None, names))):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            try:
                found.append(Source(name, path.read_text(encoding="utf-8")))
            except UnicodeDecodeError:
                continue  # images and archives have no sentences to check
    return tuple(found)


def list_pictures() -> tuple[str, ...]:
    """The pictures of pages: files that are no text and that links may lead to."""
    return tuple(sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "pictures").glob("*.png")))


def read_python(*tops: str) -> tuple[Source, ...]:
    """The Python files below the given folders."""
    prefixes = tuple(f"{top}/" for top in tops)
    return tuple(
        source for source in read_checkout() if source.path.startswith(prefixes) and source.path.endswith(".py")
    )


def read_product() -> tuple[Source, ...]:
    """The Python files of src/skerry."""
    return read_python("src/skerry")


def list_rooms() -> set[str]:
    """The rooms that exist: folders and single files of src/skerry."""
    return {source.room for source in read_product()} - {"__init__", "__main__"}
