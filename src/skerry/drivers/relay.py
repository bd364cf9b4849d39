"""The node's relay for other sites, as a driver: ``python -m skerry relay``, a program of its own.

Rules: (1) it runs only while there are pairs, outlives the agent, and is adopted by the next one: what was applied
stands in a folder that is gone with the power; (2) it has none of root's powers and can get none; (3) ours is the
process whose words name our table.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from skerry.drivers.base import run_program
from skerry.model.observed import Observation, RelayHere
from skerry.model.relay import RelaySeen, encode_table
from skerry.plan.actions import DONE, Action, ApplyRelay, Outcome, failed

#: What it is told, what it tells (``link/relaying.py``), its process, and what was applied.
_TABLE, _SEEN, _PID, _APPLIED = "relay.json", "relay.seen.json", "relay.pid", "applied.json"
#: A thousand pairs are 200 kB.
_SEEN_BYTES_MAX = 4 * 1024 * 1024
#: It begins to listen a second or two after its start, and a small box takes longer: half a minute in all.
_LOOK_S = 0.1
_LOOKS_MAX = 300
#: Without a terminal, a supervisor and a power of root's.
_LET_GO = ("env", "--unset=NOTIFY_SOCKET", "--unset=WATCHDOG_USEC")
_POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
#: Its words are its own, and nobody waits for its output.
_APART = 'exec setsid --fork "$@" </dev/null >/dev/null 2>&1'

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class _Applied(msgspec.Struct, frozen=True):
    digest: str = ""
    host: str = ""


class RelayDriver:
    """Driver over one process."""

    name = "relay"
    performs = (ApplyRelay,)

    def __init__(
        self,
        folder: Path,
        run_program: Run = run_program,
        program: Sequence[str] = (sys.executable, "-m", "skerry", "relay"),
    ) -> None:
        """``folder`` is gone with the power."""
        self._folder = folder
        self._run = run_program
        self._program = tuple(program)

    async def observe(self) -> Observation:
        """See what it was made from and what went through it; a node that is no relay asks nobody."""
        applied = self._read_applied()
        if not applied.digest or not self._find_process():
            return Observation(driver=self.name, relay=RelayHere())
        seen = self._read_seen()
        return Observation(driver=self.name, relay=RelayHere(digest=applied.digest, taken=seen.taken, pairs=seen.pairs))

    async def perform(self, action: Action) -> Outcome:
        """Make the relay what is wished."""
        if not isinstance(action, ApplyRelay):
            return failed("E-DRIVER", f"the relay driver does not do {type(action).__name__}")
        try:
            return await self._apply(action)
        except OSError as error:
            return failed("E-RELAY", f"the relay cannot be made: {error}")

    async def _apply(self, action: ApplyRelay) -> Outcome:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before, process = self._read_applied(), self._find_process()
        if process and (not action.digest or action.host != before.host):
            await self._end(process)
            process = 0
        if not action.digest:
            for name in (_APPLIED, _TABLE, _SEEN, _PID):
                (self._folder / name).unlink(missing_ok=True)
            return DONE
        self._write(_TABLE, encode_table(action.table))
        if not process:
            (self._folder / _SEEN).unlink(missing_ok=True)
            outcome = await self._start(action.host)
            if not outcome.ok:
                return outcome
        self._write(_APPLIED, msgspec.json.encode(_Applied(action.digest, action.host)))
        return DONE

    async def _start(self, host: str) -> Outcome:
        table, pid = str(self._folder / _TABLE), str(self._folder / _PID)
        (self._folder / _PID).unlink(missing_ok=True)
        words = ("--table", table, "--host", host, "--pid-file", pid)
        code, output = await self._run("sh", "-c", _APART, "sh", *_LET_GO, *_POWERLESS, *self._program, *words)
        if code != 0:
            return failed("E-RELAY", f"the relay does not start: {output[:300].decode('utf-8', 'replace')}")
        for _ in range(_LOOKS_MAX):
            if self._find_process():
                return DONE
            await asyncio.sleep(_LOOK_S)  # noqa: TID251 - a real process's start takes real time
        return failed("E-RELAY", "the relay does not start")

    async def _end(self, process: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
        for _ in range(_LOOKS_MAX):
            if self._find_process() != process:
                return
            await asyncio.sleep(_LOOK_S)  # noqa: TID251 - a real process's end takes real time

    def _find_process(self) -> int:
        """Return the relay's process; 0 for none, also where its number is somebody else's by now."""
        try:
            process = int((self._folder / _PID).read_text())
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0
        return process if os.fsencode(self._folder / _TABLE) in words else 0

    def _read_applied(self) -> _Applied:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode((self._folder / _APPLIED).read_bytes(), type=_Applied)
        return _Applied()

    def _read_seen(self) -> RelaySeen:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            file = self._folder / _SEEN
            if file.stat().st_size <= _SEEN_BYTES_MAX:
                return msgspec.json.decode(file.read_bytes(), type=RelaySeen)
        return RelaySeen()

    def _write(self, name: str, content: bytes) -> None:
        fresh = self._folder / f"{name}.new"
        fresh.write_bytes(content)
        fresh.replace(self._folder / name)
