"""Bytes named by their digest: verified before they get the name, resumable before that.

Rules: (1) under a digest lie exactly its bytes; (2) an unfinished blob is ``<digits>.part`` and may hold anything,
since a power cut tears it: it is hashed again when resumed and judged at the end. Used by the core's store and a site's
cache.
"""

import contextlib
import hashlib
from collections.abc import Generator, Iterator
from typing import Protocol

from skerry.model.ids import Digest, is_digest
from skerry.safe.errors import TooLarge
from skerry.safe.files import disk_errors
from skerry.safe.paths import Directory, Source, blob_place, descend

#: Bytes hashed at a time; what one read of a disk returns quickly.
CHUNK_BYTES = 256 * 1024


class Hash(Protocol):
    """As much of a hash as we need."""

    def update(self, content: bytes, /) -> None:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digits."""
        ...


def absorb(source: Source, hashed: Hash) -> int:
    """Feed all of ``source`` to ``hashed``; return how many bytes that were."""
    size = 0
    while content := source.read(CHUNK_BYTES):
        hashed.update(content)
        size += len(content)
    return size


class BlobWriter:
    """One blob on its way in. ``offset`` says how many bytes are there already."""

    def __init__(self, directory: Directory, digest: Digest, size_max: int) -> None:
        self._directory = directory
        self._digest = digest
        self._size_max = size_max
        self._name = blob_place(digest)[2]
        self._hash = hashlib.sha256()
        self.offset = 0
        present = directory.open(f"{self._name}.part")
        if present is not None:
            self.offset = absorb(present, self._hash)
            present.close()
        with disk_errors(digest):
            self._sink = directory.append(f"{self._name}.part")

    def write(self, content: bytes) -> None:
        """Append ``content``; raises ``TooLarge``, ``StoreFull`` or ``StoreFailed``."""
        if self.offset + len(content) > self._size_max:
            raise TooLarge(self._digest, self._size_max)
        with disk_errors(self._digest):
            self._sink.write(content)
        self._hash.update(content)
        self.offset += len(content)

    def pause(self) -> None:
        """Keep what came so far for a later ``BlobDirectory.begin``."""
        self._sink.close()
        self._directory.close()

    def finish(self) -> bool:
        """Verify and publish: True when the blob is durable, False when the bytes were not its own and are gone."""
        if f"sha256:{self._hash.hexdigest()}" != self._digest:
            self.drop()
            return False
        with disk_errors(self._digest):
            self._sink.sync()
            self._directory.rename(f"{self._name}.part", self._name)
            self._directory.sync()
        self.pause()
        return True

    def drop(self) -> None:
        """Forget what came so far."""
        with disk_errors(self._digest):
            self._directory.remove(f"{self._name}.part")
        self.pause()


class BlobDirectory:
    """The blobs below one directory, spread over 256 others by their first digits."""

    def __init__(self, root: Directory) -> None:
        self._root = root

    @contextlib.contextmanager
    def _shelf(self, digest: Digest) -> Generator[tuple[Directory | None, str]]:
        """Give the directory of ``digest``, None when there is none, and the name in it."""
        algorithm, shelf, name = blob_place(digest)
        directory = descend(self._root, algorithm, shelf)
        try:
            yield directory, name
        finally:
            if directory is not None:
                directory.close()

    def size(self, digest: Digest) -> int | None:
        """Return the length of a finished blob, None when it is not here."""
        with self._shelf(digest) as (shelf, name):
            return None if shelf is None else shelf.size(name)

    def open(self, digest: Digest) -> Source | None:
        """Open a finished blob, None when it is not here. Whoever runs it verifies it (faults.md D10)."""
        with self._shelf(digest) as (shelf, name):
            return None if shelf is None else shelf.open(name)

    def read(self, digest: Digest, offset: int, size: int) -> bytes | None:
        """Return up to ``size`` bytes of a finished blob from ``offset``, None when it is not here."""
        with self._shelf(digest) as (shelf, name):
            return None if shelf is None else shelf.read_at(name, offset, size)

    def unfinished_size(self, digest: Digest) -> int:
        """Return how many bytes of an unfinished blob are here, verified or not."""
        with self._shelf(digest) as (shelf, name):
            return 0 if shelf is None else shelf.size(f"{name}.part") or 0

    def verify(self, digest: Digest) -> bool:
        """Read the blob and compare; a bad or unreadable one is removed, to be fetched again (faults.md D10)."""
        source = self.open(digest)
        if source is None:
            return False
        hashed = hashlib.sha256()
        try:
            absorb(source, hashed)
        except OSError:
            hashed = hashlib.sha256()
        finally:
            source.close()
        good = f"sha256:{hashed.hexdigest()}" == digest
        if not good:
            self.remove(digest)
        return good

    def begin(self, digest: Digest, *, size_max: int) -> BlobWriter:
        """Start or resume a blob of at most ``size_max`` bytes. One writer per digest at a time."""
        algorithm, shelf, _ = blob_place(digest)
        with disk_errors(digest):
            directory = descend(self._root, algorithm, shelf, create=True)
        assert directory is not None
        return BlobWriter(directory, digest, size_max)

    def remove(self, digest: Digest) -> None:
        """Remove a finished blob, durably; a missing one is as good as removed."""
        with self._shelf(digest) as (shelf, name):
            if shelf is not None:
                with disk_errors(digest):
                    shelf.remove(name)
                    shelf.sync()

    def remove_unfinished(self, digest: Digest) -> None:
        """Remove what came of a blob so far; only while nobody writes it."""
        with self._shelf(digest) as (shelf, name):
            if shelf is not None:
                with disk_errors(digest):
                    shelf.remove(f"{name}.part")

    def _shelves(self) -> Iterator[Directory]:
        algorithm = descend(self._root, "sha256")
        if algorithm is not None:
            for name in algorithm.names():
                with contextlib.closing(algorithm.enter(name)) as shelf:
                    yield shelf
            algorithm.close()

    def settle(self) -> None:
        """Sync every shelf, at start: a killed writer may have left a blob that a power cut would take back."""
        with disk_errors("the blobs"):
            for shelf in self._shelves():
                shelf.sync()

    def digests(self, *, unfinished: bool = False) -> list[Digest]:
        """List the finished blobs, or those on their way, sorted: for whoever removes what nobody needs."""
        suffix = ".part" if unfinished else ""
        names = (name for shelf in self._shelves() for name in shelf.names() if name.endswith(suffix))
        found = (f"sha256:{name.removesuffix(suffix)}" for name in names)
        return [Digest(name) for name in found if is_digest(name)]
