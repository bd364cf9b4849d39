"""Where a core's database is, and how it is opened: a SQLite file or a PostgreSQL database, by one address.

(empty)                         core.db in the core's data directory
/var/lib/skerry/core/core.db    that file; sqlite:///var/… says the same
postgresql://user@host/skerry   that database; anything libpq understands
"""

from pathlib import Path

import msgspec

from skerry.clock import Clock
from skerry.model.errors import Invalid, Refused
from skerry.safe.db import Backing
from skerry.safe.paths import Directory, RealDirectory
from skerry.safe.sqlite import open_sqlite
from skerry.store.apsw_dialect import core_connection
from skerry.store.connections import CoreConnection
from skerry.store.migrations import CORE_OPTIONS

#: The core's SQLite file, when nothing else is said.
FILE = "core.db"
#: Beside a file that is being replaced; a core does not start over one whose replacing was cut off.
RESTORING = "restoring"


class SqlitePlace(msgspec.Struct, frozen=True):
    """A SQLite file: its folder and its name there."""

    folder: Path
    name: str = FILE

    def __str__(self) -> str:
        """Write the address."""
        return str(self.folder / self.name)


class PostgresPlace(msgspec.Struct, frozen=True):
    """A PostgreSQL database."""

    url: str

    def __str__(self) -> str:
        """Write the address without password and options."""
        from skerry.store.postgres_raw import describe

        return f"postgresql://{describe(self.url)}"


Place = SqlitePlace | PostgresPlace


def find_place(address: str, data: Path) -> Place:
    """Say where the database is; raises ``Invalid`` for an address that is none."""
    if not address:
        return SqlitePlace(data)
    scheme, colon, rest = address.partition("://")
    if colon and scheme in ("postgresql", "postgres"):
        return PostgresPlace(f"postgresql://{rest}")
    if colon and scheme != "sqlite":
        raise Invalid(
            "E-DATABASE",
            f"{scheme}:// is no database that a core can use.",
            hint="Give the path of a SQLite file, or postgresql://USER@HOST/NAME.",
        )
    path = Path(rest if colon else address)
    if not path.is_absolute():
        raise Invalid("E-DATABASE", f"The path of a database begins with a slash, and {str(path)!r} does not.")
    return SqlitePlace(path.parent, path.name)


def open_backing(place: Place, clock: Clock) -> Backing:
    """Open a core's database for writing, and keep everybody else away.

    Raises ``StoreLocked``, ``StoreAway``, ``SchemaTooNew``, ``StoreFull``, ``StoreFailed``, or ``Refused`` where a
    restore was cut off.
    """
    match place:
        case SqlitePlace():
            directory = RealDirectory.open_root(place.folder)
            refuse_half_restored(directory, place.name)
            return open_sqlite(directory, place.name, CORE_OPTIONS)
        case PostgresPlace():
            from skerry.store.postgres import PostgresStore

            return PostgresStore(place.url, clock)


def refuse_half_restored(directory: Directory, name: str) -> None:
    """Raise ``Refused`` when a restore of this file was cut off: what is there now is neither the old nor the new."""
    if directory.size(f"{name}.{RESTORING}") is not None:
        raise Refused(
            "E-HALF-RESTORED",
            f"A restore of {name} was interrupted.",
            hint="Run skerry core restore again; what was there before is kept beside it.",
        )


def keep_connection(connection: object) -> CoreConnection:
    """Hand jobs the connection of either kind: the ``wrap`` of ``Db``."""
    return connection if isinstance(connection, CoreConnection) else core_connection(connection)
