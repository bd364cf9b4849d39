"""Sealing an app's secrets on the client: to the nodes that may run it, and to the signer, who seals for later ones.

A sealed value cannot be compared with a new one by anybody else, so the client remembers a keyed digest of what it
sealed last. Without that every apply would make a new version, and every version restarts the instances that use it.
"""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

import msgspec

from skerry.clock import Mint, SystemMint
from skerry.manifest.values import Manifest, SecretNeed
from skerry.model.app import Sites
from skerry.model.errors import Conflict, NotFound
from skerry.model.ids import SecretName, TenantName
from skerry.model.signed import PublicKey, SiteRecord
from skerry.model.signing import SignerStatus
from skerry.model.site_match import site_unmet
from skerry.safe.files import read_durable, write_durable
from skerry.safe.paths import RealDirectory
from skerry.sdk.client import Client
from skerry.sdk.signing import SignerClient
from skerry.sdk.verifying import read_record
from skerry.trust.envelope import encode_payload
from skerry.trust.keys import key_id
from skerry.trust.seal import seal_secret

_FILE = "sealed"
#: 10,000 secrets of a hundred bytes each.
_FILE_BYTES_MAX = 1024 * 1024


class _Memory(msgspec.Struct, frozen=True):
    """What was sealed: ``core tenant/name`` to the keyed digest of the value."""

    key: bytes
    values: dict[str, bytes] = {}


class Sealer:
    """Seals for one core and tenant; ``state`` is where the client keeps its memory."""

    def __init__(
        self,
        client: Client,
        signer: SignerClient,
        tenant: TenantName,
        state: Path,
        mint: Mint | None = None,
    ) -> None:
        self._client = client
        self._signer = signer
        self._tenant = tenant
        self._state = state
        self._mint = mint or SystemMint()

    def seal(self, manifest: Manifest, *, again: bool = False) -> list[str]:
        """Seal what the manifest brings the values of; return the names that got a new version.

        ``again`` seals also what is as it was. Raises as ``Client`` and ``SignerClient`` do.
        """
        needs = [need for need in manifest.secrets_needed if need.value is not None]
        if not needs:
            return []
        status = self._signer.read_status()
        records = [read_record(envelope, status.root) for envelope in self._client.sites.list_records(page_size=1_000)]
        sealed = [need.name for need in needs if self._seal_one(need, manifest, status, records, again=again)]
        return [str(name) for name in sealed]

    def _seal_one(
        self,
        need: SecretNeed,
        manifest: Manifest,
        status: SignerStatus,
        records: Iterable[SiteRecord],
        *,
        again: bool,
    ) -> bool:
        assert need.value is not None, "only secrets with a value are sealed"
        wanted = find_sites(manifest, need.name)
        recipients = [*list_recipients(records, wanted, self._tenant), status.sealing]
        number, sealed_for = self._read_present(need.name)
        covered = {key_id(key) for key in recipients} <= sealed_for
        if number and covered and not again and self._remembers(need.name, need.value):
            return False
        try:
            self._put(need, wanted, number, recipients)
        except Conflict as error:
            # A removed secret keeps its number line; the core says where that stands.
            if error.number is None or error.number == number:
                raise
            self._put(need, wanted, error.number, recipients)
        self._remember(need.name, need.value)
        return True

    def _read_present(self, name: SecretName) -> tuple[int, set[str]]:
        try:
            view = self._client.secrets.show(name)
        except NotFound:
            return 0, set()
        return view.number, set(view.sealed_for)

    def _put(self, need: SecretNeed, wanted: tuple[Sites, ...], number: int, recipients: list[PublicKey]) -> None:
        assert need.value is not None, "only secrets with a value are sealed"
        secret = seal_secret(
            need.value,
            tenant=self._tenant,
            name=need.name,
            number=number + 1,
            recipients=recipients,
            mint=self._mint,
        )
        # Services of one app may have sites of their own; the signer then seals for every site of the tenant.
        sites = wanted[0] if len(wanted) == 1 else Sites()
        envelope = self._signer.sign_secret(encode_payload(secret), sites)
        self._client.secrets.put(need.name, envelope, expect=number)

    def _remembers(self, name: SecretName, value: bytes) -> bool:
        memory = self._read_memory()
        kept = memory.values.get(self._line(name), b"")
        return hmac.compare_digest(kept, _digest(memory, value))

    def _remember(self, name: SecretName, value: bytes) -> None:
        memory = self._read_memory()
        values = memory.values | {self._line(name): _digest(memory, value)}
        directory = RealDirectory.open_root(self._state)
        try:
            write_durable(directory, _FILE, msgspec.json.encode(msgspec.structs.replace(memory, values=values)))
        finally:
            directory.close()

    def _read_memory(self) -> _Memory:
        """Return what was sealed before; a lost memory costs one more version of each secret and nothing else."""
        directory = RealDirectory.open_root(self._state)
        try:
            found = read_durable(directory, _FILE, limit=_FILE_BYTES_MAX)
        finally:
            directory.close()
        try:
            return msgspec.json.decode(found.content if found else b"", type=_Memory)
        except msgspec.DecodeError:
            return _Memory(self._mint.draw(32))

    def _line(self, name: SecretName) -> str:
        return f"{self._client.url} {self._tenant}/{name}"


def find_sites(manifest: Manifest, name: SecretName) -> tuple[Sites, ...]:
    """Return the sites of the services that use a secret, each once."""
    aliases = {alias for alias, use in manifest.secrets.items() if use.name == name}
    users = [service for service in manifest.services.values() if aliases & {each.source for each in service.secrets}]
    return tuple({msgspec.json.encode(user.placement.sites): user.placement.sites for user in users}.values())


def list_recipients(records: Iterable[SiteRecord], wanted: tuple[Sites, ...], tenant: TenantName) -> list[PublicKey]:
    """Return the sealing keys of all nodes at sites that admit the tenant and that any of ``wanted`` admits."""
    return [
        node.sealing
        for record in records
        if tenant in record.tenants and any(not site_unmet(sites, record) for sites in wanted)
        for _, node in sorted(record.nodes.items())
    ]


def _digest(memory: _Memory, value: bytes) -> bytes:
    return hmac.digest(memory.key, value, hashlib.sha256)
