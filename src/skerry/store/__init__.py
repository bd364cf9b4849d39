"""Durable state of the core: schema, migrations, one query file per noun. SQL is here and in `agent/journal.py`.

Store functions take a ``Connection`` first; it is named here, so that no other room imports the library for it.
"""

from sqlalchemy import Connection

__all__ = ["Connection"]
