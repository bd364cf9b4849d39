"""A package made of files: what goes where, the papers that Debian wants with it, and `dpkg-deb`.

Rule: everything belongs to root, bears the time of the commit, and is listed by packaging/deb/NAME.install (source,
target, mode) or handed in. Files under /etc are an operator's: dpkg asks before an upgrade touches them.
"""

import gzip
import hashlib
import os
import shutil
import string
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from tools.deb.tree import run_tool

MAINTAINER = "The Skerry project <maintainers@skerry.invalid>"
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


@dataclass(frozen=True, slots=True)
class Release:
    """What all packages of one build have in common."""

    #: Debian's version: upstream's, and a revision of the packaging.
    version: str
    architecture: str
    #: Seconds since 1970: the time of every file.
    time_s: int


def make_package(
    name: str, root: Path, release: Release, out: Path, *, files: Mapping[str, Path | bytes], links: Mapping[str, str]
) -> Path:
    """Write NAME_VERSION_ARCH.deb into ``out``; ``files`` and ``links`` come on top of what NAME.install lists."""
    with tempfile.TemporaryDirectory(prefix="deb-") as folder:
        stage = Path(folder, name)
        papers = stage / "DEBIAN"
        papers.mkdir(parents=True)
        for source, target, mode in read_install(root, name):
            _put(stage / target, root / source, mode)
        for target, content in files.items():
            _put(stage / target, content, 0o644)
        for target, points_to in links.items():
            (stage / target).parent.mkdir(parents=True, exist_ok=True)
            (stage / target).symlink_to(points_to)
        _put(stage / f"usr/share/doc/{name}/changelog.Debian.gz", _make_changelog(name, release), 0o644)
        shipped = sorted(path for path in stage.rglob("*") if path.is_file() and not path.is_relative_to(papers))
        papers.joinpath("control").write_text(_make_control(name, root, release, shipped))
        papers.joinpath("md5sums").write_text("".join(_sum(path, stage) for path in shipped if not path.is_symlink()))
        if kept := [path for path in shipped if path.is_relative_to(stage / "etc")]:
            papers.joinpath("conffiles").write_text("".join(f"/{path.relative_to(stage)}\n" for path in kept))
        for script in SCRIPTS:
            source = root / "packaging" / "deb" / f"{name}.{script}"
            if source.exists():
                _put(papers / script, source, 0o755)
        _settle(stage, release.time_s)
        place = out / f"{name}_{release.version}_{release.architecture}.deb"
        # A small box unpacks this ten times faster than xz; Debian 12's dpkg is the first that can.
        build = ("dpkg-deb", "--root-owner-group", "-Zzstd", "-z10", "--build", stage, place)
        run_tool(*build, SOURCE_DATE_EPOCH=str(release.time_s))
    return place


def read_install(root: Path, name: str) -> list[tuple[str, str, int]]:
    """The rows of packaging/deb/NAME.install: a file of this checkout, its place on the target, its mode."""
    rows = (root / "packaging" / "deb" / f"{name}.install").read_text().splitlines()
    return [(source, target, int(mode, 8)) for source, target, mode in (row.split() for row in rows)]


def make_copyright(libraries: Sequence[tuple[str, str, str]], licence: str) -> bytes:
    """Who holds the rights in a package: our licence, then one line for each library with its version and licence."""
    lines = ["Skerry itself is under the Apache License 2.0; its text is at the end.\n"]
    lines.append("Libraries in /usr/lib/skerry; each has its licence in its .dist-info folder:\n")
    lines += [f"  {name} {version}: {terms}" for name, version, terms in libraries]
    return ("\n".join(lines) + "\n\n" + licence).encode()


def _make_control(name: str, root: Path, release: Release, shipped: Sequence[Path]) -> str:
    template = string.Template((root / "packaging" / "deb" / f"{name}.control").read_text())
    size_kib = sum(-(-path.lstat().st_size // 1024) for path in shipped)
    first, _, rest = template.substitute(version=release.version).partition("\n")
    about = f"Version: {release.version}\nArchitecture: {release.architecture}\nMaintainer: {MAINTAINER}\n"
    return f"{first}\n{about}Installed-Size: {size_kib}\n{rest}"


def _make_changelog(name: str, release: Release) -> bytes:
    when = formatdate(release.time_s)
    text = f"{name} ({release.version}) bookworm; urgency=medium\n\n  * Built from the sources of that day.\n\n"
    return gzip.compress(f"{text} -- {MAINTAINER}  {when}\n".encode(), mtime=0)


def _sum(path: Path, stage: Path) -> str:
    return f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(stage)}\n"


def _put(place: Path, content: Path | bytes, mode: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        place.write_bytes(content)
    else:
        shutil.copyfile(content, place)
    place.chmod(mode)


def _settle(stage: Path, time_s: int) -> None:
    """Give every entry the time of the commit, and every folder the mode that Debian gives it."""
    for path in [stage, *stage.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (time_s, time_s), follow_symlinks=False)


def read_time(root: Path) -> int:
    """The time of the newest commit in seconds; that of now where there is none."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    if told.isdigit():
        return int(told)
    if (root / ".git").exists():
        return int(run_tool("git", "-C", root, "log", "-1", "--format=%ct"))
    return int(time.time())
