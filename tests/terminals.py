"""A program in a terminal of its own: types, changes the window, reads what is shown, sees how it is left."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """One program, started in a fresh terminal that it controls."""

    def __init__(self, argv: list[str], env: dict[str, str], columns: int = 100, rows: int = 30) -> None:
        self._far, near = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(near)
        self._near = near
        self.program = subprocess.Popen(
            argv,
            stdin=near,
            stdout=near,
            stderr=near,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(near, termios.TIOCSCTTY, 0),
        )
        self.shown = ""

    def resize(self, columns: int, rows: int) -> None:
        """Change the window; the kernel tells the program."""
        fcntl.ioctl(self._far, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._far, text.encode())

    def wait_for(self, text: str, limit_s: float = 60.0) -> str:
        """Read until something is shown, and return what was shown before it; both are done with."""
        end = time.monotonic() + limit_s
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} never came: {self.shown[-2000:]!r}"
            ready, _, _ = select.select([self._far], [], [], 0.2)
            if ready:
                self.shown += os.read(self._far, 65536).decode("utf-8", "replace")
        before, self.shown = self.shown.split(text, 1)
        return before

    def is_raw(self) -> bool:
        """Whether keys go to the program as they are."""
        return not termios.tcgetattr(self._near)[3] & (termios.ICANON | termios.ISIG)

    def end(self, limit_s: float = 60.0) -> int:
        """Wait for the program's end and return its exit code; the terminal must be as it was."""
        end = time.monotonic() + limit_s
        while self.program.poll() is None and time.monotonic() < end:
            ready, _, _ = select.select([self._far], [], [], 0.1)
            if ready:
                self.shown += os.read(self._far, 65536).decode("utf-8", "replace")
        code = self.program.wait(1)
        assert termios.tcgetattr(self._near) == self.before
        while select.select([self._far], [], [], 0.1)[0]:
            self.shown += os.read(self._far, 65536).decode("utf-8", "replace")
        return code

    def close(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(ProcessLookupError):
            self.program.kill()
        self.program.wait(10)
        os.close(self._far)
        os.close(self._near)
