"""Speaks to the guest: QEMU's own guest agent behind a virtio-serial port, JSON lines over a socket on this machine.

Rule: every question has a limit, and a question that got no answer ends the connection, because a late answer would be
taken for the next one's. Used by `guest.py`.
"""

import base64
import contextlib
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The agent answers from memory, on an emulated processor that may be busy.
ANSWER_S_MAX = 30
#: Between two looks at a command that runs; each look costs the guest some of its time.
LOOK_S = 0.2
#: What a command may say; QEMU's agent keeps 16 MiB of it.
_LINE_BYTES_MAX = 64 * 2**20
#: Before the answer to `guest-sync-delimited`: whatever stands before it is from another conversation.
_DELIMITER = b"\xff"


class GuestSilent(OSError):
    """The guest did not answer, or broke off; it may be down, booting, or too slow."""


class GuestRefused(Exception):
    """The guest's agent answered with an error of its own."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command in the guest said."""

    exit: int
    out: str
    err: str


class GuestAgent:
    """One conversation; it begins anew by itself after a silence."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._opened: socket.socket | None = None
        self._left = b""
        self._syncs = 0

    def close(self) -> None:
        """End the conversation; the next question begins another."""
        if self._opened is not None:
            self._opened.close()
        self._opened, self._left = None, b""

    def ask(self, command: str, seconds: float = ANSWER_S_MAX, **arguments: Any) -> Any:
        """Ask one question; raises ``GuestSilent`` or ``GuestRefused``."""
        deadline = time.monotonic() + seconds
        try:
            if self._opened is None:
                self._begin(deadline)
            self._send({"execute": command, "arguments": arguments})
            answer = self._read(b"\n", deadline)
        except OSError as error:
            self.close()
            raise GuestSilent(f"no answer to {command}: {error or type(error).__name__}") from error
        found = json.loads(answer)
        if "error" in found:
            raise GuestRefused(f"{command}: {found['error'].get('desc', found['error'])}")
        return found["return"]

    def run(self, words: Sequence[str], stdin: bytes, environment: Sequence[str], seconds: float) -> Ran:
        """Run a program in the guest to its end; after ``seconds`` the guest ends it with exit code 124."""
        limit = ("timeout", "--kill-after=5", f"{seconds:g}")
        started: dict[str, Any] = {"path": limit[0], "arg": [*limit[1:], *words], "capture-output": True}
        if stdin:
            started["input-data"] = base64.b64encode(stdin).decode()
        if environment:
            started["env"] = list(environment)
        number = self.ask("guest-exec", **started)["pid"]
        deadline = time.monotonic() + seconds + ANSWER_S_MAX
        while not (found := self.ask("guest-exec-status", pid=number))["exited"]:
            if time.monotonic() > deadline:
                raise GuestSilent(f"{words[0]} runs on in the guest after {seconds:g} s")
            time.sleep(LOOK_S)
        out, err = (base64.b64decode(found.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data"))
        return Ran(found["exitcode"] if "exitcode" in found else -found["signal"], out, err)

    def _begin(self, deadline: float) -> None:
        self._opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._opened.settimeout(max(deadline - time.monotonic(), 0.1))
        self._opened.connect(str(self._place))
        self._syncs += 1
        number = time.monotonic_ns() % 2**31 + self._syncs
        self._opened.sendall(_DELIMITER)
        self._send({"execute": "guest-sync-delimited", "arguments": {"id": number}})
        while True:
            self._read(_DELIMITER, deadline)
            with contextlib.suppress(ValueError):
                if json.loads(self._read(b"\n", deadline)).get("return") == number:
                    return

    def _send(self, question: dict[str, Any]) -> None:
        assert self._opened is not None
        self._opened.sendall(json.dumps(question).encode() + b"\n")

    def _read(self, end: bytes, deadline: float) -> bytes:
        """Return what comes before ``end``."""
        assert self._opened is not None
        while end not in self._left:
            self._opened.settimeout(max(deadline - time.monotonic(), 0.1))
            part = self._opened.recv(65536)
            if not part:
                raise ConnectionError("the emulator has ended")
            self._left += part
            if len(self._left) > _LINE_BYTES_MAX:
                raise ConnectionError("the answer is too long")
        found, _, self._left = self._left.partition(end)
        return found
