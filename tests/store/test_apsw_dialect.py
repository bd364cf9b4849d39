import contextlib

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from skerry.model.errors import Broken
from skerry.safe.db import Db
from skerry.safe.errors import StoreFull
from skerry.safe.sqlite import Options, open_memory, open_sqlite
from skerry.sim.disk import MemoryDisk
from skerry.sim.vfs import mounted
from skerry.store.apsw_dialect import core_connection

META = sa.MetaData()
APP = sa.Table(
    "app",
    META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("body", sa.LargeBinary),
    sa.Column("weight", sa.Float),
    sa.Column("paused", sa.Boolean),
)


def make_apps(connection):
    connection.execute(
        "CREATE TABLE app (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB, weight REAL, paused BOOLEAN)"
    )


OPTIONS = Options(migrations=(make_apps,))


@pytest.fixture
async def db():
    store = Db(open_memory(OPTIONS), core_connection, group_s=0, inline=True)
    yield store
    await store.close()


def list_names(connection):
    return connection.scalars(sa.select(APP.c.name).order_by(APP.c.id)).all()


async def test_rows_come_back_as_they_went(db):
    row = {"name": "shop", "body": b"\0\xff", "weight": 1.5, "paused": True}
    result = await db.run(lambda c: c.execute(APP.insert().values(row)).inserted_primary_key)
    assert tuple(result) == (1,)
    assert await db.read(lambda c: dict(c.execute(sa.select(APP)).mappings().one())) == {"id": 1, **row}


async def test_an_empty_result_has_its_columns(db):
    result = await db.read(lambda c: c.execute(sa.select(APP.c.name, APP.c.body)))
    assert list(result.keys()) == ["name", "body"]
    assert result.all() == []


async def test_batches(db):
    await db.run(lambda c: c.execute(APP.insert(), [{"name": f"app-{number}"} for number in range(1000)]))
    assert await db.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(APP))) == 1000
    assert len(await db.read(lambda c: c.execute(sa.select(APP)).fetchmany(10))) == 10


async def test_row_counts_tell_what_changed(db):
    await db.run(lambda c: c.execute(APP.insert(), [{"name": name} for name in "abc"]))
    counts = []

    def change(c):
        counts.append(c.execute(sa.update(APP).where(APP.c.name != "a").values(paused=True)).rowcount)
        counts.append(c.execute(sa.update(APP).where(APP.c.name == "z").values(paused=True)).rowcount)
        counts.append(c.execute(sa.delete(APP).where(APP.c.name == "b")).rowcount)
        counts.append(c.execute(insert(APP).values(name="a").on_conflict_do_nothing()).rowcount)

    await db.run(change)
    assert counts == [2, 0, 1, 0]


async def test_returning_and_upsert(db):
    def upsert(c):
        statement = insert(APP).values(name="a", weight=2.0)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_={"weight": 3.0})
        return c.execute(statement.returning(APP.c.id, APP.c.weight)).one()

    assert tuple(await db.run(upsert)) == (1, 2.0)
    assert tuple(await db.run(upsert)) == (1, 3.0)


async def test_errors_have_the_names_of_sqlalchemy(db):
    await db.run(lambda c: c.execute(APP.insert().values(name="a")))
    with pytest.raises(sa.exc.IntegrityError, match="UNIQUE"):
        await db.run(lambda c: c.execute(APP.insert().values(name="a")))
    with pytest.raises(sa.exc.IntegrityError):
        await db.run(lambda c: c.execute(APP.insert(), [{"name": "b"}, {"name": "b"}]))
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        await db.run(lambda c: c.execute(sa.text("SELECT * FROM absent")))
    assert await db.read(list_names) == ["a"]


async def test_a_nested_savepoint_is_undone_alone(db):
    def job(c):
        c.execute(APP.insert().values(name="a"))
        with contextlib.suppress(sa.exc.IntegrityError), c.begin_nested():
            c.execute(APP.insert().values(name="b"))
            c.execute(APP.insert().values(name="a"))
        c.execute(APP.insert().values(name="c"))

    await db.run(job)
    assert await db.read(list_names) == ["a", "c"]


@pytest.mark.parametrize("end", [sa.Connection.begin, sa.Connection.commit, sa.Connection.rollback])
async def test_a_store_function_cannot_end_the_transaction_of_all(db, end):
    def job(c):
        c.execute(APP.insert().values(name="a"))
        getattr(c, end.__name__)()

    with pytest.raises((Broken, sa.exc.InvalidRequestError)):
        await db.run(job)
    assert await db.read(list_names) == []
    await db.run(lambda c: c.execute(APP.insert().values(name="b")))
    assert await db.read(list_names) == ["b"]


async def test_a_read_cannot_write(db):
    with pytest.raises(Broken):
        await db.read(lambda c: c.execute(APP.insert().values(name="a")))


async def test_a_full_disk_is_seen_through_sqlalchemy():
    disk = MemoryDisk()
    with mounted(disk) as vfs:
        db = Db(open_sqlite(disk.root, "core.db", OPTIONS, vfs=vfs), core_connection, group_s=0, inline=True)
        disk.capacity = 20_000
        with pytest.raises(StoreFull):
            await db.run(lambda c: c.execute(APP.insert().values(name="a", body=bytes(8_000_000))))
        disk.capacity = None
        assert await db.read(list_names) == []
        await db.close()
