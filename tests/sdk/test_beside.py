"""Files and folders beside a manifest: read from its own folder and from nowhere else, with limits."""

from pathlib import Path

import pytest

from skerry.manifest.values import FileRead, FolderRead, Unreadable
from skerry.model.limits import FOLDER_FILES_MAX, INLINE_BYTES_MAX
from skerry.sdk.beside import read_beside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "app"
    (inner / "conf" / "sub").mkdir(parents=True)
    (inner / "empty").mkdir()
    (inner / "conf" / "a.conf").write_bytes(b"A")
    (inner / "conf" / "sub" / "run.sh").write_bytes(b"B")
    (inner / "conf" / "sub" / "run.sh").chmod(0o755)
    (tmp_path / "key").write_bytes(b"secret")
    return inner


def test_a_file_and_a_folder(folder: Path):
    read = read_beside(folder)
    assert read("./conf/a.conf") == FileRead(b"A")
    assert read("conf/") == FolderRead({"a.conf": FileRead(b"A"), "sub/run.sh": FileRead(b"B", is_executable=True)})
    assert read("empty") == FolderRead({})
    assert read(str(folder / "conf" / "a.conf")) == FileRead(b"A")


def test_what_is_not_there_is_told_apart_from_what_cannot_be_read(folder: Path):
    read = read_beside(folder)
    assert read("nothing") == Unreadable("does not exist", is_missing=True)
    assert isinstance(read("conf/a.conf/x"), Unreadable)
    assert isinstance(read("a\0b"), Unreadable)


@pytest.mark.parametrize("path", ["../key", "conf/../../key", "/etc/passwd", "link", "conf/link"])
def test_nothing_outside_is_read(folder: Path, path: str):
    (folder / "link").symlink_to(folder.parent / "key")
    (folder / "conf" / "link").symlink_to(folder.parent)
    found = read_beside(folder)(path)
    assert isinstance(found, Unreadable)
    assert found.reason == "leads out of the folder of the manifest"


def test_a_folder_with_a_way_out_is_not_read_at_all(folder: Path):
    (folder / "conf" / "zlink").symlink_to(folder.parent / "key")
    found = read_beside(folder)("conf")
    assert isinstance(found, Unreadable)
    assert found.reason.startswith("holds zlink, which leads out")


def test_a_link_inside_is_what_it_names(folder: Path):
    (folder / "conf" / "copy").symlink_to("a.conf")
    found = read_beside(folder)("conf")
    assert isinstance(found, FolderRead)
    assert found.files["copy"] == FileRead(b"A")


def test_no_more_is_read_than_is_needed_to_say_that_it_is_too_much(folder: Path):
    (folder / "big").mkdir()
    for index in range(5):
        (folder / "big" / str(index)).write_bytes(b"x" * (INLINE_BYTES_MAX // 2))
    found = read_beside(folder)("big")
    assert isinstance(found, FolderRead)
    assert sum(len(file.content) for file in found.files.values()) == INLINE_BYTES_MAX + 1
    (folder / "many").mkdir()
    for index in range(FOLDER_FILES_MAX + 9):
        (folder / "many" / str(index)).touch()
    found = read_beside(folder)("many")
    assert isinstance(found, FolderRead)
    assert len(found.files) == FOLDER_FILES_MAX + 1
