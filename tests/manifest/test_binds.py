"""What becomes of a bind: configs, volumes, copies of what the node says, or a refusal."""

import pytest
from tests.manifest.texts import accept, read, refuse, service, wrap

from skerry.manifest.values import Rejected
from skerry.model.app import Config, FolderFile, FolderMount, Mount, NodeFile

FILES = {
    "./conf": {"a.conf": b"A", "sub/run.sh": b"B"},
    "./empty": {},
    "./file": b"x",
    "./many": {f"{index}": b"" for index in range(501)},
    "./odd": {"../x": b""},
    "./big": {"a": b"x" * 2**19, "b": b"x" * 2**19, "c": b"x"},
}


def note_of(manifest):
    return next(note for note in manifest.report if note.pointer == "/services/web/volumes/0")


def test_a_folder_becomes_configs_that_are_seen_as_one_folder():
    manifest = accept(wrap("volumes: ['./conf:/etc/conf']"), files=FILES)
    assert manifest.services["web"].further.folders == (
        FolderMount(
            target="/etc/conf",
            files={
                "a.conf": FolderFile(source="./conf/a.conf"),
                "sub/run.sh": FolderFile(source="./conf/sub/run.sh", executable=True),
            },
        ),
    )
    assert manifest.configs == {"./conf/a.conf": Config(content=b"A"), "./conf/sub/run.sh": Config(content=b"B")}
    assert note_of(manifest).detail == "2 configs with the 2 bytes of ./conf, read only"


@pytest.mark.parametrize(
    "source", ["./empty", "./missing", "./missing/", "./initdb.d", "/tmp/data", "/var/tmp/data", "/tmp/a/../data"]
)
def test_a_folder_with_nothing_in_it_becomes_a_volume(source):
    manifest = accept(wrap(f"volumes: ['{source}:/data:ro']"), files=FILES)
    (mount,) = manifest.services["web"].mounts
    assert (mount.kind, mount.target, mount.read_only) == ("volume", "/data", True)
    assert set(manifest.volumes) == {mount.source}
    assert mount.source in note_of(manifest).detail


def test_services_that_bind_one_folder_share_its_volume():
    text = "services: {a: {image: x, volumes: ['./d:/x']}, b: {image: x, volumes: ['./d/:/y']}}"
    manifest = accept(text)
    assert manifest.services["a"].mounts[0].source == manifest.services["b"].mounts[0].source
    assert len(manifest.volumes) == 1


def test_a_path_below_the_own_folder_is_one_beside_the_manifest():
    fields = "volumes: ['$PWD/file:/x', {type: bind, source: '$PWD/conf', target: /y}]"
    web = service(fields, {"PWD": "/srv/app"}, FILES, root="/srv/app")
    assert web.configs[0].source == "./file"
    assert web.further.folders[0].target == "/y"
    assert refuse(fields, {"PWD": "/srv/app"}, FILES, root="/srv/ap") == [
        "E-FIELD-REFUSED volumes/0",
        "E-FIELD-REFUSED volumes/1",
    ]


def test_a_volume_that_is_a_bind_in_disguise():
    top = "volumes: {conf: {driver: local, driver_opts: {type: none, o: bind, device: ./conf}}}"
    manifest = accept(wrap("volumes: ['conf:/etc/conf']", top), files=FILES)
    assert manifest.services["web"].further.folders[0].target == "/etc/conf"
    assert manifest.volumes == {}
    top = "volumes: {conf: {driver_opts: {type: none, o: 'bind', device: /srv}}}"
    assert refuse("volumes: ['conf:/x']", top=top) == ["E-FIELD-REFUSED volumes/0"]


def test_a_volume_in_memory_belongs_to_one_service():
    top = "volumes: {fast: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=8m,mode=0700'}}}"
    manifest = accept(wrap("volumes: ['fast:/x']", top))
    assert manifest.services["web"].mounts == (
        Mount(kind="tmpfs", target="/x", size_bytes=8 << 20, options=("mode=700",)),
    )
    assert manifest.volumes == {}
    text = "services: {a: {image: x, volumes: ['fast:/x']}, b: {image: x, volumes: ['fast:/x']}}\n" + top
    rejected = read(text)
    assert isinstance(rejected, Rejected)
    assert [one.code for one in rejected.problems] == ["E-NOT-YET"]


def test_what_the_node_says_about_time_is_copied():
    web = service("volumes: ['/etc/localtime:/etc/localtime:ro', '/etc/timezone:/etc/timezone:ro']")
    assert web.further.node_files == (
        NodeFile(kind="localtime", target="/etc/localtime"),
        NodeFile(kind="timezone", target="/etc/timezone"),
    )


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        ("'/:/host:ro'", "E-FIELD-REFUSED volumes/0"),
        ("'/var/run/docker.sock:/var/run/docker.sock'", "E-FIELD-REFUSED volumes/0"),
        ("'/tmp/.X11-unix:/tmp/.X11-unix'", "E-FIELD-REFUSED volumes/0"),
        ("'/tmp:/tmp'", "E-FIELD-REFUSED volumes/0"),
        ("'/tmp/../etc:/x'", "E-FIELD-REFUSED volumes/0"),
        ("'~/x:/x'", "E-FIELD-REFUSED volumes/0"),
        ("'./missing.conf:/x.conf'", "E-FIELD-REFUSED volumes/0"),
        ("{type: bind, source: ./missing, target: /x, bind: {create_host_path: false}}", "E-FIELD-REFUSED volumes/0"),
        ("'./many:/x'", "E-LIMIT volumes/0"),
        ("'./big:/x'", "E-LIMIT volumes/0"),
        ("'./odd:/x'", "E-TYPE volumes/0"),
    ],
)
def test_what_is_refused(bind, found):
    assert refuse(f"volumes: [{bind}]", files=FILES) == [found]


def test_a_mount_inside_a_folder_of_configs_needs_a_place_in_it():
    service("volumes: ['./conf:/c', 'v:/c/sub']", files=FILES, top="volumes: {v: }")
    web = service("volumes: ['./conf:/c', './file:/c/file', './file:/c/deep/file']", files=FILES)
    assert set(web.further.folders[0].files) == {"a.conf", "sub/run.sh", "file", "deep/file"}
    assert web.configs == ()
    assert refuse("volumes: ['./conf:/c', 'v:/c/data']", files=FILES, top="volumes: {v: }") == ["E-NOT-YET volumes"]


def test_mounts_of_another_service():
    text = """
        services:
          one: {image: x, volumes: ['a:/a', 'b:/b', './file:/f', './conf:/c'], tmpfs: /t}
          two: {image: x, volumes_from: ['one:ro'], volumes: ['c:/b']}
        volumes: {a: , b: , c: }
        """
    two = accept(text, files=FILES).services["two"]
    assert two.mounts == (
        Mount(kind="volume", source="c", target="/b"),
        Mount(kind="volume", source="a", target="/a", read_only=True),
    )
    assert [one.target for one in two.configs] == ["/f"]
    assert [one.target for one in two.further.folders] == ["/c"]
    assert refuse("volumes_from: [nobody]") == ["E-REFERENCE volumes_from/0"]
    assert refuse("volumes_from: [web]") == ["E-REFERENCE volumes_from/0"]
    assert refuse("volumes_from: ['container:x']") == ["E-FIELD-REFUSED volumes_from/0"]
