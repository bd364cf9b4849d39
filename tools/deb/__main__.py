"""`./dev deb [--out FOLDER] [--revision N] [--pin]`: make skerry, skerry-core and skerry-agent for Debian 12."""

import argparse
import gzip
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.deb.archive import Release, make_copyright, make_package, read_time
from tools.deb.tree import (
    COMMON,
    EXTRAS,
    HOME,
    LIBRARIES,
    PYTHON,
    BuildFailed,
    allot_files,
    describe_libraries,
    fetch_wheels,
    make_tree,
    run_tool,
    write_pins,
)

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = (COMMON, *EXTRAS)
#: What `python3 -m venv` writes; the interpreter finds its libraries by it.
_ENVIRONMENT = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON[0]}.{PYTHON[1]}\n"


def build_packages(tree: Path, out: Path, revision: Sequence[int], root: Path = ROOT) -> list[Path]:
    """Make all packages of a tree of libraries, once for each revision; the files, in the order of building."""
    out.mkdir(parents=True, exist_ok=True)
    upstream = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    architecture, time_s = run_tool("dpkg", "--print-architecture").strip(), read_time(root)
    allotted, licence = allot_files(tree), (root / "LICENSE").read_text()
    made: list[Path] = []
    for number in revision:
        release = Release(f"{upstream}-{number}", architecture, time_s)
        for name in PACKAGES:
            files: dict[str, Path | bytes] = {f"{LIBRARIES}/{each}": tree / each for each in allotted[name]}
            rights = make_copyright(describe_libraries(tree, allotted[name]), licence)
            files[f"usr/share/doc/{name}/copyright"] = rights
            links: dict[str, str] = {}
            if name == COMMON:
                files[f"{HOME}/pyvenv.cfg"] = _ENVIRONMENT.encode()
                files["usr/share/bash-completion/completions/skerry"] = _complete(tree)
                for page in sorted((root / "docs" / "generated" / "man").glob("*.1")):
                    files[f"usr/share/man/man1/{page.name}.gz"] = gzip.compress(page.read_bytes(), mtime=0)
                links[f"{HOME}/bin/python"] = f"/usr/bin/python{PYTHON[0]}.{PYTHON[1]}"
            made.append(make_package(name, root, release, out, files=files, links=links))
    return made


def _complete(tree: Path) -> bytes:
    """The completion of the command, as it says it itself."""
    return run_tool(sys.executable, "-m", "skerry", "completion", "bash", PYTHONPATH=str(tree)).encode()


def main(words: list[str]) -> int:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(prog="./dev deb", description="make Debian packages of this checkout")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where they are put (default: dist/)")
    parser.add_argument("--revision", type=int, default=1, help="Debian's part of the version (default: 1)")
    parser.add_argument("--pin", action="store_true", help="choose newer wheels first, and pin them")
    given = parser.parse_args(words)
    if shutil.which("dpkg-deb") is None:
        print("dev: Debian packages are made on Debian: there is no dpkg-deb", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="deb-") as folder:
            if given.pin:
                write_pins(ROOT, Path(folder, "pins"))
            wheels, tree = Path(folder, "wheels"), Path(folder, "tree")
            fetch_wheels(ROOT, wheels)
            make_tree(ROOT, wheels, tree)
            for place in build_packages(tree, given.out, [given.revision]):
                print(f"{place.name}  {place.stat().st_size / 1e6:.1f} MB")
    except BuildFailed as failure:
        print(f"dev: {failure}", file=sys.stderr)
        return 1
    print("Install them with: apt install ./skerry_*.deb ./skerry-core_*.deb (or ./skerry-agent_*.deb at a site)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
