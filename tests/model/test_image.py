import msgspec
import pytest

from skerry.model.errors import Invalid
from skerry.model.ids import digest_of
from skerry.model.image import (
    CONFIG_TYPE,
    DOCUMENT_BYTES_MAX,
    LAYER_TYPE,
    MANIFEST_TYPE,
    check_own,
    make_manifest,
    read_manifest,
)


def config(*layers, **words):
    found = {"architecture": "amd64", "rootfs": {"diff_ids": [digest_of(layer) for layer in layers]}}
    return msgspec.json.encode(found | words)


def manifest(**words):
    layer = {"mediaType": LAYER_TYPE, "digest": digest_of(b"l"), "size": 1}
    part = {"mediaType": CONFIG_TYPE, "digest": digest_of(b"c"), "size": 1}
    return msgspec.json.encode(
        {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": part, "layers": [layer]} | words
    )


LAYER = msgspec.json.decode(manifest())["layers"][0]


def test_our_manifest_never_changes():
    assert make_manifest(b"{}", ((digest_of(b"a"), 1),)) == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":'
        b'{"mediaType":"application/vnd.oci.image.config.v1+json","digest":'
        b'"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":'
        b'[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":'
        b'"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size":1}]}'
    )


def test_what_we_make_is_our_own_and_names_each_blob_once():
    written = config(b"one", b"two", b"one")
    made = read_manifest(make_manifest(written, tuple((digest_of(each), 3) for each in (b"one", b"two", b"one"))))
    assert check_own(made, written).architecture == "amd64"
    assert [blob.digest for blob in made.blobs] == [digest_of(written), digest_of(b"one"), digest_of(b"two")]
    assert made.layer_bytes == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"layers": []}, "1 to 127 layers"),
        ({"layers": [LAYER] * 200}, "1 to 127 layers"),
        ({"layers": [LAYER | {"digest": "sha256:../../etc"}]}, "sound digest"),
        ({"layers": [LAYER | {"size": -1}]}, "sound digest or size"),
        ({"config": "x"}, "cannot be read"),
        ({"annotations": {"x": "y" * DOCUMENT_BYTES_MAX}}, "more than"),
    ],
)
def test_an_unsound_manifest_is_refused(words, said):
    with pytest.raises(Invalid, match=said):
        read_manifest(manifest(**words))
    assert read_manifest(manifest()).layer_bytes == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"schemaVersion": 1}, "no OCI image manifest"),
        ({"mediaType": "application/vnd.oci.image.index.v1+json"}, "no OCI image manifest"),
        ({"layers": [LAYER | {"mediaType": f"{LAYER_TYPE}+gzip"}]}, "uncompressed tar"),
        ({"layers": [LAYER | {"digest": digest_of(b"other")}]}, "not those that the image's configuration names"),
    ],
)
def test_a_manifest_that_is_not_our_own_is_refused(words, said):
    with pytest.raises(Invalid, match=said):
        check_own(read_manifest(manifest(**words)), config(b"l"))
    assert check_own(read_manifest(manifest()), config(b"l")).architecture == "amd64"
    with pytest.raises(Invalid, match="configuration cannot be read"):
        check_own(read_manifest(manifest()), b"{")
