import json

import pytest
from tests.sdk.image_bytes import OCI, Image, digest

from skerry.model.errors import Invalid
from skerry.model.image import DOCUMENT_BYTES_MAX, ImageConfig, Platform
from skerry.sdk import oci

AMD64 = Platform("amd64")


def index_of(*entries):
    return oci.read_index(json.dumps({"manifests": entries}).encode())


def test_layers_are_paired_with_what_they_are_unpacked():
    image = Image()
    manifest = oci.read_manifest(image.manifest, digest(image.manifest))
    layers = oci.pair_layers(manifest, oci.read_config(image.config, manifest.config.digest))
    assert [layer.packing for layer in layers] == ["plain", "gzip"]
    assert [layer.diff_id for layer in layers] == [digest(layer) for layer in image.layers]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": []}, "1 to 127 layers"),
        ({"config": {"mediaType": "x", "digest": "md5:1", "size": 1}}, "sound digest"),
        ({"config": {"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": -1}}, "sound digest"),
        ({"config": 7}, "cannot be read"),
    ],
)
def test_an_unsound_manifest_is_refused(change, words):
    whole = json.loads(Image().manifest) | change
    with pytest.raises(Invalid, match=words):
        oci.read_manifest(json.dumps(whole).encode())


def test_manifest_and_configuration_must_fit():
    image, other = Image(), Image(salt=b"x")
    manifest = oci.read_manifest(image.manifest)
    with pytest.raises(Invalid, match="not the one that the configuration names"):
        oci.pair_layers(manifest, oci.read_config(other.config, digest(other.config)))
    with pytest.raises(Invalid, match="same number"):
        oci.pair_layers(manifest, ImageConfig())
    with pytest.raises(Invalid, match="not what its digest says"):
        oci.read_config(image.config, digest(other.config))


def test_an_unknown_packing_is_named():
    whole = json.loads(Image(plain=True).manifest)
    whole["layers"][0]["mediaType"] = f"{OCI}layer.v1.tar+zstd"
    config = Image(plain=True).config
    manifest, config = oci.read_manifest(json.dumps(whole).encode()), oci.read_config(config, digest(config))
    with pytest.raises(Invalid, match="zstd"):
        oci.pair_layers(manifest, config)


def test_the_platform_chooses_and_provenance_is_passed_over():
    amd64, arm64 = Image("amd64"), Image("arm64")
    provenance = Image(salt=b"p").entry() | {"platform": {"os": "unknown", "architecture": "unknown"}}
    index = index_of(amd64.entry(), arm64.entry(), provenance)
    assert oci.choose_manifest(index, AMD64).digest == digest(amd64.manifest)
    assert oci.choose_manifest(index, Platform("arm64", variant="v8")).digest == digest(arm64.manifest)
    with pytest.raises(Invalid, match="nothing for linux/riscv64 here, but linux/amd64, linux/arm64"):
        oci.choose_manifest(index, Platform("riscv64"))


def test_a_name_chooses_among_several():
    one, two = Image(), Image(salt=b"2")
    index = index_of(one.entry("docker.io/library/shop:1"), two.entry("docker.io/library/shop:2"))
    assert oci.choose_manifest(index, AMD64, "docker.io/library/shop:2").digest == digest(two.manifest)
    assert oci.choose_manifest(index, AMD64, "2").digest == digest(two.manifest)
    with pytest.raises(Invalid, match="several images"):
        oci.choose_manifest(index, AMD64)


@pytest.mark.parametrize("text", ["", "linux", "linux/", "a/b/c/d"])
def test_only_platforms_are_platforms(text):
    with pytest.raises(Invalid):
        oci.parse_platform(text)


def test_platforms_are_written_as_they_are_read():
    assert str(oci.parse_platform("linux/arm64/v8")) == "linux/arm64/v8"
    assert str(oci.parse_platform("linux/amd64")) == "linux/amd64"


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"\xff", b" " * (DOCUMENT_BYTES_MAX + 1)])
def test_garbage_is_refused(content):
    for read in (oci.read_index, oci.read_manifest):
        with pytest.raises(Invalid):
            read(content)
