"""What every `Directory` does: the one of this machine, and the one in memory under simulation and power cuts."""

import pytest

from skerry.safe.errors import StoreLocked, TooLarge, UnsafeName
from skerry.safe.paths import Directory, RealDirectory, descend
from skerry.sim.disk import MemoryDisk


@pytest.fixture(params=["real", "memory"])
def directory(request, tmp_path) -> Directory:
    return RealDirectory.open_root(tmp_path) if request.param == "real" else MemoryDisk().root


def write(directory: Directory, name: str, content: bytes) -> None:
    sink = directory.create(name)
    sink.write(content)
    sink.sync()
    sink.close()


def test_what_was_written_is_read(directory):
    write(directory, "record", b"content")
    assert directory.read("record", limit=7) == b"content"
    assert directory.size("record") == 7
    source = directory.open("record")
    assert source is not None
    assert (source.read(4), source.read(10), source.read(10)) == (b"cont", b"ent", b"")
    source.close()


def test_a_part_is_read_from_any_offset(directory):
    write(directory, "record", b"content")
    assert directory.read_at("record", 3, 2) == b"te"
    assert directory.read_at("record", 5, 10) == b"nt"
    assert directory.read_at("record", 7, 10) == b""
    assert directory.read_at("other", 0, 1) is None


def test_what_is_missing_reads_as_none(directory):
    assert directory.read("record", limit=7) is None
    assert directory.open("record") is None
    assert directory.size("record") is None
    directory.remove("record")
    with pytest.raises(FileNotFoundError):
        directory.enter("below")
    with pytest.raises(FileNotFoundError):
        directory.sync_file("record")
    with pytest.raises(FileNotFoundError):
        directory.rename("record", "other")


def test_a_read_has_a_limit(directory):
    write(directory, "record", b"content")
    with pytest.raises(TooLarge):
        directory.read("record", limit=6)


def test_a_file_is_made_once_and_appended_to_often(directory):
    write(directory, "record", b"one")
    with pytest.raises(FileExistsError):
        directory.create("record")
    for name in ("record", "fresh"):
        sink = directory.append(name)
        sink.write(b"two")
        sink.close()
    assert directory.read("record", limit=10) == b"onetwo"
    assert directory.read("fresh", limit=10) == b"two"


def test_links_and_renames(directory):
    write(directory, "record", b"one")
    directory.link("record", "record.prev")
    with pytest.raises(FileExistsError):
        directory.link("record", "record.prev")
    write(directory, "fresh", b"two")
    directory.rename("fresh", "record")
    assert directory.names() == ["record", "record.prev"]
    assert directory.read("record", limit=10) == b"two"
    assert directory.read("record.prev", limit=10) == b"one"
    directory.remove("record")
    assert directory.names() == ["record.prev"]


def test_directories_are_entered_one_by_one(directory):
    below = directory.enter("a", create=True).enter("b", create=True)
    write(below, "record", b"deep")
    again = descend(directory, "a", "b")
    assert again is not None
    assert again.read("record", limit=10) == b"deep"
    assert descend(directory, "a", "c") is None
    assert descend(directory, "x", "y", create=True) is not None
    assert directory.names() == ["a", "x"]
    assert directory.size("a") is None
    with pytest.raises(NotADirectoryError):
        below.enter("record")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "-a", ".hidden", "a\0", "a b", "a..b", "é", "a" * 70])
def test_no_other_name_reaches_the_disk(directory, name):
    calls = [directory.size, directory.open, directory.create, directory.append, directory.remove, directory.enter]
    calls += [directory.sync_file, directory.lock, directory.path_of, lambda name: directory.read(name, limit=1)]
    calls += [lambda name: directory.link(name, "b"), lambda name: directory.rename("b", name)]
    for call in calls:
        with pytest.raises(UnsafeName):
            call(name)
    assert directory.names() == []


def test_a_lock_is_held_by_one(directory):
    lock = directory.lock("store.lock")
    with pytest.raises(StoreLocked):
        directory.lock("store.lock")
    lock.release()
    directory.lock("store.lock").release()


def test_room_is_reserved(directory):
    sink = directory.create("reserve")
    sink.allocate(5000)
    sink.close()
    assert directory.size("reserve") == 5000
