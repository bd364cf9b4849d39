"""The node's blob store as a driver: brings images here piece by piece, verified, and lists what is complete.

An image is Skerry's own manifest (an OCI manifest with uncompressed layers) and the blobs it names. Manifests and other
blobs are kept apart, so that what is complete can be read from the disk alone. Where the bytes come from is behind
``BlobSource``: the link, later neighbours and USB sticks. Nothing a source sends is trusted; digests decide.
"""

import asyncio
import hashlib
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Protocol

from skerry.drivers.base import Offload, run_inline
from skerry.model.errors import Invalid
from skerry.model.ids import Digest
from skerry.model.image import DOCUMENT_BYTES_MAX, MANIFEST_TYPE, Manifest, read_manifest
from skerry.model.observed import ImageSeen, Observation
from skerry.plan.actions import DONE, Action, DropBlobs, FetchImage, Outcome, RemoveImage, failed
from skerry.safe.blobs import BlobDirectory
from skerry.safe.errors import StoreFailed, StoreFull, TooLarge
from skerry.safe.paths import Directory

_CHUNK_BYTES = 256 * 1024


class BlobUnavailable(LookupError):
    """The source does not have the blob, or will not give it; the message says why."""


class BlobSource(Protocol):
    """Where the bytes of a blob come from."""

    def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        """Give the bytes of ``blob`` from ``offset`` on, over cuts if need be; raise ``BlobUnavailable``."""
        ...


class ImagesDriver:
    """Driver over two blob directories."""

    name = "images"
    performs = (FetchImage, DropBlobs, RemoveImage)

    def __init__(self, directory: Directory, source: BlobSource, offload: Offload = run_inline) -> None:
        self._manifests = BlobDirectory(directory.enter("manifests", create=True))
        self._blobs = BlobDirectory(directory.enter("blobs", create=True))
        self._source = source
        self._offload = offload
        self._fetching: dict[Digest, int] = {}
        #: Images share layers: whoever comes second waits and finds the blob here.
        self._coming: dict[Digest, asyncio.Lock] = {}

    async def observe(self) -> Observation:
        """List complete images, and how much of the others is here."""
        complete: list[ImageSeen] = []
        arriving: dict[Digest, int] = dict(self._fetching)
        for digest in self._manifests.digests():
            manifest = self._read_manifest(digest)
            if manifest is None:
                continue
            sizes = {blob.digest: self._blobs.size(blob.digest) for blob in manifest.blobs}
            have = sum(size for size in sizes.values() if size is not None)
            if all(size is not None for size in sizes.values()):
                complete.append(ImageSeen(digest, manifest.config.digest, have))
            else:
                arriving[digest] = max(arriving.get(digest, 0), have)
        return Observation(driver=self.name, blobs=tuple(complete), arriving=arriving)

    async def perform(self, action: Action) -> Outcome:
        """Fetch or drop one image."""
        match action:
            case FetchImage():
                return await self._fetch_image(action)
            case DropBlobs() | RemoveImage():
                try:
                    self._drop(action.image)
                except StoreFailed as error:
                    return failed("E-DISK", error.detail)
                return DONE
            case _:
                return failed("E-DRIVER", f"the image store does not do {type(action).__name__}")

    def read_archive(self, image: Digest) -> Iterator[bytes]:
        """Give a complete image as an OCI archive, for a runtime to load; blobs are verified on the way.

        Raise ``BlobUnavailable`` when a blob is missing or not what its digest says; the bad one is then removed.
        An empty piece is a moment at which the reader may give others a turn.
        """
        manifest = self._read_manifest(image)
        if manifest is None:
            raise BlobUnavailable(f"image {image} is not complete")
        for blob in manifest.blobs:
            yield from self._verify(image, blob.digest)
        raw = self._read_small(self._manifests, image) or b""
        index = {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": MANIFEST_TYPE,
                    "digest": image,
                    "size": len(raw),
                    "annotations": {"org.opencontainers.image.ref.name": archive_name(image)},
                }
            ],
        }
        yield from _tar_member("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        yield from _tar_member("index.json", json.dumps(index).encode())
        yield from _tar_member(_blob_path(image), raw)
        for blob in manifest.blobs:
            source = self._blobs.open(blob.digest)
            if source is None:
                raise BlobUnavailable(f"blob {blob.digest} of image {image} went away")
            try:
                yield _tar_header(_blob_path(blob.digest), blob.size)
                while content := source.read(_CHUNK_BYTES):
                    yield content
            finally:
                source.close()
            yield b"\0" * (-blob.size % tarfile.BLOCKSIZE)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)

    def _verify(self, image: Digest, blob: Digest) -> Iterator[bytes]:
        """Read a blob and compare, giving an empty piece after every chunk."""
        source = self._blobs.open(blob)
        hashed = hashlib.sha256()
        try:
            while source is not None and (content := source.read(_CHUNK_BYTES)):
                hashed.update(content)
                yield b""
        except OSError:
            hashed = hashlib.sha256()  # an unreadable page is as bad as a changed one (faults.md D3)
        finally:
            if source is not None:
                source.close()
        if source is None or f"sha256:{hashed.hexdigest()}" != blob:
            self._blobs.remove(blob)
            raise BlobUnavailable(f"blob {blob} of image {image} was damaged; it will be fetched again")

    async def _fetch_image(self, action: FetchImage) -> Outcome:
        try:
            if self._manifests.size(action.image) is None:
                problem = await self._fetch_blob(self._manifests, action.image, DOCUMENT_BYTES_MAX, action.image)
                if problem is not None:
                    return problem
            manifest = self._read_manifest(action.image)
            if manifest is None:
                self._manifests.remove(action.image)
                return failed("E-IMAGE", f"{action.image} is not an image manifest")
            if manifest.config.digest != action.config:
                return failed("E-IMAGE", f"{action.image} has another configuration than the signed revision says")
            if sum(blob.size for blob in manifest.layers) > action.size_bytes:
                return failed("E-IMAGE", f"{action.image} is larger than the signed revision says")
            for blob in manifest.blobs:
                if self._blobs.size(blob.digest) is None:
                    problem = await self._fetch_blob(self._blobs, blob.digest, blob.size, action.image)
                    if problem is not None:
                        return problem
        except StoreFull as error:
            return failed("E-DISK-FULL", error.detail)
        except StoreFailed as error:
            return failed("E-DISK", error.detail)
        finally:
            self._fetching.pop(action.image, None)
        return DONE

    async def _fetch_blob(self, store: BlobDirectory, blob: Digest, size_max: int, image: Digest) -> Outcome | None:
        """Fetch one blob, resuming what is there; None when it is here and verified."""
        lock = self._coming.setdefault(blob, asyncio.Lock())
        async with lock:
            here = store.size(blob) is not None
            problem = None if here else await self._fetch_alone(store, blob, size_max, image)
        if problem is None:
            self._coming.pop(blob, None)  # whoever still waits for this lock finds the blob here
        return problem

    async def _fetch_alone(self, store: BlobDirectory, blob: Digest, size_max: int, image: Digest) -> Outcome | None:
        writer = await self._offload(lambda: store.begin(blob, size_max=size_max))
        try:
            self._fetching[image] = self._fetching.get(image, 0) + writer.offset
            async for content in self._source.fetch(blob, writer.offset):
                writer.write(content)
                self._fetching[image] += len(content)
        except BlobUnavailable as error:
            writer.pause()
            return failed("E-UNREACHABLE", str(error))
        except TooLarge as error:
            writer.drop()
            return failed("E-IMAGE", error.detail)
        except BaseException:
            writer.pause()
            raise
        if not await self._offload(writer.finish):
            return failed("E-IMAGE", f"what came for {blob} was not it; it will be fetched again")
        return None

    def _drop(self, image: Digest) -> None:
        """Remove an image's blobs, whole and half, that no other image needs."""
        manifest = self._read_manifest(image)
        self._manifests.remove(image)
        self._manifests.remove_unfinished(image)
        if manifest is None:
            return
        needed = {
            blob.digest
            for other in self._manifests.digests()
            if (rest := self._read_manifest(other)) is not None
            for blob in rest.blobs
        }
        for blob in manifest.blobs:
            if blob.digest not in needed:
                self._blobs.remove(blob.digest)
                self._blobs.remove_unfinished(blob.digest)

    def _read_manifest(self, image: Digest) -> Manifest | None:
        raw = self._read_small(self._manifests, image)
        if raw is None:
            return None
        try:
            return read_manifest(raw)
        except Invalid:
            return None

    def _read_small(self, store: BlobDirectory, blob: Digest) -> bytes | None:
        source = store.open(blob)
        if source is None:
            return None
        try:
            return source.read(DOCUMENT_BYTES_MAX)
        finally:
            source.close()


def archive_name(image: Digest) -> str:
    """Return the name under which a runtime lists an image of ours."""
    return f"localhost/skerry/image:{image.removeprefix('sha256:')}"


def _blob_path(blob: Digest) -> str:
    return f"blobs/sha256/{blob.removeprefix('sha256:')}"


def _tar_header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _tar_member(name: str, content: bytes) -> Iterator[bytes]:
    whole = BytesIO()
    whole.write(_tar_header(name, len(content)))
    whole.write(content)
    whole.write(b"\0" * (-len(content) % tarfile.BLOCKSIZE))
    yield whole.getvalue()
