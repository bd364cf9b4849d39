"""What the guest installs without a network: Skerry's own wheel from this checkout, and the wheels it depends on.

Rule: dependencies are fetched by this machine's pip as it is set up, once for each change of pyproject.toml; Skerry's
wheel is made anew each time. `parcel` packs folders and files into one archive that the guest sees as a disk.
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

from tests.guest.disk import CACHE, run_tool
from tests.tidy.sources import ROOT

#: Fetching some thirty wheels takes a minute on a slow line.
FETCH_S_MAX = 900
_NEWEST = (sys.version_info.major, sys.version_info.minor)


def collect_wheels(folder: Path, cache: Path = CACHE) -> list[Path]:
    """Return Skerry's wheel, made in ``folder``, and the wheels of everything in its extras."""
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check")
    run_tool(*pip, "--no-deps", "-w", folder, ROOT, seconds_max=FETCH_S_MAX)
    return [*sorted(folder.glob("skerry-*.whl")), *_collect_dependencies(pip, cache)]


def _collect_dependencies(pip: tuple[str, ...], cache: Path) -> list[Path]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = sorted({*project["dependencies"], *extras["agent"], *extras["core"]})
    key = hashlib.sha256(json.dumps([_NEWEST, names]).encode()).hexdigest()[:16]
    kept = cache / f"wheels-{key}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new-", dir=cache) as fresh:
            run_tool(*pip, "-w", fresh, *names, seconds_max=FETCH_S_MAX)
            shutil.copytree(fresh, kept)
    return sorted(kept.glob("*.whl"))


def pack_parcel(place: Path, content: Mapping[str, Path | bytes]) -> Path:
    """Write a tar archive with files and whole folders under their names; the guest unpacks it from its second disk."""
    with tarfile.open(place, "w") as archive:
        for name, source in sorted(content.items()):
            if isinstance(source, bytes):
                entry = tarfile.TarInfo(name)
                entry.size = len(source)
                archive.addfile(entry, io.BytesIO(source))
            else:
                archive.add(source, name)
    return place
