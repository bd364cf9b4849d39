"""Stores for tests: the real schema, on SQLite in memory or on a PostgreSQL server, jobs done inline.

A test that takes the fixture ``database`` is run once on each; ``fresh_db`` opens whichever kind is current.
"""

from tests.store.postgres import Server

from skerry.clock import Clock, SystemClock
from skerry.safe.db import Db
from skerry.safe.sqlite import open_memory
from skerry.store import Connection
from skerry.store.apsw_dialect import core_connection
from skerry.store.databases import keep_connection
from skerry.store.migrations import CORE_OPTIONS
from skerry.store.postgres import PostgresStore


def memory_db() -> Db[Connection]:
    return Db(open_memory(CORE_OPTIONS), core_connection, group_s=0, inline=True)


class Databases:
    """Opens empty stores of one kind."""

    kind = "sqlite"

    def open(self) -> Db[Connection]:
        """A store with nothing in it."""
        return memory_db()

    def clean(self) -> None:
        """Let go of all that was opened."""


class PostgresDatabases(Databases):
    kind = "postgres"

    def __init__(self, server: Server, clock: Clock | None = None) -> None:
        self._server = server
        self._clock = clock or SystemClock()
        self._opened: list[tuple[str, PostgresStore]] = []

    def open(self) -> Db[Connection]:
        url = self._server.borrow()
        store = PostgresStore(url, self._clock)
        self._opened.append((url, store))
        return Db(store, keep_connection, group_s=0, inline=True)

    def clean(self) -> None:
        for url, store in self._opened:
            store.close()
            self._server.give_back(url)
        self._opened.clear()


#: The kind that ``fresh_db`` opens; the fixture ``database`` sets it for one test.
_current: list[Databases] = [Databases()]


def use(databases: Databases) -> None:
    """Open stores of this kind from now on."""
    _current[0].clean()
    _current[0] = databases


def fresh_db() -> Db[Connection]:
    """A store of the current kind with nothing in it."""
    return _current[0].open()
