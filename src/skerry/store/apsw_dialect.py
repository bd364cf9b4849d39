"""SQLAlchemy Core over an APSW connection: a small PEP 249 face and a dialect on SQLAlchemy's own SQLite dialect.

Rule: transactions belong to ``safe.db.Db``. A store function is handed a connection that is already inside its
savepoint; ``commit`` is refused, nested savepoints work. Rows are fetched at once: no statement outlives its call.
Neighbours: ``safe/sqlite.py`` opens the file below; why APSW is in docs/decisions/0011-sqlite-library.md.
"""

# APSW's stubs name a type of Python 3.12 (Buffer), which Python 3.11 does not know.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import functools
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

import apsw
from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from skerry.store.connections import CoreConnection, make_engine, wrap_connection

Value = int | float | str | bytes | None


class Error(Exception):
    """Root of the PEP 249 error tree; the APSW error is its cause."""


class DatabaseError(Error):
    """The database said no."""


class IntegrityError(DatabaseError):
    """A constraint does not hold."""


class OperationalError(DatabaseError):
    """Disk, memory, locks, or SQL that does not fit the schema."""


class ProgrammingError(DatabaseError):
    """The interface was used wrongly."""


class DataError(DatabaseError):
    """A value is too large."""


_ERRORS: tuple[tuple[type[apsw.Error], type[DatabaseError]], ...] = (
    (apsw.ConstraintError, IntegrityError),
    (apsw.TooBigError, DataError),
    (apsw.MismatchError, DataError),
    (apsw.BindingsError, ProgrammingError),
    (apsw.MisuseError, ProgrammingError),
    (apsw.ThreadingViolationError, ProgrammingError),
    (apsw.ConnectionClosedError, ProgrammingError),
    (apsw.CorruptError, DatabaseError),
    (apsw.NotADBError, DatabaseError),
)


def _translate(error: apsw.Error) -> NoReturn:
    """Raise the PEP 249 word for an APSW error, which stays readable as the cause."""
    for theirs, ours in _ERRORS:
        if isinstance(error, theirs):
            raise ours(str(error)) from error
    raise OperationalError(str(error)) from error


class ApswCursor:
    """One statement and its rows, as PEP 249 wants them."""

    arraysize = 1

    def __init__(self, raw: apsw.Connection) -> None:
        self._raw = raw
        self._rows: Iterator[Any] = iter(())
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def _note(self, cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        """Read the columns before the first step: APSW forgets them once a statement without rows has ended."""
        self.description = cursor.description or None
        return True

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> "ApswCursor":
        """Run one statement to its end."""
        changes = self._raw.total_changes()
        try:
            cursor = self._raw.cursor()
            cursor.exec_trace = self._note
            self._rows = iter(cursor.execute(sql, tuple(parameters)).fetchall())
        except apsw.Error as error:
            _translate(error)
        # `changes()` still shows the statement before when this one was no change at all.
        changed = self._raw.total_changes() != changes
        self.rowcount = -1 if self.description else self._raw.changes() if changed else 0
        self.lastrowid = self._raw.last_insert_rowid()
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Value]]) -> "ApswCursor":
        """Run one statement for each row of parameters; nothing is returned."""
        try:
            self._raw.executemany(sql, map(tuple, rows))
        except apsw.Error as error:
            _translate(error)
        self.description, self._rows, self.rowcount = None, iter(()), -1
        return self

    def fetchone(self) -> Any | None:
        """Return the next row."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return up to ``size`` rows."""
        return [row for _, row in zip(range(size or self.arraysize), self._rows, strict=False)]

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter(())


class ApswConnection:
    """An APSW connection with PEP 249 manners. Closing it leaves the connection below open: its opener closes it."""

    def __init__(self, raw: apsw.Connection) -> None:
        self.raw = raw

    def cursor(self) -> ApswCursor:
        """Return a new cursor."""
        return ApswCursor(self.raw)

    def close(self) -> None:
        """Leave the connection to its opener."""


_dbapi = SimpleNamespace(
    paramstyle="qmark",
    apilevel="2.0",
    threadsafety=1,
    sqlite_version_info=tuple(int(part) for part in apsw.sqlite_lib_version().split(".")),
    Error=Error,
    DatabaseError=DatabaseError,
    IntegrityError=IntegrityError,
    OperationalError=OperationalError,
    ProgrammingError=ProgrammingError,
    DataError=DataError,
    Binary=bytes,
)


class ApswDialect(SQLiteDialect):
    """SQLAlchemy's SQLite dialect over the face above."""

    driver = "apsw"
    supports_statement_cache = True
    returns_native_bytes = True
    supports_sane_multi_rowcount = False

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the PEP 249 names."""
        return _dbapi

    def _get_server_version_info(self, connection: Any) -> Any:
        return _dbapi.sqlite_version_info

    def on_connect(self) -> None:
        """Nothing to do: ``safe/sqlite.py`` has set the pragmas."""

    def do_begin(self, dbapi_connection: Any) -> None:
        """Nothing: ``Db`` has begun."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Nothing: ``Db`` will commit."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Nothing: ``Db`` rolls back when the store function raises."""


registry.register("sqlite.apsw", __name__, "ApswDialect")


@functools.cache
def _share_engine() -> Engine:
    """One for all files of a process: to compile its statements anew is a third of what a short-lived store costs."""
    engine = make_engine("sqlite+apsw://", lambda: ApswConnection(apsw.Connection(":memory:")))
    # The first connection tells the dialect what the library can do; those of files are never asked.
    engine.connect().close()
    return engine


def core_connection(raw: Any) -> CoreConnection:
    """Return the one SQLAlchemy connection over the plain one, as the ``wrap`` of ``Db``."""
    return wrap_connection(_share_engine(), lambda: ApswConnection(raw))
