"""Configs and secrets as files: whole, owned inside the range, gone with their container."""

import datetime
import os
import stat
import zoneinfo
from pathlib import Path

import msgspec
import pytest
from tests.drivers.podman.specs import DIGEST, SPEC

from skerry.drivers.podman.files import FileStage
from skerry.drivers.podman.spec import container_name
from skerry.model.app import FileMount, Further, NodeFile
from skerry.model.ids import digest_of
from skerry.model.instance import InlineFile, InlineFolder, SecretFile
from skerry.model.observed import HooksSeen

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


def test_a_running_container_sees_a_new_version_in_the_file_that_it_has(tmp_path: Path):
    _, (secret, _) = stage(tmp_path).plan_mounts(WITH_FILES, DIGEST)
    followed = msgspec.structs.replace(SECRET, rotate="signal:HUP")
    spec = msgspec.structs.replace(WITH_FILES, secrets=(followed,))
    it = stage(tmp_path)
    it.lay_out(spec, DIGEST, UID)
    assert it.read_told(NAME) == {"till-key": digest_of(b"v1")}
    before = Path(secret).stat()
    stage(tmp_path, b"new").renew(NAME, spec, ("till-key",), UID)
    assert Path(secret).read_bytes() == b"new"
    assert (Path(secret).stat().st_ino, Path(secret).stat().st_mode) == (before.st_ino, before.st_mode)
    it.note_told(NAME, {"till-key": digest_of(b"v2")})
    assert it.read_told(NAME) == {"till-key": digest_of(b"v2")}
    (Path(secret).parent / "told").write_bytes(b"{")
    assert it.read_told(NAME) == {}
    assert it.read_told("nobody") == {}


def test_a_secret_may_be_a_variable_if_it_can(tmp_path: Path):
    spec = msgspec.structs.replace(SPEC, secrets=(msgspec.structs.replace(SECRET, env="KEY"),))
    assert stage(tmp_path).read_variables(spec) == {"KEY": "hush"}
    assert stage(tmp_path).read_variables(WITH_FILES) == {}
    for content in (b"\xff", b"a\0b"):
        with pytest.raises(OSError, match="till-key"):
            stage(tmp_path, content).read_variables(spec)


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


def folder(**files: bytes) -> InlineFolder:
    names = {name.replace("__", "/"): content for name, content in files.items()}
    return InlineFolder(
        "/etc/conf", {name: InlineFile(FileMount(source=name, target=name), x) for name, x in names.items()}
    )


def test_a_folder_is_laid_out_afresh_with_everything_below_it(tmp_path: Path):
    it = stage(tmp_path)
    first = msgspec.structs.replace(WITH_FILES, folders=(folder(a=b"1", sub__b=b"2"),))
    it.lay_out(first, DIGEST, UID)
    (path, target) = it.plan_mounts(first, DIGEST)[2]
    assert target == "/etc/conf"
    assert (Path(path) / "sub" / "b").read_bytes() == b"2"
    status = (Path(path) / "sub").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (UID, 0o755)
    assert stat.S_IMODE((Path(path) / "a").stat().st_mode) == 0o444
    it.lay_out(msgspec.structs.replace(WITH_FILES, folders=(folder(c=b"3"),)), DIGEST, UID)
    assert [item.name for item in Path(path).iterdir()] == ["c"]


@pytest.mark.parametrize("name", ["..", "../x", "/x", "a//b", "a/../b", "", "a\0b", "x" * 256, "a/."])
def test_no_path_leads_out_of_its_folder(tmp_path: Path, name: str):
    inner = InlineFolder("/etc/conf", {name: InlineFile(FileMount(source="x", target=name), b"x")})
    with pytest.raises(OSError, match="no path below"):
        stage(tmp_path).lay_out(msgspec.structs.replace(SPEC, folders=(inner,)), DIGEST, UID)


def test_the_nodes_own_time_is_copied_and_utc_where_it_has_none(tmp_path: Path):
    settings = tmp_path / "etc"
    settings.mkdir()
    (settings / "timezone").write_text("Europe/Oslo\n")
    wanted = Further(
        node_files=(
            NodeFile(kind="localtime", target="/etc/localtime"),
            NodeFile(kind="timezone", target="/etc/timezone"),
        )
    )
    it = FileStage(tmp_path / "files", lambda version: b"", settings)
    spec = msgspec.structs.replace(SPEC, further=wanted)
    it.lay_out(spec, DIGEST, UID)
    (local, inside), (zone, _) = it.plan_mounts(spec, DIGEST)
    assert inside == "/etc/localtime"
    assert Path(zone).read_text() == "Europe/Oslo\n"
    with Path(local).open("rb") as content:
        assert datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo.from_file(content)).tzname() == "UTC"


def test_how_far_commands_have_come_is_remembered_for_one_process(tmp_path: Path) -> None:
    stage = FileStage(tmp_path / "files", lambda _: b"")
    assert stage.read_hooks("c", 5) is None
    stage.note_hooks("c", 5, HooksSeen("begun"))
    assert stage.read_hooks("c", 5) == HooksSeen("begun")
    stage.note_hooks("c", 5, HooksSeen("failed", "why"))
    assert stage.read_hooks("c", 5) == HooksSeen("failed", "why")
    assert stage.read_hooks("c", 6) is None
    (tmp_path / "files" / "c" / "hooks").write_bytes(b"{")
    assert stage.read_hooks("c", 5) is None
    stage.clear("c")
    assert stage.read_hooks("c", 5) is None
