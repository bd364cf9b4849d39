"""A bundle: what is carried to a box that no link reaches, in a folder on a stick.

The folder is an OCI layout, which other tools read as well, with the newest signed document of each site beside it:
``oci-layout``, ``index.json``, ``blobs/sha256/DIGITS``, ``documents/SITE.document``. Pure: names, and the index as
text. Nothing in a bundle is trusted for having come: digests and signatures decide, as over a link.
"""

import msgspec

from skerry.model.errors import Invalid
from skerry.model.ids import Digest, SiteName, is_digest
from skerry.model.image import DOCUMENT_BYTES_MAX, MANIFEST_TYPE, Descriptor, decode_document

LAYOUT = "oci-layout"
LAYOUT_TEXT = b'{"imageLayoutVersion": "1.0.0"}'
INDEX = "index.json"
#: Folders from the bundle's own down to its blobs, and to its documents.
BLOBS = ("blobs", "sha256")
DOCUMENTS = ("documents",)
#: Images of one bundle: all of a site with 100 apps of two images. Their manifests are read when a bundle is opened.
IMAGES_MAX = 200
#: Name of an image, for people; the digest decides.
_NAME = "org.opencontainers.image.ref.name"


class Listed(msgspec.Struct, frozen=True):
    """One image that a bundle says it has."""

    image: Digest
    name: str


class _Index(msgspec.Struct, frozen=True, rename="camel"):
    manifests: tuple[Descriptor, ...]
    schema_version: int = 2


def document_name(site: SiteName) -> str:
    """Return the name of a site's document among ``DOCUMENTS``."""
    return f"{site}.document"


def read_index(content: bytes) -> tuple[Listed, ...]:
    """Read what a bundle lists, each image once; raises ``Invalid``."""
    found = decode_document(content, _Index, "index").manifests
    if len(found) > IMAGES_MAX:
        raise Invalid("E-BUNDLE", f"A bundle has at most {IMAGES_MAX} images, this one lists {len(found)}.")
    for each in found:
        if not is_digest(each.digest):
            raise Invalid("E-BUNDLE", f"{INDEX} lists an image without a sound digest: {each.digest[:80]!r}.")
    return tuple({each.digest: Listed(each.digest, each.annotations.get(_NAME, "")[:256]) for each in found}.values())


def write_index(images: tuple[tuple[Listed, int], ...]) -> bytes:
    """Write the index of images and the sizes of their manifests; raises ``Invalid`` for more than a bundle has."""
    if len(images) > IMAGES_MAX:
        raise Invalid("E-BUNDLE", f"A bundle has at most {IMAGES_MAX} images; these are {len(images)}.")
    manifests = tuple(
        Descriptor(MANIFEST_TYPE, each.image, size, annotations={_NAME: each.name} if each.name else {})
        for each, size in images
    )
    return msgspec.json.format(msgspec.json.encode(_Index(manifests)), indent=1)


#: Bytes of an index that is read.
INDEX_BYTES_MAX = DOCUMENT_BYTES_MAX
