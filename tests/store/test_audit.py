"""The chain holds as long as nobody touches it, and shows exactly where somebody did."""

import pytest
from sqlalchemy import Connection, delete, update
from tests.store.chains import find_break
from tests.store.stores import fresh_db

from skerry.model.ids import CauseId
from skerry.safe.db import Db
from skerry.store.audit import append_audit, list_audit
from skerry.store.schema import AUDIT


async def chain(count: int) -> Db[Connection]:
    db = fresh_db()

    def fill(connection: Connection) -> None:
        for number in range(count):
            append_audit(
                connection,
                "default",
                time_us=number,
                actor="token t1",
                operation="apply_app",
                subject="shop",
                outcome="done",
                cause=CauseId("c"),
            )

    await db.run(fill)
    return db


async def test_records_stand_on_each_other_and_chains_apart():
    db = await chain(5)
    rows = await db.read(lambda connection: list_audit(connection, "default", 2, 2))
    assert [row.seq for row in rows] == [3, 4]
    assert rows[1].previous == rows[0].hash
    assert await db.read(lambda connection: find_break(connection, "default", 2)) == 0
    assert await db.read(lambda connection: list_audit(connection, "other", 0, 10)) == []
    await db.close()


@pytest.mark.parametrize(
    "harm",
    [
        update(AUDIT).where(AUDIT.c.seq == 3).values(payload=b"{}"),
        update(AUDIT).where(AUDIT.c.seq == 3).values(hash=bytes(32)),
        update(AUDIT).where(AUDIT.c.seq == 3).values(previous=bytes(32)),
        delete(AUDIT).where(AUDIT.c.seq == 3),
    ],
    ids=["payload", "hash", "previous", "gone"],
)
async def test_any_change_is_found(harm):
    db = await chain(5)
    await db.run(lambda connection: connection.execute(harm) and None)
    assert await db.read(lambda connection: find_break(connection, "default")) in (3, 4)
    await db.close()
