"""Images as other people pack them: indexes over platforms, compressed layers, engines' own media types.

Pure: bytes in, values or ``Invalid`` out; where bytes come from is for ``images.py`` and ``registry.py``, and Skerry's
own manifest is ``model/image.py``. Rule: a digest is checked before what it names is believed, and a length is compared
with its limit before anything is read.
"""

from typing import Literal

import msgspec

from skerry.model import image
from skerry.model.errors import Invalid
from skerry.model.ids import Digest, digest_of, is_digest
from skerry.model.image import (
    LAYER_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    ImageConfig,
    Manifest,
    Platform,
    decode_document,
)

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")

#: How a layer's bytes are packed, by its media type.
Packing = Literal["plain", "gzip"]
LAYER_PACKING: dict[str, Packing] = {
    LAYER_TYPE: "plain",
    f"{LAYER_TYPE}+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "plain",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "plain",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
}

#: Indexes inside indexes: builders nest once.
INDEX_DEPTH_MAX = 3


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """Several manifests, one for each platform."""

    manifests: tuple[Descriptor, ...]


class Layer(msgspec.Struct, frozen=True):
    """One layer: how it is stored, and what it is once unpacked."""

    stored: Descriptor
    diff_id: Digest
    packing: Packing


def parse_platform(text: str) -> Platform:
    """Read ``linux/arm64/v8``; raises ``Invalid``."""
    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise Invalid("E-PLATFORM", f"{text!r} is no platform.", hint="Write it like linux/amd64.")
    return Platform(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else "")


def read_index(content: bytes) -> Index:
    """Read an index; raises ``Invalid``."""
    return decode_document(content, Index, "index")


def read_manifest(content: bytes, digest: str = "") -> Manifest:
    """Read a manifest; with ``digest`` the bytes are checked first. Raises ``Invalid``."""
    if digest:
        check_digest(content, digest, "manifest")
    return image.read_manifest(content)


def read_config(content: bytes, digest: str) -> ImageConfig:
    """Check and read a configuration; raises ``Invalid``."""
    check_digest(content, digest, "configuration")
    return decode_document(content, ImageConfig, "configuration")


def pair_layers(manifest: Manifest, config: ImageConfig) -> tuple[Layer, ...]:
    """Say of each layer what it is unpacked; raises ``Invalid`` where manifest and configuration do not fit."""
    if len(manifest.layers) != len(config.rootfs.diff_ids):
        raise Invalid("E-IMAGE", "The manifest and its configuration do not name the same number of layers.")
    layers: list[Layer] = []
    for stored, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True):
        packing = LAYER_PACKING.get(stored.media_type)
        if packing is None:
            detail = f"A layer is packed as {stored.media_type[:120]!r}; plain tars and gzip are understood."
            raise Invalid("E-IMAGE", detail, hint="Build the image with gzip or uncompressed layers.")
        if not is_digest(diff_id):
            raise Invalid("E-IMAGE", "The configuration names a layer without a sound digest.")
        if packing == "plain" and stored.digest != diff_id:
            raise Invalid("E-IMAGE", f"Layer {stored.digest[:19]}… is not the one that the configuration names.")
        layers.append(Layer(stored, diff_id, packing))
    return tuple(layers)


def choose_manifest(index: Index, wanted: Platform, name: str = "") -> Descriptor:
    """Choose the manifest or nested index for a platform, and for a name where the index has several.

    Raises ``Invalid`` with what there is to choose from.
    """
    known = [each for each in index.manifests if each.media_type in (*MANIFEST_TYPES, *INDEX_TYPES)]
    # Provenance that builders put beside an image has the platform unknown/unknown.
    real = [each for each in known if each.platform is None or each.platform.os != "unknown"]
    named = [each for each in real if name and name in (ref_name(each), ref_name(each).rpartition(":")[2])]
    chosen = named or real
    fitting = [each for each in chosen if each.platform is None or _fits(each.platform, wanted)]
    if len(fitting) == 1 or (fitting and len({each.digest for each in fitting}) == 1):
        return fitting[0]
    if not fitting:
        have = ", ".join(sorted(str(each.platform) for each in chosen)) or "no image at all"
        raise Invalid("E-PLATFORM", f"There is nothing for {wanted} here, but {have}.", hint="Choose with --platform.")
    have = ", ".join(sorted(ref_name(each) or each.digest for each in fitting))
    raise Invalid("E-IMAGE", f"There are several images here: {have}.", hint="Name one of them.")


def ref_name(descriptor: Descriptor) -> str:
    """Return what an index calls one of its images."""
    return (
        descriptor.annotations.get("io.containerd.image.name")
        or descriptor.annotations.get("org.opencontainers.image.ref.name")
        or ""
    )


def check_digest(content: bytes, digest: str, what: str) -> None:
    """Raise ``Invalid`` unless ``content`` is what ``digest`` names."""
    found = digest_of(content)
    if found != digest:
        raise Invalid("E-DIGEST", f"The {what} is not what its digest says: {found[:19]}… instead of {digest[:19]}….")


def _fits(platform: Platform, wanted: Platform) -> bool:
    if (platform.os, platform.architecture) != (wanted.os, wanted.architecture):
        return False
    # 64-bit ARM has one variant in practice, and builders write it or leave it out.
    return not wanted.variant or not platform.variant or platform.variant == wanted.variant
