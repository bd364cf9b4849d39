"""What a verifier holds, and what verification makes of what it is given. Values only; ``verify.py`` makes them."""

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import Unit
from skerry.model.ids import Digest, SiteName, TenantName, UnitId
from skerry.model.network import PeerHeld
from skerry.model.signed import DocumentHead, Envelope, RoleKeys, Root, Secret, SiteRecord, Tombstone
from skerry.trust.floors import Floor
from skerry.trust.verdict import Denied

T = TypeVar("T", bound=msgspec.Struct)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier holds durably."""

    root: Root
    #: None before the site has joined.
    site_record: SiteRecord | None = None
    floors: Mapping[str, Floor] = {}
    #: The trust clock never shows less than this, in seconds since 1970.
    time_floor_s: int = 0
    #: Units in force, as the last ``AcceptedDocument.units`` gave them: a unit that names the same revision again stays
    #: good although the app's floor moved on. Never the bodies of a document, which may hold refused units.
    units: Mapping[UnitId, Unit] = {}


class Verified(msgspec.Struct, Generic[T], frozen=True):
    """A payload with authority. Made by ``verify.py`` alone."""

    payload: T
    #: Names the exact signed bytes.
    digest: Digest
    envelope: Envelope


class AcceptedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that may be applied: floors, time floor and units become durable in one transaction with it."""

    head: DocumentHead
    #: Digest of the head's payload.
    digest: Digest
    #: What is in force from now on: the good units of the document, and for those in ``kept`` the former ones.
    units: dict[UnitId, Unit]
    #: Units of the document that may not be followed. A refused unit is not a withdrawn one.
    refused: dict[UnitId, Denied]
    #: Refused units whose former version stays in force.
    kept: frozenset[UnitId]
    #: The signed objects that ``units`` name.
    revisions: dict[Digest, AppRevision]
    secrets: dict[Digest, Secret]
    tombstones: dict[Digest, Tombstone]
    #: Sites to which tunnels lead.
    peers: dict[SiteName, PeerHeld] = {}
    #: Of units by which this site relays: both ends.
    relayed: dict[UnitId, tuple[PeerHeld, ...]] = {}
    #: Lines that rise; the others stay.
    floors: dict[str, Floor]
    time_floor_s: int


class Missing(msgspec.Struct, frozen=True):
    """The document may be good, but these signed objects have to be fetched first."""

    digests: tuple[Digest, ...]


def hold_tenants(root: Root, tenants: Mapping[TenantName, RoleKeys], floors: Mapping[str, Floor]) -> Held:
    """Return what a verifier holds that is no site, as the core: tenants' deploy keys without a registrar's record."""
    record = SiteRecord(site=SiteName(""), number=0, tenants=dict(tenants))
    return Held(root=root, site_record=record, floors=floors)
