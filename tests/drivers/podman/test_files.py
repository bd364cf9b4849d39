"""Configs and secrets as files: whole, owned inside the range, gone with their container."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from tests.drivers.podman.specs import DIGEST, SPEC

from skerry.drivers.podman.files import FileStage
from skerry.drivers.podman.spec import container_name
from skerry.model.app import FileMount
from skerry.model.ids import digest_of
from skerry.model.instance import InlineFile, SecretFile

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files belong to users of a tenant's range: needs root")

UID = 265_536
BIG = b"x" * 300_000
CONFIG = InlineFile(FileMount(source="conf", target="/etc/app.conf", mode=0o640, uid=33, gid=34), BIG)
SECRET = SecretFile(FileMount(source="key", target="/run/secrets/key", mode=0o4444), "till-key", digest_of(b"v1"))
WITH_FILES = msgspec.structs.replace(SPEC, files=(CONFIG,), secrets=(SECRET,))
NAME = container_name(WITH_FILES, DIGEST)


def stage(tmp_path: Path, secret: bytes = b"hush") -> FileStage:
    return FileStage(tmp_path / "files", lambda version: secret)


def test_files_are_whole_and_belong_to_the_range(tmp_path: Path):
    it = stage(tmp_path)
    mounts = it.plan_mounts(WITH_FILES, DIGEST)
    assert [target for _, target in mounts] == ["/etc/app.conf", "/run/secrets/key"]
    it.lay_out(WITH_FILES, DIGEST, UID)
    config, secret = (Path(path) for path, _ in mounts)
    assert config.read_bytes() == BIG
    assert secret.read_bytes() == b"hush"
    status = config.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (UID + 33, UID + 34, 0o640)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o444
    assert sorted(item.name for item in config.parent.iterdir()) == ["0", "1"]


def test_laying_out_again_replaces_and_outlives_leftovers(tmp_path: Path):
    stage(tmp_path).lay_out(WITH_FILES, DIGEST, UID)
    (tmp_path / "files" / NAME / "1.new").write_text("half")
    stage(tmp_path, b"new").lay_out(WITH_FILES, DIGEST, UID)
    assert (tmp_path / "files" / NAME / "1").read_bytes() == b"new"


def test_an_instance_without_files_leaves_no_directory(tmp_path: Path):
    stage(tmp_path).lay_out(SPEC, DIGEST, UID)
    assert not (tmp_path / "files").exists()


@pytest.mark.parametrize("uid", [-1, 65_536, -UID])
def test_no_file_belongs_to_a_user_beyond_the_range(tmp_path: Path, uid: int):
    mount = FileMount(source="conf", target="/etc/app.conf", uid=uid)
    spec = msgspec.structs.replace(SPEC, files=(InlineFile(mount, b"x"),))
    with pytest.raises(OSError, match="beyond its tenant's range"):
        stage(tmp_path).lay_out(spec, DIGEST, UID)


def test_a_planted_link_is_not_followed(tmp_path: Path):
    (tmp_path / "files" / NAME).mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("0", "0.new"):
        (tmp_path / "files" / NAME / name).symlink_to(victim)
    stage(tmp_path).lay_out(WITH_FILES, DIGEST, UID)
    assert victim.read_text() == "mine"


def test_files_go_with_their_container_and_those_of_lost_ones_at_start(tmp_path: Path):
    it = stage(tmp_path)
    it.sweep(set())
    it.lay_out(WITH_FILES, DIGEST, UID)
    other = msgspec.structs.replace(WITH_FILES, ordinal=1)
    it.lay_out(other, DIGEST, UID)
    it.sweep({NAME})
    assert [item.name for item in (tmp_path / "files").iterdir()] == [NAME]
    it.clear(NAME)
    it.clear(NAME)
    assert list((tmp_path / "files").iterdir()) == []
