"""A bundle at a box as a source of blobs: asked before the link while it is here, and never believed.

Rules: (1) only parts that a manifest under its own digest names are read, and not one byte more than it says; (2) a
blob is read through and compared before the first byte of it is handed on, so that a bad stick cannot spoil what came
over the link; (3) no link is followed and no handle kept, so that the stick can be pulled at any time; what is missing
or wrong is noted with its place, and the link goes on where the bundle ends. Nothing is written or removed here.
"""

import contextlib
import errno
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator

from skerry.drivers.base import Offload, run_inline
from skerry.model.bundle import BLOBS, DOCUMENTS, INDEX, INDEX_BYTES_MAX, Listed, document_name, read_index
from skerry.model.errors import Invalid
from skerry.model.ids import Digest, SiteName, digest_of
from skerry.model.image import DOCUMENT_BYTES_MAX, Manifest, read_manifest
from skerry.model.limits import CARRIED_BYTES_MAX
from skerry.safe.errors import TooLarge, UnsafeName
from skerry.safe.paths import Directory, blob_place, descend

#: Bytes that are read at a time: a stick gives them in a thirtieth of a second.
_PIECE_BYTES = 1024 * 1024

OpenFolder = Callable[[str], Directory]
#: Gives the bytes of a blob from an offset on: what stands behind the bundle.
Fetch = Callable[[Digest, int], AsyncIterator[bytes]]


class Bundle:
    """One folder that was brought: what it lists, and what was found wrong with it so far."""

    def __init__(self, folder: str, images: tuple[Listed, ...]) -> None:
        self.folder = folder
        self.images = images
        #: Parts of each image whose manifest is sound, the manifest itself included.
        self.parts: dict[Digest, tuple[Digest, ...]] = {}
        #: How long each of these parts is, as its manifest says.
        self.sizes: dict[Digest, int] = {}
        #: What is wrong with a part, as a sentence that begins with its place in the folder.
        self.wrong: dict[Digest, str] = {}

    def find_wrong(self, image: Digest) -> str:
        """Say why an image cannot come from here; empty when nothing is known against it."""
        return next((self.wrong[part] for part in self.parts.get(image, (image,)) if part in self.wrong), "")


class BundleSource:
    """The bundle that was opened last, and behind it the link."""

    def __init__(self, fetch: Fetch, open_folder: OpenFolder, offload: Offload = run_inline) -> None:
        self._fetch = fetch
        self._open_folder = open_folder
        self._offload = offload
        self.opened: Bundle | None = None

    async def open(self, folder: str) -> Bundle:
        """Read a folder's index and manifests and have it asked from now on; raises ``Invalid`` for what is none."""
        self.opened = bundle = await self._offload(lambda: self._look(folder))
        return bundle

    async def read_document(self, site: SiteName) -> bytes | None:
        """Return what the bundle brings for a site; None when that is nothing. Raises ``Invalid``."""
        assert self.opened is not None, "a bundle is opened first"
        folder = self.opened.folder
        return await self._offload(lambda: self._read_small(folder, DOCUMENTS, document_name(site), CARRIED_BYTES_MAX))

    def list_whole(self) -> frozenset[Digest]:
        """Name the images of which the bundle brings every part, as far as is known."""
        bundle = self.opened
        return frozenset(each for each in bundle.parts if not bundle.find_wrong(each)) if bundle else frozenset()

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        """Give the bytes of ``blob`` from ``offset`` on: from the bundle as far as it goes, then over the link."""
        bundle = self.opened
        if bundle is not None and blob in bundle.sizes and blob not in bundle.wrong:
            async for content in self._read(bundle, blob, offset):
                offset += len(content)
                yield content
            if blob not in bundle.wrong:
                return
        async for content in self._fetch(blob, offset):
            yield content

    def _look(self, folder: str) -> Bundle:
        content = self._read_small(folder, (), INDEX, INDEX_BYTES_MAX)
        if content is None:
            hint = "skerry export APP --to FOLDER makes one"
            raise Invalid("E-BUNDLE", f"{folder} is no bundle: it has no {INDEX}.", hint=hint)
        bundle = Bundle(folder, read_index(content))
        for listed in bundle.images:
            try:
                size, manifest = self._read_manifest(folder, listed.image)
            except Invalid as error:
                bundle.wrong[listed.image] = f"{_place(listed.image)}: {error.detail}"
                continue
            bundle.parts[listed.image] = (listed.image, *(part.digest for part in manifest.blobs))
            bundle.sizes |= {listed.image: size, **{part.digest: part.size for part in manifest.blobs}}
        return bundle

    def _read_manifest(self, folder: str, image: Digest) -> tuple[int, Manifest]:
        content = self._read_small(folder, BLOBS, blob_place(image)[2], DOCUMENT_BYTES_MAX)
        if content is None:
            raise Invalid("E-BUNDLE", "it is missing")
        if digest_of(content) != image:
            raise Invalid("E-BUNDLE", "it is not what its name says")
        return len(content), read_manifest(content)

    def _read_small(self, folder: str, names: tuple[str, ...], name: str, limit: int) -> bytes | None:
        place = "/".join((*names, name))
        try:
            with self._enter(folder, names) as below:
                return None if below is None else below.read(name, limit=limit)
        except TooLarge as error:
            raise Invalid("E-BUNDLE", f"{place} in {folder}: {error.detail}") from error
        except (OSError, UnsafeName) as error:
            raise Invalid("E-BUNDLE", f"{place} in {folder}: {_say(error)}.") from error

    @contextlib.contextmanager
    def _enter(self, folder: str, names: tuple[str, ...]) -> Generator[Directory | None]:
        """Give the folder ``names`` below the bundle's own for a moment; None when it is missing."""
        with contextlib.ExitStack() as opened:
            found: Directory | None = opened.enter_context(contextlib.closing(self._open_folder(folder)))
            if names:
                found = descend(found, *names)
                if found is not None:
                    opened.callback(found.close)
            yield found

    async def _read(self, bundle: Bundle, blob: Digest, offset: int) -> AsyncGenerator[bytes]:
        """Compare a blob, then give it; what does not fit is noted and ends it early."""
        size = bundle.sizes[blob]
        hashed = hashlib.sha256()
        async for content in self._read_pieces(bundle, blob, 0, size):
            hashed.update(content)
        if blob not in bundle.wrong and f"sha256:{hashed.hexdigest()}" != blob:
            bundle.wrong[blob] = f"{_place(blob)}: it is not what its name says"
        if blob not in bundle.wrong:
            async for content in self._read_pieces(bundle, blob, offset, size):
                yield content

    async def _read_pieces(self, bundle: Bundle, blob: Digest, offset: int, size: int) -> AsyncGenerator[bytes]:
        while offset < size:
            try:
                content = await self._offload(lambda at=offset: self._read_piece(bundle.folder, blob, at, size))
            except Invalid as error:
                bundle.wrong[blob] = f"{_place(blob)}: {error.detail}"
                return
            yield content
            offset += len(content)

    def _read_piece(self, folder: str, blob: Digest, offset: int, size: int) -> bytes:
        name = blob_place(blob)[2]
        try:
            with self._enter(folder, BLOBS) as below:
                have = None if below is None else below.size(name)
                if have is not None and have != size:
                    raise Invalid("E-BUNDLE", f"it has {have} bytes, and its manifest says {size}")
                content = None if below is None else below.read_at(name, offset, min(_PIECE_BYTES, size - offset))
        except (OSError, UnsafeName) as error:
            raise Invalid("E-BUNDLE", _say(error)) from error
        if not content:
            raise Invalid("E-BUNDLE", "it is missing" if content is None else "it ends before its length")
        return content


def _place(blob: Digest) -> str:
    return "/".join((*BLOBS, blob_place(blob)[2]))


def _say(error: OSError | UnsafeName) -> str:
    if isinstance(error, UnsafeName) or error.errno == errno.ELOOP:
        return "it is no plain file"
    if error.errno == errno.ENOTDIR:
        return "a part of its way is no folder, or a link"
    return f"it cannot be read ({error.strerror})"
