"""Test files mirror source files: the test of src/skerry/plan/site.py is tests/plan/test_site.py.

One source file may have several: `test_site_volumes.py` is another test of site.py. What crosses files is listed here
with its reason; an entry that matches nothing is itself a complaint, so the list cannot rot.
"""

from collections.abc import Iterable, Iterator, Mapping

#: Folders of tests that belong to no single source file.
FREE_FOLDERS: Mapping[str, str] = {
    "tests/contract/": "one suite per interface, run against every implementation",
    "tests/browser/": "the console in a real browser, against a real core",
    "tests/docs/": "types what the pages tell people to type",
    "tests/e2e/": "real processes, namespaces and containers",
    "tests/guest/": "an emulated machine, and what systemd does there",
    "tests/images/": "builds the stand-in images that end-to-end tests run",
    "tests/long/": "the runner of long runs",
    "tests/powercut/": "cuts of every store, whichever room it is in",
    "tests/packaging/": "mirrors packaging/, not src/",
    "tests/sim/planted/": "patches of any source file, and who notices them",
    "tests/tidy/": "checks of the sources themselves",
    "tests/tools/": "mirrors tools/, not src/",
}

#: Single test files that mirror no source file.
FREE_FILES: Mapping[str, str] = {
    "tests/test_tidy.py": "our own checks of the sources",
    "tests/test_docs.py": "checks of the pages against the sources",
    "tests/test_dev.py": "mirrors ./dev",
    "tests/agent/test_footprint.py": "the whole agent, as a process",
    "tests/sim/test_main.py": "mirrors __main__.py, which Python names",
}


def find_strays(
    paths: Iterable[str],
    folders: Mapping[str, str] = FREE_FOLDERS,
    files: Mapping[str, str] = FREE_FILES,
) -> Iterator[str]:
    """Name each test file without a source, and each exception that excuses nothing."""
    known = set(paths)
    tests = sorted(path for path in known if path.startswith("tests/") and path.rpartition("/")[2].startswith("test_"))
    used: set[str] = set()
    for path in tests:
        excuses = [name for name in (*folders, *files) if path.startswith(name)]
        used.update(excuses)
        if not excuses and path.endswith(".py") and not any(source in known for source in _list_sources(path)):
            yield f"{path}: there is no source file that it tests"
    for name in sorted({*folders, *files} - used):
        yield f"tests/tidy/mirror.py: the exception {name} excuses nothing"


def _list_sources(path: str) -> Iterator[str]:
    """The files that a test file may be the test of: test_site_volumes.py of site_volumes.py or of site.py."""
    folder, _, name = path.removeprefix("tests/").rpartition("/")
    words = name.removeprefix("test_").removesuffix(".py").split("_")
    for count in range(len(words), 0, -1):
        stem = "_".join(words[:count])
        base = "/".join(filter(None, ["src/skerry", folder, stem]))
        yield f"{base}.py"
        yield f"{base}/__init__.py"
        if stem == "init":
            yield "/".join(filter(None, ["src/skerry", folder, "__init__.py"]))
