"""A core is backed up while it runs, and never overwritten unasked, half restored, or moved into another's place."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update
from tests.clocks import ManualClock
from tests.conftest import BOTH
from tests.store.filling import fill_tables
from tests.store.postgres import Server

from skerry.clock import SeededMint, SystemClock
from skerry.core.host import CoreConfig, CoreHost
from skerry.core.keeping import Keeper
from skerry.keys.file import keep_seed, read_seed
from skerry.model.errors import Invalid, Refused
from skerry.safe.errors import StoreAway, StoreLocked
from skerry.safe.paths import RealDirectory
from skerry.store import Connection, copying, databases
from skerry.store.databases import keep_connection
from skerry.store.rows import count_up, read_counter
from skerry.store.schema import BLOBS, ROOTS, SITES

SEED = bytes(range(32))


class Ground:
    """A data directory, a folder for backups, and the database that a core there would use."""

    def __init__(self, folder: Path, address: str = "") -> None:
        self.data = folder / "core"
        self.address = address
        self.backups = folder / "backups"
        self.backups.mkdir()
        self.file = self.backups / "a.backup"
        self.keeper = Keeper(self.data, address, ManualClock())

    def make_core(self, rows: int = 3) -> None:
        """What a stopped core leaves."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        keys = RealDirectory.open_root(self.data).enter("keys", create=True)
        keep_seed(keys, "delivery.key", "ed25519", SEED)
        self.write(lambda connection: fill_tables(connection, rows))

    def write(self, job) -> object:
        backing = databases.open_backing(databases.find_place(self.address, self.data), ManualClock())
        try:
            (outcome,) = backing.write_group([lambda: job(keep_connection(backing.connection))])
            assert outcome.error is None, outcome.error
            return outcome.value
        finally:
            backing.close()

    def sums(self) -> object:
        return self.write(copying.sum_tables)

    def verdicts(self) -> dict[str, str]:
        return {check.name: check.verdict for check in self.keeper.diagnose().checks}


@pytest.fixture(params=BOTH)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    if request.param == "sqlite":
        yield Ground(tmp_path)
        return
    server: Server = request.getfixturevalue("postgres_server")
    url = server.make_database()
    yield Ground(tmp_path, url)
    server.drop(url)


@pytest.fixture
async def host(ground: Ground) -> AsyncIterator[CoreHost]:
    config = CoreConfig(
        data=ground.data, link_host="127.0.0.1", link_port=0, endpoints=("a:1",), replica="one", database=ground.address
    )
    host = CoreHost(config, SystemClock(), SeededMint("host"))
    await host.start()
    yield host
    await host.stop()


async def in_thread(work, *arguments, **words):
    return await asyncio.get_running_loop().run_in_executor(None, lambda: work(*arguments, **words))


async def test_a_running_core_is_backed_up_with_all_that_it_has_acknowledged(ground, host):
    for _ in range(5):
        await host.core.db.run(lambda connection: count_up(connection, "fleet"))
    done = await in_thread(ground.keeper.back_up, ground.file)
    assert done.about.tables["counters"].rows == 1
    # It goes on, and may neither be restored nor moved.
    assert await host.core.db.run(lambda connection: count_up(connection, "fleet")) == 6
    for work in (
        lambda: ground.keeper.restore(ground.file, overwrite=True),
        lambda: ground.keeper.move(str(ground.backups / "other.db")),
    ):
        with pytest.raises(StoreLocked) as refused:
            await in_thread(work)
        assert "Stop the core first" in refused.value.hint
    found = {check.name: check.verdict for check in (await in_thread(ground.keeper.diagnose)).checks}
    assert found["integrity"] == found["rows"] == found["certificates"] == found["schema"] == "good"


async def test_a_backup_beside_writers_is_one_moment(ground, host):
    """Two counters are always raised together: no backup may show them apart."""

    def raise_both(connection: Connection) -> None:
        count_up(connection, "a")
        count_up(connection, "b")

    async def write() -> None:
        while True:
            await host.core.db.run(raise_both, soon=True)

    writing = asyncio.get_running_loop().create_task(write())
    other = Ground(ground.backups)
    for number in range(3):
        await in_thread(ground.keeper.back_up, ground.backups / f"{number}.backup")
        await in_thread(other.keeper.restore, ground.backups / f"{number}.backup", overwrite=True)
        counted = other.write(lambda connection: (read_counter(connection, "a"), read_counter(connection, "b")))
        assert counted[0] == counted[1]
    writing.cancel()


def test_a_backup_is_restored_on_a_new_machine_with_its_key(ground, tmp_path):
    ground.make_core()
    sums = ground.sums()
    assert ground.keeper.back_up(ground.file).about.source in ("sqlite", "postgresql")
    (tmp_path / "new").mkdir()
    fresh = Ground(tmp_path / "new")
    done = fresh.keeper.restore(ground.file, overwrite=False)
    assert (done.rows, done.kept) == (3 * len(copying.list_tables()), "")
    assert fresh.sums() == sums
    assert read_seed(RealDirectory.open_root(fresh.data / "keys"), "delivery.key", "ed25519") == SEED


def test_what_is_there_is_replaced_only_when_that_is_said(ground):
    ground.make_core()
    ground.keeper.back_up(ground.file)
    before = ground.sums()
    ground.write(lambda connection: count_up(connection, "later"))
    later = ground.sums()
    with pytest.raises(Refused) as refused:
        ground.keeper.restore(ground.file, overwrite=False)
    assert refused.value.code == "E-OVERWRITE"
    assert ground.sums() == later
    done = ground.keeper.restore(ground.file, overwrite=True)
    assert ground.sums() == before
    if not ground.address:
        assert done.kept == str(ground.data / "core.db.replaced")
        assert Path(done.kept).exists()


def test_a_key_that_sites_trust_is_not_replaced_unasked(ground, tmp_path):
    ground.make_core()
    ground.keeper.back_up(ground.file)
    (tmp_path / "new").mkdir()
    other = Ground(tmp_path / "new")
    other.data.mkdir()
    keys = RealDirectory.open_root(other.data).enter("keys", create=True)
    keep_seed(keys, "delivery.key", "ed25519", bytes(32))
    with pytest.raises(Refused, match="another one"):
        other.keeper.restore(ground.file, overwrite=False)
    assert read_seed(keys, "delivery.key", "ed25519") == bytes(32)


def test_a_core_moves_to_another_database_and_back(ground, tmp_path, postgres_server):
    ground.make_core(7)
    sums = ground.sums()
    target = str(tmp_path / "moved" / "core.db") if ground.address else postgres_server.make_database()
    moved = ground.keeper.move(target)
    assert (moved.rows, moved.tables) == (7 * len(copying.list_tables()), len(copying.list_tables()))
    assert "host=" not in moved.source + moved.target
    there = Keeper(ground.data, target, ManualClock())
    with pytest.raises(Refused, match="There is a core in"):
        there.move(ground.address or str(ground.data / "core.db"))
    with pytest.raises(Invalid):
        there.move(target)
    back = Ground(tmp_path / "backups")
    there.move(str(back.data / "core.db"))
    assert back.sums() == sums == ground.sums()


def test_a_restore_that_was_cut_off_is_noticed_and_finished(tmp_path):
    ground = Ground(tmp_path)
    ground.make_core()
    ground.keeper.back_up(ground.file)
    before = ground.sums()
    ground.write(lambda connection: count_up(connection, "later"))
    later = ground.sums()
    # The power went after the old file was set aside and before the new one was there.
    (ground.data / "core.db.restoring").touch()
    (ground.data / "core.db").rename(ground.data / "core.db.replaced")
    with pytest.raises(Refused) as refused:
        databases.open_backing(databases.find_place("", ground.data), ManualClock())
    assert refused.value.code == "E-HALF-RESTORED"
    assert ground.verdicts()["database"] == "bad"
    done = ground.keeper.restore(ground.file, overwrite=False)
    assert ground.sums() == before
    Path(done.kept).rename(ground.data / "core.db")
    assert ground.sums() == later


def test_a_backup_of_nothing_or_to_nowhere_is_refused(ground):
    with pytest.raises(Refused) as refused:
        ground.keeper.back_up(ground.file)
    assert refused.value.code == "E-NO-CORE"
    assert not ground.file.exists()
    ground.make_core()
    with pytest.raises(Refused, match="There is no folder"):
        ground.keeper.back_up(ground.backups / "absent" / "a.backup")


def test_the_doctor_of_a_stopped_core_sees_what_is_wrong(ground):
    ground.make_core(0)
    found = ground.verdicts()
    assert (found["core"], found["integrity"], found["rows"]) == ("warning", "good", "good")
    blob = insert(BLOBS).values(tenant="t", digest=f"sha256:{'0' * 64}", size_bytes=1)
    ground.write(lambda connection: connection.execute(blob) and None)
    assert ground.verdicts()["images"] == "bad"
    ground.write(lambda connection: connection.execute(delete(BLOBS)) and None)
    ground.write(fill_tables_but_blobs)
    move = update(SITES).values(site="nowhere").where(SITES.c.number == 1)
    ground.write(lambda connection: connection.execute(move) and None)
    found = {check.name: check for check in ground.keeper.diagnose().checks}
    assert found["rows"].verdict == "bad"
    assert "site_state name a site that is not here" in found["rows"].detail
    assert all(check.hint for check in found.values() if check.verdict == "bad")


def fill_tables_but_blobs(connection: Connection) -> None:
    fill_tables(connection, 2)
    for table in (BLOBS, ROOTS):
        connection.execute(delete(table))


def test_the_doctor_of_a_killed_core_leaves_its_file_alone(tmp_path):
    ground = Ground(tmp_path)
    ground.make_core()
    backing = databases.open_backing(databases.find_place("", ground.data), ManualClock())
    backing.write_group([lambda: count_up(keep_connection(backing.connection), "x")])
    backing.abandon()
    before = (ground.data / "core.db").read_bytes(), (ground.data / "core.db-wal").read_bytes()
    assert ground.verdicts()["database"] == "unknown"
    assert before == ((ground.data / "core.db").read_bytes(), (ground.data / "core.db-wal").read_bytes())


def test_the_doctor_says_that_a_database_is_away_or_damaged(tmp_path):
    away = Ground(tmp_path, "postgresql://nobody@127.0.0.1:1/skerry?connect_timeout=2")
    found = {check.name: check for check in away.keeper.diagnose().checks}
    assert "does not answer" in found["database"].detail
    with pytest.raises((StoreAway, Refused)):
        away.keeper.back_up(away.file)
    (tmp_path / "b").mkdir()
    damaged = Ground(tmp_path / "b")
    damaged.make_core()
    path = damaged.data / "core.db"
    path.write_bytes(path.read_bytes()[:8192] + bytes(8192) + path.read_bytes()[16384:])
    found = {check.name: check for check in damaged.keeper.diagnose().checks}
    assert "bad" in {found[name].verdict for name in ("integrity", "database") if name in found}
