"""One network and one mount namespace that outlive every process in them.

Rule: a namespace is a file in a folder of its owner, never a global name, so two owners cannot meet and what a crashed
one left can be found. What runs in a place is found by its namespaces and its mounts, then ended by its process id; a
name is never enough. Needs root. Used by ``berth`` and by the lab of the end-to-end tests.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from skerry.clock import pause

CLONE_NEWNET = 0x4000_0000
#: Killing races with forking: what was born meanwhile is found in the next round.
KILL_ROUNDS_MAX = 200
KILL_PAUSE_S = 0.05
#: A short command inside, such as ``ip``; podman's orderly stop of everything is the longest.
RUN_S_MAX = 120
#: Where programs of a place are looked for, whatever the caller's own path says.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_libc = ctypes.CDLL(None, use_errno=True)


def run(*argv: object, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return its output; OSError with what the command said when it fails."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_S_MAX, env=env, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{' '.join(words)}: not done after {RUN_S_MAX} s") from error
    if done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@contextlib.contextmanager
def inside_net(net: Path) -> Generator[None]:
    """Put this thread (no other one) into a network namespace; sockets made inside stay there after it left."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(net, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def hold_folder(folder: Path) -> None:
    """Make a folder that can hold namespace files: they can only be kept on a private mount."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_mounted(folder):
        run("mount", "--bind", folder, folder)
        run("mount", "--make-private", folder)


def release_folder(folder: Path) -> None:
    """Undo ``hold_folder``, once no namespace is held any more."""
    if _is_mounted(folder):
        run("umount", folder)


class Place:
    """Two namespaces, and what runs in them.

    ``folder`` is where their files are (see ``hold_folder``); ``disk`` is what the place keeps when they are gone.
    """

    def __init__(self, folder: Path, name: str, disk: Path) -> None:
        self.name = name
        self.disk = disk
        self.net = folder / f"{name}.net"
        self.mnt = folder / f"{name}.mnt"
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a process here: nothing of the caller's."""
        return {"PATH": PATH, "HOME": str(self.disk), "LANG": "C.UTF-8"}

    @property
    def exists(self) -> bool:
        """Whether both namespaces are there."""
        return _ns_id(self.net) is not None and _ns_id(self.mnt) is not None

    def create(self) -> None:
        """Make both namespaces, with loopback up and nothing of the control groups that crun cannot use."""
        self._unshare()
        # Nothing reaches the machine's own mounts, but inside mounts are shared, as systemd leaves them: for a
        # container with user ids of its own podman runs conmon in a copy of this namespace and cleans up from there.
        # With private mounts that clean-up finds neither network nor storage: addresses, rules, mounts stay behind.
        self.run("mount", "--make-rshared", "/")
        self.run("ip", "link", "set", "lo", "up")
        # crun refuses a tree of v1 controllers with a v2 tree beside them; without the latter it is plain v1.
        if os.path.ismount("/sys/fs/cgroup/unified"):
            self.run("umount", "/sys/fs/cgroup/unified")

    def argv(self, *command: object) -> list[str]:
        """The command as it must be spelled to run inside; it keeps its process id, for nsenter only execs it."""
        return ["nsenter", f"--net={self.net}", f"--mount={self.mnt}", "--", *(str(word) for word in command)]

    def run(self, *command: object) -> str:
        """Run a short command inside, to its end."""
        return run(*self.argv(*command))

    def popen(
        self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a long-lived process inside. ``env`` replaces the whole environment; output is appended to ``log``.

        No descriptor of the caller is kept open by it, so a test's pipeline never waits for it.
        """
        with log.open("ab") as output:
            child = subprocess.Popen(
                self.argv(*command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                start_new_session=True,
            )
        self._children.append(child)
        return child

    def pids(self) -> list[int]:
        """Every process that runs in this place, those in containers with namespaces of their own included."""
        mine = {_ns_id(path) for path in (self.net, self.mnt)} - {None}
        marker = f"{self.disk}/"
        if marker in Path("/proc/self/mountinfo").read_text():
            # Every process of this machine would seem to be the place's.
            raise OSError(f"something is mounted below {self.disk} outside of its place; mount it inside")
        return [pid for pid in _all_pids() if _belongs(pid, mine, marker)]

    def kill_all(self) -> None:
        """End every process of this place at once, as a power cut does; returns when none is left."""
        for _ in range(KILL_ROUNDS_MAX):
            for child in self._children:
                child.kill()  # one just started may not be inside yet
            pids = self.pids()
            if not pids:
                break
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pause(KILL_PAUSE_S)
        else:
            raise OSError(f"{self.name}: processes {self.pids()} do not end")
        for child in self._children:
            child.wait()
        self._children.clear()

    def destroy(self) -> None:
        """End what runs here and let the kernel drop the namespaces, and with them all mounts, links and rules."""
        self.kill_all()
        self._drop()

    def _unshare(self) -> None:
        """Make both namespaces, or neither.

        A mount namespace is kept in a file only where its number is above that of the caller's own. Linux 6.18 deals
        numbers out to each processor in blocks, so that a caller who is not in the machine's first mount namespace may
        be refused on one processor and not on another.
        """
        words = ("unshare", f"--net={self.net}", f"--mount={self.mnt}", "--propagation", "private", "true")
        problem: OSError | None = None
        for cpu in sorted(os.sched_getaffinity(0)):
            self.net.touch()
            self.mnt.touch()
            try:
                run("taskset", "--cpu-list", cpu, *words)
            except OSError as error:
                problem = error
                self._drop()
            else:
                return
        raise problem or OSError("this process may use no processor")

    def _drop(self) -> None:
        for path in (self.mnt, self.net):
            if _ns_id(path) is not None:
                run("umount", path)
            path.unlink(missing_ok=True)


def _is_mounted(folder: Path) -> bool:
    # The table writes a space in a path as its octal code.
    return f" {folder} ".replace(str(folder), str(folder).replace(" ", r"\040")) in (
        Path("/proc/self/mountinfo").read_text()
    )


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _ns_id(path: Path) -> tuple[int, int] | None:
    """Identify the namespace a file stands for; None for a plain file that no namespace was mounted on."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if os.path.ismount(path) else None


def _belongs(pid: int, mine: set[tuple[int, int] | None], marker: str) -> bool:
    if pid == os.getpid():
        return False
    try:
        for kind in ("net", "mnt"):
            found = Path(f"/proc/{pid}/ns/{kind}").stat()
            if (found.st_dev, found.st_ino) in mine:
                return True
        # A container has namespaces of its own, but its root file system lies on this place's disk.
        return marker in Path(f"/proc/{pid}/mountinfo").read_text(errors="replace")
    except OSError:
        return False  # it ended while we looked
