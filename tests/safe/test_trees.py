"""Sizes of a tree: every entry once, no link followed, an end to folders within folders."""

from pathlib import Path

import pytest

from skerry.safe import trees
from skerry.safe.trees import walk_sizes


def test_every_entry_counts_its_blocks_and_a_link_only_itself(tmp_path: Path):
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below/file").write_bytes(b"x" * 100_000)
    with (tree / "hollow").open("wb") as hollow:
        hollow.truncate(1 << 30)
    (tmp_path / "elsewhere").write_bytes(b"x" * 5_000_000)
    (tree / "link").symlink_to(tmp_path / "elsewhere")
    (tree / "loop").symlink_to(tree)
    sizes = list(walk_sizes(str(tree)))
    assert len(sizes) == 6
    assert 100_000 <= sum(sizes) < 400_000


def count_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_folders_have_an_end_and_no_descriptor_stays_open(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(trees, "DEPTH_MAX", 3)
    deep = tmp_path
    for _ in range(10):
        deep /= "d"
        deep.mkdir()
    held = count_open()
    assert len(list(walk_sizes(str(tmp_path)))) == 4
    walk = walk_sizes(str(tmp_path))
    next(walk)
    next(walk)
    walk.close()
    assert count_open() == held


def test_what_changes_under_the_walk_is_passed_over_and_what_is_no_folder_is_said(tmp_path: Path):
    for name in "abc":
        (tmp_path / name).mkdir()
    walk = walk_sizes(str(tmp_path))
    next(walk)
    next(walk)
    for name in "abc":
        (tmp_path / name).rmdir()
        (tmp_path / name).symlink_to("/")
    assert len(list(walk)) <= 3
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match="link"):
        list(walk_sizes(str(tmp_path / "link")))
