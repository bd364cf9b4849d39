"""Opening a SQLite file the house way, and writing groups to it (faults.md §3.2, decision 0011).

Rules: (1) one connection per file, behind a lock file; (2) a file is used only after its pages, its records and its
schema number were checked; (3) a bad or lost file is set aside and the newest good snapshot takes its place; (4) after
a failed write or sync nothing more is written. Neighbours: ``sqlite_raw.py`` has the steps, ``db.py`` runs the jobs.
"""

# APSW's stubs name a type of Python 3.12 (Buffer), which Python 3.11 does not know.
# pyright: reportUnknownMemberType=false

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol, cast

import apsw
import msgspec

from skerry.model.errors import Broken, Refused
from skerry.safe import sqlite_raw
from skerry.safe.errors import SchemaTooNew, StoreFailed, StoreFull
from skerry.safe.files import disk_errors, settle
from skerry.safe.paths import Directory, Lock

#: Pages in the WAL before it is copied into the file: 4 MiB, which a slow flash disk takes in a second.
WAL_PAGES_MAX = 1_000

Value = int | float | str | bytes | None


class Rows(Protocol):
    """The rows of one statement."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        ...

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, None at the end."""
        ...


class Connection(Protocol):
    """What a job may use of a plain connection; transactions are not its business."""

    def execute(self, sql: str, bindings: Sequence[Value] | Mapping[str, Value] = (), /) -> Rows:
        """Run SQL; placeholders are ``?`` or ``:name``."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Value]], /) -> Rows:
        """Run one statement for each row of values."""
        ...

    def changes(self) -> int:
        """Return how many rows the last INSERT, UPDATE or DELETE changed."""
        ...

    def last_insert_rowid(self) -> int:
        """Return the row id of the last INSERT."""
        ...


#: One step of a schema, in a transaction of its own; a file's schema number says how many steps it has seen.
Migration = Callable[[Connection], None]


class Origin(Enum):
    """Where the content of an opened file comes from; all but ``current`` ask for a re-sync with the parent."""

    current = "current"
    #: There was nothing.
    new = "new"
    #: What was there is bad, set aside, and no snapshot is good: start from nothing.
    lost = "lost"
    snapshot = "snapshot"
    snapshot_before = "snapshot before"


class Options(msgspec.Struct, frozen=True):
    """How one file is kept."""

    migrations: tuple[Migration, ...]
    #: What undoes each of them, None where that is not promised; may be shorter.
    reversals: tuple[Migration | None, ...] = ()
    #: NORMAL loses acknowledged rows at a power cut: for files that can be rebuilt only.
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    #: Looks at the records of a file with the newest schema; says what is wrong with them, or nothing.
    check_records: Callable[[Connection], str] = lambda _: ""
    wal_pages_max: int = WAL_PAGES_MAX


class Outcome(NamedTuple):
    """What became of one job of a group: its value, or the error that undid it alone."""

    value: Any
    error: Exception | None = None


class Place(NamedTuple):
    """Where a file lives."""

    directory: Directory
    name: str
    vfs: str | None
    lock: Lock


def record_checksum(*parts: bytes) -> bytes:
    """Return the 8 bytes that a durable record carries about itself, so that foreign bytes in a good page are found."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.digest()


class SqliteFile:
    """One open, checked file. Used by one thread at a time: ``Db`` sees to that."""

    def __init__(self, raw: apsw.Connection, options: Options, origin: Origin, place: Place | None) -> None:
        self._origin = origin
        self._raw = raw
        self._options = options
        self._place = place
        self._wal_pages = 0
        self._failed = False
        # Takes the place of SQLite's own checkpoint, which keeps a failed sync to itself.
        raw.set_wal_hook(self._note_wal)

    @property
    def name(self) -> str:
        """The file's name in its directory."""
        return self._place.name if self._place is not None else ":memory:"

    @property
    def origin(self) -> Origin:
        """Where its content comes from."""
        return self._origin

    @property
    def schema_number(self) -> int:
        """How many steps of the schema it has seen."""
        return sqlite_raw.read_schema_number(self._raw)

    @property
    def connection(self) -> Connection:
        """The one connection of this file."""
        return cast("Connection", self._raw)

    def _note_wal(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def write_group(self, jobs: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Run ``jobs`` in one transaction, each in a savepoint of its own; on return all that succeeded is durable.

        Raises ``StoreFull`` (nothing of the group happened) or ``StoreFailed`` (nothing more will be written). Schemas
        have no deferred constraints: those would fail at the commit, for the whole group.
        """
        if self._failed:
            raise StoreFailed(f"{self.name} has failed before.")
        try:
            self._raw.execute("BEGIN IMMEDIATE")
            outcomes = [self._in_savepoint(job) for job in jobs]
            self._raw.execute("COMMIT")
        except Exception as error:
            self._undo()
            if sqlite_raw.find_cause(error, (apsw.FullError,)) is not None:
                raise StoreFull(f"No room to write {self.name}.") from error
            self._failed = True
            raise StoreFailed(f"Writing {self.name} failed: {error}") from error
        except BaseException:
            self._undo()
            raise
        return outcomes

    def _in_savepoint(self, job: Callable[[], Any]) -> Outcome:
        self._raw.execute("SAVEPOINT job")
        try:
            outcome = Outcome(job())
        except Exception as error:
            # A failing disk, or a transaction that SQLite has ended by itself, is not the affair of this job alone.
            if sqlite_raw.find_cause(error, sqlite_raw.DISK_ERRORS) is not None or not self._raw.in_transaction:
                raise
            self._raw.execute("ROLLBACK TO job")
            outcome = Outcome(None, error)
        self._raw.execute("RELEASE job")
        return outcome

    def _undo(self) -> None:
        with contextlib.suppress(apsw.Error):
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")

    def read(self, job: Callable[[], Any]) -> Any:
        """Run ``job``, which only reads; its own errors are raised as they are, ``Broken`` when it has written.

        What it wrote is undone. SQLite's own ``query_only`` would refuse it beforehand, and at each change of that
        pragma forget every statement that it has prepared: a read of the core would take four times as long.
        """
        has_written = False
        try:
            self._raw.execute("BEGIN")
            result = job()
            has_written = self._raw.txn_state() == apsw.SQLITE_TXN_WRITE
            if not has_written:
                self._raw.execute("COMMIT")
        except Exception as error:
            if sqlite_raw.find_cause(error, sqlite_raw.DISK_ERRORS) is not None:
                raise StoreFailed(f"Reading {self.name} failed: {error}") from error
            raise
        finally:
            self._undo()
        if has_written:
            raise Broken("E-READ-WRITES", "A function that was run as a read tried to write.")
        return result

    def checkpoint_when_due(self) -> None:
        """Copy the WAL into the file when it has grown to its limit; see ``checkpoint``."""
        if self._wal_pages >= self._options.wal_pages_max:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Copy the WAL into the file; raises ``StoreFailed``. Without room the WAL stays, and grows until there is."""
        if self._failed:
            raise StoreFailed(f"{self.name} has failed before.")
        try:
            self._raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.FullError:
            return
        except apsw.Error as error:
            self._failed = True
            raise StoreFailed(f"Copying the log of {self.name} failed: {error}") from error
        self._wal_pages = 0

    def snapshot_steps(self) -> Generator[None]:
        """Make a checked snapshot in steps; two generations are kept. A file in memory has none.

        Raises ``StoreFull`` or ``StoreFailed`` with the older generations untouched.
        """
        if self._place is not None:
            directory, name, vfs, _ = self._place
            yield from sqlite_raw.snapshot(self._raw, directory, name, self._inspect, vfs=vfs)

    def _inspect(self, raw: apsw.Connection) -> str:
        return _inspect(raw, self._options)

    def migrate(self) -> None:
        """Bring the schema up to date, each step in a transaction of its own, a snapshot first.

        Raises ``SchemaTooNew``, ``StoreFull`` or ``StoreFailed``; the steps before the failing one stay done.
        """
        found, known = sqlite_raw.read_schema_number(self._raw), len(self._options.migrations)
        if found > known:
            raise SchemaTooNew(self.name, found, known)
        if 0 < found < known:
            for _ in self.snapshot_steps():
                pass
        for number in range(found, known):
            self._step(self._options.migrations[number], number + 1, f"Step {number + 1}")

    def migrate_back(self, wanted: int) -> None:
        """Go back to an older schema, each step in a transaction of its own, a snapshot first.

        Raises ``Refused`` before anything is done when a step on the way has no promised way back.
        """
        found = sqlite_raw.read_schema_number(self._raw)
        reversals = self._options.reversals[wanted:found]
        if wanted > found or len(reversals) < found - wanted or None in reversals:
            raise Refused(
                "E-SCHEMA-BACK",
                f"{self.name} has schema {found}; there is no promised way back to {wanted}.",
                hint="Restore the backup made before the upgrade.",
            )
        for _ in self.snapshot_steps():
            pass
        for number in range(found, wanted, -1):
            reversal = self._options.reversals[number - 1]
            assert reversal is not None
            self._step(reversal, number - 1, f"The way back from step {number}")

    def _step(self, migration: Migration, number: int, what: str) -> None:
        def step() -> None:
            migration(self.connection)
            self._raw.pragma("user_version", number)

        (outcome,) = self.write_group([step])
        if outcome.error is not None:
            raise Broken("E-MIGRATION", f"{what} of the schema of {self.name}: {outcome.error}") from outcome.error

    def close(self) -> None:
        """Close the file. After a failure nothing more is written to it, not even its log into it."""
        if self._failed:
            self.abandon()
        else:
            self._raw.close(True)
            self._release()

    def abandon(self) -> None:
        """End as a killed process does: nothing more is written, and the lock is free."""
        sqlite_raw.close_untouched(self._raw)
        self._release()

    def _release(self) -> None:
        if self._place is not None:
            self._place.lock.release()


def open_sqlite(directory: Directory, name: str, options: Options, *, vfs: str | None = None) -> SqliteFile:
    """Open ``name`` in ``directory``: made when new, checked, restored when bad or gone, brought to the newest schema.

    ``vfs`` names a registered VFS over the same disk as ``directory``. Raises ``StoreLocked``, ``SchemaTooNew``,
    ``StoreFull`` or ``StoreFailed``.
    """
    sqlite_raw.check_library()
    with disk_errors(name):
        lock = directory.lock(f"{name}.lock")
    try:
        raw, origin = _open_best(directory, name, options, vfs)
        file = SqliteFile(raw, options, origin, Place(directory, name, vfs, lock))
        try:
            file.migrate()
            with disk_errors(name):
                directory.sync()
        except BaseException:
            sqlite_raw.close_untouched(raw)
            raise
    except BaseException:
        lock.release()
        raise
    return file


def open_memory(options: Options) -> SqliteFile:
    """Open an empty database in memory, with the same schema and manners."""
    sqlite_raw.check_library()
    raw = sqlite_raw.connect(":memory:", synchronous=options.synchronous, vfs=None)
    file = SqliteFile(raw, options, Origin.new, None)
    file.migrate()
    return file


def _inspect(raw: apsw.Connection, options: Options) -> str:
    # Records of an older schema are looked at after their migration, at the next opening.
    if sqlite_raw.read_schema_number(raw) != len(options.migrations):
        return ""
    return options.check_records(cast("Connection", raw))


def _open_best(directory: Directory, name: str, options: Options, vfs: str | None) -> tuple[apsw.Connection, Origin]:
    """Open the file itself, else the newest good snapshot in its place, else a new file."""

    def inspect(raw: apsw.Connection) -> str:
        return _inspect(raw, options)

    def open_if_good() -> apsw.Connection | None:
        return sqlite_raw.open_if_good(directory, name, inspect, synchronous=options.synchronous, vfs=vfs)

    present = bool(directory.size(name))
    with disk_errors(name):
        settle(directory, f"{name}.")
        # What a killed process has written can be read now and lost at the next power cut: make it durable first.
        for written in (name, f"{name}-wal"):
            if directory.size(written) is not None:
                directory.sync_file(written)
    if present:
        raw = open_if_good()
        if raw is not None:
            # Schema 0: a power cut came between making the file and the first step of its schema.
            return raw, Origin.current if sqlite_raw.read_schema_number(raw) else Origin.new
    for origin, generation in (
        (Origin.snapshot, f"{name}.snapshot"),
        (Origin.snapshot_before, f"{name}.snapshot.prev"),
    ):
        if sqlite_raw.restore(directory, name, generation, inspect, vfs=vfs):
            raw = open_if_good()
            if raw is not None:
                return raw, origin
    sqlite_raw.set_aside(directory, name)
    with sqlite_raw.sqlite_errors(f"making {name}"):
        raw = sqlite_raw.connect(directory.path_of(name), synchronous=options.synchronous, vfs=vfs)
    return raw, Origin.lost if present else Origin.new
