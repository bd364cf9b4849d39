"""Checks of any text in the checkout: unfinished marks, headings, paths of one machine."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.tidy.sources import Source

# Put together from halves, so that this file does not complain of itself.
_UNFINISHED = re.compile(
    r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b(?!\((?:decision \d{4}|weakness [a-z-]+)\))"
)
_MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me)/[\w.-]+")


def find_unfinished(sources: Iterable[Source]) -> Iterator[str]:
    """What is unfinished stands in a decision or in docs/weaknesses.md, and the mark says in which."""
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), 1):
            if _UNFINISHED.search(line):
                yield f"{source.path}:{number}: unfinished without `(decision NNNN)` or `(weakness NAME)`"


def list_headings(text: str) -> list[tuple[int, str]]:
    """The headings of a Markdown text as (level, words), code blocks apart."""
    found: list[tuple[int, str]] = []
    fence = ""
    for line in text.splitlines():
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence and (heading := re.match(r"(#{1,6}) (.+)", line)):
            found.append((len(heading[1]), heading[2].strip()))
    return found


def find_bad_headings(sources: Iterable[Source]) -> Iterator[str]:
    """A page has one heading of the first level, and it comes first."""
    for source in sources:
        if not source.path.endswith(".md"):
            continue
        levels = [level for level, _ in list_headings(source.text)]
        if levels.count(1) != 1 or levels[0] != 1:
            yield f"{source.path}: {levels.count(1)} headings of level one, or it is not the first"


def find_machine_paths(sources: Iterable[Source], here: Path) -> Iterator[str]:
    """No path of the machine where a line was written: it would be wrong on every other one."""
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), 1):
            if str(here) in line or _MACHINE_PATH.search(line):
                yield f"{source.path}:{number}: a path of one machine"
