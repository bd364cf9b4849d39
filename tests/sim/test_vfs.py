import apsw
import pytest

from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Create, Remove, Sync, SyncDirectory, Write
from skerry.sim.vfs import mounted


def work(disk):
    with mounted(disk) as vfs:
        connection = apsw.Connection("/store.db", vfs=vfs)
        connection.pragma("locking_mode", "EXCLUSIVE")
        assert connection.pragma("journal_mode", "WAL") == "wal"
        connection.execute("CREATE TABLE item (id TEXT, body BLOB)")
        for number in range(10):
            connection.execute("INSERT INTO item VALUES (?, zeroblob(3000))", (f"{number}",))
        connection.close()


def test_sqlite_lives_on_the_disk():
    disk = MemoryDisk()
    work(disk)
    assert disk.root.names() == ["store.db"]
    with mounted(disk) as vfs:
        connection = apsw.Connection("/store.db", vfs=vfs, flags=apsw.SQLITE_OPEN_READWRITE)
        connection.pragma("locking_mode", "EXCLUSIVE")
        assert connection.execute("SELECT count(*) FROM item").get == 10
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        connection.close()


def test_every_step_is_on_the_list():
    disk = MemoryDisk()
    work(disk)
    kinds = {type(operation) for operation in disk.operations}
    assert {Create, Write, Sync, SyncDirectory, Remove} <= kinds


def test_the_entry_of_a_new_log_is_synced_with_it():
    disk = MemoryDisk()
    work(disk)
    (made,) = [n for n, o in enumerate(disk.operations) if isinstance(o, Create) and o.name == "store.db-wal"]
    log = disk.operations[made].file
    first = next(n for n, o in enumerate(disk.operations) if isinstance(o, Sync) and o.file == log)
    assert isinstance(disk.operations[first + 1], SyncDirectory)


def test_the_same_work_gives_the_same_operations_but_for_salts():
    disks = [MemoryDisk(), MemoryDisk()]
    shapes = []
    for disk in disks:
        work(disk)
        shapes.append([(type(o), getattr(o, "file", 0), len(getattr(o, "content", b""))) for o in disk.operations])
    assert shapes[0] == shapes[1]


def test_a_file_below_a_directory_is_found():
    disk = MemoryDisk()
    below = disk.root.enter("state", create=True)
    with mounted(disk) as vfs:
        connection = apsw.Connection(below.path_of("store.db"), vfs=vfs)
        connection.execute("CREATE TABLE item (id)")
        connection.close()
    assert below.names() == ["store.db"]


def test_a_missing_file_is_not_made_by_a_reader():
    with mounted(MemoryDisk()) as vfs:
        connection = None
        with pytest.raises(apsw.CantOpenError):
            connection = apsw.Connection("/store.db", vfs=vfs, flags=apsw.SQLITE_OPEN_READONLY)
        assert connection is None


def test_the_vfs_is_gone_afterwards():
    with mounted(MemoryDisk()) as vfs:
        assert vfs in apsw.vfs_names()
    assert vfs not in apsw.vfs_names()
