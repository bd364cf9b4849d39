"""Copies all rows of a core from one database to another and proves it by counts and digests.

Rules: (1) a table is read in the order of its key, a page at a time, so a large core needs no large memory; (2) what
was written is read back and compared before anybody is told that it is there; (3) the digest of a table says the same
on SQLite and on PostgreSQL. Transactions belong to the caller.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, delete, func, insert, literal, select, text, tuple_

from skerry.model.errors import Broken
from skerry.store.schema import EVENTS, METADATA, plain_text

#: Rows of one page: the largest rows are documents of 100 KB, so a page stays below 20 MB.
PAGE_ROWS = 200


class TableSum(msgspec.Struct, frozen=True):
    """What a table holds, in short."""

    rows: int
    #: SHA-256 over its rows in the order of the key, in hexadecimal.
    digest: str


#: By the name of the table.
Sums = Mapping[str, TableSum]


def list_tables() -> list[Table]:
    """Return the core's tables in the order of their names."""
    return sorted(METADATA.tables.values(), key=lambda table: table.name)


def sum_tables(connection: Connection) -> dict[str, TableSum]:
    """Read everything and say what there is."""
    return {table.name: _sum(_pages(connection, table)) for table in list_tables()}


def count_rows(connection: Connection) -> int:
    """Say how many rows a core has in all."""
    return sum(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in list_tables())


def copy_tables(source: Connection, target: Connection) -> dict[str, TableSum]:
    """Copy every row into ``target``, which has the same schema and is empty; return what was read.

    Raises ``Broken`` when ``target`` does not hold the same afterwards.
    """
    sums: dict[str, TableSum] = {}
    for table in list_tables():
        sums[table.name] = _sum(_written(target, table, _pages(source, table)))
        check_same(sums[table.name], _sum(_pages(target, table)), table.name)
    _go_on_counting(target)
    return sums


def sum_plain_rows(rows: Iterable[tuple[Any, ...]]) -> TableSum:
    """Say what rows of a plain connection are, in the order of their key."""
    return _sum([row] for row in rows)


def clear_tables(connection: Connection) -> None:
    """Forget every row."""
    for table in list_tables():
        connection.execute(delete(table))


def check_sums(wanted: Sums, found: Sums) -> None:
    """Raise ``Broken`` when tables differ in rows or content."""
    for name in sorted(set(wanted) | set(found)):
        check_same(wanted.get(name, TableSum(0, "")), found.get(name, TableSum(0, "")), name)


def check_same(wanted: TableSum, found: TableSum, name: str) -> None:
    """Raise ``Broken`` when one table differs."""
    if wanted != found:
        raise Broken(
            "E-COPY",
            f"Table {name} was to have {wanted.rows} rows with digest {wanted.digest[:12]}, and has {found.rows} with "
            f"{found.digest[:12]}.",
            hint="Nothing was changed. Look at the disk, and try again.",
        )


def _sum(pages: Iterable[list[tuple[Any, ...]]]) -> TableSum:
    count, hashed = 0, hashlib.sha256()
    for page in pages:
        count += len(page)
        for row in page:
            content = msgspec.msgpack.encode([_plain(value) for value in row])
            hashed.update(len(content).to_bytes(8, "big") + content)
    return TableSum(count, hashed.hexdigest())


def _plain(value: Any) -> Any:
    """Return a value as every database gives it."""
    if isinstance(value, str):
        return plain_text(value)
    return int(value) if isinstance(value, bool) else value


def _pages(connection: Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """Read a table in the order of its key."""
    key = list(table.primary_key)
    places = [list(table.columns).index(column) for column in key]
    query = select(table).order_by(*key).limit(PAGE_ROWS)
    last: Row[Any] | None = None
    while True:
        page = query
        if last is not None:
            values = (literal(last[place], column.type) for place, column in zip(places, key, strict=True))
            page = query.where(tuple_(*key) > tuple_(*values))
        rows = connection.execute(page).all()
        if not rows:
            return
        yield [tuple(row) for row in rows]
        last = rows[-1]


def _written(
    target: Connection, table: Table, pages: Iterable[list[tuple[Any, ...]]]
) -> Iterator[list[tuple[Any, ...]]]:
    names = [column.name for column in table.columns]
    for page in pages:
        target.execute(insert(table), [dict(zip(names, row, strict=True)) for row in page])
        yield page


def _go_on_counting(target: Connection) -> None:
    """Have the next event numbered above all that were copied: PostgreSQL counts beside the table."""
    if target.dialect.name == "postgresql":
        newest = target.execute(select(func.max(EVENTS.c.id))).scalar()
        if newest is not None:
            target.execute(text("SELECT setval(pg_get_serial_sequence('events', 'id'), :newest)"), {"newest": newest})
