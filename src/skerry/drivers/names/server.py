"""The process of unbound: started, told, found again, replaced and ended. Nothing here chooses what it answers.

It outlives the agent, as containers do: it is let go of at once and known again by its process id and the time at which
that process began. It runs as the user that the package made, who can bind low ports and nothing else.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from skerry.drivers.base import run_program

#: unbound's memory grows with each reload of its settings (18 to 31 MB over eight of them, decision 0020).
RESIDENT_BYTES_MAX = 40 * 1024 * 1024
#: The control socket answers in 0.4 ms; a server that does not answer in this time hangs.
_CONTROL_S = 2.0
_ANSWER_BYTES_MAX = 4096
#: 2 s of trying where it refuses at once; 1,000 services are read within 0.1 s.
_TRIES = 100
#: A child that is asked to end does so in milliseconds.
_END_S = 3.0
_USER = "unbound"
_PROGRAM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
#: Its own folder below the one of the zones, where it may write.
_INNER = "own"

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class NoServer(Exception):
    """It cannot be started or told; the text says why."""


class Process(msgspec.Struct, frozen=True):
    """One process: its id, the clock tick at which it began (proc(5)), and which of two places it writes to."""

    pid: int
    began: int
    place: int

    def is_alive(self) -> bool:
        """Say whether it is still this process."""
        return read_began(self.pid) == self.began

    def resident_bytes(self) -> int:
        """Return its memory; 0 where it is gone."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = Path(f"/proc/{self.pid}/statm").read_text().split()
            return int(words[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0


def read_began(pid: int) -> int:
    """Return the clock tick at which a process began; 0 where there is none, or it is dead."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()
        return 0 if words[0] in ("Z", "X") else int(words[19])
    return 0


def _read_words(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def find_program() -> str | None:
    """Return where unbound is; None where it is not installed."""
    return shutil.which("unbound", path=_PROGRAM_PATH)


def can_reach(folder: Path) -> bool:
    """Say whether the server's own user gets as far as to ``folder``, which need not be there yet.

    Below a person's home or another shut folder it does not.
    """
    user = _find_user()
    if user is None or os.geteuid() != 0:
        return True
    for above in folder.absolute().parents:
        if not above.exists():
            continue
        told = above.stat()
        if not (
            told.st_mode & stat.S_IXOTH
            or (told.st_uid == user.pw_uid and told.st_mode & stat.S_IXUSR)
            or (told.st_gid == user.pw_gid and told.st_mode & stat.S_IXGRP)
        ):
            return False
    return True


class Server:
    """unbound with its files in one folder of the node."""

    def __init__(self, folder: Path, run: Run = run_program) -> None:
        """``folder`` is the server's alone; ``run`` reaches the node's network: for tests it may be another one's."""
        self._folder = folder
        self._run = run

    def prepare(self) -> None:
        """Make the folders: what the server reads is the agent's, where it writes is its user's."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        inner = self._folder / _INNER
        inner.mkdir(mode=0o700, exist_ok=True)
        user = _find_user()
        if user is not None and os.geteuid() == 0:
            os.chown(self._folder, -1, user.pw_gid)
            os.chown(inner, user.pw_uid, user.pw_gid)

    def paths(self, place: int) -> dict[str, str]:
        """Return where its files are; two processes write to different places while one replaces the other."""
        inner = self._folder / _INNER
        return {
            "folder": str(self._folder),
            "pid": str(inner / f"{place}.pid"),
            "control": str(inner / f"{place}.sock"),
        }

    def write(self, name: str, content: str, mode: int = 0o640) -> None:
        """Put a file in place, whole, for the server to read; ``name`` is a word of ours or a digest."""
        fresh = self._folder / f"{name}.new"
        fresh.write_text(content)
        user = _find_user()
        if user is not None and os.geteuid() == 0:
            os.chown(fresh, -1, user.pw_gid)
        fresh.chmod(mode)
        fresh.rename(self._folder / name)

    def keep_only(self, names: set[str]) -> None:
        """Remove zones that are no longer used."""
        for path in list(self._folder.glob("*.zone")):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def start(self, settings: str, place: int) -> Process:
        """Start it; when this returns it answers. Raises ``NoServer``."""
        program = find_program()
        if program is None:
            raise NoServer("unbound is not there")
        self.write(f"{place}.conf", settings)
        config = str(self._folder / f"{place}.conf")
        await self.end_left(place)
        code, output = await self._run(*_as_user(), program, "-c", config)
        if code != 0:
            checked = "" if output else (await self._run("unbound-checkconf", config))[1].decode("utf-8", "replace")
            said = output.decode("utf-8", "replace").strip() or checked.strip()
            raise NoServer(f"unbound does not start: {said[-300:]}")
        process = await self._find_started(place)
        if process is None or not await self._hear(process):
            raise NoServer("unbound ended as soon as it was started, or does not answer")
        return process

    async def _find_started(self, place: int) -> Process | None:
        """Wait for its process id: it writes that down in the background, after its starter has ended."""
        for _ in range(_TRIES):
            pid = self._read_pid(place)
            if pid and (began := read_began(pid)):
                return Process(pid, began, place)
            await asyncio.sleep(0.02)  # noqa: TID251 - a real server's start takes real time
        return None

    async def _hear(self, process: Process) -> bool:
        """Wait until it answers: while it reads its settings its control socket is another one."""
        for _ in range(_TRIES):
            if await self.tell(process, "status"):
                return True
            await asyncio.sleep(0.02)  # noqa: TID251 - a real server takes real time
        return False

    async def end_left(self, place: int) -> None:
        """End one that was started there and that nobody remembers, as after a kill of the agent."""
        pid = self._read_pid(place)
        if pid:
            await self.end(Process(pid, read_began(pid), place))
        self._forget_pid(place)

    def _is_ours(self, process: Process) -> bool:
        """Say whether it was started with our settings: after a reboot another one may have its number."""
        return f"{self._folder}/{process.place}.conf".encode() in _read_words(process.pid)

    def _forget_pid(self, place: int) -> None:
        Path(self.paths(place)["pid"]).unlink(missing_ok=True)

    def _read_pid(self, place: int) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int(Path(self.paths(place)["pid"]).read_text())
        return 0

    async def reload(self, process: Process, settings: str) -> None:
        """Have it read its settings anew; it answers meanwhile. Raises ``NoServer``."""
        self.write(f"{process.place}.conf", settings)
        if not await self.tell(process, "reload") or not await self._hear(process):
            raise NoServer("unbound does not take its settings")

    async def reload_zone(self, process: Process, name: str) -> None:
        """Have it read one zone anew. Raises ``NoServer``."""
        if not await self.tell(process, f"auth_zone_reload {name}.names"):
            raise NoServer(f"unbound does not take zone {name}")

    async def tell(self, process: Process, words: str) -> bool:
        """Say something at its control socket; say whether it answered that all is well."""
        try:
            async with asyncio.timeout(_CONTROL_S):
                reader, writer = await asyncio.open_unix_connection(self.paths(process.place)["control"])
                try:
                    writer.write(f"UBCT1 {words}\n".encode())
                    await writer.drain()
                    answer = await reader.read(_ANSWER_BYTES_MAX)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return bool(answer) and not answer.startswith(b"error")

    async def end(self, process: Process) -> None:
        """End it, if need be by force."""
        for word in ("-TERM", "-KILL"):
            if not process.is_alive() or not self._is_ours(process):
                return
            # As its own user: an agent need not be able to end whatever it likes.
            await self._run(*_as_user(), "kill", word, str(process.pid))
            for _ in range(int(_END_S / 0.02)):
                if not process.is_alive():
                    return
                await asyncio.sleep(0.02)  # noqa: TID251 - a real server's end takes real time


def _find_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(_USER)
    except KeyError:
        return None


def _as_user() -> tuple[str, ...]:
    """Return the words that make a program run as its own user, with low ports and nothing else."""
    if os.geteuid() != 0 or _find_user() is None or shutil.which("setpriv", path=_PROGRAM_PATH) is None:
        return ()
    ports = "-all,+net_bind_service"
    who = ("--reuid", _USER, "--regid", _USER, "--clear-groups", "--no-new-privs")
    return ("setpriv", *who, "--inh-caps", ports, "--ambient-caps", ports)
