"""The signer's view of a core over the public API: it calls the core, the core cannot call it.

Where the core is, and the operator's token, stand in a file that may come after the signer has started; it is read
again whenever it changes.
"""

from pathlib import Path

import msgspec

from skerry.model.answers import JoinRequestView
from skerry.model.errors import Unavailable
from skerry.model.signed import Envelope, Secret, SiteRecord
from skerry.sdk.async_client import AsyncClient

#: Boxes looked at in one round; the others come next.
_REQUESTS_MAX = 200
#: The file holds one short JSON object.
_FILE_BYTES_MAX = 64 * 1024


class CoreAccess(msgspec.Struct, frozen=True):
    """Content of the file."""

    url: str
    token: str
    ca_pem: str = ""


class RemoteCore:
    """Implements ``signer.chores.CoreApi``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._content = b""
        self._client: AsyncClient | None = None

    async def _core(self) -> AsyncClient:
        """Return a client for the core that the file names now."""
        try:
            with self._file.open("rb") as source:
                content = source.read(_FILE_BYTES_MAX)
        except OSError as error:
            raise Unavailable("E-NO-CORE", f"{self._file} does not say where the core is: {error.strerror}") from error
        if self._client is None or content != self._content:
            try:
                access = msgspec.json.decode(content, type=CoreAccess)
            except msgspec.DecodeError as error:
                raise Unavailable("E-NO-CORE", f"{self._file} is not readable: {error}") from error
            if self._client is not None:
                await self._client.close()
            self._client = AsyncClient(access.url, access.token, ca_pem=access.ca_pem)
            self._content = content
        return self._client

    async def list_join_requests(self) -> tuple[JoinRequestView, ...]:
        """Return boxes that wait for the signer's word."""
        core = await self._core()
        found: list[JoinRequestView] = []
        async for view in core.join_requests.list():
            found.append(view)
            if len(found) >= _REQUESTS_MAX:
                break
        return tuple(found)

    async def put_site_record(self, envelope: Envelope, record: SiteRecord) -> None:
        """Hand in the next record of a site."""
        core = await self._core()
        await core.sites.put(record.site, envelope, expect=record.number - 1)

    async def reject_join(self, request: str, reason: str) -> None:
        """Turn a box away."""
        core = await self._core()
        await core.join_requests.reject(request, reason=reason)

    async def put_secret(self, envelope: Envelope, secret: Secret) -> None:
        """Hand in the next version of a secret."""
        core = await self._core()
        await core.secrets.put(secret.name, envelope, expect=secret.number - 1)
