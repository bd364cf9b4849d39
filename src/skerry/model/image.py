"""An image as OCI writes it down: a manifest that names a configuration and layers, each by digest and size.

Skerry's own manifest is an OCI manifest whose layers are uncompressed tars, so that the digest of a layer is also its
diff id (distribution.md §2). The client makes it, the core checks it, the site fetches by it: one type for all three.
"""

from typing import TypeVar

import msgspec

from skerry.model.errors import Invalid
from skerry.model.ids import Digest, digest_of, is_digest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
#: Uncompressed layers only: a gzip layer cannot be rebuilt bit for bit at a site (distribution.md §3).
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

#: Bytes of a manifest or configuration: a hundred layers with long histories fit ten times.
DOCUMENT_BYTES_MAX = 1024 * 1024
#: Layers of one image; engines themselves stop at 127.
LAYERS_MAX = 127

T = TypeVar("T", bound=msgspec.Struct)


class Platform(msgspec.Struct, frozen=True):
    """What an image runs on."""

    architecture: str = ""
    os: str = "linux"
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a document says of one blob."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = {}


class Manifest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One image: its configuration and its layers. The order of fields is that of the bytes we write: it is frozen."""

    schema_version: int = 2
    media_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Configuration and layers, each once."""
        return tuple({blob.digest: blob for blob in (self.config, *self.layers)}.values())

    @property
    def layer_bytes(self) -> int:
        """Bytes of all layers, uncompressed where the manifest is ours."""
        return sum(layer.size for layer in self.layers)


class Rootfs(msgspec.Struct, frozen=True):
    """The uncompressed layers."""

    diff_ids: tuple[Digest, ...] = ()


class ImageConfig(msgspec.Struct, frozen=True):
    """As much of a configuration as concerns us; all else in it is for the engine at the site."""

    architecture: str = ""
    os: str = "linux"
    variant: str = ""
    rootfs: Rootfs = Rootfs()


def read_manifest(content: bytes) -> Manifest:
    """Read a manifest of an image, whoever made it; raises ``Invalid``."""
    manifest = decode_document(content, Manifest, "manifest")
    if not 1 <= len(manifest.layers) <= LAYERS_MAX:
        raise Invalid("E-IMAGE", f"An image has 1 to {LAYERS_MAX} layers, this has {len(manifest.layers)}.")
    for part in (manifest.config, *manifest.layers):
        if not is_digest(part.digest) or part.size < 0:
            raise Invalid("E-IMAGE", f"The manifest names a part without a sound digest or size: {part.digest[:80]!r}.")
    return manifest


def check_own(manifest: Manifest, config: bytes) -> ImageConfig:
    """Return the configuration of an image whose manifest is Skerry's own; raises ``Invalid`` when it is not."""
    if manifest.schema_version != 2 or manifest.media_type != MANIFEST_TYPE:
        raise Invalid("E-IMAGE", "The manifest is no OCI image manifest.")
    wrong = [layer.media_type for layer in manifest.layers if layer.media_type != LAYER_TYPE]
    if wrong:
        detail = f"A layer is {wrong[0][:120]!r}, and must be an uncompressed tar."
        raise Invalid("E-IMAGE", detail, hint="skerry image push")
    found = decode_document(config, ImageConfig, "configuration")
    if found.rootfs.diff_ids != tuple(layer.digest for layer in manifest.layers):
        raise Invalid("E-IMAGE", "The layers are not those that the image's configuration names.")
    return found


def make_manifest(config: bytes, layers: tuple[tuple[Digest, int], ...]) -> bytes:
    """Make Skerry's own manifest: the configuration as it is, the layers uncompressed. Its digest is the image.

    ``layers`` are diff id and size of each. The same image gives the same bytes on every machine and release.
    """
    return msgspec.json.encode(
        Manifest(
            media_type=MANIFEST_TYPE,
            config=Descriptor(CONFIG_TYPE, digest_of(config), len(config)),
            layers=tuple(Descriptor(LAYER_TYPE, digest, size) for digest, size in layers),
        )
    )


def decode_document(content: bytes, kind: type[T], what: str) -> T:
    """Decode one of an image's documents; raises ``Invalid``."""
    if len(content) > DOCUMENT_BYTES_MAX:
        raise Invalid("E-IMAGE", f"The image's {what} has more than {DOCUMENT_BYTES_MAX} bytes.")
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("E-IMAGE", f"The image's {what} cannot be read: {error}.") from error
