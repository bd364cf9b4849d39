import gzip
import io
import json

import httpx2
import pytest
import stamina
from tests.sdk.image_bytes import Image, digest, layout, tar, write

from skerry.model.errors import Invalid
from skerry.model.image import Descriptor, Platform, make_manifest
from skerry.sdk import images, oci
from skerry.sdk.client import Client

AMD64 = Platform("amd64")


class FakeBlobs:
    """A core's blobs and images as a transport."""

    def __init__(self):
        self.blobs = {}
        self.puts = []
        self.registered = None

    def __call__(self, request):
        path = request.url.path
        if path == "/v1/images":
            asked = json.loads(request.read())
            self.registered = asked
            view = {"config": "c", "size_bytes": 1, "blobs": [], "architecture": "amd64", "registered_us": 1}
            return httpx2.Response(201, json=asked | view)
        name = path.removeprefix("/v1/blobs/")
        if request.method == "PUT":
            self.puts.append(name)
            self.blobs[name] = self.blobs.get(name, b"") + request.read()
            assert digest(self.blobs[name]) == name
        elif name not in self.blobs:
            return httpx2.Response(404, json={})
        return httpx2.Response(200, json={"digest": name, "have_bytes": len(self.blobs[name]), "complete": True})


@pytest.fixture
def core():
    return FakeBlobs()


@pytest.fixture
def client(core):
    with stamina.set_testing(True, attempts=3):
        yield Client("http://127.0.0.1:1", transport=httpx2.MockTransport(core))


def packed(tmp_path, image, form):
    files = layout(image, names=("shop:1",))
    if form == "layout":
        return write(tmp_path / "layout", files)
    if form == "saved":
        names = [f"layer{number}.tar" for number in range(2)]
        saved = [{"Config": "c.json", "RepoTags": ["shop:1"], "Layers": names}]
        files = {"c.json": image.config, **dict(zip(names, image.layers, strict=True))}
        files["manifest.json"] = json.dumps(saved).encode()
    path = tmp_path / "image.tar"
    path.write_bytes(tar(files))
    return path


@pytest.mark.parametrize("form", ["layout", "archive", "saved"])
def test_an_image_arrives_the_same_from_every_packing(tmp_path, client, core, form):
    image = Image()
    with images.open_image(packed(tmp_path, image, form), AMD64) as source:
        assert source.name == "shop:1"
        images.push_image(client, source, "shop:1")
    manifest = make_manifest(image.config, tuple((digest(each), len(each)) for each in image.layers))
    assert core.registered == {"name": "shop:1", "digest": digest(manifest)}
    assert set(core.blobs) == {digest(each) for each in (*image.layers, image.config, manifest)}


def test_what_the_core_has_is_not_sent_again(tmp_path, client, core):
    image = Image()
    path = packed(tmp_path, image, "layout")
    told = []
    for _ in range(2):
        with images.open_image(path, AMD64) as source:
            images.push_image(client, source, "shop:1", lambda *what: told.append(what))
    assert len(core.puts) == 4
    assert told[-1] == (digest(image.layers[1])[7:19], len(image.layers[1]), len(image.layers[1]))


def test_a_layer_that_is_not_what_it_says_is_not_sent(tmp_path, client, core):
    image = Image()
    path = packed(tmp_path, image, "layout")
    stored = path / "blobs" / digest(image.stored[1]).replace(":", "/")
    stored.write_bytes(gzip.compress(b"other", mtime=0))
    with images.open_image(path, AMD64) as source, pytest.raises(Invalid, match="not what its digest says"):
        images.push_image(client, source, "shop:1")
    assert core.registered is None


@pytest.mark.parametrize(
    ("gone", "words"), [("index.json", "no index"), ("config", "no configuration"), ("layer", "layer .* is missing")]
)
def test_what_is_missing_is_named(tmp_path, client, gone, words):
    image = Image()
    path = packed(tmp_path, image, "layout")
    place = {"config": digest(image.config), "layer": digest(image.stored[1])}.get(gone)
    (path / (f"blobs/{place.replace(':', '/')}" if place else gone)).unlink()

    def push():
        with images.open_image(path, AMD64) as source:
            images.push_image(client, source, "x")

    with pytest.raises(Invalid, match=words):
        push()


def test_a_layer_bomb_is_refused(monkeypatch):
    bomb = gzip.compress(bytes(64 * 1024 * 1024), mtime=0)
    layer = oci.Layer(Descriptor("x", digest(bomb), len(bomb)), digest(b""), "gzip")
    with pytest.raises(Invalid, match="cannot be unpacked"):
        images.unpack_layer(io.BytesIO(bomb), layer, io.BytesIO())


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"x" * 2000, tar({"../x": b""}), tar({"a": b"b"})])
def test_archives_that_are_no_images_are_refused(tmp_path, content):
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    with pytest.raises(Invalid), images.open_image(path, AMD64):
        pass


def test_no_link_of_a_layout_is_followed(tmp_path):
    path = write(tmp_path / "layout", layout(Image()))
    (path / "index.json").rename(tmp_path / "elsewhere.json")
    (path / "index.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises((Invalid, OSError)), images.open_image(path, AMD64):
        pass


def test_a_missing_file_is_a_plain_error(tmp_path):
    with pytest.raises(Invalid, match="cannot be read"), images.open_image(tmp_path / "gone.tar", AMD64):
        pass
