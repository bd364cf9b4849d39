"""The blob store of a node: resumed, shared, verified before it is given on, and cleared of what nobody wants."""

import asyncio
import tarfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from tests.agent.shelf import Shelf

from skerry.drivers.images import BlobUnavailable, ImagesDriver
from skerry.model.app import ImageRef
from skerry.model.ids import Digest
from skerry.model.observed import Observation
from skerry.plan.actions import Action, DropBlobs, FetchImage, Outcome, RemoveImage
from skerry.safe.blobs import BlobDirectory
from skerry.sim.disk import MemoryDisk


class Store:
    def __init__(self) -> None:
        self.root = MemoryDisk().root
        self.shelf = Shelf()
        self.offloaded = 0
        self.driver = ImagesDriver(self.root, self.shelf, self._offload)
        self.blobs = BlobDirectory(self.root.enter("blobs"))

    async def _offload(self, job: Callable[[], Any]) -> Any:
        self.offloaded += 1
        return job()

    def do(self, action: Action) -> Outcome:
        return asyncio.run(self.driver.perform(action))

    def see(self) -> Observation:
        return asyncio.run(self.driver.observe())

    def layer(self) -> Digest:
        return max(self.shelf.blobs, key=lambda digest: len(self.shelf.blobs[digest]))


def fetch(image: ImageRef) -> FetchImage:
    return FetchImage(image=image.digest, config=image.config, size_bytes=image.size_bytes)


def test_an_image_arrives_whole_and_is_told():
    store = Store()
    image = store.shelf.add_image("web:1")
    assert store.do(fetch(image)).ok
    assert [(item.digest, item.config) for item in store.see().blobs] == [(image.digest, image.config)]
    assert store.see().arriving == {}
    assert store.offloaded == 2 * 3, "hashing again and syncing are kept off the event loop"
    archive = b"".join(store.driver.read_archive(image.digest))
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        names = tar.getnames()
    assert names[:2] == ["oci-layout", "index.json"]
    assert len(names) == 5


def test_what_was_begun_and_is_given_up_leaves_nothing():
    store = Store()
    image = store.shelf.add_image("web:1")
    store.shelf.cut_after = 2000
    assert store.do(fetch(image)).code == "E-UNREACHABLE"
    assert image.digest in store.see().arriving
    assert store.blobs.digests(unfinished=True) != []
    assert store.do(DropBlobs(image=image.digest, config=image.digest)).ok
    assert store.see().arriving == {}
    assert store.blobs.digests() == store.blobs.digests(unfinished=True) == []
    assert store.do(DropBlobs(image=image.digest, config=image.digest)).ok


def test_a_shared_blob_stays_for_the_other_image():
    store = Store()
    one = store.shelf.add_image("web:1")
    two = store.shelf.add_image("web:1")
    other = store.shelf.add_image("db:1")
    assert one == two
    for image in (one, other):
        assert store.do(fetch(image)).ok
    assert store.do(RemoveImage(image=one.digest, config=one.config)).ok
    assert [item.digest for item in store.see().blobs] == [other.digest]
    assert b"".join(store.driver.read_archive(other.digest))


def test_a_damaged_blob_is_not_given_on_but_fetched_again():
    store = Store()
    image = store.shelf.add_image("web:1")
    store.do(fetch(image))
    _, shelf, name = "sha256", store.layer()[7:9], store.layer()[7:]
    directory = store.root.enter("blobs").enter("sha256").enter(shelf)
    directory.remove(name)
    sink = directory.create(name)
    sink.write(b"x" * len(store.shelf.blobs[store.layer()]))
    sink.close()
    with pytest.raises(BlobUnavailable, match="damaged"):
        list(store.driver.read_archive(image.digest))
    assert store.see().blobs == ()
    assert store.do(fetch(image)).ok
    assert b"".join(store.driver.read_archive(image.digest))


def test_checking_a_blob_gives_others_their_turn():
    store = Store()
    image = store.shelf.add_image("web:1")
    store.do(fetch(image))
    pieces = list(store.driver.read_archive(image.digest))
    assert pieces[0] == b""
    assert pieces.count(b"") >= 2


def test_an_image_of_which_nothing_is_here_cannot_be_read():
    store = Store()
    with pytest.raises(BlobUnavailable):
        list(store.driver.read_archive(store.shelf.add_image("web:1").digest))
