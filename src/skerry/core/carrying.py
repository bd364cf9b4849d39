"""What is carried away by hand: a tenant's blobs as bytes, and a site's document for a box that no link reaches.

Nothing here is trusted more than what comes over a link: the site checks the same signatures and digests. The document
is drawn as for a site that holds nothing, so it gets its number here as it would when its site asks (decision 0013).
"""

from collections.abc import AsyncGenerator

import msgspec

from skerry.core.auth import Caller
from skerry.core.drawing import Ask, Drawings
from skerry.core.refusals import Clash, not_found
from skerry.core.state import Core, Part, Stamp
from skerry.model.asks import ReadBlob
from skerry.model.errors import Invalid
from skerry.model.ids import Digest, SiteName
from skerry.model.limits import CARRIED_BYTES_MAX
from skerry.store import Connection, documents, objects, sites, things
from skerry.store.scope import PLATFORM
from skerry.store.things import UNFINISHED
from skerry.wire import FORMAT, Carried, encode_carried

#: Bytes that are read and sent at a time.
_PIECE_BYTES = 256 * 1024


class Bytes(msgspec.Struct, frozen=True):
    """An answer of exactly ``size`` bytes, piece by piece."""

    size: int
    pieces: AsyncGenerator[bytes]


class CarryingPart(Part):
    """Operations whose answers are bytes."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._drawings = Drawings(core)

    async def read_blob(self, caller: Caller, *, digest: str, query: ReadBlob) -> Bytes:
        """Give the bytes of a whole blob that this tenant has sent, from an offset on."""
        tenant, name = caller.owner(), Digest(digest)
        size = await self._core.db.read(lambda connection: things.find_blob(connection, tenant, name))
        if size is None or size == UNFINISHED or await self._core.blobs.size(name) != size:
            raise not_found()
        if query.offset > size:
            raise Invalid("E-SIZE", f"The blob has {size} bytes; there is nothing at {query.offset}.")
        return Bytes(size - query.offset, self._read(name, query.offset, size))

    async def _read(self, digest: Digest, offset: int, size: int) -> AsyncGenerator[bytes]:
        while offset < size:
            piece = await self._core.blobs.read(digest, offset, min(_PIECE_BYTES, size - offset))
            if not piece:
                return  # removed meanwhile: the answer ends short of its length, which its reader sees
            yield piece
            offset += len(piece)

    async def export_site(self, caller: Caller, *, site: str) -> Bytes:
        """Give a site's newest document whole, with its record and every signed object that it names."""
        name = SiteName(site)

        def note(connection: Connection, stamp: Stamp) -> None:
            if sites.find_site(connection, name, PLATFORM) is None:
                raise not_found()

        await self._core.change(caller, "export_site", f"site/{name}", note, chain="")
        drawn = await self._drawings.draw(Ask(name, 0, 0))
        if drawn.patch is None or drawn.known is None:
            detail = f"There is no document for site {name} now: nothing was planned for it yet, or the core learns."
            raise Clash("E-BUNDLE", detail, hint=f"skerry site show {name}")

        # Over a link a site asks for what it lacks; here all goes along.
        named = documents.names_of(drawn.patch.bodies.values())
        held = await self._core.db.read(lambda connection: objects.read_objects(connection, named))
        patch = msgspec.structs.replace(drawn.patch, objects=tuple(held[digest] for digest in sorted(held)))
        content = encode_carried(Carried(format=FORMAT, site_record=drawn.known.envelope, patch=patch))
        if len(content) > CARRIED_BYTES_MAX:
            raise Invalid("E-BUNDLE", f"The document of site {name} has more than {CARRIED_BYTES_MAX} bytes.")
        return Bytes(len(content), _once(content))


async def _once(content: bytes) -> AsyncGenerator[bytes]:
    for at in range(0, len(content), _PIECE_BYTES):
        yield content[at : at + _PIECE_BYTES]
