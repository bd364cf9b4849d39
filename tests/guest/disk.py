"""The root disk of the guest: a Debian tree from the mirrors that this machine's apt uses, cached by what goes into it.

Rule: the cached image is never written to; each machine gets an overlay of its own. The kernel and its initramfs lie
beside the image, because the emulator loads them itself and the guest needs no boot loader.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tidy.sources import ROOT

CACHE = ROOT / ".cache" / "guest"
SUITE = "bookworm"
#: What any guest needs to boot, and to be asked something; a story adds what it is about.
BASE = (
    "dbus",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "linux-image-cloud-amd64",
    "procps",
    "qemu-guest-agent",
    "systemd-sysv",
    "udev",
)
#: Bytes of the disk as the guest sees it; the file has holes.
DISK_BYTES = 4 * 2**30
#: A tree takes one or two minutes on two slow cores; longer means that a mirror hangs.
TREE_S_MAX = 900
TOOL_S_MAX = 300

#: Changes what is made below, beyond the names of packages.
_VERSION = 1
#: Nobody looks at these in a guest, and unpacking them is most of the time.
_UNREAD = ("man", "locale", "info", "doc")
#: Timers of the distribution that would wake up in the middle of a story.
_MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer")


class ToolFailed(Exception):
    """A program that makes the disk failed or hung; the message ends with what it said last."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A root disk that was made once: image, kernel and initramfs."""

    image: Path
    kernel: Path
    initramfs: Path

    def overlay(self, place: Path) -> Path:
        """Make a disk at ``place`` that begins as this one and keeps its own changes."""
        run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self.image, place)
        return place


def ensure_disk(packages: Sequence[str], cache: Path = CACHE, *, fetched: Sequence[str] = ()) -> Disk:
    """Return the disk with Debian's ``packages`` on top of ``BASE``, made now or taken from the cache.

    ``fetched`` and what they depend on lie in the guest's apt, ready to be installed without a network.
    """
    names, waiting = sorted({*BASE, *packages}), sorted(fetched)
    what = [_VERSION, SUITE, names, DISK_BYTES, *([waiting] if waiting else [])]
    key = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
    folder = cache / f"disk-{key}"
    disk = Disk(folder / "root.img", folder / "vmlinuz", folder / "initrd.img")
    if folder.exists():
        return disk
    cache.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=cache))
    try:
        _make(names, waiting, fresh)
        fresh.chmod(0o755)
        # Whole or not at all; somebody else's that came first is as good.
        with contextlib.suppress(OSError):
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return disk


def read_mirrors() -> list[str]:
    """The mirrors of Debian's suite that apt on this machine uses, as lines of a sources.list."""
    known = run_tool("apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)")
    lines: set[str] = set()
    for row in known.splitlines():
        origin, _, rest = row.partition("|")
        address, release, component = rest.split("|")
        if origin == "Debian" and release.partition("-")[0] == SUITE:
            lines.add(f"deb {address} {release} {component}")
    if not lines:
        raise ToolFailed(f"apt on this machine knows no mirror of Debian's {SUITE}: is it {SUITE}, and up to date?")
    return sorted(lines)


def run_tool(*words: str | Path, seconds_max: float = TOOL_S_MAX, **environment: str) -> str:
    """Run a program to its end and return what it printed; raises ``ToolFailed``."""
    command = [str(word) for word in words]
    settings = {**os.environ, "LC_ALL": "C.UTF-8", **environment}
    try:
        done = subprocess.run(
            command, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds_max
        )
    except FileNotFoundError:
        raise ToolFailed(f"{command[0]} is not installed: ./dev setup does it") from None
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{command[0]} was still running after {seconds_max:g} s") from None
    if done.returncode:
        raise ToolFailed(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _make(names: Sequence[str], waiting: Sequence[str], folder: Path) -> None:
    """Make the tree under the system's temporary directory, and from it the image, kernel and initramfs."""
    with tempfile.TemporaryDirectory(prefix="guest-tree-") as temporary:
        tree = Path(temporary, "root")
        run_tool(*_tree_command(names, waiting, tree), *read_mirrors(), seconds_max=TREE_S_MAX, TMPDIR=temporary)
        for place, name in ((tree / "vmlinuz", "vmlinuz"), (tree / "initrd.img", "initrd.img")):
            shutil.copyfile(tree / place.readlink(), folder / name)
        image = folder / "root.img"
        with image.open("wb") as opened:
            opened.truncate(DISK_BYTES)
        run_tool("mkfs.ext4", "-q", "-F", "-L", "root", "-d", tree, image)


def _tree_command(names: Sequence[str], waiting: Sequence[str], tree: Path) -> list[str]:
    words = ["nice", "mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", "--format=directory"]
    words += ["--aptopt=APT::Install-Recommends false", "--dpkgopt=force-unsafe-io"]
    words += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"]
    words += [f"--dpkgopt=path-exclude=/usr/share/{unread}/*" for unread in _UNREAD]
    words += ["--include=" + ",".join(names)]
    words += [f'--customize-hook=systemctl --root="$1" mask --quiet {" ".join(_MASKED)}']
    words += ['--customize-hook=echo guest >"$1/etc/hostname"']
    words += ['--customize-hook=echo "127.0.0.1 localhost guest" >"$1/etc/hosts"']
    words += ['--customize-hook=echo "LABEL=root / ext4 defaults 0 1" >"$1/etc/fstab"']
    # A journal in memory would be gone at the first reboot, and with it the reason of whatever failed before.
    words += ['--customize-hook=mkdir -p "$1/var/log/journal"']
    if waiting:
        fetch = f"apt-get --quiet --yes --download-only install {' '.join(waiting)}"
        words += [f'--customize-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" {fetch}']
        words += ["--skip=cleanup/apt"]
    return [*words, SUITE, str(tree)]
