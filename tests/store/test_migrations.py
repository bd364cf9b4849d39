"""The migrations and the schema say the same; a step that is cut off has not happened."""

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from tests.clocks import ManualClock
from tests.conftest import BOTH
from tests.store.postgres import Server
from tests.store.stores import Databases

from skerry.model.errors import SkerryError
from skerry.safe.db import Db
from skerry.safe.paths import RealDirectory
from skerry.safe.sqlite import Connection, Options, open_memory, open_sqlite
from skerry.store.connections import CoreConnection
from skerry.store.databases import keep_connection
from skerry.store.migrations import CORE_OPTIONS, STEPS, core_options
from skerry.store.migrations.step import Step
from skerry.store.postgres import PostgresStore
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


#: A step as they will be, to have one that leads back.
LATER = Step(
    up="ALTER TABLE counters ADD COLUMN note VARCHAR NOT NULL DEFAULT '';\nCREATE TABLE later (id INTEGER NOT NULL)",
    down="DROP TABLE later;\nALTER TABLE counters DROP COLUMN note",
)


def test_steps_are_said_in_postgresqls_words() -> None:
    said = LATER.for_postgres()
    assert 'ADD COLUMN note VARCHAR COLLATE "C" NOT NULL' in said
    assert "id BIGINT NOT NULL" in said
    own = Step(up="CREATE TABLE a (b BLOB)", postgres_up="CREATE TABLE a (b TEXT)")
    assert (own.for_postgres(), own.back_for_postgres(), own.reversal()) == ("CREATE TABLE a (b TEXT)", "", None)


def describe_postgres(url: str) -> list[tuple[object, ...]]:
    """Columns, keys and indexes of a database, by name."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, collation_name,"
            " column_default FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name <> 'skerry_schema' ORDER BY table_name, ordinal_position"
        ).fetchall()
        indexes = connection.execute(
            "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
        ).fetchall()
    return [*columns, *indexes]


@pytest.mark.postgres
def test_a_migrated_database_has_exactly_the_schema(postgres_server: Server) -> None:
    migrated, declared = postgres_server.make_database(), postgres_server.make_database()
    PostgresStore(migrated, ManualClock()).close()
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(declared))
    METADATA.create_all(engine)
    engine.dispose()
    found = describe_postgres(migrated)
    assert len(found) > 150
    assert found == describe_postgres(declared)
    for url in (migrated, declared):
        postgres_server.drop(url)


class Opener:
    """Opens one store with a number of steps, on either database."""

    def __init__(self, folder: Path, server: Server | None) -> None:
        self._directory = RealDirectory.open_root(folder)
        self._url = server.make_database() if server else ""

    def open(self, steps: tuple[Step, ...]) -> Db[CoreConnection]:
        if self._url:
            return Db(PostgresStore(self._url, ManualClock(), steps), keep_connection, group_s=0, inline=True)
        file = open_sqlite(self._directory, "core.db", core_options(steps))
        return Db(file, keep_connection, group_s=0, inline=True)


@pytest.fixture
def opener(database: Databases, request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    server = request.getfixturevalue("postgres_server") if database.kind == "postgres" else None
    return Opener(tmp_path, server)


def read_counters(connection: SqlConnection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(text("SELECT name, value FROM counters ORDER BY name"))]


@pytest.mark.parametrize("known", range(len(STEPS) + 1))
@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_a_store_of_every_earlier_schema_comes_up_to_date_with_all_its_rows(opener: Opener, known: int) -> None:
    old = opener.open(STEPS[:known])
    if known:
        await old.run(lambda c: c.execute(text("INSERT INTO counters (name, value) VALUES ('fleet', 7)")) and None)
    await old.close()
    new = opener.open((*STEPS, LATER))
    assert new.file.schema_number == len(STEPS) + 1  # type: ignore[attr-defined]
    assert await new.read(read_counters) == ([("fleet", 7)] if known else [])
    await new.close()


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_the_way_back_keeps_rows_and_is_refused_where_it_is_not_promised(opener: Opener) -> None:
    db = opener.open((*STEPS, LATER))
    await db.run(lambda c: c.execute(text("INSERT INTO counters (name, value, note) VALUES ('a', 7, 'x')")) and None)
    with pytest.raises(SkerryError) as refused:
        db.file.migrate_back(0)  # type: ignore[attr-defined]
    assert refused.value.code == "E-SCHEMA-BACK"
    db.file.migrate_back(len(STEPS))  # type: ignore[attr-defined]
    await db.close()
    again = opener.open(STEPS)
    assert await again.read(read_counters) == [("a", 7)]
    await again.run(lambda c: c.execute(text("INSERT INTO counters (name, value) VALUES ('b', 8)")) and None)
    await again.close()
    up = opener.open((*STEPS, LATER))
    assert await up.read(read_counters) == [("a", 7), ("b", 8)]
    await up.close()


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_a_step_that_fails_has_not_happened(opener: Opener) -> None:
    broken = Step(up="CREATE TABLE half (id INTEGER);\nINSERT INTO absent VALUES (1)")
    await opener.open(STEPS).close()
    with pytest.raises(SkerryError) as failed:
        opener.open((*STEPS, broken))
    assert failed.value.code == "E-MIGRATION"
    db = opener.open((*STEPS, Step(up="CREATE TABLE half (id INTEGER)")))
    assert db.file.schema_number == len(STEPS) + 1  # type: ignore[attr-defined]
    await db.close()
