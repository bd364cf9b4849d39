import asyncio
import errno
import threading

import pytest

from skerry.model.errors import Broken
from skerry.safe import db as db_module
from skerry.safe.db import Db, plain
from skerry.safe.errors import StoreFailed, StoreFull
from skerry.safe.files import Reserve
from skerry.safe.paths import RealDirectory
from skerry.safe.sqlite import Options, open_memory, open_sqlite
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Sync
from skerry.sim.vfs import mounted


def make_items(connection):
    connection.execute("CREATE TABLE item (id TEXT PRIMARY KEY)")


OPTIONS = Options(migrations=(make_items,))


def put(item):
    def job(connection):
        connection.execute("INSERT INTO item VALUES (?)", (item,))
        return item

    return job


def list_items(connection):
    return [item for (item,) in connection.execute("SELECT id FROM item ORDER BY id")]


@pytest.fixture(params=["thread", "inline"])
def inline(request):
    return request.param == "inline"


@pytest.fixture
async def db(inline, tmp_path):
    file = open_sqlite(RealDirectory.open_root(tmp_path), "store.db", OPTIONS)
    store = Db(file, plain, group_s=0, inline=inline)
    yield store
    await store.close()


@pytest.fixture
async def failing():
    """A store on a disk whose syncs can be made to fail: the store, the switch, and what was reported."""
    disk, broken, reported = MemoryDisk(), [], []

    def fail(operation):
        if broken and isinstance(operation, Sync):
            raise OSError(errno.EIO, "Input/output error")

    disk.before = fail
    with mounted(disk) as vfs:
        file = open_sqlite(disk.root, "store.db", OPTIONS, vfs=vfs)
        store = Db(file, plain, group_s=0, inline=True, on_failed=reported.append)
        yield store, broken, reported
        await store.close()


async def test_a_write_returns_its_value(db):
    assert await db.run(put("a")) == "a"
    assert await db.read(list_items) == ["a"]


async def test_writes_that_arrive_together_share_one_transaction(db):
    groups = []
    write_group = db.file.write_group
    db.file.write_group = lambda jobs: groups.append(len(jobs)) or write_group(jobs)
    assert await asyncio.gather(*(db.run(put(f"{number}")) for number in range(5))) == list("01234")
    assert groups == [5]


async def test_a_failing_job_fails_its_caller_alone(db):
    results = await asyncio.gather(db.run(put("a")), db.run(lambda _: 1 // 0), db.run(put("b")), return_exceptions=True)
    assert [type(result) for result in results] == [str, ZeroDivisionError, str]
    assert await db.read(list_items) == ["a", "b"]


async def test_a_read_sees_nothing_that_is_not_durable(inline, tmp_path):
    file = open_sqlite(RealDirectory.open_root(tmp_path), "store.db", OPTIONS)
    db = Db(file, plain, group_s=30, inline=inline)
    writing = asyncio.ensure_future(db.run(put("a")))
    assert await db.read(list_items) == []
    assert not writing.done()
    assert await db.run(put("b"), soon=True) == "b"
    assert await writing == "a"
    assert await db.read(list_items) == ["a", "b"]
    await db.close()


async def test_a_read_that_writes_is_a_defect(db):
    with pytest.raises(Broken):
        await db.read(put("a"))


async def test_a_full_group_does_not_wait(inline, tmp_path, monkeypatch):
    file = open_sqlite(RealDirectory.open_root(tmp_path), "store.db", OPTIONS)
    db = Db(file, plain, group_s=30, inline=inline)
    jobs = db_module.GROUP_JOBS_MAX + 10
    tasks = [asyncio.ensure_future(db.run(put(f"{number}"))) for number in range(jobs)]
    done, _ = await asyncio.wait(tasks[: db_module.GROUP_JOBS_MAX])
    assert len(done) == db_module.GROUP_JOBS_MAX
    await db.close()
    assert len(await asyncio.gather(*tasks)) == jobs


async def test_all_work_is_done_by_one_thread(tmp_path):
    file = open_sqlite(RealDirectory.open_root(tmp_path), "store.db", OPTIONS)
    db = Db(file, plain, group_s=0)
    names = {await db.run(lambda _: threading.current_thread().name) for _ in range(5)}
    names.add(await db.read(lambda _: threading.current_thread().name))
    assert names == {"db-store.db_0"}
    await db.close()


async def test_close_writes_what_waits(inline, tmp_path):
    directory = RealDirectory.open_root(tmp_path)
    db = Db(open_sqlite(directory, "store.db", OPTIONS), plain, group_s=30, inline=inline)
    tasks = [asyncio.ensure_future(db.run(put(f"{number}"))) for number in range(3)]
    await asyncio.sleep(0)
    await db.close()
    assert await asyncio.gather(*tasks) == ["0", "1", "2"]
    with pytest.raises(Broken):
        await db.run(put("late"))
    file = open_sqlite(directory, "store.db", OPTIONS)
    assert list_items(file.connection) == ["0", "1", "2"]
    file.close()


async def test_a_cancelled_caller_takes_its_job_back_while_it_waits(db):
    first = asyncio.ensure_future(db.run(put("a")))
    second = asyncio.ensure_future(db.run(put("b")))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "b"
    assert await db.read(list_items) == ["b"]


async def test_a_failed_sync_ends_the_store_for_everybody(failing):
    db, broken, reported = failing
    await db.run(put("a"))
    broken.append(True)
    results = await asyncio.gather(db.run(put("b")), db.run(put("c")), return_exceptions=True)
    assert [type(result) for result in results] == [StoreFailed, StoreFailed]
    broken.clear()
    for call in (db.run(put("d")), db.read(list_items), db.run(put("e"), soon=True)):
        with pytest.raises(StoreFailed):
            await call
    assert reported == [db.failure]


async def test_what_is_durable_is_acknowledged_even_when_the_log_cannot_be_copied():
    disk, reported = MemoryDisk(), []
    with mounted(disk) as vfs:
        options = Options(migrations=(make_items,), wal_pages_max=1)
        db = Db(
            open_sqlite(disk.root, "store.db", options, vfs=vfs),
            plain,
            group_s=0,
            inline=True,
            on_failed=reported.append,
        )
        main = disk.find(0, "store.db")

        def fail(operation):
            if isinstance(operation, Sync) and operation.file == main:
                raise OSError(errno.EIO, "Input/output error")

        disk.before = fail
        assert await db.run(put("a")) == "a"
        assert len(reported) == 1
        with pytest.raises(StoreFailed):
            await db.run(put("b"))
        await db.close()


async def test_a_full_disk_takes_from_the_reserve_once():
    disk = MemoryDisk()
    with mounted(disk) as vfs:
        reserve = Reserve(disk.root, 100_000)
        assert reserve.hold()
        file = open_sqlite(disk.root, "store.db", OPTIONS, vfs=vfs)
        db = Db(file, plain, group_s=0, inline=True, make_room=reserve.release)
        disk.capacity = sum(disk.root.size(name) for name in disk.root.names())
        assert await db.run(put("a")) == "a"
        assert not reserve.held
        disk.capacity = sum(disk.root.size(name) for name in disk.root.names())
        with pytest.raises(StoreFull):
            await db.run(put("b"))
        disk.capacity = None
        assert await db.run(put("c")) == "c"
        assert await db.read(list_items) == ["a", "c"]
        assert db.failure is None
        await db.close()


async def test_a_snapshot_is_made_beside_writes(db, tmp_path):
    await db.run(put("a"))
    await asyncio.gather(db.snapshot(), db.snapshot(), db.run(put("b")))
    assert {"store.db.snapshot", "store.db.snapshot.prev"} <= {path.name for path in tmp_path.iterdir()}


async def test_an_abandoned_store_tells_nobody():
    db = Db(open_memory(OPTIONS), plain, group_s=0, inline=True)
    task = asyncio.ensure_future(db.run(put("a")))
    await asyncio.sleep(0)
    db.abandon()
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(Broken):
        await db.read(list_items)


async def test_many_writers_wait_for_room(monkeypatch):
    db = Db(open_memory(OPTIONS), plain, group_s=0, inline=True)
    count = db_module.WAITING_JOBS_MAX + 500
    await asyncio.gather(*(db.run(put(f"{number}")) for number in range(count)))
    assert await db.read(lambda connection: connection.execute("SELECT count(*) FROM item").fetchall()) == [(count,)]
    await db.close()
