"""The private Python environment under /usr/lib/skerry, and which of its files belongs to which package.

Rule: libraries come from the wheels that packaging/deb/wheels.txt pins by digest, and Skerry from a wheel made now.
What both core and agent need is in the package `skerry`, so a site carries no core and a core no agent's libraries.
"""

import compileall
import importlib.util
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

#: Debian 12's; byte code is made for it and not made anew on the target.
PYTHON = (3, 11)
HOME = "usr/lib/skerry"
LIBRARIES = f"{HOME}/lib/python{PYTHON[0]}.{PYTHON[1]}/site-packages"
COMMON = "skerry"
#: What each package needs of pyproject.toml's extras beyond the bare project.
EXTRAS = {"skerry-core": ("core", "postgres"), "skerry-agent": ("agent",)}
FETCH_S_MAX = 900
#: Written by pip about this machine, or only of use to a pip that could change the environment.
_UNWANTED = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


class BuildFailed(Exception):
    """A package could not be made; the message says why."""


def run_tool(*words: object, seconds_max: float = FETCH_S_MAX, **environment: str) -> str:
    """Run a program to its end and return what it printed; raises ``BuildFailed``."""
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(f"{words[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def list_needed(root: Path) -> list[str]:
    """What the packages need from elsewhere, as pyproject.toml says it: sorted requirements."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return sorted(
        {*project["dependencies"], *(each for names in EXTRAS.values() for name in names for each in extras[name])}
    )


def fetch_wheels(root: Path, folder: Path) -> None:
    """Fetch the pinned wheels into ``folder``; one with another digest is refused."""
    pins = root / "packaging" / "deb" / "wheels.txt"
    _pip("download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-d", folder, "-r", pins)


def write_pins(root: Path, folder: Path) -> None:
    """Choose the newest wheels that pyproject.toml allows, and pin them in packaging/deb/wheels.txt."""
    _pip("download", "--only-binary", ":all:", "-d", folder, *list_needed(root))
    lines = ["# Libraries in the packages, each pinned to one wheel. `./dev deb --pin` writes this file.\n"]
    for wheel in sorted(folder.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        digest = _pip("hash", wheel).strip().rpartition("--hash=")[2]
        lines.append(f"{name.replace('_', '-').lower()}=={version} --hash={digest}\n")
    (root / "packaging" / "deb" / "wheels.txt").write_text("".join(lines))


def make_tree(root: Path, wheels: Path, tree: Path) -> None:
    """Install the fetched wheels and this checkout into ``tree``, a folder for site-packages, and compile it."""
    if sys.version_info[:2] != PYTHON:
        raise BuildFailed(f"the packages are for Python {PYTHON[0]}.{PYTHON[1]}, and this is {sys.version.split()[0]}")
    own = wheels / "own"
    _pip("wheel", "--no-deps", "-w", own, root)
    found = [*sorted(wheels.glob("*.whl")), *own.glob("*.whl")]
    _pip("install", "--no-deps", "--no-index", "--no-compile", "--target", tree, *found)
    shutil.rmtree(tree / "bin", ignore_errors=True)
    compile_tree(tree)


def compile_tree(tree: Path) -> None:
    """Compile every module, under the names that it will have on the target, to code that is never checked again."""
    compileall.compile_dir(
        tree,
        quiet=2,
        stripdir=str(tree),
        prependdir=f"/{LIBRARIES}",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def allot_files(
    tree: Path, project: str = "skerry", extras: Mapping[str, tuple[str, ...]] = EXTRAS
) -> dict[str, list[Path]]:
    """Say which package has which files of the tree, as paths below it; each file is in exactly one.

    Raises ``BuildFailed`` for a library that nobody asked for, and for one that is missing.
    """
    known = {_normalize(each.metadata["Name"]): each for each in distributions(path=[str(tree)])}
    base = _close(known, COMMON, ())
    wanted = {package: _close(known, COMMON, names) for package, names in extras.items()}
    common = base | set.intersection(*wanted.values())
    if unasked := known.keys() - common - set().union(*wanted.values()):
        raise BuildFailed(f"nobody asked for {', '.join(sorted(unasked))}: ./dev deb --pin writes the pins anew")
    parts = {COMMON: common, **{package: names - common for package, names in wanted.items()}}
    found = {
        package: sorted({p for name in names for p in _list_files(tree, known[name])})
        for package, names in parts.items()
    }
    if twice := set(found[COMMON]) & set().union(*(found[package] for package in wanted)):
        raise BuildFailed(f"{min(twice)} belongs to two libraries")
    return found


def describe_libraries(tree: Path, files: list[Path]) -> list[tuple[str, str, str]]:
    """Name, version and licence of each library whose description is among ``files``."""
    folders = {str(each.parts[0]) for each in files if each.parts[0].endswith(".dist-info")}
    found = [Distribution.at(tree / folder) for folder in folders]
    return sorted((each.metadata["Name"], each.version, _read_licence(each)) for each in found)


def _read_licence(library: Distribution) -> str:
    about = library.metadata
    expression = about.get("License-Expression") or ""
    classified = [
        each.rpartition(":: ")[2] for each in about.get_all("Classifier") or () if each.startswith("License ::")
    ]
    short = (about.get("License") or "").strip().partition("\n")[0][:80]
    return expression or ", ".join(classified) or short or "see its folder"


def _close(known: Mapping[str, Distribution], name: str, extras: tuple[str, ...]) -> set[str]:
    """Everything that ``name`` with ``extras`` needs, itself included."""
    left, seen = [(name, ""), *((name, extra) for extra in extras)], set[tuple[str, str]]()
    while left:
        here = left.pop()
        if here in seen:
            continue
        seen.add(here)
        if here[0] not in known:
            raise BuildFailed(f"{here[0]} is not among the wheels: ./dev deb --pin writes the pins anew")
        for line in known[here[0]].requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": here[1]}):
                other = _normalize(need.name)
                left += [(other, ""), *((other, extra) for extra in need.extras)]
    return {library for library, _ in seen}


def _list_files(tree: Path, library: Distribution) -> Iterator[Path]:
    for entry in library.files or ():
        path = Path(entry)
        if path.parts[0] in ("..", "bin") or (path.name in _UNWANTED and path.parts[0].endswith(".dist-info")):
            continue
        if not (tree / path).is_file():
            raise BuildFailed(f"{path} of {library.metadata['Name']} is not in the tree")
        yield path
        if path.suffix == ".py":
            code = Path(importlib.util.cache_from_source(str(path)))
            if (tree / code).exists():
                yield code


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pip(word: str, *arguments: object) -> str:
    quiet = () if word == "hash" else ("-q",)
    return run_tool(sys.executable, "-m", "pip", word, *quiet, "--disable-pip-version-check", *arguments)
