"""Images on this machine: OCI layouts, OCI archives and ``docker save`` archives, opened and sent to the core.

Layers are sent uncompressed, because their digest is then the one the configuration names and a site can rebuild them
piece by piece. A layer that the core holds already is neither unpacked nor sent. Nothing is written but to nameless
temporary files.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from skerry.model.answers import BlobState, ImageView
from skerry.model.errors import Invalid, NotFound
from skerry.model.ids import Digest, digest_of, is_digest
from skerry.model.image import DOCUMENT_BYTES_MAX, LAYER_TYPE, Descriptor, Platform, make_manifest
from skerry.model.limits import ARCHIVE_BYTES_MAX
from skerry.safe.archives import Inflated, read_archive
from skerry.safe.errors import UnsafeArchive
from skerry.safe.paths import RealDirectory, Source, descend
from skerry.sdk import oci
from skerry.sdk.client import Client

_CHUNK_BYTES = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"

#: Told what is on its way, how many bytes of it are there, and how many there are in all (0: not known yet).
Progress = Callable[[str, int, int], None]


class ImageSource(Protocol):
    """One image, wherever it is."""

    #: What it calls itself; may be empty.
    name: str
    config: bytes
    layers: tuple[oci.Layer, ...]

    def open_layer(self, layer: oci.Layer) -> Source:
        """Open the stored bytes of a layer; they are checked by whoever reads them."""
        ...


class Pack(Protocol):
    """Named files, in a directory or in an archive."""

    def open(self, name: str) -> Source | None:
        """Open a file, None when there is none."""
        ...


class StoredImage:
    """An image out of a pack."""

    def __init__(self, pack: Pack, name: str, config: bytes, layers: tuple[oci.Layer, ...], places: list[str]) -> None:
        self._pack = pack
        self.name = name
        self.config = config
        self.layers = layers
        self._places = {layer.diff_id: place for layer, place in zip(layers, places, strict=True)}

    def open_layer(self, layer: oci.Layer) -> Source:
        """See ``ImageSource``."""
        source = self._pack.open(self._places[layer.diff_id])
        if source is None:
            raise Invalid("E-IMAGE", f"The image's layer {layer.stored.digest} is missing.")
        return source


class DirectoryPack:
    """An OCI layout in a directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> Source | None:
        """See ``Pack``. No link is followed."""
        *folders, last = name.split("/")
        with contextlib.ExitStack() as opened:
            folder = opened.enter_context(contextlib.closing(RealDirectory.open_root(self._path)))
            if folders:
                below = descend(folder, *folders)
                if below is None:
                    return None
                folder = opened.enter_context(contextlib.closing(below))
            return folder.open(last)


class ArchivePack:
    """A tar archive: read over once for the places of its members, then read where they are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        if file.read(2) == _GZIP_MAGIC:
            raise Invalid("E-IMAGE", "The archive is compressed.", hint="Unpack it with gunzip first.")
        file.seek(0)
        try:
            # The reader takes exactly what it asks for, so the file stands at the member's first byte.
            found = ((member, file.tell()) for member, _ in read_archive(file))
            self._places = {member.name: (at, member.size) for member, at in found if member.kind == "file"}
        except UnsafeArchive as error:
            raise Invalid("E-IMAGE", f"The archive is no image: {error.detail}") from error

    def open(self, name: str) -> Source | None:
        """See ``Pack``. One member at a time."""
        place = self._places.get(name)
        return None if place is None else _Member(self._file, *place)


class _Member:
    def __init__(self, file: BinaryIO, at: int, size: int) -> None:
        self._file = file
        self._left = size
        file.seek(at)

    def read(self, size: int, /) -> bytes:
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        self._left = 0


@contextlib.contextmanager
def open_image(path: Path, wanted: Platform, name: str = "") -> Generator[ImageSource]:
    """Open the image in a layout or archive; ``name`` chooses where there are several. Raises ``Invalid``."""
    if path.is_dir():
        yield _read_layout(DirectoryPack(path), wanted, name)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise Invalid("E-FILE", f"{path} cannot be read: {error.strerror}.") from error
    with file:
        pack = ArchivePack(file)
        if pack.open("index.json") is None and pack.open("manifest.json") is not None:
            yield _read_saved(pack, name)
        else:
            yield _read_layout(pack, wanted, name)


def no_progress(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def push_image(client: Client, image: ImageSource, name: str, progress: Progress = no_progress) -> ImageView:
    """Send an image's missing parts and register it under ``name``; raises as ``Client`` does, and ``Invalid``.

    Repeating it costs one question per part.
    """
    sizes = [(layer.diff_id, _push_layer(client, image, layer, progress)) for layer in image.layers]
    manifest = make_manifest(image.config, tuple(sizes))
    for document in (image.config, manifest):
        client.upload_blob(digest_of(document), len(document), _reader_of(document))
    return client.images.register(name=name, digest=digest_of(manifest))


def _push_layer(client: Client, image: ImageSource, layer: oci.Layer, progress: Progress) -> int:
    """Send one layer if the core lacks it; return its uncompressed size."""
    word = layer.diff_id[7:19]
    held = find_blob(client, layer.diff_id)
    if held is not None and held.complete:
        progress(word, held.have_bytes, held.have_bytes)
        return held.have_bytes
    with tempfile.TemporaryFile() as spool:
        size = unpack_layer(image.open_layer(layer), layer, spool, lambda done: progress(f"{word} unpack", done, 0))

        def read_from(offset: int) -> Iterator[bytes]:
            spool.seek(offset)
            while content := spool.read(_CHUNK_BYTES):
                yield content

        client.upload_blob(layer.diff_id, size, read_from, lambda done: progress(word, done, size))
    return size


def find_blob(client: Client, digest: str) -> BlobState | None:
    """Say how much of a blob the core has from this tenant; None for nothing."""
    try:
        return client.blobs.show(digest)
    except NotFound:
        return None


def unpack_layer(stored: Source, layer: oci.Layer, into: BinaryIO, told: Callable[[int], None] = lambda _: None) -> int:
    """Write a layer uncompressed and return its size; raises ``Invalid`` unless both digests are right."""
    outer = _Hashed(stored)
    inner: Source = Inflated(outer, bytes_max=ARCHIVE_BYTES_MAX) if layer.packing == "gzip" else outer
    unpacked = hashlib.sha256()
    size = 0
    try:
        while content := inner.read(_CHUNK_BYTES):
            size += len(content)
            if size > ARCHIVE_BYTES_MAX:
                raise Invalid("E-IMAGE", f"A layer has more than {ARCHIVE_BYTES_MAX} bytes.")
            unpacked.update(content)
            into.write(content)
            told(size)
    except UnsafeArchive as error:
        raise Invalid("E-IMAGE", f"Layer {layer.stored.digest[:19]}… cannot be unpacked: {error.detail}") from error
    finally:
        inner.close()
    for found, meant in ((outer.digest(), layer.stored.digest), (f"sha256:{unpacked.hexdigest()}", layer.diff_id)):
        if found != meant:
            raise Invalid("E-DIGEST", f"A layer is not what its digest says: {found[:19]}… instead of {meant[:19]}….")
    return size


class _Hashed:
    """Passes bytes through and keeps their digest."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        content = self._source.read(size)
        self._hash.update(content)
        return content

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def close(self) -> None:
        self._source.close()


def read_document(pack: Pack, name: str, what: str) -> bytes:
    """Read a small file of a pack whole; raises ``Invalid`` when it is missing or too long."""
    source = pack.open(name)
    if source is None:
        raise Invalid("E-IMAGE", f"There is no {what} here ({name}).", hint="An OCI layout or archive is needed.")
    content = bytearray()
    with contextlib.closing(source):
        while len(content) <= DOCUMENT_BYTES_MAX and (part := source.read(_CHUNK_BYTES)):
            content += part
    if len(content) > DOCUMENT_BYTES_MAX:
        raise Invalid("E-IMAGE", f"The {what} has more than {DOCUMENT_BYTES_MAX} bytes.")
    return bytes(content)


def _blob_name(digest: Digest) -> str:
    if not is_digest(digest):
        raise Invalid("E-IMAGE", f"{digest[:80]!r} is no digest that is understood.")
    return "blobs/" + digest.replace(":", "/")


def _read_layout(pack: Pack, wanted: Platform, name: str) -> ImageSource:
    index = oci.read_index(read_document(pack, "index.json", "index"))
    chosen = oci.choose_manifest(index, wanted, name)
    label = oci.ref_name(chosen)
    for _ in range(oci.INDEX_DEPTH_MAX):
        content = read_document(pack, _blob_name(chosen.digest), "manifest")
        if chosen.media_type not in oci.INDEX_TYPES:
            break
        oci.check_digest(content, chosen.digest, "index")
        chosen = oci.choose_manifest(oci.read_index(content), wanted)
    else:
        raise Invalid("E-IMAGE", f"More than {oci.INDEX_DEPTH_MAX} indexes lie inside each other.")
    manifest = oci.read_manifest(content, chosen.digest)
    config = read_document(pack, _blob_name(manifest.config.digest), "configuration")
    layers = oci.pair_layers(manifest, oci.read_config(config, manifest.config.digest))
    return StoredImage(pack, label, config, layers, [_blob_name(layer.stored.digest) for layer in layers])


class _Saved(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of ``docker save``."""

    config: str
    layers: tuple[str, ...]
    repo_tags: tuple[str, ...] | None = None


def _read_saved(pack: Pack, name: str) -> ImageSource:
    try:
        found = msgspec.json.decode(read_document(pack, "manifest.json", "manifest"), type=tuple[_Saved, ...])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("E-IMAGE", f"The archive's manifest cannot be read: {error}.") from error
    fitting = [each for each in found if not name or name in (each.repo_tags or ())] or list(found)
    if len(fitting) != 1:
        have = ", ".join(tag for each in found for tag in each.repo_tags or ())
        raise Invalid("E-IMAGE", f"There are {len(found)} images here: {have}.", hint="Name one of them.")
    saved = fitting[0]
    config = read_document(pack, saved.config, "configuration")
    diff_ids = oci.read_config(config, digest_of(config)).rootfs.diff_ids
    if len(diff_ids) != len(saved.layers) or not diff_ids:
        raise Invalid("E-IMAGE", "The archive and its configuration do not name the same number of layers.")
    layers = tuple(oci.Layer(Descriptor(LAYER_TYPE, diff_id, 0), diff_id, "plain") for diff_id in diff_ids)
    return StoredImage(pack, (saved.repo_tags or ("",))[0], config, layers, list(saved.layers))


def _reader_of(content: bytes) -> Callable[[int], Iterator[bytes]]:
    return lambda offset: iter([content[offset:]])
