"""Programs that ``up`` starts and ``down`` stops: each known by the file in which it writes its process id.

A process id alone is never believed: the program must still be the one that was started, by its command line.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from skerry.clock import SECOND_US, SystemClock, pause
from skerry.model.errors import Unavailable

#: Time to open a store and listen, on a slow disk after a power cut.
READY_S_MAX = 30
#: Time to end in order; then it is killed.
STOP_S_MAX = 10
_LOOK_S = 0.1
#: Bytes of a log that are shown when a program does not start.
_LOG_TAIL_BYTES = 2_000


class Program:
    """One program of this machine's own core, or of a site of this machine.

    ``env`` is its whole environment; None is that of whoever starts it. A program that is not ours says nothing when it
    is ready and writes no id: ``answers`` looks whether it is.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        pid_file: Path,
        log: Path,
        mark: str,
        env: Mapping[str, str] | None = None,
        answers: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.command = command
        self.env = env
        self._pid_file = pid_file
        self._log = log
        #: A word of the command line by which the process is recognised.
        self._mark = mark.encode()
        self._answers = answers

    def find(self) -> int | None:
        """Return the id of the running process, None when it does not run."""
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if self._mark in words else None

    def read_setting(self, name: str) -> str | None:
        """Return a setting of the running process, as it was started; None when it does not run or was given none."""
        pid = self.find()
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            return words[words.index(f"--{name}") + 1]
        except (OSError, ValueError, IndexError):
            return None

    def start(self) -> bool:
        """Start it unless it runs, and return once it is ready; False when it ran already.

        Raises ``Unavailable`` with the end of its log when it ends or is not ready in time.
        """
        if self.find() is not None:
            return False
        for folder in (self._pid_file.parent, self._log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pid_file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                # A Ctrl-C at the terminal is for `up`, which ends its programs in order.
                start_new_session=True,
            )
        if self._answers is not None:
            self._pid_file.write_text(f"{started.pid}\n")
        clock = SystemClock()
        end_us = clock.boot_us() + READY_S_MAX * SECOND_US
        while self.find() is None or not (self._answers is None or self._answers()):
            if started.poll() is not None:
                said = self._read_log()
                taken = "another program has the port: skerry up --api-port 7720 --link-port 7721"
                hint = taken if "address already in use" in said else f"see {self._log}"
                raise Unavailable("E-START", f"{self.name} ended at once:\n{said}", hint=hint)
            if clock.boot_us() > end_us:
                started.terminate()
                raise Unavailable(
                    "E-START", f"{self.name} is not ready after {READY_S_MAX} s.", hint=f"see {self._log}"
                )
            pause(_LOOK_S)
        return True

    def stop(self) -> bool:
        """End it in order, by force after ``STOP_S_MAX``; False when it did not run."""
        pid = self.find()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        clock = SystemClock()
        end_us = clock.boot_us() + STOP_S_MAX * SECOND_US
        while self.find() == pid and not _is_zombie(pid):
            if clock.boot_us() > end_us:
                os.kill(pid, signal.SIGKILL)
            pause(_LOOK_S)
        self._pid_file.unlink(missing_ok=True)
        return True

    def _read_log(self) -> str:
        return self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()


def _is_zombie(pid: int) -> bool:
    """Say whether a child of ours has ended and waits for us to look."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def skerry_command(program: str, **settings: object) -> list[str]:
    """Return the command line of one of our programs; settings that are empty are left out."""
    # -P: root may type this in a folder where somebody else has put a `skerry.py`.
    command = [sys.executable, "-P", "-m", "skerry", program]
    for name, value in settings.items():
        if value not in ("", None):
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command
