import pytest
from tests.manifest.texts import accept, read, refuse, service, wrap

from skerry.manifest.values import SecretNeed
from skerry.model.app import Config, FileMount, Mount, SecretUse
from skerry.model.volume import Volume

FILES = {
    "./a.conf": b"x $A",
    "./run.sh": b"#!/bin/sh",
    "./folder": {},
    "./key": b"\x00\xff",
    "./big": b"x" * (2**20 + 1),
}
TOP = "volumes: {data: , db_data: {labels: {a: b}}}"


@pytest.mark.parametrize(
    ("fields", "mounts"),
    [
        ("volumes: ['data:/d']", (Mount(kind="volume", source="data", target="/d"),)),
        ("volumes: ['data:/d:ro']", (Mount(kind="volume", source="data", target="/d", read_only=True),)),
        ("volumes: ['db_data:/d:rw,z']", (Mount(kind="volume", source="db-data", target="/d"),)),
        ("volumes: [/var/lib/x]", (Mount(kind="volume", source="web-var-lib-x-b4fcb00e", target="/var/lib/x"),)),
        (
            "volumes: [{type: volume, source: data, target: /d, read_only: true}]",
            (Mount(kind="volume", source="data", target="/d", read_only=True),),
        ),
        (
            "volumes: [{type: volume, target: /d, volume: {nocopy: false}}]",
            (Mount(kind="volume", source="web-d-be661837", target="/d"),),
        ),
        (
            "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 64m, mode: 01777}}]",
            (Mount(kind="tmpfs", target="/t", size_bytes=2**26),),
        ),
        ("tmpfs: /t", (Mount(kind="tmpfs", target="/t"),)),
        ("volumes: ['data:/d:nocopy']", (Mount(kind="volume", source="data", target="/d", options=("nocopy",)),)),
        (
            "volumes: [{type: volume, source: data, target: /d, volume: {nocopy: true}}]",
            (Mount(kind="volume", source="data", target="/d", options=("nocopy",)),),
        ),
        (
            "volumes: [{type: tmpfs, target: /t, tmpfs: {mode: 0700}}]",
            (Mount(kind="tmpfs", target="/t", options=("mode=700",)),),
        ),
        (
            "tmpfs: ['/t:size=16M,mode=1777,nosuid', /u]",
            (Mount(kind="tmpfs", target="/t", size_bytes=2**24), Mount(kind="tmpfs", target="/u")),
        ),
    ],
)
def test_mounts(fields, mounts):
    assert service(fields, top=TOP).mounts == mounts


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("volumes: ['nowhere:/d']", "E-REFERENCE volumes/0"),
        ("volumes: [data]", "E-TYPE volumes/0"),
        ("volumes: ['data:d']", "E-TYPE volumes/0"),
        ("volumes: ['data:/d/../e']", "E-TYPE volumes/0"),
        ("volumes: ['data:/d:rx']", "E-TYPE volumes/0"),
        ("volumes: ['data:/d:ro:z']", "E-TYPE volumes/0"),
        ("volumes: ['data:/d', 'db_data:/d/']", "E-CONFLICT volumes/1"),
        ("volumes: ['data:/d']\ntmpfs: /d", "E-CONFLICT tmpfs"),
        ("volumes: ['~/x:/x']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['C:\\x:/x']", "E-FIELD-REFUSED volumes/0"),
        ("volumes: ['./big:/x']", "E-LIMIT volumes/0"),
        ("volumes: [{type: bind, source: /x, target: /x}]", "E-FIELD-REFUSED volumes/0"),
        ("volumes: [{type: image, source: x, target: /x}]", "E-FIELD-REFUSED volumes/0"),
        ("volumes: [{type: npipe, source: x, target: /x}]", "E-FIELD-REFUSED volumes/0"),
        ("volumes: [{type: cluster, source: x, target: /x}]", "E-FIELD-REFUSED volumes/0"),
        ("volumes: [{type: volume, source: data}]", "E-TYPE volumes/0"),
        ("tmpfs: ['/t:dev']", "E-NOT-YET tmpfs/0"),
        ("tmpfs: ['/t:uid=33']", "E-NOT-YET tmpfs/0"),
        ("tmpfs: ['/t:size=big']", "E-TYPE tmpfs/0"),
        ("configs: [nowhere]", "E-REFERENCE configs/0"),
        ("secrets: [nowhere]", "E-REFERENCE secrets/0"),
        ("secrets: [{target: x}]", "E-TYPE secrets/0"),
        ("configs: [{source: c, uid: root}]", "E-TYPE configs/0/uid"),
        ("configs: [{source: c, mode: rw}]", "E-TYPE configs/0/mode"),
    ],
)
def test_what_is_refused(fields, found):
    assert refuse(fields, files=FILES, top=TOP + "\nconfigs: {c: {content: x}}") == [found]


def test_a_bound_file_becomes_a_config():
    fields = "volumes: ['./a.conf:/etc/a.conf:ro', {type: bind, source: ./run.sh, target: /run.sh}]"
    manifest = accept(wrap(fields), files=FILES)
    assert manifest.configs == {"./a.conf": Config(content=b"x $A"), "./run.sh": Config(content=b"#!/bin/sh")}
    assert manifest.services["web"].configs == (
        FileMount(source="./a.conf", target="/etc/a.conf"),
        FileMount(source="./run.sh", target="/run.sh", mode=0o555),
    )
    note = next(note for note in manifest.report if note.pointer == "/services/web/volumes/0")
    assert (note.verdict, note.detail) == ("translated", "a config with the 4 bytes of ./a.conf, read only")


def test_volumes_of_the_app():
    manifest = accept(wrap("volumes: [/x]", TOP))
    assert manifest.volumes == {"data": Volume(), "db-data": Volume(labels={"a": "b"}), "web-x-69eee132": Volume()}


def test_an_unnamed_volume_is_found_again_and_never_taken_for_another():
    long = "/" + "x" * 70
    targets = ("/a/b", "/a-b", "/a_b", "/A/b", long, long + "y")
    names = [service(f"volumes: ['{target}']").mounts[0].source for target in (*targets, "/a//b/")]
    assert len(set(names)) == len(targets)
    assert names[-1] == names[0]
    assert refuse("volumes: [/x]", top="volumes: {web-x-69eee132: }") == ["E-CONFLICT volumes/0"]


def test_names_that_would_be_one_are_refused():
    assert refuse("", top="volumes: {a_b: , a-b: }") == ["E-CONFLICT /volumes/a-b"]
    assert refuse("", top="volumes: {__: }") == ["E-TYPE /volumes/__"]
    assert refuse("", top="volumes: {a: {name: x}, b: {name: x}}") == ["E-CONFLICT /volumes/b/name"]


@pytest.mark.parametrize(
    ("config", "result"),
    [
        ("{content: 'a $$b'}", Config(content=b"a $b")),
        ("{content: '${SKERRY_SITE} $$b'}", Config(content=b"${SKERRY_SITE} $$b", expand=True)),
        ("{file: ./a.conf}", Config(content=b"x $A")),
        ("{environment: GIVEN}", Config(content=b"v$")),
    ],
)
def test_configs(config, result):
    manifest = accept(wrap("configs: [c]", f"configs: {{c: {config}}}"), {"GIVEN": "v$"}, FILES)
    assert manifest.configs == {"c": result}
    assert manifest.services["web"].configs == (FileMount(source="c", target="/c"),)


def test_where_files_are_shown():
    fields = """
        configs: [{source: c, target: /etc/c, uid: '5', gid: '6', mode: 0440}]
        secrets: [s, {source: s, target: t, mode: '0400'}]
        """
    web = service(fields, top="configs: {c: {content: x}}\nsecrets: {s: {external: true}}")
    assert web.configs == (FileMount(source="c", target="/etc/c", uid=5, gid=6, mode=0o440),)
    assert web.secrets == (
        FileMount(source="s", target="/run/secrets/s"),
        FileMount(source="s", target="/run/secrets/t", mode=0o400),
    )


@pytest.mark.parametrize(
    ("secret", "use", "need"),
    [
        ("{external: true}", "s", SecretNeed(name="s", origin="external")),
        ("{external: true, name: till-key}", "till-key", SecretNeed(name="till-key", origin="external")),
        ("{external: {name: till-key}}", "till-key", SecretNeed(name="till-key", origin="external")),
        ("{file: ./key}", "app-s-7edebfd5", SecretNeed(name="app-s-7edebfd5", origin="file", value=b"\x00\xff")),
        ("{environment: GIVEN}", "app-s-7edebfd5", SecretNeed(name="app-s-7edebfd5", origin="environment", value=b"v")),
    ],
)
def test_secrets_go_beside_the_manifest(secret, use, need):
    manifest = accept(wrap("secrets: [s]", f"secrets: {{s: {secret}}}"), {"GIVEN": "v"}, FILES)
    assert manifest.secrets == {"s": SecretUse(name=use)}
    assert manifest.secrets_needed == (need,)
    assert b"\xff" not in repr(manifest).encode()
    assert "value" not in repr(need)


@pytest.mark.parametrize(
    ("top", "found"),
    [
        ("secrets: {s: {}}", "E-TYPE /secrets/s"),
        ("secrets: {s: {file: a, environment: B}}", "E-CONFLICT /secrets/s"),
        ("secrets: {s: {file: ./folder}}", "E-REFERENCE /secrets/s/file"),
        ("secrets: {s: {file: ./big}}", "E-LIMIT /secrets/s"),
        ("secrets: {s: {environment: NO}}", "E-INTERPOLATION /secrets/s/environment"),
        ("secrets: {s: {external: true, name: Till_Key}}", "E-TYPE /secrets/s/name"),
        ("secrets: {s: {external: false}}", "E-TYPE /secrets/s"),
    ],
)
def test_secrets_that_hold_nothing(top, found):
    assert refuse("secrets: [s]", files=FILES, top=top) == [found]


@pytest.mark.parametrize(
    ("top", "found"),
    [
        ("configs: {c: {}}", "E-TYPE /configs/c"),
        ("configs: {c: {content: a, file: b}}", "E-CONFLICT /configs/c"),
        ("configs: {c: {file: ./none}}", "E-REFERENCE /configs/c/file"),
        ("configs: {c: {file: ./big}}", "E-LIMIT /configs/c/file"),
        ("configs: {c: {environment: NO}}", "E-INTERPOLATION /configs/c/environment"),
        ("configs: {c: {content: '$NO'}}", "E-INTERPOLATION /configs/c/content"),
    ],
)
def test_configs_that_hold_nothing(top, found):
    assert refuse("configs: [c]", files=FILES, top=top) == [found]


def test_what_nobody_uses_need_not_be_there():
    accept(wrap("", "secrets: {s: {file: ./none}}\nconfigs: {c: {file: ./none}}"))


def test_a_missing_file_is_told_once():
    text = "services: {a: {image: x, secrets: [s]}, b: {image: x, secrets: [s]}}\nsecrets: {s: {file: ./none}}"
    assert len(read(text).problems) == 1


def test_labels_that_a_mount_gives_are_those_of_its_volume():
    mount = "{type: volume, source: SOURCE, target: /a, volume: {labels: {a: '1', b: '2'}}}"
    named = accept(wrap(f"volumes: [{mount.replace('SOURCE', 'v')}]", "volumes: {v: {labels: {b: '3'}}}"))
    assert named.volumes["v"].labels == {"a": "1", "b": "3"}
    unnamed = accept(wrap(f"volumes: [{mount.replace('source: SOURCE, ', '')}]"))
    assert [volume.labels for volume in unnamed.volumes.values()] == [{"a": "1", "b": "2"}]


def test_parts_of_a_volume_are_volumes_of_their_own_where_nothing_sees_the_whole():
    fields = """
        volumes:
          - {type: volume, source: v, target: /a, volume: {subpath: uploads/images}}
          - {type: volume, source: v, target: /b, volume: {subpath: mail}}
        """
    web = service(fields, top="volumes: {v: }")
    sources = [mount.source for mount in web.mounts]
    assert all(source.startswith(("v-uploads-images-", "v-mail-")) for source in sources)
    assert len(set(sources)) == 2
    whole = fields.rstrip() + "\n          - v:/whole"
    assert refuse(whole, top="volumes: {v: }")[0].startswith("E-FIELD-REFUSED volumes/")
    nested = fields.replace("mail", "uploads")
    assert refuse(nested, top="volumes: {v: }")[0].startswith("E-FIELD-REFUSED volumes/")
    for odd in ("../x", "a/../b", "a//b"):
        found = refuse(fields.replace("mail", odd), top="volumes: {v: }")
        assert found == ["E-TYPE volumes/1/volume/subpath"]
