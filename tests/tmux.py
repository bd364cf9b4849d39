"""A program in a terminal of tmux, which keeps the screen as a person would see it: what is drawn over is gone."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

TMUX = shutil.which("tmux")
_OF_ANOTHER_WINDOW = ("TMUX", "COLUMNS", "LINES")


class Screen:
    """One tmux server with one window, on a socket of its own."""

    def __init__(self, folder: Path, argv: list[str], env: dict[str, str], columns: int, rows: int) -> None:
        self._command = [TMUX or "tmux", "-f", "/dev/null", "-S", str(folder / "tmux.sock")]
        # The window says how large it is: what the tests themselves are told of theirs would go before it.
        self._env = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_WINDOW} | env
        # The window stays when the program has ended, so that its last screen can be read.
        words = f'trap : INT; {shlex.join(argv)}; echo "exit code $?"; exec sleep 600'
        self._tell("new-session", "-d", "-s", "one", "-x", str(columns), "-y", str(rows), "sh", "-c", words)
        self._tell("set-option", "-t", "one", "status", "off")
        self._tell("resize-window", "-t", "one", "-x", str(columns), "-y", str(rows))

    def _tell(self, *words: str) -> str:
        done = subprocess.run([*self._command, *words], env=self._env, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def resize(self, columns: int, rows: int) -> None:
        """Change the window, as a person who drags its corner does."""
        self._tell("resize-window", "-t", "one", "-x", str(columns), "-y", str(rows))

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tell("send-keys", "-t", "one", *keys)

    def lines(self) -> list[str]:
        """What is on the screen, without empty lines at the end."""
        return self._tell("capture-pane", "-p", "-t", "one").rstrip("\n").split("\n")

    def wait(self, holds: Callable[[list[str]], bool], limit_s: float = 90.0) -> list[str]:
        """Look until the screen is as wanted, and return its lines."""
        end = time.monotonic() + limit_s
        while not holds(lines := self.lines()):
            assert time.monotonic() < end, "\n".join(lines)
            time.sleep(0.1)
        return lines

    def close(self) -> None:
        """End the server and all that runs in it."""
        subprocess.run([*self._command, "kill-server"], env=self._env, capture_output=True, timeout=30)
