"""A backup of a core: one SQLite file with all its rows, its delivery key, and the sums that prove it whole.

The same file comes from a core on SQLite and from one on PostgreSQL, and is restored into either. Rules: (1) it is
complete, synced and read back before it gets its name; (2) it is believed only when pages, schema and sums are good;
(3) it holds a secret, so its owner alone can read it. Neighbours: ``copying.py`` moves the rows; ``core/keeping.py``
says when.
"""

import contextlib
from collections.abc import Generator
from typing import cast

import apsw
import msgspec

from skerry.model.errors import Broken, Refused
from skerry.safe import sqlite_raw
from skerry.safe.errors import SchemaTooNew
from skerry.safe.files import disk_errors
from skerry.safe.paths import Directory
from skerry.safe.sqlite import Connection as PlainConnection
from skerry.safe.sqlite import Origin, SqliteFile, record_checksum
from skerry.store import Connection, copying
from skerry.store.apsw_dialect import core_connection
from skerry.store.copying import TableSum
from skerry.store.migrations import CORE_OPTIONS, STEPS

#: Raised when an older program could not read a newer file by ignoring what it does not know.
FORMAT = 1

_MAKE = "CREATE TABLE backup (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL)"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says about itself."""

    format: int
    #: Number of the schema its rows are in.
    schema: int
    made_us: int
    #: ``sqlite`` or ``postgresql``.
    source: str
    tables: dict[str, TableSum]
    #: What the file says of its tables and indexes: a name that a disk has changed is found by it.
    layout: TableSum

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(table.rows for table in self.tables.values())


class Backup(msgspec.Struct, frozen=True):
    """An opened, checked backup: what it says, the delivery key's seed, and its rows."""

    about: About
    delivery_seed: bytes
    connection: Connection


def fill_backup(source: Connection, target: PlainConnection, delivery_seed: bytes, made_us: int) -> About:
    """Write a backup into an empty database that has the schema; ``source`` stands still meanwhile.

    Raises ``Broken`` when what was written does not read back the same.
    """
    sums = copying.copy_tables(source, core_connection(target))
    target.execute(_MAKE)
    about = About(
        format=FORMAT,
        schema=len(STEPS),
        made_us=made_us,
        source=source.dialect.name,
        tables=sums,
        layout=_sum_layout(target),
    )
    rows = {"about": msgspec.json.encode(about), "delivery": delivery_seed}
    target.executemany(
        "INSERT INTO backup VALUES (?, ?, ?)",
        [(name, value, record_checksum(name.encode(), value)) for name, value in rows.items()],
    )
    return about


def write_backup(source: Connection, directory: Directory, name: str, delivery_seed: bytes, made_us: int) -> About:
    """Write a backup as ``name``, which appears whole or not at all.

    Raises ``StoreFull``, ``StoreFailed`` or ``Broken`` and leaves nothing behind.
    """
    with _fresh_file(directory, name) as (fresh, file):
        about = fill_backup(source, file.connection, delivery_seed, made_us)
    try:
        with open_backup(directory, fresh) as written:
            assert written.about == about
        with disk_errors(name):
            directory.rename(fresh, name)
            directory.sync()
    except BaseException:
        _remove(directory, fresh)
        raise
    return about


def write_core_file(backup: Backup, directory: Directory, name: str) -> str:
    """Write the rows of a backup into a new core's file beside ``name``, complete and synced; return what it is called.

    Raises ``StoreFull``, ``StoreFailed`` or ``Broken`` and leaves nothing behind.
    """
    with _fresh_file(directory, name) as (fresh, file):
        copying.copy_tables(backup.connection, core_connection(file.connection))
    return fresh


@contextlib.contextmanager
def _fresh_file(directory: Directory, name: str) -> Generator[tuple[str, SqliteFile]]:
    """Make a new file with the schema, to be filled in one transaction; on leaving it is synced, or gone."""
    fresh = f"{name}.new.1"
    try:
        with disk_errors(fresh):
            directory.remove(fresh)
            directory.create(fresh).close()
        with sqlite_raw.sqlite_errors(f"writing {fresh}"):
            file = SqliteFile(sqlite_raw.connect_fresh(directory.path_of(fresh)), CORE_OPTIONS, Origin.new, None)
            try:
                file.migrate()
                file.connection.execute("BEGIN")
                yield fresh, file
                file.connection.execute("COMMIT")
            finally:
                file.close()
        with disk_errors(fresh):
            directory.sync_file(fresh)
    except BaseException:
        _remove(directory, fresh)
        raise


def _remove(directory: Directory, fresh: str) -> None:
    with contextlib.suppress(OSError):
        directory.remove(fresh)


@contextlib.contextmanager
def open_backup(directory: Directory, name: str) -> Generator[Backup]:
    """Open a backup for reading, every page and every row checked; rows of an older schema are brought up to date.

    Raises ``Refused`` for what is no backup or a damaged one, ``SchemaTooNew`` for a newer program's.
    """
    if directory.size(name) is None:
        raise Refused("E-BACKUP", f"There is no backup {name}.")
    try:
        raw = sqlite_raw.connect_immutable(directory.path_of(name), vfs=None)
    except apsw.Error as error:
        raise _damaged(name, str(error)) from error
    try:
        try:
            plain = cast("PlainConnection", raw)
            # Not the quick one: rows are read in the order of their indexes, which it does not look at.
            (complaint,) = plain.execute("PRAGMA integrity_check(1)").fetchall()[0]
            if complaint != "ok":
                raise _damaged(name, complaint)
            about, seed = _read_about(plain, name)
            copying.check_same(about.layout, _sum_layout(plain), "sqlite_master")
            copying.check_sums(about.tables, {table: _sum_table(plain, table) for table in sorted(about.tables)})
        except (apsw.Error, Broken, TypeError, ValueError, AttributeError) as error:
            raise _damaged(name, str(error)) from error
        if about.schema != len(STEPS):
            raw = _bring_up_to_date(raw)
        yield Backup(about, seed, core_connection(raw))
    finally:
        raw.close(True)


def restore_rows(backup: Backup, target: Connection) -> None:
    """Make a core's database hold what the backup holds and nothing else; raises ``Broken`` when it does not."""
    copying.clear_tables(target)
    copying.copy_tables(backup.connection, target)


def _read_about(plain: PlainConnection, name: str) -> tuple[About, bytes]:
    try:
        rows = plain.execute("SELECT name, value, checksum FROM backup").fetchall()
    except apsw.SQLError as error:
        raise Refused("E-BACKUP", f"{name} is no backup of a core: {error}.") from error
    found = {str(word): value for word, value, checksum in rows if record_checksum(word.encode(), value) == checksum}
    if not {"about", "delivery"} <= found.keys():
        raise _damaged(name, "what it says about itself is not what was written")
    about, seed = msgspec.json.decode(found["about"], type=About), found["delivery"]
    if about.format > FORMAT:
        raise Refused("E-BACKUP", f"{name} has format {about.format}; this version of Skerry reads {FORMAT}.")
    if about.schema > len(STEPS):
        raise SchemaTooNew(name, about.schema, len(STEPS))
    return about, seed


def _sum_layout(plain: PlainConnection) -> TableSum:
    return copying.sum_plain_rows(
        plain.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name")
    )


def _sum_table(plain: PlainConnection, table: str) -> TableSum:
    """Sum a table by the file's own word on its key, so that a backup of any schema can be checked."""
    columns = plain.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
    key = [f'"{name}"' for name, place in sorted(columns, key=lambda each: each[1]) if place]
    if not key or not table.replace("_", "").isalpha():
        return TableSum(0, "absent")
    return copying.sum_plain_rows(plain.execute(f'SELECT * FROM "{table}" ORDER BY {", ".join(key)}'))


def _bring_up_to_date(raw: apsw.Connection) -> apsw.Connection:
    """Copy a backup of an older schema into memory and take the steps it lacks."""
    memory = sqlite_raw.connect(":memory:", synchronous="FULL", vfs=None)
    with memory.backup("main", raw, "main") as copy:
        copy.step(-1)
    raw.close(True)
    SqliteFile(memory, CORE_OPTIONS, Origin.current, None).migrate()
    return memory


def _damaged(name: str, why: str) -> Refused:
    return Refused("E-BACKUP", f"The backup {name} is damaged: {why}.", hint="Use an older one.")
