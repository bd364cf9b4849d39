"""Backups of a simulated core: the product's own file, in memory.

``Backups`` is also the seam at which a test takes the way of the commands, on a real disk, under the same stories.
"""

from typing import Any

from skerry.safe.sqlite import open_memory
from skerry.store import Connection
from skerry.store.apsw_dialect import core_connection
from skerry.store.backups import Backup, fill_backup, restore_rows
from skerry.store.migrations import CORE_OPTIONS


class Backups:
    """Takes backups of a core's database and makes databases of them."""

    def take(self, database: Connection, seed: bytes, now_us: int) -> Any:
        """Return a backup of what is there now."""
        file = open_memory(CORE_OPTIONS)
        about = fill_backup(database, file.connection, seed, now_us)
        return Backup(about, seed, core_connection(file.connection))

    def make_database(self, backup: Any) -> Any:
        """Return an open plain database that holds what was backed up."""
        file = open_memory(CORE_OPTIONS)
        (outcome,) = file.write_group([lambda: restore_rows(backup, core_connection(file.connection))])
        if outcome.error is not None:
            raise outcome.error
        return file.connection
