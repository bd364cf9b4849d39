"""Trees of Debian packages as layers: mmdebstrap makes a whole tree, and the layer is its difference from the base.

The rule of this file: nothing outside a temporary folder is touched. mmdebstrap (as root) unpacks into a folder of its
own under the system's temporary directory and writes one tar file, which is read here; it is never unpacked again.
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.images import oci, recipes

SUITE = "bookworm"
KEEP_ALWAYS = ("usr/share/doc/*/copyright",)
#: A tree of 300 MB takes under a minute on two slow cores; longer than this means that a mirror hangs.
TREE_SECONDS_MAX = 900
_TAIL_LINES = 15


class ToolError(Exception):
    """A tool this build runs is missing or failed; the message ends with what it said last."""


@contextmanager
def tree(packages: Sequence[str], recipe: recipes.Recipe | None, scratch: Path) -> Generator[list[oci.Entry]]:
    """All entries of a minimal tree with `packages` in it; their content can be read until the context ends."""
    tar_path = scratch / "tree.tar"
    with tempfile.TemporaryDirectory(prefix="image-tree-") as temporary:
        run_tool(_arguments(packages, recipe, tar_path), TREE_SECONDS_MAX, {"TMPDIR": temporary})
    drop = (*recipes.DROP_ALWAYS, *(recipe.drop if recipe else ()))
    keep = (*KEEP_ALWAYS, *(recipe.keep if recipe else ()))
    with tarfile.open(tar_path) as archive:
        yield oci.entries_of(archive, chooser(drop, keep))


def chooser(drop: Iterable[str], keep: Iterable[str]) -> Callable[[str], bool]:
    """Whether a path goes into a layer: `keep` wins over `drop`; all documents but copyright files are dropped."""
    dropped = _pattern([*drop, "usr/share/doc/*/*"])
    kept = _pattern(keep)
    return lambda name: bool(kept.match(name)) or not dropped.match(name)


def architecture() -> str:
    """The machine's architecture in the words that Debian and OCI share: amd64, arm64, ..."""
    return run_tool(["dpkg", "--print-architecture"], 10).strip()


def run_tool(arguments: Sequence[str], seconds_max: float, environment: dict[str, str] | None = None) -> str:
    """Run a tool to its end and return what it printed. ToolError if it is missing, fails or takes too long."""
    settings = {**os.environ, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(oci.EPOCH), **(environment or {})}
    try:
        done = subprocess.run(
            arguments, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds_max
        )
    except FileNotFoundError:
        raise ToolError(f"{arguments[0]} is not installed; on Debian: apt-get install {arguments[0]}") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{arguments[0]} was still running after {seconds_max} s") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL_LINES:])
        raise ToolError(f"{arguments[0]} ended with {done.returncode}:\n{said}")
    return done.stdout


def _arguments(packages: Sequence[str], recipe: recipes.Recipe | None, tar_path: Path) -> list[str]:
    arguments = ["mmdebstrap", "--mode=root", "--variant=essential", "--quiet", "--format=tar"]
    arguments += ["--aptopt=APT::Install-Recommends false"]
    # The hook brings the package usr-is-merged; without it usrmerge comes, and all of Perl with it.
    arguments += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"]
    # Unpacking what the layer leaves out anyway costs most of the time.
    arguments += [f"--dpkgopt=path-exclude=/usr/share/{unread}/*" for unread in ("man", "locale", "info", "doc")]
    arguments += ["--dpkgopt=force-unsafe-io", "--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    if packages:
        arguments += ["--include=" + ",".join(packages)]
    if recipe:
        hooks = [*_account_lines(recipe.users), *recipe.prepare]
        arguments += [f"--essential-hook={hook}" for hook in hooks]
        arguments += [f"--customize-hook={hook}" for hook in recipe.arrange]
    return [*arguments, SUITE, str(tar_path)]


def _account_lines(users: Iterable[recipes.User]) -> list[str]:
    lines: list[str] = []
    for user in users:
        account = f"{user.name}:x:{user.number}:{user.number}::{user.home}:/usr/sbin/nologin"
        lines.append(f'echo "{account}" >> "$1/etc/passwd"')
        lines.append(f'echo "{user.name}:x:{user.number}:" >> "$1/etc/group"')
        lines.append(f'echo "{user.name}:!:19000::::::" >> "$1/etc/shadow"')
    return lines


def _pattern(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs) or r"(?!)")
