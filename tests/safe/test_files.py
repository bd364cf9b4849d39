import errno

import pytest

from skerry.safe.errors import StoreFailed, StoreFull, TooLarge
from skerry.safe.files import Durable, Reserve, frame, read_durable, remove_durable, settle, unframe, write_durable
from skerry.safe.paths import RealDirectory
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Create, Rename, Sync, SyncDirectory, Write


@pytest.fixture
def disk():
    return MemoryDisk()


def read(disk):
    return read_durable(disk.root, "record", limit=100)


def damage(disk, name, offset=-1):
    file = disk.find(0, name)
    where = offset % disk.length(file)
    disk.write(file, where, bytes([disk.content(file, where, 1)[0] ^ 1]))


def test_the_protocol_is_the_one_of_the_page(disk):
    write_durable(disk.root, "record", b"one")
    start = len(disk.operations)
    write_durable(disk.root, "record", b"two")
    assert [type(operation).__name__ for operation in disk.operations[start:]] == [
        "Create",
        "Write",
        "Sync",
        "Link",
        "Rename",
        "SyncDirectory",
    ]
    start = len(disk.operations)
    write_durable(disk.root, "record", b"three")
    assert [type(operation).__name__ for operation in disk.operations[start:]][3:5] == ["Remove", "Link"]


def test_the_newest_version_is_read(disk):
    assert read(disk) is None
    for content in (b"one", b"", b"three"):
        write_durable(disk.root, "record", content)
        assert read(disk) == Durable(content, previous=False)
    assert disk.root.names() == ["record", "record.prev"]


@pytest.mark.parametrize("offset", [0, 14, 20, -1])
def test_a_bad_version_falls_back_to_the_one_before(disk, offset):
    write_durable(disk.root, "record", b"one")
    write_durable(disk.root, "record", b"two")
    damage(disk, "record", offset)
    assert read(disk) == Durable(b"one", previous=True)


@pytest.mark.parametrize("size", [0, 5, 80, 83])
def test_a_truncated_version_falls_back_to_the_one_before(disk, size):
    write_durable(disk.root, "record", b"one")
    write_durable(disk.root, "record", b"two")
    disk.truncate(disk.find(0, "record"), size)
    assert read(disk) == Durable(b"one", previous=True)


def test_a_bad_pair_counts_as_absent(disk):
    write_durable(disk.root, "record", b"one")
    write_durable(disk.root, "record", b"two")
    damage(disk, "record")
    damage(disk, "record.prev")
    assert read(disk) is None


def test_a_bad_version_does_not_push_out_the_good_one_before(disk):
    write_durable(disk.root, "record", b"one")
    write_durable(disk.root, "record", b"two")
    damage(disk, "record")
    write_durable(disk.root, "record", b"three")
    damage(disk, "record")
    assert read(disk) == Durable(b"one", previous=True)


def test_what_is_longer_than_asked_for_is_refused(disk):
    write_durable(disk.root, "record", b"x" * 101)
    with pytest.raises(TooLarge):
        read(disk)


@pytest.mark.parametrize("content", [b"", b"one", b"two\nlines", b"x" * 5000])
def test_the_header_finds_every_flipped_bit_and_every_cut(content):
    stored = frame(content)
    assert unframe(stored) == content
    for position in range(0, len(stored), max(1, len(stored) // 200)):
        flipped = bytearray(stored)
        flipped[position] ^= 4
        assert unframe(bytes(flipped)) is None
        assert unframe(stored[:position]) is None
    assert unframe(stored + b"x") is None


@pytest.mark.parametrize("kind", [Create, Write, Sync, Rename, SyncDirectory])
def test_a_failing_disk_is_reported_and_leaves_old_or_new(disk, kind):
    write_durable(disk.root, "record", b"one")

    def fail(operation):
        if isinstance(operation, kind):
            raise OSError(errno.EIO, "Input/output error")

    disk.before = fail
    with pytest.raises(StoreFailed, match="Input/output error"):
        write_durable(disk.root, "record", b"two")
    disk.before = lambda _: None
    assert read(disk).content in ((b"two",) if kind is SyncDirectory else (b"one",))
    settle(disk.root)
    assert not [name for name in disk.root.names() if ".new." in name]


def test_a_full_disk_changes_nothing(disk):
    write_durable(disk.root, "record", b"one")
    disk.capacity = 150
    with pytest.raises(StoreFull):
        write_durable(disk.root, "record", b"two" * 100)
    assert disk.root.names() == ["record"]
    assert read(disk).content == b"one"


def test_leftovers_are_cleaned_at_start(disk):
    for name in ("record.new.1", "record.new.7", "other.new.1", "record", "new"):
        disk.root.create(name)
    assert settle(disk.root, "record.") == ["record.new.1", "record.new.7"]
    assert disk.root.names() == ["new", "other.new.1", "record"]
    assert settle(disk.root) == ["other.new.1"]


def test_a_leftover_is_not_in_the_way(disk):
    disk.root.create("record.new.1")
    write_durable(disk.root, "record", b"one")
    assert read(disk).content == b"one"
    for number in range(1, 17):
        disk.root.append(f"record.new.{number}")
    with pytest.raises(StoreFailed, match="unfinished"):
        write_durable(disk.root, "record", b"two")


def test_what_is_removed_does_not_come_back(disk):
    write_durable(disk.root, "record", b"one")
    write_durable(disk.root, "record", b"two")
    remove_durable(disk.root, "record")
    assert disk.root.names() == []
    remove_durable(disk.root, "record")


def test_the_reserve_is_given_up_and_taken_again(disk):
    reserve = Reserve(disk.root, 1000)
    disk.capacity = 1500
    assert reserve.hold()
    assert reserve.held
    with pytest.raises(StoreFull):
        write_durable(disk.root, "record", b"x" * 1000)
    assert reserve.release()
    write_durable(disk.root, "record", b"x" * 1000)
    assert not reserve.hold()
    assert not reserve.held
    assert not reserve.release()
    remove_durable(disk.root, "record")
    assert reserve.hold()


def test_on_this_machine(tmp_path):
    directory = RealDirectory.open_root(tmp_path)
    for content in (b"one", b"two", b"three"):
        write_durable(directory, "record", content)
    assert read_durable(directory, "record", limit=10) == Durable(b"three", previous=False)
    (tmp_path / "record").write_bytes(b"")
    assert read_durable(directory, "record", limit=10) == Durable(b"two", previous=True)
    reserve = Reserve(directory, 1 << 20)
    assert reserve.hold()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1 << 20
    assert reserve.release()
