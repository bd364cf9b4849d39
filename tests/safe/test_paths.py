import os

import pytest

from skerry.safe.errors import UnsafeName
from skerry.safe.paths import RealDirectory, blob_place, component


@pytest.mark.parametrize("name", ["a", "shop-2", "0" * 63, "01J9ZQ8F5V6T7R8S9ABCDEFGHJ"])
def test_names_and_ids_pass(name):
    assert component(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a.b", "-a", "A", "a_b", "a" * 64, "a\n", "a\0", "é", "01j9zq8f5v6t7r8s9abcdefghi\n"]
)
def test_everything_else_is_refused(name):
    with pytest.raises(UnsafeName):
        component(name)


def test_a_blob_lives_under_its_digits():
    digits = "ab" * 32
    assert blob_place(f"sha256:{digits}") == ("sha256", "ab", digits)
    for bad in (digits, f"sha512:{digits}", "sha256:" + "AB" * 32, "sha256:../../x", f"sha256:{digits}\n"):
        with pytest.raises(UnsafeName):
            blob_place(bad)


def test_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    directory = RealDirectory.open_root(tmp_path / "inside")
    (tmp_path / "inside" / "door").symlink_to(outside)
    (tmp_path / "inside" / "file").symlink_to(outside / "secret")
    with pytest.raises(OSError, match="Not a directory"):
        directory.enter("door")
    for call in (directory.open, directory.append, directory.sync_file, directory.lock):
        with pytest.raises(OSError, match="symbolic links"):
            call("file")
    assert directory.size("file") is None
    directory.link("file", "file.prev")
    assert (tmp_path / "inside" / "file.prev").is_symlink()


def test_a_planted_pipe_does_not_hang_the_reader(tmp_path):
    directory = RealDirectory.open_root(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafeName):
        directory.read("pipe", limit=10)


def test_nobody_else_reads_what_we_write(tmp_path):
    directory = RealDirectory.open_root(tmp_path / "state")
    directory.create("record").close()
    directory.enter("below", create=True).close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "record").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state" / "below").stat().st_mode & 0o777 == 0o700


def test_a_moved_directory_keeps_its_handle(tmp_path):
    directory = RealDirectory.open_root(tmp_path / "state").enter("below", create=True)
    (tmp_path / "state" / "below").rename(tmp_path / "elsewhere")
    directory.create("record").close()
    assert (tmp_path / "elsewhere" / "record").exists()
