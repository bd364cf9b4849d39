import os
import stat
from pathlib import Path

import pytest

from skerry.model.limits import DEVICES_TOLD_MAX
from skerry.safe.node_paths import find_bind_obstacle, find_devices


def test_device_nodes_are_found_by_patterns_and_nothing_else_is():
    assert find_devices(("/dev/null", "/dev/zer?", "/dev/nosuch", "/dev/shm", "/etc/passwd")) == (
        "/dev/null",
        "/dev/zero",
    )


def test_no_link_counts_as_a_device_and_none_is_followed(tmp_path: Path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "mine").symlink_to("/dev/null")
    (tmp_path / "dev" / "sub").symlink_to("/dev")
    assert find_devices(("/dev/mine", "/dev/*", "/dev/sub/null", "/dev/*/null"), str(tmp_path)) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_their_number_is_bounded(tmp_path: Path):
    (tmp_path / "dev").mkdir()
    for number in range(DEVICES_TOLD_MAX + 5):
        os.mknod(tmp_path / "dev" / f"null{number}", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    assert len(find_devices(("/dev/*",), str(tmp_path))) == DEVICES_TOLD_MAX


def test_a_plain_folder_or_file_may_be_bound(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("x")
    for path in (tmp_path / "a" / "b", tmp_path / "a" / "file", Path("/proc"), Path("/dev")):
        assert find_bind_obstacle(str(path), ()) == ""


def test_links_are_not_followed_wherever_they_stand(tmp_path: Path):
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "last").symlink_to("/etc")
    for path in ("link", "link/inner", "real/last"):
        assert "is a link" in find_bind_obstacle(f"{tmp_path}/{path}", ())


def test_what_is_not_there_is_told(tmp_path: Path):
    assert "No such file" in find_bind_obstacle(f"{tmp_path}/missing/inner", ())
    assert find_bind_obstacle("/etc/../etc", ()) == "/etc/../etc is no plain path"


def test_what_is_kept_is_known_by_its_inode(tmp_path: Path):
    kept = tmp_path / "state" / "keys"
    kept.mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "alias").symlink_to(kept)
    for path in (kept, kept.parent, tmp_path, Path("/")):
        assert "hold" in find_bind_obstacle(str(path), (tmp_path / "alias", kept)), path
    (kept / "inner").mkdir()
    assert "holds what is others'" in find_bind_obstacle(str(kept / "inner"), (kept,))
    assert find_bind_obstacle(str(tmp_path / "other"), (kept,)) == ""
