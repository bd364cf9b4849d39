"""Skerry's own image manifest, as far as the core reads it: the list of parts (distribution.md §2).

An OCI image manifest whose layers are uncompressed tars, so that the digest of a layer is also its diff id. Everything
else in it is for the engine at the site.
"""

import msgspec

from skerry.model.errors import Invalid
from skerry.model.ids import Digest, is_digest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
#: Uncompressed layers only: a gzip layer cannot be rebuilt bit for bit at a site (distribution.md §3).
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

#: Layers of one image; engines themselves stop at 127.
LAYERS_MAX = 127


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """One part of an image."""

    media_type: str
    digest: Digest
    size: int


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """The parts of an image."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    schema_version: int = 2
    media_type: str = MANIFEST_TYPE

    def parts(self) -> tuple[tuple[Digest, int], ...]:
        """Configuration and layers with their sizes, each once."""
        found = {part.digest: part.size for part in (self.config, *self.layers)}
        return tuple(found.items())

    def layer_bytes(self) -> int:
        """Bytes of all layers, uncompressed."""
        return sum(layer.size for layer in self.layers)

    def read_architecture(self, config: bytes) -> str:
        """Return the architecture that the configuration names; raises ``Invalid`` when layers and it do not fit."""
        try:
            found = msgspec.json.decode(config, type=_Config)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Invalid("E-IMAGE", f"The image's configuration cannot be read: {error}.") from error
        if found.rootfs.diff_ids != tuple(layer.digest for layer in self.layers):
            raise Invalid("E-IMAGE", "The layers are not those that the image's configuration names.")
        return found.architecture


class _Rootfs(msgspec.Struct, frozen=True):
    diff_ids: tuple[str, ...] = ()


class _Config(msgspec.Struct, frozen=True):
    architecture: str = ""
    rootfs: _Rootfs = _Rootfs()


def read_manifest(content: bytes) -> Manifest:
    """Read a manifest; raises ``Invalid`` for anything but an image manifest with uncompressed layers."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid("E-IMAGE", f"The manifest cannot be read: {error}.") from error
    if manifest.schema_version != 2 or manifest.media_type != MANIFEST_TYPE:
        raise Invalid("E-IMAGE", "The manifest is no OCI image manifest.")
    if not 1 <= len(manifest.layers) <= LAYERS_MAX:
        raise Invalid("E-IMAGE", f"An image has 1 to {LAYERS_MAX} layers, this has {len(manifest.layers)}.")
    for part in (manifest.config, *manifest.layers):
        if not is_digest(part.digest) or part.size < 0:
            raise Invalid("E-IMAGE", "A part of the manifest has no sound digest or size.")
    wrong = [layer.media_type for layer in manifest.layers if layer.media_type != LAYER_TYPE]
    if wrong:
        raise Invalid("E-IMAGE", f"A layer is {wrong[0]!r}, and must be an uncompressed tar.", hint="skerry image push")
    return manifest
