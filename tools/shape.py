"""`./dev shape`: soft notes on the sources for a reader to judge. They stop nobody; each count is shown with the last.

Rule: taste is noted here, defects are refused by `./dev check`. Neighbours: the slow tests come from the report that
the last `./dev test unit` left.
"""

import ast
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".cache" / "dev"
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
SLOW_TEST_S = 0.25
SHOWN_MAX = 15  # notes of one kind on the screen; the count is always whole


def list_files(*tops: str) -> list[Path]:
    """Python files below the given folders, sorted."""
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


def note_long_files(files: list[Path]) -> Iterator[str]:
    """Files that may be two ideas."""
    for path in files:
        text = path.read_text()
        count = text.count("\n")
        if count > FILE_LINES_MAX:
            first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
            yield f"{path.relative_to(ROOT)}: {count} lines: {first}"


def note_long_functions(files: list[Path]) -> Iterator[str]:
    """Functions that do not fit on a screen."""
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > FUNCTION_LINES_MAX:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {count} lines"


def note_untested_files(product: list[Path]) -> Iterator[str]:
    """Source files without a test file of their own name."""
    for path in product:
        inside = path.relative_to(ROOT / "src" / "skerry")
        if path.name not in ("__init__.py", "__main__.py"):
            folder = ROOT / "tests" / inside.parent
            if not any(folder.glob(f"test_{inside.stem}*.py")):
                yield f"{path.relative_to(ROOT)}"


def note_unused_names(product: list[Path], readers: list[Path]) -> Iterator[str]:
    """Public names of the product that no other line of the product or its tools says."""
    words = Counter(word for path in readers for word in re.findall(r"\w+", path.read_text()))
    for path in product:
        for node in ast.parse(path.read_text()).body:
            for name in _list_declared(node):
                if not name.startswith("_") and words[name] == 1:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {name}"


def _list_declared(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign():
            return [target.id for target in node.targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name() as target):
            return [target.id]
        case _:
            return []


def note_slow_tests(report: Path) -> Iterator[str]:
    """Tests of the last run above a quarter of a second, slowest first."""
    if not report.exists():
        return
    cases = [(float(case.get("time", "0")), case) for case in ElementTree.parse(report).getroot().iter("testcase")]
    for seconds, case in sorted(cases, key=lambda pair: -pair[0]):
        if seconds > SLOW_TEST_S:
            yield f"{case.get('classname')}.{case.get('name')}: {seconds:.2f} s"


def note_exceptions() -> Iterator[str]:
    """Exceptions that the checks grant: ignored imports, silenced rules."""
    for number, line in enumerate((ROOT / "pyproject.toml").read_text().splitlines(), 1):
        if re.match(r'\s*"skerry\S* -> \S+",', line):
            yield f"pyproject.toml:{number}: {line.strip()}"
    for path in list_files("src"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"#\s*(noqa|type: ignore|pyright:)", line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def main() -> int:
    """Print every kind of note with its count and the count of the last run."""
    product, everything = list_files("src/skerry"), list_files("src", "tests", "bench", "tools")
    kinds = {
        f"files above {FILE_LINES_MAX} lines": list(note_long_files(everything)),
        f"functions above {FUNCTION_LINES_MAX} lines": list(note_long_functions(list_files("src", "bench", "tools"))),
        "source files without a test file of their own": list(note_untested_files(product)),
        "public names that only their own line says": list(note_unused_names(product, list_files("src", "tools"))),
        f"unit tests above {SLOW_TEST_S} s in the last run": list(note_slow_tests(REPORTS / "unit.xml")),
        "exceptions granted": list(note_exceptions()),
    }
    memory = REPORTS / "shape.json"
    before: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    for kind, notes in kinds.items():
        trend = f" (last time {before[kind]})" if kind in before else ""
        print(f"{len(notes)} {kind}{trend}")
        for note in notes[:SHOWN_MAX]:
            print(f"    {note}")
        if len(notes) > SHOWN_MAX:
            print(f"    … and {len(notes) - SHOWN_MAX} more")
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps({kind: len(notes) for kind, notes in kinds.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
