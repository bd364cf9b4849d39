"""The migrations and the schema say the same; a step that is cut off has not happened."""

import re

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from skerry.model.errors import SkerryError
from skerry.safe.paths import RealDirectory
from skerry.safe.sqlite import Connection, Options, open_memory, open_sqlite
from skerry.store.migrations import CORE_OPTIONS
from skerry.store.schema import METADATA


def _plain(sql: str) -> str:
    return re.sub(r"\s+", " ", sql.replace('"', "")).replace("( ", "(").replace(" )", ")").strip()


def _tables(connection: Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    return {str(name): _plain(str(sql)) for name, sql in rows}


def test_a_migrated_file_has_exactly_the_schema() -> None:
    file = open_memory(CORE_OPTIONS)
    found = _tables(file.connection)
    dialect = sqlite.dialect()
    wanted = {table.name: _plain(str(CreateTable(table).compile(dialect=dialect))) for table in METADATA.sorted_tables}
    for table in METADATA.sorted_tables:
        for index in table.indexes:
            wanted[str(index.name)] = _plain(str(CreateIndex(index).compile(dialect=dialect)))
    assert {name: sql for name, sql in found.items() if name in wanted} == wanted
    file.close()


def test_a_step_that_fails_half_way_leaves_the_number_and_the_tables_and_can_be_run_again(tmp_path: object) -> None:
    def broken(connection: Connection) -> None:
        connection.execute("CREATE TABLE half (a)")
        raise RuntimeError("power cut")

    def whole(connection: Connection) -> None:
        connection.execute("CREATE TABLE half (a)")

    directory = RealDirectory.open_root(tmp_path)  # type: ignore[arg-type]
    open_sqlite(directory, "core.db", CORE_OPTIONS).close()
    with pytest.raises((RuntimeError, SkerryError)):
        open_sqlite(directory, "core.db", Options(migrations=(*CORE_OPTIONS.migrations, broken)))
    file = open_sqlite(directory, "core.db", CORE_OPTIONS)
    assert "half" not in _tables(file.connection)
    file.close()
    file = open_sqlite(directory, "core.db", Options(migrations=(*CORE_OPTIONS.migrations, whole)))
    assert "half" in _tables(file.connection)
    file.close()
    with pytest.raises(SkerryError) as refused:
        open_sqlite(directory, "core.db", CORE_OPTIONS)
    assert refused.value.code == "E-SCHEMA-NEWER"
    directory.close()
