"""Bundles: images of the core, and signed documents of sites, written to a folder that is carried to a box.

What is written is what a link would bring, and the box believes it no more. An export that was cut goes on where it
stopped; what is there already is read again and kept where it is whole, so that an export mends a damaged stick.
"""

import contextlib
import hashlib
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import msgspec

from skerry.model import bundle
from skerry.model.answers import ImageView
from skerry.model.app import AppRevision
from skerry.model.bundle import Listed
from skerry.model.document import ImageHold, decode_unit
from skerry.model.errors import Invalid, Unavailable
from skerry.model.ids import Digest, SiteName
from skerry.model.image import DOCUMENT_BYTES_MAX, Manifest, read_manifest
from skerry.model.signed import Envelope
from skerry.safe.blobs import BlobWriter, absorb
from skerry.safe.paths import Directory, RealDirectory, blob_place, descend
from skerry.sdk.client import Client
from skerry.sdk.images import Progress, no_progress
from skerry.trust.envelope import kind_of
from skerry.wire import Carried, WireError, decode_carried


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What of one image an export wrote, and what was there."""

    image: Digest
    name: str
    size_bytes: int
    written_bytes: int


def open_bundle(path: Path) -> RealDirectory:
    """Open a folder to write a bundle to, made in a folder that is there; raises ``Invalid``."""
    try:
        path.mkdir(exist_ok=True)
        return RealDirectory.open_given(path)
    except OSError as error:
        hint = "Is the stick mounted?"
        raise Invalid("E-BUNDLE", f"{path} cannot be written to: {error.strerror}.", hint=hint) from error


def list_app_images(client: Client, app: str) -> dict[Digest, str]:
    """Return the images of an app's newest revision, with their names; raises ``NotFound``."""
    summary = client.apps.show(app).summary
    if not summary.revision:
        raise Invalid("E-ENDED", f"App {app} has ended: it runs nothing.", hint=f"skerry app history {app}")
    return list_revision_images([client.apps.read_revision(app, str(summary.revision))])


def list_revision_images(envelopes: Iterable[Envelope]) -> dict[Digest, str]:
    """Return the images that revisions among these name. Nothing is verified: the box does that."""
    found: dict[Digest, str] = {}
    for envelope in envelopes:
        if kind_of(envelope) == "revision":
            revision = msgspec.json.decode(envelope.payload, type=AppRevision)
            found |= {each.image.digest: each.image.name for each in revision.services.values()}
    return found


def list_document_images(carried: Carried) -> dict[Digest, str]:
    """Return the images that a site's document asks for."""
    units = (decode_unit(body) for body in carried.patch.bodies.values())
    held = {unit.digest: "" for unit in units if isinstance(unit, ImageHold)}
    return held | list_revision_images(carried.patch.objects)


def export_document(client: Client, folder: Directory, site: str) -> Carried:
    """Write a site's document; return what it says. Raises ``NotFound`` and ``Unavailable``."""
    content = client.export_site(site)
    try:
        carried = decode_carried(content)
    except WireError as error:
        raise Unavailable("E-ANSWER", f"The document of site {site} cannot be read: {error}.") from error
    with _below(folder, *bundle.DOCUMENTS) as documents:
        _write(documents, bundle.document_name(SiteName(site)), content)
    return carried


def export_images(
    client: Client, folder: Directory, images: Sequence[ImageView], progress: Progress = no_progress
) -> list[Written]:
    """Write images and list them, beside those that the folder lists already; raises ``Invalid`` and as clients do."""
    present = folder.read(bundle.INDEX, limit=bundle.INDEX_BYTES_MAX)
    known = bundle.read_index(present) if present is not None else ()
    done: list[Written] = []
    manifests: dict[Digest, int] = {}
    for image in images:
        manifest = _read_manifest(client, image.digest)
        written = sum(
            _write_blob(client, folder, part.digest, part.size, f"{image.name} {part.digest[7:19]}", progress)
            for part in manifest.blobs
        )
        # Last: what is listed is whole.
        raw = client.blobs.show(image.digest).have_bytes
        written += _write_blob(client, folder, image.digest, raw, f"{image.name} manifest", progress)
        manifests[image.digest] = raw
        done.append(Written(image=image.digest, name=image.name, size_bytes=image.size_bytes, written_bytes=written))
    with _below(folder, *bundle.BLOBS) as blobs:
        sizes = {each.image: blobs.size(blob_place(each.image)[2]) or 0 for each in known}
    names = {each.image: each.name for each in known if sizes[each.image]} | {each.digest: each.name for each in images}
    listed = tuple((Listed(image, name), (sizes | manifests)[image]) for image, name in sorted(names.items()))
    _write(folder, bundle.LAYOUT, bundle.LAYOUT_TEXT)
    _write(folder, bundle.INDEX, bundle.write_index(listed))
    return done


def _read_manifest(client: Client, image: Digest) -> Manifest:
    content = bytearray()
    with contextlib.closing(client.download_blob(image)) as pieces:
        for piece in pieces:
            content += piece
            if len(content) > DOCUMENT_BYTES_MAX:
                raise Invalid("E-IMAGE", f"The manifest of {image} has more than {DOCUMENT_BYTES_MAX} bytes.")
    return read_manifest(bytes(content))


def _write_blob(client: Client, folder: Directory, digest: Digest, size: int, word: str, progress: Progress) -> int:
    """Have a blob in the folder, verified; return how many bytes had to be fetched."""
    blobs = descend(folder, *bundle.BLOBS, create=True)
    assert blobs is not None
    if _is_whole(blobs, digest, size):
        blobs.close()
        progress(word, size, size)
        return 0
    writer = BlobWriter(blobs, digest, size)
    if writer.offset > size:
        writer.drop()  # what lies there is no beginning of it
        return _write_blob(client, folder, digest, size, word, progress)
    begun = writer.offset
    try:
        with contextlib.closing(client.download_blob(digest, begun)) as pieces:
            for piece in pieces:
                writer.write(piece)
                progress(word, writer.offset, size)
    except BaseException:
        writer.pause()
        raise
    if not writer.finish():
        detail = f"What came for {digest} was not it; nothing of it is kept."
        raise Unavailable("E-DIGEST", detail, hint="Run the same command again.")
    return size - begun


def _is_whole(blobs: Directory, digest: Digest, size: int) -> bool:
    """Say whether a blob is here and right; a wrong one is removed, to be written anew."""
    name = blob_place(digest)[2]
    if blobs.size(name) is None:
        return False
    hashed = hashlib.sha256()
    source = blobs.open(name) if blobs.size(name) == size else None
    if source is not None:
        with contextlib.closing(source), contextlib.suppress(OSError):
            absorb(source, hashed)
    if f"sha256:{hashed.hexdigest()}" == digest:
        return True
    blobs.remove(name)
    return False


@contextlib.contextmanager
def _below(folder: Directory, *names: str) -> Generator[Directory]:
    below = descend(folder, *names, create=True)
    assert below is not None
    with contextlib.closing(below):
        yield below


def _write(folder: Directory, name: str, content: bytes) -> None:
    """Put a small file there whole, or leave the one before."""
    fresh = f"{name}.new"
    folder.remove(fresh)
    sink = folder.create(fresh)
    try:
        sink.write(content)
        sink.sync()
    finally:
        sink.close()
    folder.rename(fresh, name)
    folder.sync()
