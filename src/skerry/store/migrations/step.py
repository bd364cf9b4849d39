"""One step of the schema, written once in SQLite's words and read by both databases.

Rule: a step is frozen as soon as a store with its number exists somewhere. What both databases call differently is
translated word by word; a step that needs more on PostgreSQL says it in words of its own. Neighbours: each ``m….py``
holds one step, ``__init__.py`` their order.
"""

import re

import msgspec

from skerry.safe.sqlite import Connection, Migration

#: SQLite's word and PostgreSQL's. Whole numbers have 64 bits in both; texts compare by their bytes in both, so that
#: listings have one order and one way to turn a page.
_WORDS = (
    (r"\bINTEGER NOT NULL PRIMARY KEY AUTOINCREMENT\b", "BIGSERIAL NOT NULL PRIMARY KEY"),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bVARCHAR\b", 'VARCHAR COLLATE "C"'),
    (r"\bBLOB\b", "BYTEA"),
)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step up, and down again where that is promised."""

    up: str
    #: Undoes ``up`` and keeps all rows that the older schema can hold; empty where that is not promised.
    down: str = ""
    #: PostgreSQL's own words, where translation does not do.
    postgres_up: str = ""
    postgres_down: str = ""

    def migration(self) -> Migration:
        """Return the step for ``safe/sqlite.py``."""
        return _run(self.up)

    def reversal(self) -> Migration | None:
        """Return the step back for ``safe/sqlite.py``, None where it is not promised."""
        return _run(self.down) if self.down else None

    def for_postgres(self) -> str:
        """Return the step in PostgreSQL's words."""
        return self.postgres_up or translate(self.up)

    def back_for_postgres(self) -> str:
        """Return the step back in PostgreSQL's words, empty where it is not promised."""
        return self.postgres_down or translate(self.down)


def _run(sql: str) -> Migration:
    def migrate(connection: Connection) -> None:
        connection.execute(sql)

    return migrate


def translate(sql: str) -> str:
    """Say in PostgreSQL's words what was said in SQLite's."""
    for theirs, ours in _WORDS:
        sql = re.sub(theirs, ours, sql)
    return sql
