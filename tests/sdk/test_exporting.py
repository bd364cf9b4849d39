"""A bundle on a stick: written from a core's bytes, gone on with, mended, and readable as an OCI layout."""

import pytest

from skerry.model import bundle
from skerry.model.errors import Invalid, NotFound
from skerry.model.ids import SiteName
from skerry.sdk import images, oci
from skerry.sdk.exporting import (
    export_document,
    export_images,
    list_app_images,
    list_document_images,
    open_bundle,
)
from skerry.testing import FakeCore
from skerry.wire import decode_carried


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    with FakeCore(sites=["oslo"]) as core:
        for name in ("web:1", "db:1"):
            core.add_image(name)
        path = tmp_path_factory.mktemp("app") / "compose.yaml"
        path.write_text("name: shop\nservices:\n  web:\n    image: web:1\n")
        with core.client() as client:
            client.apps.apply(path).rollout.wait(timeout=60)
        yield core


@pytest.fixture
def client(core):
    with core.client() as client:
        yield client


def find(client, *names):
    return [each for each in client.images.list() if each.name.rpartition("/")[2] in names]


def place(folder, digest):
    return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def test_images_are_written_once_and_listed_together(tmp_path, client):
    told = []
    with_progress = lambda what, done, total: told.append((done, total))  # noqa: E731 - it is one line
    folder = tmp_path / "stick"
    opened = open_bundle(folder)
    web, db = find(client, "web:1")[0], find(client, "db:1")[0]
    first = export_images(client, opened, [web], with_progress)
    assert [(each.image, each.written_bytes > web.size_bytes) for each in first] == [(web.digest, True)]
    assert told[-1][0] == told[-1][1] > 0
    again = export_images(client, opened, [web, db])
    assert [each.written_bytes > 0 for each in again] == [False, True]
    listed = bundle.read_index((folder / "index.json").read_bytes())
    assert {each.image for each in listed} == {web.digest, db.digest}
    for digest in {*web.blobs, *db.blobs}:
        assert place(folder, digest).stat().st_size == client.blobs.show(digest).have_bytes
    assert not list(folder.rglob("*.part"))
    assert not list(folder.rglob("*.new"))
    pack = images.DirectoryPack(folder)
    index = oci.read_index(images.read_document(pack, "index.json", "index"))
    chosen = oci.choose_manifest(index, oci.Platform("amd64"), web.name)
    assert chosen.digest == web.digest


def test_an_export_that_was_cut_goes_on_and_a_damaged_stick_is_mended(tmp_path, client):
    folder = tmp_path / "stick"
    opened = open_bundle(folder)
    web = find(client, "web:1")[0]
    export_images(client, opened, [web])
    layer = place(folder, max(web.blobs, key=lambda digest: client.blobs.show(digest).have_bytes))
    good = layer.read_bytes()
    layer.unlink()
    layer.with_name(f"{layer.name}.part").write_bytes(good[:5])
    assert export_images(client, opened, [web])[0].written_bytes == len(good) - 5
    assert layer.read_bytes() == good
    layer.write_bytes(good[:-1] + b"?")
    assert export_images(client, opened, [web])[0].written_bytes == len(good)
    assert layer.read_bytes() == good
    layer.unlink()
    layer.with_name(f"{layer.name}.part").write_bytes(good + b"more than there is")
    assert export_images(client, opened, [web])[0].written_bytes == len(good)
    assert layer.read_bytes() == good


def test_a_sites_document_names_the_images_that_it_asks_for(tmp_path, client):
    folder = tmp_path / "stick"
    carried = export_document(client, open_bundle(folder), "oslo")
    web = find(client, "web:1")[0]
    assert list(list_document_images(carried)) == [web.digest]
    written = (folder / "documents" / bundle.document_name(SiteName("oslo"))).read_bytes()
    assert decode_carried(written) == carried
    assert list(list_app_images(client, "shop")) == [web.digest]


def test_what_is_not_there_is_said(tmp_path, client):
    with pytest.raises(Invalid, match="cannot be written to"):
        open_bundle(tmp_path / "no" / "stick")
    with pytest.raises(NotFound):
        export_document(client, open_bundle(tmp_path / "stick"), "nowhere")
    with pytest.raises(NotFound):
        list_app_images(client, "nothing")


async def test_the_asynchronous_client_reads_the_same_bytes(core, client):
    web = find(client, "web:1")[0]
    for digest in web.blobs:
        whole = b"".join(client.download_blob(digest))
        assert len(whole) == client.blobs.show(digest).have_bytes
        async with core.async_client() as other:
            assert b"".join([piece async for piece in other.download_blob(digest, 3)]) == whole[3:]
            assert decode_carried(await other.export_site("oslo")) == decode_carried(client.export_site("oslo"))
