"""Checks of the product's code that no linter of ours makes: purity, dead files, shells, stubs, silent skips."""

import ast
import re
from collections.abc import Iterable, Iterator

from tests.tidy.sources import Source

#: Rooms without effects (docs/architecture.md, Directions 1).
PURE_ROOMS = ("model", "wire", "manifest", "trust", "plan", "sync", "operations")

#: Rooms that exist for tests, ours and other people's.
TEST_ROOMS = ("sim", "testing")

#: Files that print: the command line, and programs of this checkout.
PRINTERS = ("src/skerry/cli/", "src/skerry/sim/__main__.py")


def find_impure(sources: Iterable[Source]) -> Iterator[str]:
    """No `async` in a pure room: a planner or protocol returns what is to be done and waits for nothing."""
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    for source in sources:
        if source.room in PURE_ROOMS:
            for node in ast.walk(source.tree):
                if isinstance(node, kinds):
                    yield f"{source.path}:{node.lineno}: async in a pure room"


def list_imports(source: Source) -> set[str]:
    """Modules of skerry that the file imports or names in a string, as lazy command groups do."""
    package = source.module if source.path.endswith("__init__.py") else source.module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found.add(name)
            found.update(f"{name}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("skerry."):
            found.add(node.value.partition(":")[0])
    return found


def find_unimported(sources: Iterable[Source], tests: Iterable[Source] = ()) -> Iterator[str]:
    """Every file is imported by another one or is a program; what is there for tests may be imported by them alone."""
    files = list(sources)
    imported = {(name, source.path) for source in files for name in list_imports(source)}
    tested = {name for source in tests for name in list_imports(source)}
    for source in files:
        is_program = source.path.endswith(("__init__.py", "__main__.py")) or "__name__ ==" in source.text
        is_used = any(name == source.module and path != source.path for name, path in imported)
        is_for_tests = source.room in TEST_ROOMS and source.module in tested
        if not (is_program or is_used or is_for_tests):
            yield f"{source.path}: nothing in src imports it"


def find_prints(sources: Iterable[Source]) -> Iterator[str]:
    """Only the command line and programs print."""
    for source in sources:
        if source.path.startswith(PRINTERS):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"{source.path}:{node.lineno}: prints"


def find_shells(sources: Iterable[Source]) -> Iterator[str]:
    """No shell ever: argument lists from typed values."""
    names = {"create_subprocess_shell", "getoutput", "getstatusoutput", "system", "popen"}
    for source in sources:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            on_os = name in {"system", "popen"} and ast.unparse(node.func).split(".")[0] not in {"os", "posix"}
            if (name in names and not on_os) or any(word.arg == "shell" for word in node.keywords):
                yield f"{source.path}:{node.lineno}: starts a shell"


def find_stubs(sources: Iterable[Source]) -> Iterator[str]:
    """Nothing is left for later in the code: what is not built is refused in words, by name."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Name) and node.id == "NotImplementedError":
                yield f"{source.path}:{node.lineno}: {node.id}"


def find_rooms_without_package(sources: Iterable[Source]) -> Iterator[str]:
    """Every folder with Python files is a package with a docstring; the import contracts do not see any other."""
    files = {source.path: source for source in sources}
    for folder in sorted({path.rpartition("/")[0] for path in files}):
        start = files.get(f"{folder}/__init__.py")
        if start is None:
            yield f"{folder}: no __init__.py"
        elif not ast.get_docstring(start.tree):
            yield f"{start.path}: no docstring that says what the room is for"


def find_silent_skips(sources: Iterable[Source]) -> Iterator[str]:
    """A test that does not run says why."""
    marks = re.compile(r"pytest\.mark\.(skip|skipif|xfail)")
    for source in sources:
        called = {id(node.func): node for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and marks.fullmatch(ast.unparse(node)):
                call = called.get(id(node))
                if call is None or not any(word.arg == "reason" for word in call.keywords):
                    yield f"{source.path}:{node.lineno}: skipped without a reason"
