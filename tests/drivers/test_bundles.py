"""A stick as a source of blobs: what is sound is given, what is not is named with its place, and the link goes on."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from tests.agent.shelf import Shelf

from skerry.drivers.bundles import BundleSource
from skerry.model.app import ImageRef
from skerry.model.bundle import IMAGES_MAX, INDEX_BYTES_MAX
from skerry.model.errors import Invalid
from skerry.model.ids import Digest, SiteName
from skerry.model.image import MANIFEST_TYPE
from skerry.model.limits import CARRIED_BYTES_MAX
from skerry.safe.paths import RealDirectory


class Stick:
    """A folder with one image, and a link that has the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.link = Shelf()
        self.image: ImageRef = self.link.add_image("web:1")
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        for digest, content in self.link.blobs.items():
            self.place(digest).write_bytes(content)
        self.list_images(self.image.digest)
        self.source = BundleSource(self.link.fetch, lambda given: RealDirectory.open_given(Path(given)))

    def list_images(self, *digests: str) -> None:
        listed = [{"mediaType": MANIFEST_TYPE, "digest": digest, "size": 1} for digest in digests]
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))

    def place(self, digest: Digest) -> Path:
        return self.blobs / digest.removeprefix("sha256:")

    @property
    def layer(self) -> Digest:
        return max(self.link.blobs, key=lambda digest: len(self.link.blobs[digest]))

    def open(self) -> str:
        """Open it; return what is known against its image."""
        return asyncio.run(self.source.open(str(self.folder))).find_wrong(self.image.digest)

    def fetch(self, blob: Digest, offset: int = 0) -> bytes:
        async def read() -> bytes:
            return b"".join([piece async for piece in self.source.fetch(blob, offset)])

        return asyncio.run(read())

    def wrong(self) -> str:
        assert self.source.opened is not None
        return self.source.opened.find_wrong(self.image.digest)


@pytest.fixture
def stick(tmp_path: Path) -> Stick:
    return Stick(tmp_path / "stick")


def test_every_part_comes_from_the_stick_also_from_where_an_earlier_one_stopped(stick: Stick):
    assert stick.open() == ""
    for digest, content in stick.link.blobs.items():
        assert stick.fetch(digest) == content
        assert stick.fetch(digest, 7) == content[7:]
    assert stick.link.given == 0
    assert stick.source.list_whole() == {stick.image.digest}


def test_what_the_stick_does_not_list_is_asked_of_the_link(stick: Stick):
    stick.open()
    other = stick.link.add(b"x" * 500)
    stick.place(other).write_bytes(b"x" * 500)
    assert stick.fetch(other) == b"x" * 500
    assert stick.link.given == 500


def test_before_anything_was_opened_it_is_the_link(stick: Stick):
    assert stick.fetch(stick.layer) == stick.link.blobs[stick.layer]
    assert stick.link.given
    assert stick.source.list_whole() == frozenset()


def _replace(place: Path, content: bytes) -> None:
    place.write_bytes(content)


def _link_away(place: Path) -> None:
    target = place.with_name("elsewhere")
    place.rename(target)
    place.symlink_to(target)


def _make_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def _make_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def _make_huge(place: Path) -> None:
    with place.open("r+b") as file:
        file.truncate(1 << 40)


def _link_folder(place: Path) -> None:
    real = place.parent.parent / "other"
    place.parent.rename(real)
    place.parent.symlink_to(real)


HARMS = {
    "other bytes": (lambda place: _replace(place, b"y" * 5000), "it is not what its name says"),
    "short": (lambda place: _replace(place, b"web:1"), "it has 5 bytes, and its manifest says 5000"),
    "huge": (_make_huge, "it has 1099511627776 bytes, and its manifest says 5000"),
    "link": (_link_away, "it is no plain file"),
    "pipe": (_make_pipe, "it is no plain file"),
    "folder": (_make_folder, "it is no plain file"),
    "missing": (Path.unlink, "it is missing"),
    "linked folder": (_link_folder, "a part of its way is no folder, or a link"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_bad_layer_gives_not_one_byte_is_named_and_comes_over_the_link(stick: Stick, harm: str):
    stick.open()
    do, said = HARMS[harm]
    do(stick.place(stick.layer))
    assert stick.fetch(stick.layer) == stick.link.blobs[stick.layer]
    assert stick.link.given == 5000, "all of it"
    assert stick.wrong().endswith(said)
    assert stick.wrong().startswith(f"blobs/sha256/{stick.layer.removeprefix('sha256:')}: ")
    assert stick.source.list_whole() == frozenset()


@pytest.mark.parametrize("harm", sorted(HARMS.keys() - {"short", "huge"}))
def test_a_bad_manifest_is_named_when_the_stick_is_opened(stick: Stick, harm: str):
    do, said = HARMS[harm]
    do(stick.place(stick.image.digest))
    assert said in stick.open()
    assert stick.source.list_whole() == frozenset()
    assert stick.fetch(stick.image.digest) == stick.link.blobs[stick.image.digest]


def test_a_manifest_without_end_is_not_read(stick: Stick):
    _make_huge(stick.place(stick.image.digest))
    assert "is larger than 1048576 bytes" in stick.open()


def test_a_manifest_that_is_none_is_named(stick: Stick):
    digest = stick.link.add(b"{}")
    stick.place(digest).write_bytes(b"{}")
    stick.list_images(digest)
    opened = asyncio.run(stick.source.open(str(stick.folder)))
    assert "manifest cannot be read" in opened.find_wrong(digest)


def test_a_stick_that_is_pulled_out_in_the_middle_leaves_the_rest_to_the_link(stick: Stick, monkeypatch):
    monkeypatch.setattr("skerry.drivers.bundles._PIECE_BYTES", 1000)
    stick.open()

    async def read() -> bytes:
        content = b""
        async for piece in stick.source.fetch(stick.layer, 0):
            content += piece
            if len(content) == 2000 and not stick.link.given:
                stick.folder.rename(stick.folder.with_name("pocket"))
        return content

    assert asyncio.run(read()) == stick.link.blobs[stick.layer]
    assert stick.link.given == 3000
    assert "cannot be read (No such file or directory)" in stick.wrong()


def _write(stick: Stick, text: str) -> None:
    (stick.folder / "index.json").write_text(text)


BAD_INDEXES = {
    "none": (lambda stick: (stick.folder / "index.json").unlink(), "it has no index.json"),
    "no JSON": (lambda stick: _write(stick, "manifests"), "index cannot be read"),
    "too many": (
        lambda stick: stick.list_images(*["sha256:" + f"{number:064x}" for number in range(IMAGES_MAX + 1)]),
        f"at most {IMAGES_MAX} images",
    ),
    "no digest": (lambda stick: stick.list_images("../../etc/shadow"), "without a sound digest"),
    "too large": (lambda stick: _write(stick, " " * (INDEX_BYTES_MAX + 1)), "is larger than"),
    "a link": (
        lambda stick: [
            (stick.folder / "index.json").rename(stick.folder / "real.json"),
            (stick.folder / "index.json").symlink_to("real.json"),
        ],
        "index.json in",
    ),
    "no folder": (lambda stick: stick.folder.rename(stick.folder.with_name("gone")), "cannot be read"),
}


@pytest.mark.parametrize("harm", BAD_INDEXES)
def test_a_folder_that_is_no_bundle_is_refused_and_the_one_before_stays(stick: Stick, harm: str):
    stick.open()
    do, said = BAD_INDEXES[harm]
    do(stick)
    with pytest.raises(Invalid) as caught:
        stick.open()
    assert said in caught.value.detail
    assert stick.source.opened is not None


def test_documents_are_read_by_the_sites_own_name_and_have_a_limit(stick: Stick):
    stick.open()
    assert asyncio.run(stick.source.read_document(SiteName("oslo"))) is None
    (stick.folder / "documents").mkdir()
    place = stick.folder / "documents" / "oslo.document"
    place.write_bytes(b"signed")
    assert asyncio.run(stick.source.read_document(SiteName("oslo"))) == b"signed"
    assert asyncio.run(stick.source.read_document(SiteName("bergen"))) is None
    with place.open("r+b") as file:
        file.truncate(CARRIED_BYTES_MAX + 1)
    with pytest.raises(Invalid, match="is larger than"):
        asyncio.run(stick.source.read_document(SiteName("oslo")))
