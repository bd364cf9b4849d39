"""The layer and layout writer, on entries made by hand: no root, no network, no Debian."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.images import oci

HELLO = oci.data_file("srv/hello", b"hello\n", 0o640, 33, 33)


def write(
    path: Path, entries: Sequence[oci.Entry], below: oci.Layer | None = None, gone: Sequence[str] = ()
) -> oci.Layer:
    return oci.write_layer(path, entries, below.index if below else {}, gone)


def members(layer: oci.Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.path) as archive:
        return {member.name: member for member in archive}


def blob(layout: Path, descriptor: dict[str, Any]) -> bytes:
    algorithm, _, digest = descriptor["digest"].partition(":")
    content = (layout / "blobs" / algorithm / digest).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    assert len(content) == descriptor["size"]
    return content


def a_tar(*named: tuple[tarfile.TarInfo, bytes]) -> tarfile.TarFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in named:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


def a_member(name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, linkname
    return member


def test_a_layer_keeps_modes_owners_and_links(tmp_path: Path) -> None:
    found = members(write(tmp_path / "layer", [HELLO, oci.symlink("srv/link", "hello"), oci.directory("tmp", 0o1777)]))
    assert list(found) == ["srv", "srv/hello", "srv/link", "tmp"]
    assert (found["srv/hello"].mode, found["srv/hello"].uid, found["srv/hello"].gid) == (0o640, 33, 33)
    assert found["srv/link"].linkname == "hello"
    assert found["tmp"].mode == 0o1777
    assert {member.mtime for member in found.values()} == {oci.EPOCH}


def test_a_layers_digest_is_that_of_its_bytes_and_does_not_depend_on_order(tmp_path: Path) -> None:
    entries = [HELLO, oci.directory("a"), oci.data_file("a/b", b"x" * 100_000)]
    one, two = write(tmp_path / "one", entries), write(tmp_path / "two", entries[::-1])
    content = one.path.read_bytes()
    assert one.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert one.size == len(content)
    assert content == two.path.read_bytes()


def test_a_folder_above_is_written_as_the_layer_below_has_it(tmp_path: Path) -> None:
    below = write(tmp_path / "below", [oci.directory("var"), oci.directory("var/data", 0o700, 999, 999)])
    above = members(write(tmp_path / "above", [oci.data_file("var/data/own", b"")], below))
    assert (above["var/data"].mode, above["var/data"].uid) == (0o700, 999)


def test_nothing_is_written_through_a_link_to_a_folder(tmp_path: Path) -> None:
    below = write(tmp_path / "below", [oci.symlink("bin", "usr/bin")])
    with pytest.raises(ValueError, match="bin/tool lies under bin, which is a symlink"):
        write(tmp_path / "above", [oci.data_file("bin/tool", b"")], below)


def test_only_what_differs_from_the_layer_below_is_written(tmp_path: Path) -> None:
    old = [oci.directory("etc"), oci.data_file("etc/same", b"1"), oci.data_file("etc/changed", b"1")]
    below = write(tmp_path / "below", [*old, oci.data_file("etc/closed", b"1", 0o644), HELLO])
    wanted = [*old[:2], oci.data_file("etc/changed", b"2"), oci.data_file("etc/closed", b"1", 0o600)]
    differing, gone = oci.changes(wanted, below.index)
    assert {entry.name for entry in differing} == {"etc/changed", "etc/closed"}
    assert gone == ["srv"]  # and with it srv/hello
    above = write(tmp_path / "above", differing, below, gone)
    assert list(members(above)) == [".wh.srv", "etc", "etc/changed", "etc/closed"]
    assert set(above.index) == {"etc", "etc/same", "etc/changed", "etc/closed"}
    assert oci.changes(wanted, above.index) == ([], [])


def test_a_folder_that_becomes_a_link_takes_its_content_away(tmp_path: Path) -> None:
    below = write(tmp_path / "below", [HELLO])
    wanted = [oci.symlink("srv", "usr/srv")]
    differing, gone = oci.changes(wanted, below.index)
    above = write(tmp_path / "above", differing, below, gone)
    assert list(members(above)) == ["srv"]
    assert set(above.index) == {"srv"}


def test_a_system_tree_is_read_without_what_a_container_cannot_have() -> None:
    link = a_member("./srv/twin", tarfile.LNKTYPE, "./srv/hello")
    archive = a_tar(
        (a_member("./"), b""),
        (a_member("./srv", tarfile.DIRTYPE), b""),
        (a_member("./srv/hello"), b"hello\n"),
        (link, b""),
        (a_member("./dev/sda", tarfile.BLKTYPE), b""),
        (a_member("./srv/pipe", tarfile.FIFOTYPE), b""),
        (a_member("./usr/share/man/x"), b"long"),
    )
    entries = oci.entries_of(archive, lambda name: not name.startswith("usr/share/man"))
    assert [(entry.name, entry.kind) for entry in entries] == [
        ("srv", "dir"),
        ("srv/hello", "file"),
        ("srv/twin", "file"),
    ]
    twin = entries[2]
    assert twin.open is not None
    assert twin.open().read() == b"hello\n"


@pytest.mark.parametrize("name", ["", "/etc", "etc/", "a//b", "../up", "a/../b", "./a"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        oci.directory(name)


def test_a_folder_of_the_checkout_keeps_only_the_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name, mode in (("bin/run", 0o700), ("bin/read", 0o600)):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(mode)
    (tmp_path / "bin/link").symlink_to("run")
    entries = {entry.name: entry for entry in oci.tree_from(tmp_path, "opt/ours")}
    assert {name: entry.mode for name, entry in entries.items() if entry.kind == "file"} == {
        "opt/ours/bin/run": 0o755,
        "opt/ours/bin/read": 0o644,
    }
    assert entries["opt/ours/bin/link"].target == "run"


def test_a_layout_names_every_blob_by_its_content(tmp_path: Path) -> None:
    layers = [write(tmp_path / "base", [oci.directory("srv")])]
    layers.append(write(tmp_path / "own", [HELLO], layers[0]))
    config = oci.image_config(layers=layers, architecture="amd64", settings={"Cmd": ["cat"]}, note="a test")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").write_text("from an earlier build")
    layout = oci.write_layout(tmp_path / "out", "docker.io/library/hello:1", config, layers)
    assert sorted(path.name for path in layout.iterdir()) == ["blobs", "index.json", "oci-layout"]
    (described,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert described["annotations"] == {"org.opencontainers.image.ref.name": "docker.io/library/hello:1"}
    manifest = json.loads(blob(layout, described))
    assert [layer["mediaType"] for layer in manifest["layers"]] == [oci.LAYER_TYPE] * 2
    told = json.loads(blob(layout, manifest["config"]))
    assert told["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert told["config"] == {"Cmd": ["cat"]}
    assert [blob(layout, layer) for layer in manifest["layers"]] == [layer.path.read_bytes() for layer in layers]
    assert len(list((layout / "blobs" / "sha256").iterdir())) == 4


def test_a_layout_takes_no_second_copy_of_a_layer(tmp_path: Path) -> None:
    layer = write(tmp_path / "layer", [HELLO])
    config = oci.image_config(layers=[layer], architecture="amd64", settings={}, note="")
    layout = oci.write_layout(tmp_path / "out", "hello:1", config, [layer])
    assert layer.path.samefile(layout / "blobs/sha256" / layer.digest.removeprefix("sha256:"))


def test_an_archive_is_the_layout_in_one_file(tmp_path: Path) -> None:
    layer = write(tmp_path / "layer", [HELLO])
    config = oci.image_config(layers=[layer], architecture="amd64", settings={}, note="")
    layout = oci.write_layout(tmp_path / "out", "hello:1", config, [layer])
    archive_path = oci.write_archive(layout, tmp_path / "archive.tar")
    with tarfile.open(archive_path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
        assert {name: stream.read() for name, stream in files.items() if stream} == {
            path.relative_to(layout).as_posix(): path.read_bytes() for path in layout.rglob("*") if path.is_file()
        }
