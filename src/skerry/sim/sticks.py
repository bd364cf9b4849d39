"""Sticks of a simulated world: a bundle is written from the real core's answers and read by the real agent."""

from skerry.core.carrying import Bytes
from skerry.core.service import Service
from skerry.model import bundle
from skerry.model.asks import ReadBlob
from skerry.model.bundle import Listed
from skerry.model.ids import Digest, SiteName, TenantName, digest_of
from skerry.model.image import read_manifest
from skerry.safe.paths import Directory, blob_place, descend
from skerry.sdk.exporting import list_document_images
from skerry.sim.disk import MemoryDisk
from skerry.sim.world import ADMIN, World
from skerry.wire import decode_carried


async def write_stick(world: World, site: SiteName, tenant: TenantName, *, document: bool, harm: str) -> MemoryDisk:
    """Have the core's answers on a stick: all images that a site's document asks for and, if so wished, the document.

    ``harm``: ``layer`` has a bit of each layer flipped, ``document`` that of the document, ``short`` ends layers early.
    """
    stick, service = MemoryDisk(), world.core.service
    content = await _read(await service.export_site(ADMIN, site=site))
    wanted = list_document_images(decode_carried(content))
    if document:
        written = _flip(content) if harm == "document" else content
        _write(_enter(stick.root, bundle.DOCUMENTS), bundle.document_name(site), written)
    listed: list[tuple[Listed, int]] = []
    for image, name in sorted(wanted.items()):
        raw = await _read_blob(world, service, tenant, image)
        blobs = _enter(stick.root, bundle.BLOBS)
        _write(blobs, blob_place(image)[2], raw)
        manifest = read_manifest(raw)
        for part in manifest.blobs:
            bytes_ = await _read_blob(world, service, tenant, part.digest)
            if part.digest != manifest.config.digest:
                bytes_ = {"layer": _flip(bytes_), "short": bytes_[:-1]}.get(harm, bytes_)
            if blobs.size(blob_place(part.digest)[2]) is None:
                _write(blobs, blob_place(part.digest)[2], bytes_)
        listed.append((Listed(image, name), len(raw)))
    _write(stick.root, bundle.INDEX, bundle.write_index(tuple(listed)))
    return stick


async def _read_blob(world: World, service: Service, tenant: TenantName, digest: Digest) -> bytes:
    found = await service.read_blob(world.as_tenant(tenant), digest=digest, query=ReadBlob())
    content = await _read(found)
    assert digest_of(content) == digest, "the core gives a blob's own bytes"
    return content


async def _read(found: Bytes) -> bytes:
    return b"".join([piece async for piece in found.pieces])


def _enter(root: Directory, names: tuple[str, ...]) -> Directory:
    below = descend(root, *names, create=True)
    assert below is not None
    return below


def _write(directory: Directory, name: str, content: bytes) -> None:
    sink = directory.create(name)
    sink.write(content)
    sink.close()


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes((content[middle] ^ 1,)) + content[middle + 1 :]
