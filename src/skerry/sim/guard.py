"""An audit hook that ends a simulation which touches the real network, processes or files.

Python gives no way to take a hook away again, so it is installed once and listens only between ``begin`` and ``end``.
The clock and the kernel's randomness raise no audit events: lint bans them (pyproject.toml), and the double run of each
seed finds what lint cannot.
"""

import os
import sys
from typing import Any

_FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.sendto",
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_state = {"installed": False, "listening": False}


class LeftTheSimulation(RuntimeError):
    """Simulated code reached for the real world."""


def begin() -> None:
    """Listen from now on."""
    if not _state["installed"]:
        sys.addaudithook(_hear)
        _state["installed"] = True
    _state["listening"] = True


def end() -> None:
    """Listen no more."""
    _state["listening"] = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _state["listening"]:
        return
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        # Reading is let be: Python itself reads modules when they are first used. So is the cache of their bytecode.
        if "__pycache__" in str(arguments[0]):
            return
        raise LeftTheSimulation(f"opened {arguments[0]!r} for writing")
    if event in _FORBIDDEN and "__pycache__" not in str(arguments):
        raise LeftTheSimulation(f"{event} {arguments[:2]!r}")
