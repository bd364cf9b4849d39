"""What the guest gets without a network: Skerry from this checkout with everything that it depends on, in one archive.

Rule: this machine's pip fetches and compiles, because it does so twenty times faster than an emulated one; what Skerry
depends on is kept in the cache until pyproject.toml changes it. The guest sees the archive as a disk and unpacks it.
"""

import hashlib
import io
import json
import shutil
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from tests.guest.disk import CACHE, ToolFailed, run_tool
from tests.tidy.sources import ROOT

#: Python of the guest's Debian; what is compiled for another one is of no use there.
PYTHON = (3, 11)
#: Extras of pyproject.toml that a machine with a core, a signer and an agent needs.
EXTRAS = ("agent", "core")
#: Fetching some fifty wheels takes a minute on a slow line.
FETCH_S_MAX = 900


def collect_packages(folder: Path, cache: Path = CACHE) -> tuple[Path, Path]:
    """Return two folders for the guest's ``site-packages``: Skerry, made now in ``folder``, and what it depends on."""
    if sys.version_info[:2] != PYTHON:
        raise ToolFailed(f"the guest runs Python {PYTHON[0]}.{PYTHON[1]}, and this is {sys.version.split()[0]}")
    own = folder / "skerry"
    _install(own, "--no-deps", str(ROOT))
    return own, _collect_dependencies(cache)


def _collect_dependencies(cache: Path) -> Path:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = sorted({*project["dependencies"], *(name for extra in EXTRAS for name in extras[extra])})
    key = hashlib.sha256(json.dumps([PYTHON, names]).encode()).hexdigest()[:16]
    kept = cache / f"packages-{key}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new-", dir=cache) as fresh:
            _install(Path(fresh, "packages"), *names)
            Path(fresh, "packages").rename(kept)
    return kept


def _install(target: Path, *what: str) -> None:
    pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(target))
    run_tool(*pip, *what, seconds_max=FETCH_S_MAX)
    # Its programs begin with the path of this machine's Python.
    shutil.rmtree(target / "bin", ignore_errors=True)


def pack_parcel(place: Path, content: Mapping[str, Path | bytes]) -> Path:
    """Write a tar archive with files and whole folders under their names."""
    with tarfile.open(place, "w") as archive:
        for name, source in sorted(content.items()):
            if isinstance(source, bytes):
                entry = tarfile.TarInfo(name)
                entry.size = len(source)
                archive.addfile(entry, io.BytesIO(source))
            else:
                archive.add(source, name, filter=_belong_to_root)
    return place


def _belong_to_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
