import errno
import random

import pytest

from skerry.model.errors import Broken
from skerry.safe.errors import SchemaTooNew, StoreFailed, StoreFull, StoreLocked
from skerry.safe.paths import RealDirectory
from skerry.safe.sqlite import Options, Origin, open_memory, open_sqlite, record_checksum
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Sync, Write
from skerry.sim.vfs import mounted


def make_items(connection):
    connection.execute("CREATE TABLE item (id TEXT PRIMARY KEY, body BLOB, parent TEXT REFERENCES item (id))")


def make_notes(connection):
    connection.execute("CREATE TABLE note (text TEXT)")
    connection.execute("INSERT INTO note SELECT id FROM item")


FIRST = Options(migrations=(make_items,))
SECOND = Options(migrations=(make_items, make_notes))


def put(file, *items, body=b""):
    def job(item):
        return lambda: file.connection.execute("INSERT INTO item (id, body) VALUES (?, ?)", (item, body))

    outcomes = file.write_group([job(item) for item in items])
    assert [outcome.error for outcome in outcomes] == [None] * len(items)


def list_items(file):
    return [
        item for (item,) in file.read(lambda: file.connection.execute("SELECT id FROM item ORDER BY id").fetchall())
    ]


def snapshot(file):
    for _ in file.snapshot_steps():
        pass


@pytest.fixture
def directory(tmp_path):
    return RealDirectory.open_root(tmp_path)


@pytest.fixture
def disk():
    return MemoryDisk()


@pytest.fixture
def vfs(disk):
    with mounted(disk) as name:
        yield name


def damage(disk, name, offset=40):
    file = disk.find(0, name)
    disk.write(file, offset, bytes(byte ^ 0xFF for byte in disk.content(file, offset, 50)))


def test_a_file_is_new_and_then_current(directory, tmp_path):
    file = open_sqlite(directory, "store.db", FIRST)
    assert file.origin is Origin.new
    put(file, "a", "b")
    file.close()
    file = open_sqlite(directory, "store.db", FIRST)
    assert file.origin is Origin.current
    assert list_items(file) == ["a", "b"]
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.db", "store.db.lock"]


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("locking_mode", "exclusive"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("journal_size_limit", 8 * 1024 * 1024),
        ("temp_store", 2),
    ],
)
def test_the_pragmas_of_the_house_are_set(directory, pragma, value):
    file = open_sqlite(directory, "store.db", FIRST)
    assert file.connection.execute(f"PRAGMA {pragma}").fetchall() == [(value,)]
    file.close()


def test_a_file_that_can_be_rebuilt_may_sync_less(directory):
    file = open_sqlite(directory, "cache.db", Options(migrations=(make_items,), synchronous="NORMAL"))
    assert file.connection.execute("PRAGMA synchronous").fetchall() == [(1,)]
    file.close()


def test_one_file_is_open_once(directory):
    file = open_sqlite(directory, "store.db", FIRST)
    with pytest.raises(StoreLocked):
        open_sqlite(directory, "store.db", FIRST)
    open_sqlite(directory, "other.db", FIRST).close()
    file.close()
    open_sqlite(directory, "store.db", FIRST).close()


def test_a_link_in_place_of_the_file_is_not_followed(directory, tmp_path):
    (tmp_path / "store.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed):
        open_sqlite(directory, "store.db", FIRST)
    assert not (tmp_path / "elsewhere").exists()


def test_memory_has_the_same_schema_and_manners():
    file = open_memory(SECOND)
    put(file, "a")
    assert list_items(file) == ["a"]
    with pytest.raises(StopIteration):
        next(file.snapshot_steps())
    file.close()


def test_a_failing_job_undoes_itself_alone():
    file = open_memory(FIRST)

    def put_and_fail():
        file.connection.execute("INSERT INTO item (id) VALUES ('bad')")
        raise ValueError("bad")

    outcomes = file.write_group(
        [
            lambda: file.connection.execute("INSERT INTO item (id) VALUES ('a')"),
            put_and_fail,
            lambda: file.connection.execute("INSERT INTO item (id) VALUES ('a')"),
            lambda: file.connection.execute("INSERT INTO item (id, parent) VALUES ('c', 'nobody')"),
            lambda: "value",
        ]
    )
    assert [type(outcome.error).__name__ for outcome in outcomes] == [
        "NoneType",
        "ValueError",
        "ConstraintError",
        "ConstraintError",
        "NoneType",
    ]
    assert outcomes[4].value == "value"
    assert list_items(file) == ["a"]
    file.close()


def test_a_job_that_commits_fails_the_store():
    file = open_memory(FIRST)
    with pytest.raises(StoreFailed):
        file.write_group([lambda: file.connection.execute("COMMIT")])
    with pytest.raises(StoreFailed, match="failed before"):
        put(file, "a")
    file.close()


def test_a_read_cannot_write():
    file = open_memory(FIRST)
    with pytest.raises(Broken):
        file.read(lambda: file.connection.execute("INSERT INTO item (id) VALUES ('a')"))
    with pytest.raises(ZeroDivisionError):
        file.read(lambda: 1 // 0)
    put(file, "a")
    assert list_items(file) == ["a"]
    file.close()


def test_a_failed_sync_ends_the_store(disk, vfs):
    file = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    put(file, "a")

    def fail(operation):
        if isinstance(operation, Sync):
            raise OSError(errno.EIO, "Input/output error")

    disk.before = fail
    with pytest.raises(StoreFailed):
        put(file, "b")
    disk.before = lambda _: None
    count = len(disk.operations)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            put(file, "c")
    with pytest.raises(StoreFailed):
        file.checkpoint()
    file.close()
    assert not [operation for operation in disk.operations[count:] if isinstance(operation, Write)]
    again = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    assert "a" in list_items(again)
    again.close()


def test_a_full_disk_undoes_the_group_and_nothing_else(disk, vfs):
    file = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    put(file, "a")
    disk.capacity = sum(disk.root.size(name) or 0 for name in disk.root.names()) + 10_000
    with pytest.raises(StoreFull):
        file.write_group(
            [
                lambda: file.connection.execute("INSERT INTO item (id) VALUES ('small')"),
                lambda: file.connection.execute("INSERT INTO item VALUES ('big', zeroblob(50000), NULL)"),
            ]
        )
    assert list_items(file) == ["a"]
    disk.capacity = None
    put(file, "b")
    assert list_items(file) == ["a", "b"]
    file.close()


def test_a_full_disk_leaves_the_log_where_it_is(disk, vfs):
    file = open_sqlite(disk.root, "store.db", Options(migrations=(make_items,), wal_pages_max=1), vfs=vfs)
    put(file, *(f"item-{number}" for number in range(50)), body=b"x" * 1000)
    disk.capacity = 0
    file.checkpoint_when_due()
    disk.capacity = None
    file.checkpoint_when_due()
    assert len(list_items(file)) == 50
    file.close()


def test_a_checkpoint_that_fails_is_not_kept_quiet(disk, vfs):
    file = open_sqlite(disk.root, "store.db", Options(migrations=(make_items,), wal_pages_max=1), vfs=vfs)
    put(file, "a")

    def fail(operation):
        raise OSError(errno.EIO, "Input/output error")

    disk.before = fail
    with pytest.raises(StoreFailed):
        file.checkpoint_when_due()
    disk.before = lambda _: None
    file.close()


def test_the_log_is_copied_when_it_has_grown(disk, vfs):
    file = open_sqlite(disk.root, "store.db", Options(migrations=(make_items,), wal_pages_max=5), vfs=vfs)
    sizes = []
    for number in range(20):
        put(file, f"item-{number}", body=b"x" * 2000)
        file.checkpoint_when_due()
        sizes.append(disk.root.size("store.db-wal"))
    assert max(sizes) < 12 * 4200
    assert (disk.root.size("store.db") or 0) > 10 * 2000
    file.close()


# --- schema ---


def test_a_file_is_brought_to_the_newest_schema_after_a_snapshot(directory):
    file = open_sqlite(directory, "store.db", FIRST)
    put(file, "a")
    file.close()
    file = open_sqlite(directory, "store.db", SECOND)
    assert file.read(lambda: file.connection.execute("SELECT text FROM note").fetchall()) == [("a",)]
    assert directory.size("store.db.snapshot")
    file.close()


def test_an_older_binary_refuses_a_newer_file(directory):
    open_sqlite(directory, "store.db", SECOND).close()
    before = directory.read("store.db", limit=1 << 20)
    with pytest.raises(SchemaTooNew, match="schema 2, this version of Skerry knows 1"):
        open_sqlite(directory, "store.db", FIRST)
    assert directory.read("store.db", limit=1 << 20) == before
    open_sqlite(directory, "store.db", SECOND).close()


def test_an_interrupted_migration_is_resumed(directory):
    def fail(connection):
        connection.execute("CREATE TABLE half (a)")
        raise ValueError("interrupted")

    open_sqlite(directory, "store.db", FIRST).close()
    with pytest.raises(Broken, match="Step 3"):
        open_sqlite(directory, "store.db", Options(migrations=(make_items, make_notes, fail)))
    file = open_sqlite(directory, "store.db", SECOND)
    tables = file.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    assert tables == [("item",), ("note",)]
    file.close()


# --- snapshots and bad files ---


@pytest.fixture
def written(disk, vfs):
    """A closed file with two snapshots: `a` is in both, `b` in the newer one, `c` in neither."""
    file = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    put(file, "a")
    snapshot(file)
    put(file, "b")
    snapshot(file)
    put(file, "c")
    file.close()
    assert {"store.db.snapshot", "store.db.snapshot.prev"} < set(disk.root.names())
    return disk


def test_two_generations_are_kept(disk, vfs):
    file = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    for _ in range(4):
        snapshot(file)
    assert [name for name in disk.root.names() if "snapshot" in name] == ["store.db.snapshot", "store.db.snapshot.prev"]
    file.close()


def test_writes_go_on_while_a_snapshot_is_made(directory):
    file = open_sqlite(directory, "store.db", FIRST)
    for number in range(3):
        put(file, f"item-{number}", body=bytes(5_000_000))
    steps = file.snapshot_steps()
    turns = 0
    for _ in steps:
        put(file, f"between-{turns}")
        turns += 1
    assert turns > 3
    file.close()
    (directory.remove("store.db"), directory.remove("store.db-wal"))
    file = open_sqlite(directory, "store.db", FIRST)
    assert file.origin is Origin.snapshot
    assert list_items(file) == [f"between-{number}" for number in range(turns - 1)] + [
        "item-0",
        "item-1",
        "item-2",
    ] or (list_items(file) == [f"between-{number}" for number in range(turns)] + ["item-0", "item-1", "item-2"])
    file.close()


def test_a_bad_file_gives_way_to_the_newest_snapshot(written, vfs):
    damage(written, "store.db")
    file = open_sqlite(written.root, "store.db", FIRST, vfs=vfs)
    assert file.origin is Origin.snapshot
    assert list_items(file) == ["a", "b"]
    assert written.root.size("store.db.bad")
    put(file, "d")
    file.close()
    file = open_sqlite(written.root, "store.db", FIRST, vfs=vfs)
    assert file.origin is Origin.current
    file.close()


def test_a_bad_snapshot_gives_way_to_the_one_before(written, vfs):
    damage(written, "store.db")
    damage(written, "store.db.snapshot")
    file = open_sqlite(written.root, "store.db", FIRST, vfs=vfs)
    assert file.origin is Origin.snapshot_before
    assert list_items(file) == ["a"]
    file.close()


def test_when_nothing_is_good_the_file_is_lost_and_says_so(written, vfs):
    for name in ("store.db", "store.db.snapshot", "store.db.snapshot.prev"):
        damage(written, name)
    file = open_sqlite(written.root, "store.db", FIRST, vfs=vfs)
    assert file.origin is Origin.lost
    assert list_items(file) == []
    assert written.root.size("store.db.bad")
    file.close()


@pytest.mark.parametrize("size", [0, 100, 4096, 5000])
def test_a_truncated_file_is_restored(written, vfs, size):
    written.truncate(written.find(0, "store.db"), size)
    file = open_sqlite(written.root, "store.db", FIRST, vfs=vfs)
    assert file.origin is Origin.snapshot
    assert list_items(file) == ["a", "b"]
    file.close()


def test_a_missing_file_is_restored(written, vfs):
    written.root.remove("store.db")
    file = open_sqlite(written.root, "store.db", FIRST, vfs=vfs)
    assert file.origin is Origin.snapshot
    file.close()


def test_the_log_of_a_bad_file_is_not_taken_for_that_of_the_restored_one(written, vfs):
    with mounted(written) as other:
        file = open_sqlite(written.root, "store.db", FIRST, vfs=other)
        put(file, "z")
        file.abandon()
    killed = written.after_kill(len(written.operations))
    assert killed.root.size("store.db-wal")
    damage(killed, "store.db")
    damage(killed, "store.db-wal", offset=20)
    with mounted(killed) as vfs:
        file = open_sqlite(killed.root, "store.db", FIRST, vfs=vfs)
        assert list_items(file) == ["a", "b"]
        assert "store.db.bad-wal" in killed.root.names()
        file.close()


def test_foreign_bytes_in_a_good_page_are_found(directory):
    def check(connection):
        for item, body in connection.execute("SELECT id, body FROM item"):
            if body[:8] != record_checksum(item.encode(), body[8:]):
                return f"item {item}"
        return ""

    options = Options(migrations=(make_items,), check_records=check)
    file = open_sqlite(directory, "store.db", options)
    put(file, "a", body=record_checksum(b"a", b"content") + b"content")
    snapshot(file)
    file.write_group([lambda: file.connection.execute("UPDATE item SET body = body || x'00'")])
    file.close()
    file = open_sqlite(directory, "store.db", options)
    assert file.origin is Origin.snapshot
    file.close()


def test_damage_anywhere_is_survived(written, vfs):
    """A flipped run of bytes is found, or it lies where no page is in use: opening always ends with a good file."""
    size = written.root.size("store.db")
    origins = set()
    for offset in [*range(120), *range(120, size - 50, 331)]:
        disk = written.after_kill(len(written.operations))
        damage(disk, "store.db", offset)
        with mounted(disk) as name:
            file = open_sqlite(disk.root, "store.db", FIRST, vfs=name)
            origins.add(file.origin)
            assert file.read(lambda file=file: file.connection.execute("PRAGMA integrity_check").fetchall()) == [
                ("ok",)
            ]
            file.close()
    assert origins == {Origin.current, Origin.snapshot}


def test_a_page_that_cannot_be_read_makes_the_file_a_bad_one(tmp_path, directory):
    file = open_sqlite(directory, "store.db", FIRST)
    put(file, "a", body=bytes(50_000))
    snapshot(file)
    file.close()
    with (tmp_path / "store.db").open("r+b") as stored:
        stored.truncate(30_000)
    file = open_sqlite(directory, "store.db", FIRST)
    assert file.origin is Origin.snapshot
    assert list_items(file) == ["a"]
    file.close()


def test_a_restore_survives_a_cut_at_each_of_its_steps(written, vfs):
    damage(written, "store.db")
    written.sync(written.find(0, "store.db"))
    written.sync_directory(0)
    start = len(written.operations)
    file = open_sqlite(written.root, "store.db", FIRST, vfs=vfs)
    file.close()
    dice = random.Random(1)
    for count in range(start, len(written.operations) + 1):
        for kept in (0.0, 0.5, 1.0):
            cut = written.after_cut(count, lambda _, kept=kept: "kept" if dice.random() < kept else "lost")
            with mounted(cut) as vfs:
                file = open_sqlite(cut.root, "store.db", FIRST, vfs=vfs)
                assert list_items(file) == ["a", "b"]
                assert file.origin in (Origin.snapshot, Origin.current)
                file.close()


def test_what_a_kill_left_in_the_log_is_durable_before_it_is_shown(disk, vfs):
    file = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    start = len(disk.operations)
    put(file, "a")
    (sync,) = [n for n, operation in enumerate(disk.operations) if n >= start and isinstance(operation, Sync)][-1:]
    file.close()
    killed = disk.after_kill(sync)
    with mounted(killed) as other:
        file = open_sqlite(killed.root, "store.db", FIRST, vfs=other)
        shown = list_items(file)
        assert shown == ["a"]
        count = len(killed.operations)
        file.close()
    cut = killed.after_cut(count, lambda _: "lost")
    with mounted(cut) as other:
        again = open_sqlite(cut.root, "store.db", FIRST, vfs=other)
        assert list_items(again) == shown
        again.close()


def test_checksums_tell_parts_apart():
    assert record_checksum(b"ab", b"c") != record_checksum(b"a", b"bc")
    assert len(record_checksum()) == 8


def test_an_abandoned_file_writes_nothing_more(disk, vfs):
    file = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    put(file, "a")
    before = len(disk.operations)
    file.abandon()
    assert len(disk.operations) == before
    again = open_sqlite(disk.root, "store.db", FIRST, vfs=vfs)
    assert list_items(again) == ["a"]
    again.close()
