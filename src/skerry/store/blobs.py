"""Bytes of images by digest: uploads that resume, and pieces for whoever fetches.

The disk's work is done by one thread of its own, so that hashing a large layer delays no heartbeat; the simulation does
it inline. What a blob belongs to is known in ``things.py``; what its bytes are is judged by ``safe/blobs.py``.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from skerry.model.errors import Conflict, Invalid
from skerry.model.ids import Digest
from skerry.safe.blobs import BlobDirectory, BlobWriter

T = TypeVar("T")

#: Bytes gathered before they go to the thread: enough that passing them on costs less than writing them.
_GATHER_BYTES = 256 * 1024


class Upload:
    """One blob on its way in. Made by ``BlobStore.upload``."""

    def __init__(self, store: "BlobStore", writer: BlobWriter, size_bytes: int) -> None:
        self._store = store
        self._writer = writer
        self._size_bytes = size_bytes
        self._gathered = bytearray()
        self._over = False
        #: Bytes taken so far, those of earlier uploads included.
        self.offset = writer.offset

    async def write(self, content: bytes) -> None:
        """Take more bytes; raises ``TooLarge``, ``StoreFull`` or ``StoreFailed``."""
        self._gathered += content
        self.offset += len(content)
        if len(self._gathered) >= _GATHER_BYTES:
            await self._flush()

    async def finish(self) -> bool:
        """Keep what came; True when the blob is whole, verified and durable. Raises ``Invalid`` for other bytes."""
        await self._flush()
        self._over = True
        if self.offset < self._size_bytes:
            await self._store.work(self._writer.pause)
            return False
        if not await self._store.work(self._writer.finish):
            raise Invalid(
                "E-DIGEST",
                "These bytes are not those that the digest names; they were dropped.",
                hint="Upload it again.",
            )
        return True

    async def abandon(self) -> None:
        """Keep what came so far for a later upload that goes on from there."""
        if not self._over:
            self._over = True
            await self._flush()
            await self._store.work(self._writer.pause)

    async def _flush(self) -> None:
        content, self._gathered = bytes(self._gathered), bytearray()
        if content:
            await self._store.work(lambda: self._writer.write(content))


class BlobStore:
    """The core's blobs. All methods belong to one event loop."""

    def __init__(self, directory: BlobDirectory, *, inline: bool = False) -> None:
        self._directory = directory
        self._worker = None if inline else ThreadPoolExecutor(1, thread_name_prefix="blobs")
        self._uploading: set[Digest] = set()

    async def size(self, digest: Digest) -> int | None:
        """Return the length of a whole blob, None when it is not here."""
        return await self.work(lambda: self._directory.size(digest))

    async def unfinished_size(self, digest: Digest) -> int:
        """Return how many bytes of an unfinished blob are here."""
        return await self.work(lambda: self._directory.unfinished_size(digest))

    async def read(self, digest: Digest, offset: int, count: int) -> bytes | None:
        """Return up to ``count`` bytes from ``offset``, None when the blob is not here."""
        return await self.work(lambda: self._directory.read(digest, offset, count))

    @contextlib.asynccontextmanager
    async def upload(self, digest: Digest, offset: int, size_bytes: int) -> AsyncGenerator[Upload]:
        """Take a blob of ``size_bytes`` from ``offset`` on, which must be where an earlier upload stopped, or 0.

        Raises ``Conflict`` while somebody else uploads it, and when ``offset`` is elsewhere.
        """
        if digest in self._uploading:
            raise Conflict("E-UPLOADING", "Somebody uploads this blob right now.", hint="Ask again in a moment.")
        self._uploading.add(digest)
        try:
            if offset == 0:
                await self.work(lambda: self._begin_anew(digest))
            writer = await self.work(lambda: self._directory.begin(digest, size_max=size_bytes))
            if writer.offset != offset:
                await self.work(writer.pause)
                raise Conflict(
                    "E-OFFSET",
                    f"The upload stands at byte {writer.offset}, not at {offset}.",
                    hint="Ask how much is here and go on from there.",
                )
            upload = Upload(self, writer, size_bytes)
            try:
                yield upload
            finally:
                await upload.abandon()
        finally:
            self._uploading.discard(digest)

    async def digests(self) -> list[Digest]:
        """Name every whole blob."""
        return await self.work(self._directory.digests)

    async def forget(self, digest: Digest, is_known: Callable[[Digest], Awaitable[bool]]) -> None:
        """Remove a blob that nobody uploads and, asked while no upload can begin, nobody knows."""
        if digest in self._uploading:
            return
        self._uploading.add(digest)
        try:
            if not await is_known(digest):
                await self.work(lambda: self._directory.remove(digest))
        finally:
            self._uploading.discard(digest)

    async def work(self, job: Callable[[], T]) -> T:
        """Do ``job`` where the disk's work is done."""
        if self._worker is None:
            return job()
        return await asyncio.get_running_loop().run_in_executor(self._worker, job)

    def close(self) -> None:
        """End the thread."""
        if self._worker is not None:
            self._worker.shutdown()

    def _begin_anew(self, digest: Digest) -> None:
        if self._directory.unfinished_size(digest):
            self._directory.begin(digest, size_max=0).drop()
