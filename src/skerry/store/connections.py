"""What store functions get: SQLAlchemy Core over a connection whose transactions belong to ``safe.db.Db``.

Neighbours: ``apsw_dialect.py`` makes one over a SQLite file, ``postgres_raw.py`` over a PostgreSQL server.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool

from skerry.model.errors import Broken


class CoreConnection(Connection):
    """All of SQLAlchemy Core but the end of a transaction, which would be everybody's."""

    def commit(self) -> NoReturn:
        """Refuse: others share the transaction."""
        raise Broken("E-TRANSACTION", "Transactions belong to Db; a store function undoes its work by raising.")

    def rollback(self) -> NoReturn:
        """Refuse; what a part of a function may undo stands in ``begin_nested``."""
        self.commit()


def make_engine(url: str, creator: Callable[[], Any], **words: Any) -> Engine:
    """Return an engine that keeps one connection, which ``creator`` returns."""
    return create_engine(url, creator=creator, poolclass=StaticPool, pool_reset_on_return=None, **words)


def wrap_connection(engine: Engine, creator: Callable[[], Any] | None = None) -> CoreConnection:
    """Return the one SQLAlchemy connection of ``engine``; nothing here begins or ends transactions.

    With ``creator`` it is over what that returns, and the engine, with the statements it has compiled, is lent.
    """
    lent = creator and StaticPool(creator, reset_on_return=None, dialect=engine.dialect).connect()
    connection = CoreConnection(engine, lent)
    # Once for all, so that a second one is an error where it is written.
    connection.begin()
    return connection
