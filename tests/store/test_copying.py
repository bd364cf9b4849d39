"""Whole cores go from any database to any other, and a copy that is not the same is never taken for one."""

import pytest
from sqlalchemy import Connection, delete, insert, update
from tests.conftest import BOTH
from tests.store import stores
from tests.store.filling import fill_tables
from tests.store.stores import memory_db

from skerry.model.errors import Broken
from skerry.model.event import Event
from skerry.model.ids import SiteName
from skerry.safe.db import Db
from skerry.store import copying, events
from skerry.store.copying import PAGE_ROWS
from skerry.store.schema import APPS, COUNTERS, EVENTS


@pytest.fixture(params=["from sqlite", "to sqlite", "both"])
def pair(request: pytest.FixtureRequest, database: stores.Databases) -> tuple[Db[Connection], Db[Connection]]:
    """Two empty cores, of which at least one is of the current kind."""
    source = memory_db() if request.param == "from sqlite" else database.open()
    target = memory_db() if request.param == "to sqlite" else database.open()
    return source, target


async def copy(source: Db[Connection], target: Db[Connection]) -> dict[str, copying.TableSum]:
    return await source.read(
        lambda here: target.file.write_group([lambda: copying.copy_tables(here, target._connect())])[0]
    )


pytestmark = pytest.mark.parametrize("database", BOTH, indirect=True)


async def test_a_copy_holds_the_same_and_goes_on_counting(pair):
    source, target = pair
    await source.run(lambda connection: fill_tables(connection, 5))
    outcome = await copy(source, target)
    assert outcome.error is None
    sums = await source.read(copying.sum_tables)
    assert outcome.value == sums == await target.read(copying.sum_tables)
    assert {table.rows for table in sums.values()} == {5}
    assert await target.read(copying.count_rows) == 5 * len(sums)
    event = Event(sequence=99, time_us=1, type="instance.started")
    assert await target.run(lambda c: events.append_site_event(c, SiteName("oslo"), event, "")) == 6


async def test_tables_of_many_pages_are_copied_whole(pair):
    source, target = pair
    names = [f"{'aB-é'[number % 4]}{number}" for number in range(2 * PAGE_ROWS + 1)]
    await source.run(lambda c: c.execute(insert(COUNTERS), [{"name": name, "value": 1} for name in names]) and None)
    outcome = await copy(source, target)
    assert outcome.value["counters"].rows == len(names)


async def test_a_target_that_is_not_empty_is_found_out(pair):
    source, target = pair
    await target.run(lambda connection: fill_tables(connection, 1))
    outcome = await copy(source, target)
    assert isinstance(outcome.error, Broken)
    assert outcome.error.code == "E-COPY"


@pytest.mark.parametrize(
    "harm",
    [
        update(APPS).where(APPS.c.held.is_(True)).values(held=False),
        update(EVENTS).where(EVENTS.c.id == 2).values(message="other"),
        delete(COUNTERS).where(COUNTERS.c.value == 2),
    ],
    ids=["flag", "text", "row"],
)
async def test_sums_see_every_difference(database, harm):
    db = database.open()
    await db.run(fill_tables)
    before = await db.read(copying.sum_tables)
    await db.run(lambda connection: connection.execute(harm) and None)
    after = await db.read(copying.sum_tables)
    with pytest.raises(Broken):
        copying.check_sums(before, after)
    copying.check_sums(after, after)


async def test_clearing_leaves_nothing(database):
    db = database.open()
    await db.run(fill_tables)
    await db.run(copying.clear_tables)
    assert await db.read(copying.count_rows) == 0
