"""Sealing secrets on the client, as steps: to the nodes that may run what uses them, and to the signer for later ones.

A sealed value cannot be compared with a new one by anybody else, so the client remembers a keyed digest of what it
sealed last. Without that every apply would make a new version, and every version restarts the instances that use it.
"""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

import msgspec

from skerry.clock import Mint, SystemMint
from skerry.manifest.values import Manifest
from skerry.model.answers import Page, Recorded, SecretView
from skerry.model.app import Sites
from skerry.model.asks import SiteQuery
from skerry.model.errors import Conflict, NotFound
from skerry.model.ids import SecretName, TenantName
from skerry.model.signed import Envelope, PublicKey, SiteRecord
from skerry.model.signing import LineState, ReadLine, ReadStatus, SignerStatus, SignSecret
from skerry.model.site_match import site_unmet
from skerry.safe.files import read_durable, write_durable
from skerry.safe.paths import RealDirectory
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import Person, Steps, ask_signer, collect, send, sign
from skerry.sdk.verifying import read_record
from skerry.trust.envelope import encode_payload
from skerry.trust.keys import key_id
from skerry.trust.seal import seal_secret

_FILE = "sealed"
#: 10,000 secrets of a hundred bytes each.
_FILE_BYTES_MAX = 1024 * 1024


class _Kept(msgspec.Struct, frozen=True):
    """What was sealed: ``core tenant/name`` to the keyed digest of the value."""

    key: bytes
    values: dict[str, bytes] = {}


class Memory:
    """What one client sealed for one tenant at one core; without a folder it remembers nothing."""

    def __init__(self, folder: Path | None, url: str, tenant: TenantName, mint: Mint | None = None) -> None:
        self._folder = folder
        self._place = f"{url} {tenant}"
        self._mint = mint or SystemMint()

    def holds(self, name: SecretName, value: bytes) -> bool:
        """Say whether this value was the last one sealed under this name."""
        memory = self._read()
        kept = memory.values.get(f"{self._place}/{name}", b"")
        return hmac.compare_digest(kept, _digest(memory, value))

    def keep(self, name: SecretName, value: bytes) -> None:
        """Remember a value that was sealed."""
        if self._folder is None:
            return
        memory = self._read()
        values = memory.values | {f"{self._place}/{name}": _digest(memory, value)}
        directory = RealDirectory.open_root(self._folder)
        try:
            write_durable(directory, _FILE, msgspec.json.encode(msgspec.structs.replace(memory, values=values)))
        finally:
            directory.close()

    def _read(self) -> _Kept:
        """Return what was sealed before; a lost memory costs one more version of each secret and nothing else."""
        if self._folder is None:
            return _Kept(self._mint.draw(32))
        directory = RealDirectory.open_root(self._folder)
        try:
            found = read_durable(directory, _FILE, limit=_FILE_BYTES_MAX)
        finally:
            directory.close()
        try:
            return msgspec.json.decode(found.content if found else b"", type=_Kept)
        except msgspec.DecodeError:
            return _Kept(self._mint.draw(32))


def seal_manifest(
    person: Person, tenant: TenantName, url: str, manifest: Manifest, *, again: bool = False
) -> Steps[list[str]]:
    """Seal what the manifest brings the values of; return the names that got a new version.

    ``again`` seals also what is as it was.
    """
    sealed: list[str] = []
    for need in manifest.secrets_needed:
        if need.value is not None:
            sites = find_sites(manifest, need.name)
            if (yield from seal_value(person, tenant, url, need.name, need.value, sites, again=again)):
                sealed.append(str(need.name))
    return sealed


def seal_value(
    person: Person,
    tenant: TenantName,
    url: str,
    name: SecretName,
    value: bytes,
    wanted: tuple[Sites, ...],
    *,
    again: bool = False,
) -> Steps[int]:
    """Seal a value for the nodes at ``wanted``; return the number of its new version, 0 when it is so already."""
    status = yield from ask_signer(ReadStatus(), SignerStatus)
    listing: Request[Page[Envelope]] = make_request("list_site_records", query=SiteQuery(page_size=1_000))
    records = [read_record(envelope, status.root) for envelope in (yield from collect(listing))]
    recipients = [*list_recipients(records, wanted, tenant), status.sealing]
    number, sealed_for = yield from _read_present(name)
    memory = Memory(person.state, url, tenant)
    covered = {key_id(key) for key in recipients} <= sealed_for
    if number and covered and not again and memory.holds(name, value):
        return 0
    if not number:
        # A removed secret keeps its number line, and the core does not show where that stands.
        number = (yield from ask_signer(ReadLine(tenant=tenant, secret=name), LineState)).signed
    try:
        yield from _put(tenant, name, value, wanted, number, recipients)
    except Conflict as error:
        # Signed and never accepted, or set by another signer: the core says where the line stands.
        if error.number is None or error.number == number:
            raise
        number = error.number
        yield from _put(tenant, name, value, wanted, number, recipients)
    memory.keep(name, value)
    return number + 1


def _read_present(name: SecretName) -> Steps[tuple[int, set[str]]]:
    request: Request[SecretView] = make_request("show_secret", parameters={"secret": name})
    try:
        view = yield from send(request)
    except NotFound:
        return 0, set()
    return view.number, set(view.sealed_for)


def _put(
    tenant: TenantName,
    name: SecretName,
    value: bytes,
    wanted: tuple[Sites, ...],
    number: int,
    recipients: list[PublicKey],
) -> Steps[Recorded]:
    secret = seal_secret(value, tenant=tenant, name=name, number=number + 1, recipients=recipients, mint=SystemMint())
    # Services of one app may have sites of their own; the signer then seals for every site of the tenant.
    sites = wanted[0] if len(wanted) == 1 else Sites()
    envelope = yield from sign(SignSecret(payload=encode_payload(secret), sites=sites))
    request: Request[Recorded] = make_request("put_secret", parameters={"secret": name}, body=envelope, expect=number)
    return (yield from send(request))


def find_sites(manifest: Manifest, name: SecretName) -> tuple[Sites, ...]:
    """Return the sites of the services that use a secret, each once."""
    uses = (
        (service.placement.sites, manifest.secrets[mount.source])
        for service in manifest.services.values()
        for mount in service.secrets
    )
    found = [_narrow(sites, use.policy.sites if use.policy else ()) for sites, use in uses if use.name == name]
    return tuple({msgspec.json.encode(sites): sites for sites in found}.values())


def _narrow(sites: Sites, match: tuple[str, ...]) -> Sites:
    """Return the sites that match besides; of selectors in a list any will do, in one all that it says must hold."""
    if not match or not sites.match:
        return msgspec.structs.replace(sites, match=sites.match or match)
    both = tuple(f"{one}, {other}" for one in sites.match for other in match)
    return msgspec.structs.replace(sites, match=both)


def list_recipients(records: Iterable[SiteRecord], wanted: tuple[Sites, ...], tenant: TenantName) -> list[PublicKey]:
    """Return the sealing keys of all nodes at sites that admit the tenant and that any of ``wanted`` admits."""
    return [
        node.sealing
        for record in records
        if tenant in record.tenants and any(not site_unmet(sites, record) for sites in wanted)
        for _, node in sorted(record.nodes.items())
    ]


def _digest(memory: _Kept, value: bytes) -> bytes:
    return hmac.digest(memory.key, value, hashlib.sha256)
