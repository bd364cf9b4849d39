"""Blobs of OCI archives as a source for the image store, for tests without a core."""

import io
import json
import tarfile
from collections.abc import AsyncIterator

from skerry.drivers.images import BlobUnavailable
from skerry.model.app import ImageRef
from skerry.model.ids import Digest


class ArchiveSource:
    """Serves every blob of the archives it was given."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}

    def add(self, archive: bytes) -> ImageRef:
        """Take an archive's blobs and return its image."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {item.name: tar.extractfile(item) for item in tar if item.isfile()}
            contents = {name: file.read() for name, file in files.items() if file is not None}
        for name, content in contents.items():
            if name.startswith("blobs/sha256/"):
                self._blobs[Digest("sha256:" + name.rpartition("/")[2])] = content
        entry = json.loads(contents["index.json"])["manifests"][0]
        manifest = json.loads(self._blobs[entry["digest"]])
        name = entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "image")
        size = sum(layer["size"] for layer in manifest["layers"])
        return ImageRef(name=name, digest=entry["digest"], config=manifest["config"]["digest"], size_bytes=size)

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        """Give a blob's bytes."""
        if blob not in self._blobs:
            raise BlobUnavailable(f"no blob {blob}")
        content = self._blobs[blob][offset:]
        for start in range(0, len(content), 65536):
            yield content[start : start + 65536]
