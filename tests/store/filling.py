"""Rows in every table of a core, of every type and of awkward values, made from the schema itself."""

from typing import Any

from sqlalchemy import Boolean, Column, Connection, LargeBinary, String, Table, insert

from skerry.store.copying import list_tables


def fill_tables(connection: Connection, rows: int = 3) -> None:
    """Put ``rows`` rows into each table."""
    for table in list_tables() if rows else []:
        connection.execute(insert(table), [make_row(table, number) for number in range(rows)])


def make_row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _make_value(column, number) for column in table.columns}


def _make_value(column: Column[Any], number: int) -> Any:
    kind = column.type
    if isinstance(kind, Boolean):
        return number % 2 == 1
    if isinstance(kind, LargeBinary):
        return bytes([number % 256, 0, 255]) * (number % 7)
    if isinstance(kind, String):
        return f"{column.name}-{'aZä-'[number % 4]}{number}"
    return 2**53 + number if column.name.endswith("_us") else number + 1
