"""Problems and the field report as lines of text, for the command line.

One problem is ``pos.yaml:31:5  E-UNKNOWN-WORD  /x-skerry/rollout/cannary: unknown word. Did you mean "canary"?``.
"""

from collections import Counter
from collections.abc import Sequence

from skerry.manifest.findings import FieldNote
from skerry.model.errors import Problem
from skerry.model.limits import PROBLEMS_PRINTED_MAX


def format_problem(problem: Problem, width: int = 0, code_width: int = 0) -> str:
    """Return one line; the first two columns are filled up to the given widths."""
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    head = " ".join(filter(None, (place.ljust(width), problem.code.ljust(code_width))))
    body = f"{problem.pointer}: {problem.detail}" if problem.pointer else problem.detail
    line = _printable(f"{head} {body}")
    return (
        f"{line}{'' if line.endswith(('.', '?', '!')) else '.'} Hint: {_printable(problem.hint)}"
        if problem.hint
        else line
    )


def format_problems(problems: Sequence[Problem]) -> list[str]:
    """Return the lines of at most ``PROBLEMS_PRINTED_MAX`` problems in columns, then how many there are."""
    printed = problems[:PROBLEMS_PRINTED_MAX]
    width = max((len(f"{one.file}:{one.line}:{one.column}") for one in printed), default=0)
    code_width = max((len(one.code) for one in printed), default=0)
    lines = [format_problem(one, width, code_width) for one in printed]
    if len(problems) > len(printed):
        lines.append(f"… and {len(problems) - len(printed)} more")
    files = sorted({one.file for one in problems if one.file})
    count = f"{len(problems)} error{'s' if len(problems) != 1 else ''}"
    lines.append(f"{count} in {', '.join(files)}" if files else count)
    return lines


def format_report(notes: Sequence[FieldNote]) -> list[str]:
    """Return the field report: each field with how it was taken, and the counts in a last line."""
    width = max((len(note.verdict) for note in notes), default=0)
    lines = [
        _printable(f"{note.verdict.ljust(width)} {note.pointer}{f': {note.detail}' if note.detail else ''}")
        for note in notes
    ]
    counts = Counter(note.verdict for note in notes)
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "no fields")
    return lines


def _printable(text: str) -> str:
    """Keep a foreign text on its line and away from the terminal's controls."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
