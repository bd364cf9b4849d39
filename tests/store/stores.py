"""Stores for tests: the real schema on a database in memory, jobs done inline."""

from sqlalchemy import Connection

from skerry.safe.db import Db
from skerry.safe.sqlite import open_memory
from skerry.store.apsw_dialect import core_connection
from skerry.store.migrations import CORE_OPTIONS


def memory_db() -> Db[Connection]:
    return Db(open_memory(CORE_OPTIONS), core_connection, group_s=0, inline=True)
