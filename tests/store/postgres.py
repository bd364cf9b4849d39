"""A PostgreSQL server for tests: Debian's, in a temporary folder, on a Unix socket, as a user without rights.

No port is opened and no other server is looked at. One server serves a whole run of pytest; each test gets a database
of its own, copied from one that has the schema. Durability is left on, as a core demands it.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from skerry.store.schema import METADATA

#: Whom the server runs as when the tests run as root; PostgreSQL refuses root. Debian's package makes it.
USER = "postgres"
START_S = 30.0
#: A server with a few dozen small databases, and its log.
ROOM_BYTES = 1024**3
#: What a server for a test can do without.
QUIET = ("autovacuum=off", "wal_level=minimal", "max_wal_senders=0", "shared_buffers=16MB", "max_wal_size=256MB")


def find_programs() -> Path | None:
    """The folder of Debian's newest server, None when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def find_memory() -> str | None:
    """A file system in memory with room for a server, None when there is none: a busy disk would take all the time.

    A killed server finds there what it wrote, as it does on a disk: SIGKILL takes nothing from the kernel.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES
    return str(memory) if has_room else None


class Server:
    """One server and its folder."""

    def __init__(self) -> None:
        programs = find_programs()
        assert programs is not None
        self._programs = programs
        self._user = pwd.getpwnam(USER) if os.geteuid() == 0 else None
        # A socket's path has 107 bytes at most, and pytest's own folders are long.
        self.folder = Path(tempfile.mkdtemp(prefix="skpg-", dir=find_memory()))
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._spare: list[str] = []
        self._run("initdb", "-D", "data", "-U", "skerry", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.start()

    def _words(self) -> dict[str, object]:
        who = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return {"cwd": self.folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, **who}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, **self._words(), capture_output=True, text=True, timeout=60)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        # Ends with the tests, however those end.
        command = [
            "setpriv",
            "--pdeathsig",
            "QUIT",
            str(self._programs / "postgres"),
            "-D",
            "data",
            "-k",
            str(self.folder),
            "-h",
            "",
        ]
        command += [word for setting in QUIET for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, *options], **self._words(), stdout=log, stderr=log)  # type: ignore[call-overload]
        end = time.monotonic() + START_S
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres")).close()
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)

    def url(self, database: str) -> str:
        """Where a database is."""
        return f"postgresql://skerry@/{database}?host={self.folder}"

    def make_database(self, template: str = "template0") -> str:
        """Make a database and return its address."""
        name = f"t{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def borrow(self) -> str:
        """Lend a database that is empty, with or without a schema; making one costs more than emptying one."""
        return self._spare.pop() if self._spare else self.make_database()

    def give_back(self, url: str) -> None:
        """Empty a database for the next test."""
        tables = ", ".join(METADATA.tables)
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass('skerry_schema')").fetchone() != (None,):
                connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
        self._spare.append(url)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        name = url.partition("@/")[2].partition("?")[0]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def list_processes(self) -> list[int]:
        """The server's processes: the first is the one that started the others."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def kill(self) -> None:
        """SIGKILL every process of the server: a crash, without a word to anybody."""
        assert self._process is not None
        for process in self.list_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it at once, its helpers too, and remove its folder."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_S)
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.stop()
