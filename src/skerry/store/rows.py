"""Small helpers that every query file uses: name a row, put a row, count up, turn a page.

Rule: a statement that is run often is built once, with parameters for what differs. To build one costs as much as to
run it, and only one that was built before is known to be compiled already.
"""

import base64
import functools
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)

from skerry.model.errors import Refused
from skerry.store.schema import COUNTERS

#: What both databases hold in 64 bits.
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def named(table: Table, *columns: str) -> ColumnElement[bool]:
    """Say that columns are what the parameters of a statement are: each is called ``of_`` and the column's name."""
    return and_(*(table.c[name] == bindparam(f"of_{name}") for name in columns))


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Say that a column is one of the values of the parameter ``name``."""
    values: BindParameter[Any] = bindparam(name, expanding=True)
    return column.in_(values)


def put_row(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Write a row whether or not it is there; columns that are not named keep what they have."""
    change, count, add = _build_puts(table, tuple(key))
    of = {f"of_{name}": value for name, value in key.items()}
    if values and connection.execute(change, {**values, **of}).rowcount:
        return
    if not values and connection.execute(count, of).scalar_one():
        return
    connection.execute(add, {**key, **values})


@functools.cache
def _build_puts(table: Table, key: tuple[str, ...]) -> tuple[Update, Select[int], Insert]:
    """Build what changes a row, counts it and adds it: as many as there are tables."""
    where = named(table, *key)
    return update(table).where(where), select(func.count()).select_from(table).where(where), insert(table)


_COUNTER = select(COUNTERS.c.value).where(named(COUNTERS, "name"))


def count_up(connection: Connection, name: str) -> int:
    """Raise a counter of the core by one and return it."""
    value = read_counter(connection, name) + 1
    put_row(connection, COUNTERS, {"name": name}, {"value": value})
    return value


def read_counter(connection: Connection, name: str) -> int:
    """Return a counter of the core; it begins at 0."""
    found = connection.execute(_COUNTER, {"of_name": name}).scalar()
    return 0 if found is None else int(found)


def write_page_token(*position: str | int) -> str:
    """Return an opaque token for the place behind ``position`` in a listing."""
    return base64.urlsafe_b64encode("\x1f".join(str(part) for part in position).encode()).decode().rstrip("=")


def read_page_token(token: str, parts: int, *numbers: int) -> list[str] | None:
    """Return the position that a token stands for, None for an empty token; raise ``Refused`` for a damaged one.

    ``numbers`` says at which places of it whole numbers stand.
    """
    if not token:
        return None
    try:
        found = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode().split("\x1f")
    except (ValueError, UnicodeDecodeError):
        found = []
    if len(found) != parts or not all(_NUMBER.fullmatch(found[place]) for place in numbers):
        raise Refused("E-PAGE", "That page token is not one of ours.", hint="Begin again without page_token.")
    return found
