"""The store on PostgreSQL when its server misbehaves: what was acknowledged is there, and nobody waits for ever."""

import asyncio
import contextlib
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from tests.clocks import ManualClock
from tests.store.postgres import Server, find_programs, running_server

from skerry.clock import SECOND_US
from skerry.model.errors import Broken, Refused, SkerryError
from skerry.safe.db import Db
from skerry.safe.errors import SchemaTooNew, StoreAway, StoreFailed, StoreLocked
from skerry.safe.sqlite import Origin
from skerry.store import Connection, postgres
from skerry.store.databases import keep_connection
from skerry.store.migrations import STEPS
from skerry.store.postgres import PostgresStore
from skerry.store.rows import count_up, put_row, read_counter
from skerry.store.schema import COUNTERS

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of this file's own, because it is killed here."""
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed: ./dev setup")
    with running_server() as own:
        yield own


class Scene:
    """One database, one store, and a clock that moves when told."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.borrow()
        self.clock = ManualClock()
        self.store = PostgresStore(self.url, self.clock)
        self.failures: list[StoreFailed] = []
        self.db: Db[Connection] = Db(
            self.store, keep_connection, group_s=0, inline=True, on_failed=self.failures.append
        )

    def other(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def close(self) -> None:
        self.store.close()
        self.server.give_back(self.url)


@pytest.fixture
def scene(server: Server) -> Iterator[Scene]:
    made = Scene(server)
    yield made
    made.close()


def read_counters(connection: Connection) -> dict[str, int]:
    return {row.name: row.value for row in connection.execute(sa.select(COUNTERS))}


async def test_a_kill_of_the_server_during_writes_loses_nothing_that_was_acknowledged(scene):
    scene.db = Db(scene.store, keep_connection, group_s=0.001)
    acknowledged: list[str] = []
    refused: list[str] = []

    async def write(name: str) -> None:
        try:
            await scene.db.run(lambda connection: put_row(connection, COUNTERS, {"name": name}, {"value": 1}))
            acknowledged.append(name)
        except StoreAway:
            refused.append(name)

    async def write_many(number: int) -> None:
        for turn in range(200):
            await write(f"{number}.{turn}")

    async def kill_in_the_middle() -> None:
        while len(acknowledged) < 300:
            await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, scene.server.kill)

    await asyncio.gather(kill_in_the_middle(), *(write_many(number) for number in range(20)))
    assert len(acknowledged) >= 300
    assert refused
    scene.server.start()
    await scene.clock.advance(postgres.RETRY_US)
    there = await scene.db.read(read_counters)
    assert set(acknowledged) <= set(there) <= set(acknowledged) | set(refused)
    # The same store goes on, with the same schema and the same lock.
    await write("after")
    assert acknowledged[-1] == "after"
    with pytest.raises(StoreLocked):
        PostgresStore(scene.url, scene.clock)
    await scene.db.close()


async def test_while_the_server_is_away_everybody_is_told_at_once_and_it_is_tried_once_a_second(scene):
    scene.server.kill()
    with pytest.raises(StoreAway, match=r"does not answer|went away"):
        await scene.db.run(lambda connection: count_up(connection, "x"))
    scene.server.start()
    # It is back, and nobody has looked yet: the next attempt is due in a second.
    with pytest.raises(StoreAway, match="does not answer"):
        await scene.db.run(lambda connection: count_up(connection, "x"))
    await scene.clock.advance(postgres.RETRY_US)
    assert await scene.db.run(lambda connection: count_up(connection, "x")) == 1
    assert not scene.failures


async def test_a_server_that_stays_away_too_long_ends_the_process(scene):
    scene.server.kill()
    try:
        for _ in range(3):
            with pytest.raises(StoreAway):
                await scene.db.read(read_counters)
            await scene.clock.advance(postgres.AWAY_US_MAX // 2)
        with pytest.raises(StoreFailed):
            await scene.db.read(read_counters)
        assert len(scene.failures) == 1
    finally:
        scene.server.start()


async def test_a_connection_that_was_dropped_while_it_stood_idle_is_made_anew_without_a_word(scene):
    await scene.db.run(lambda connection: count_up(connection, "x"))
    with scene.other() as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skerry core'")
        while other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() != (0,):
            pass
    assert await scene.db.run(lambda connection: count_up(connection, "x")) == 2


async def test_a_connection_that_breaks_inside_a_group_undoes_all_of_it(scene):
    def break_it(connection: Connection) -> None:
        count_up(connection, "x")
        with contextlib.suppress(sa.exc.DBAPIError):
            connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
        count_up(connection, "x")

    results = await asyncio.gather(
        scene.db.run(lambda connection: count_up(connection, "y")), scene.db.run(break_it), return_exceptions=True
    )
    assert [type(each) for each in results] == [StoreAway, StoreAway]
    await scene.clock.advance(postgres.RETRY_US)
    assert await scene.db.read(read_counters) == {}


async def test_what_another_writer_spoils_is_run_again_and_not_for_ever(scene):
    await scene.db.run(lambda connection: count_up(connection, "x"))
    runs = 0

    def job(connection: Connection, spoil: int) -> int:
        nonlocal runs
        runs += 1
        value = read_counter(connection, "x")
        if runs <= spoil:
            with scene.other() as other:
                other.execute("UPDATE counters SET value = value + 10 WHERE name = 'x'")
        put_row(connection, COUNTERS, {"name": "x"}, {"value": value + 1})
        return value + 1

    assert await scene.db.run(lambda connection: job(connection, 2)) == 22
    assert runs == 3
    runs = 0
    with pytest.raises(StoreAway, match="others changed"):
        await scene.db.run(lambda connection: job(connection, 1000))
    assert runs == postgres.TRIES_MAX
    # Only the others' changes are there.
    assert await scene.db.read(lambda connection: read_counter(connection, "x")) == 22 + 10 * postgres.TRIES_MAX


async def test_a_statement_that_waits_too_long_is_nobodys_end(scene):
    def wait(connection: Connection) -> None:
        connection.execute(sa.text("SET LOCAL statement_timeout = 20"))
        connection.execute(sa.text("SELECT pg_sleep(5)"))

    with pytest.raises(StoreAway, match="cannot serve this now"):
        await scene.db.run(wait)
    assert await scene.db.run(lambda connection: count_up(connection, "x")) == 1


async def test_a_job_that_fails_is_undone_alone(scene):
    def fail(connection: Connection) -> None:
        count_up(connection, "failed")
        raise ValueError

    def clash(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(sa.insert(COUNTERS).values(name="twice", value=1))

    def nested(connection: Connection) -> None:
        with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():
            clash(connection)
        count_up(connection, "nested")

    jobs = (fail, clash, nested, lambda connection: count_up(connection, "good"))
    results = await asyncio.gather(*map(scene.db.run, jobs), return_exceptions=True)
    assert [type(each) for each in results] == [ValueError, sa.exc.IntegrityError, type(None), int]
    assert await scene.db.read(read_counters) == {"nested": 1, "good": 1}


async def test_a_read_cannot_write_and_a_job_cannot_commit(scene):
    with pytest.raises(Broken, match="tried to write"):
        await scene.db.read(lambda connection: count_up(connection, "x"))
    with pytest.raises(Broken, match="belong to Db"):
        await scene.db.run(lambda connection: connection.commit())
    assert await scene.db.read(read_counters) == {}


async def test_texts_are_ordered_by_their_bytes_and_no_text_is_too_strange(scene):
    names = ["b", "B", "a-1", "a1", "\u00e4", "Z", "\0"]

    def fill(connection: Connection) -> None:
        connection.execute(sa.insert(COUNTERS), [{"name": name, "value": 2**62} for name in names])

    await scene.db.run(fill)
    query = sa.select(COUNTERS.c.name).where(COUNTERS.c.name > "A").order_by(COUNTERS.c.name)
    found = await scene.db.read(lambda connection: list(connection.execute(query).scalars()))
    assert found == sorted([*names[:-1], "\ufffd"])


def test_one_database_has_one_core(scene):
    with pytest.raises(StoreLocked):
        PostgresStore(scene.url, ManualClock())
    scene.store.close()
    PostgresStore(scene.url, ManualClock()).close()


def test_a_database_knows_whether_it_is_new_and_refuses_older_programs(server):
    url = server.make_database()
    with pytest.raises(StoreAway, match="does not exist"):
        PostgresStore(url.replace("@/t", "@/absent"), ManualClock())
    fresh = PostgresStore(url, ManualClock())
    assert (fresh.origin, fresh.schema_number) == (Origin.new, len(STEPS))
    fresh.close()
    again = PostgresStore(url, ManualClock())
    assert again.origin is Origin.current
    again.close()
    with pytest.raises(SchemaTooNew):
        PostgresStore(url, ManualClock(), steps=())
    server.drop(url)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("ALTER DATABASE {} SET synchronous_commit = off", "synchronous_commit is off"),
        ("CREATE DATABASE {}x ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0", "encoding"),
    ],
)
def test_a_server_that_would_not_keep_what_it_acknowledges_is_refused(server, change, complaint):
    url = server.make_database()
    name = url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(change.format(name))
    wanted = url.replace(f"/{name}?", f"/{name}x?") if "CREATE" in change else url
    with pytest.raises(Refused, match=complaint) as refused:
        PostgresStore(wanted, ManualClock())
    assert refused.value.code == "E-POSTGRES-SETTING"


def test_a_password_is_never_shown():
    with pytest.raises(SkerryError) as raised:
        PostgresStore("postgresql://me:hidden@127.0.0.1:1/skerry?connect_timeout=2", ManualClock())
    assert "hidden" not in raised.value.detail
    assert "127.0.0.1:1/skerry" in raised.value.detail
    assert postgres.RETRY_US == SECOND_US
