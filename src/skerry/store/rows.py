"""Small helpers that every query file uses: put a row, count up, turn a page."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, and_, func, insert, select, update

from skerry.model.errors import Refused
from skerry.store.schema import COUNTERS

#: What both databases hold in 64 bits.
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def put_row(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Write a row whether or not it is there; columns that are not named keep what they have."""
    where = and_(*(table.c[name] == value for name, value in key.items()))
    if values and connection.execute(update(table).where(where).values(**values)).rowcount:
        return
    if not values and connection.execute(select(func.count()).select_from(table).where(where)).scalar_one():
        return
    connection.execute(insert(table).values(**key, **values))


def count_up(connection: Connection, name: str) -> int:
    """Raise a counter of the core by one and return it."""
    value = read_counter(connection, name) + 1
    put_row(connection, COUNTERS, {"name": name}, {"value": value})
    return value


def read_counter(connection: Connection, name: str) -> int:
    """Return a counter of the core; it begins at 0."""
    found = connection.execute(select(COUNTERS.c.value).where(COUNTERS.c.name == name)).scalar()
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
