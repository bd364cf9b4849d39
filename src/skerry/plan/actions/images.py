"""Steps about images: to bring, load and drop."""

from skerry.model.ids import Digest
from skerry.plan.actions.base import BaseAction


class FetchImage(BaseAction, frozen=True, kw_only=True, tag="fetch-image"):
    """Bring the image's blobs here, resumable. Proof: the blob store lists the image as complete."""

    image: Digest
    config: Digest
    size_bytes: int


class LoadImage(BaseAction, frozen=True, kw_only=True, tag="load-image"):
    """Give a complete image to the runtime. Proof: the runtime lists an image with this config digest."""

    image: Digest
    config: Digest


class DropBlobs(BaseAction, frozen=True, kw_only=True, tag="drop-blobs"):
    """Give up the blobs of an image that the runtime has by now. Proof: the blob store no longer lists it."""

    image: Digest
    config: Digest


class RemoveImage(BaseAction, frozen=True, kw_only=True, tag="remove-image"):
    """Evict an image that nothing needs. Proof: neither runtime nor blob store lists it."""

    image: Digest
    config: Digest
