import errno

import pytest

from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Sync, Write


def lose(_):
    return "lost"


def keep(_):
    return "kept"


def write(disk, name, content, *, sync=True):
    sink = disk.root.create(name)
    sink.write(content)
    if sync:
        sink.sync()


def test_a_cut_loses_an_entry_whose_directory_was_not_synced():
    disk = MemoryDisk()
    write(disk, "record", b"content")
    count = len(disk.operations)
    assert disk.after_cut(count, lose).root.names() == []
    assert disk.after_cut(count, keep).root.read("record", limit=10) == b"content"
    disk.root.sync()
    assert disk.after_cut(count + 1, lose).root.read("record", limit=10) == b"content"


def test_a_cut_loses_bytes_that_were_not_synced():
    disk = MemoryDisk()
    write(disk, "record", b"content", sync=False)
    disk.root.sync()
    assert disk.after_cut(len(disk.operations), lose).root.read("record", limit=10) == b""


def test_a_directory_that_was_made_is_durable_at_once():
    disk = MemoryDisk()
    disk.root.enter("below", create=True)
    assert disk.after_cut(len(disk.operations), lose).root.names() == ["below"]


def test_a_rename_is_done_or_not_and_never_half():
    disk = MemoryDisk()
    write(disk, "record", b"old")
    write(disk, "fresh", b"new")
    disk.root.sync()
    disk.root.rename("fresh", "record")
    before, after = (disk.after_cut(len(disk.operations), fate).root for fate in (lose, keep))
    assert (before.names(), before.read("record", limit=9)) == (["fresh", "record"], b"old")
    assert (after.names(), after.read("record", limit=9)) == (["record"], b"new")


@pytest.mark.parametrize(("fate", "unit"), [("torn at 512", 512), ("torn at 4096", 4096)])
def test_a_torn_write_breaks_at_the_units_of_the_disk(fate, unit):
    disk = MemoryDisk()
    write(disk, "record", bytes(10_000))
    disk.root.sync()
    disk.write(disk.find(0, "record"), 100, b"x" * 9_000)
    offered, turns = [], []

    def tear(fates):
        offered.append(fates)
        if fate in fates:
            return fate
        turns.append(None)
        return "kept" if len(turns) % 2 else "lost"

    torn = disk.after_cut(len(disk.operations), tear).root.read("record", limit=10_000)
    assert offered[0] == ("lost", "kept", "torn at 512", "torn at 4096")
    pieces = [torn[start : start + unit] for start in range(0, 9_100, unit)]
    assert set(pieces[1]) == {0}
    assert set(pieces[2]) <= {0, ord("x")}
    assert torn[:100] == bytes(100)
    assert torn[100:unit] == b"x" * (unit - 100)


def test_a_write_within_one_unit_is_never_torn():
    disk = MemoryDisk()
    write(disk, "record", b"x" * 512, sync=False)
    disk.root.sync()
    offered = []
    disk.after_cut(len(disk.operations), lambda fates: offered.append(fates) or "kept")
    assert offered == [("lost", "kept")]


def test_a_kill_keeps_everything_and_makes_nothing_certain():
    disk = MemoryDisk()
    write(disk, "record", b"content", sync=False)
    disk.root.lock("store.lock")
    killed = disk.after_kill(len(disk.operations))
    assert killed.root.read("record", limit=10) == b"content"
    killed.root.lock("store.lock")
    assert killed.after_cut(len(killed.operations), lose).root.names() == []


def test_a_cut_disk_can_be_cut_again():
    disk = MemoryDisk()
    write(disk, "one", b"1")
    disk.root.sync()
    cut = disk.after_cut(len(disk.operations), lose)
    write(cut, "two", b"2")
    assert cut.after_cut(0, lose).root.names() == ["one"]
    assert cut.after_cut(len(cut.operations), keep).root.names() == ["one", "two"]
    assert disk.root.names() == ["one"]


def test_what_was_noted_stands_among_the_operations():
    disk = MemoryDisk()
    write(disk, "record", b"content")
    disk.note("told")
    assert disk.operations[-1].what == "told"
    assert disk.bytes_written == 7


def test_the_disk_fails_on_command():
    disk = MemoryDisk()

    def fail(operation):
        if isinstance(operation, Sync):
            raise OSError(errno.EIO, "Input/output error")

    disk.before = fail
    with pytest.raises(OSError, match="Input/output"):
        write(disk, "record", b"content")
    assert isinstance(disk.operations[-1], Write)


def test_the_disk_fills_up_and_has_room_again():
    disk = MemoryDisk()
    disk.capacity = 10
    write(disk, "one", b"x" * 6)
    with pytest.raises(OSError, match="No space") as error:
        write(disk, "two", b"x" * 5)
    assert error.value.errno == errno.ENOSPC
    disk.write(disk.find(0, "one"), 0, b"y" * 6)
    disk.root.remove("one")
    write(disk, "three", b"x" * 10)


def test_forgetting_what_is_certain_changes_no_cut():
    disk = MemoryDisk()
    write(disk, "certain", b"one")
    disk.root.sync()
    write(disk, "entry", b"two")
    disk.write(disk.find(0, "certain"), 0, b"ONE")
    whole = [disk.after_cut(len(disk.operations), fate) for fate in (lose, keep)]
    disk.forget()
    assert len(disk.operations) == 2
    short = [disk.after_cut(len(disk.operations), fate) for fate in (lose, keep)]
    for before, after in zip(whole, short, strict=True):
        assert before.root.names() == after.root.names()
        for name in before.root.names():
            assert before.root.read(name, limit=9) == after.root.read(name, limit=9)
    assert disk.root.read("certain", limit=9) == b"ONE"
