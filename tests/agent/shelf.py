"""A source of blobs for tests, which can be cut off in the middle."""

import asyncio
import json
from collections.abc import AsyncIterator

from skerry.drivers.images import BlobUnavailable
from skerry.model.app import ImageRef
from skerry.model.ids import Digest, digest_of
from skerry.model.image import CONFIG_TYPE, LAYER_TYPE


class Shelf:
    """A source of blobs that can be cut off in the middle."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.cut_after: int | None = None
        self.given = 0
        #: A link that is cut: nothing comes and nothing fails.
        self.silent = False

    def add(self, content: bytes) -> Digest:
        self.blobs[digest_of(content)] = content
        return digest_of(content)

    def add_image(self, name: str) -> ImageRef:
        config = self.add(json.dumps({"architecture": "amd64", "name": name}).encode())
        layer = self.add(name.encode() * 1000)
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": CONFIG_TYPE, "digest": config, "size": len(self.blobs[config])},
            "layers": [{"mediaType": LAYER_TYPE, "digest": layer, "size": len(self.blobs[layer])}],
        }
        digest = self.add(json.dumps(manifest).encode())
        return ImageRef(name=name, digest=digest, config=config, size_bytes=len(self.blobs[layer]))

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        if blob not in self.blobs:
            raise BlobUnavailable("no such blob")
        if self.silent:
            await asyncio.Event().wait()
        content = self.blobs[blob][offset:]
        for start in range(0, len(content), 100):
            if self.cut_after is not None and self.given >= self.cut_after:
                raise BlobUnavailable("cut off")
            self.given += 100
            yield content[start : start + 100]
