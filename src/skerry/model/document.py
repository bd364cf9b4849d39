"""A document: everything a site should do, as a map from unit id to unit.

Units name signed objects by digest and carry no authority themselves: from an assignment a site derives only what the
tenant's revision allows (plan/derive.py). A unit's digest is over its encoded bytes; the document's digest is over the
sorted lines ``unit-id SP digest LF``.
"""

import hashlib
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.ids import (
    AppName,
    Digest,
    InstanceId,
    NetworkName,
    NodeName,
    SecretName,
    ServiceName,
    SiteName,
    TenantName,
    UnitId,
    digest_of,
    instance_id,
)


class Assignment(msgspec.Struct, frozen=True, tag="assignment", tag_field="kind", forbid_unknown_fields=True):
    """An instance belongs on a node of this site."""

    tenant: TenantName
    app: AppName
    service: ServiceName
    ordinal: int
    node: NodeName
    #: Digest of the payload of the app revision to run.
    revision: Digest
    #: ``hold`` is a paused app: stopped, nothing removed.
    state: Literal["run", "hold"] = "run"
    #: Raised to have the instance started afresh.
    restart: int = 0
    #: The rollout of this revision was taken back: the site runs the last one that it proved before, where the tenant
    #: allows that (plan/gate.py). It names no other revision, so nothing stands below the site's floor.
    back: Literal[True] | UnsetType = UNSET
    #: It stands in for the same copy at this site, which is silent (plan/placement/replace.py); it says nothing else.
    instead_of: SiteName | UnsetType = UNSET


class ImageHold(msgspec.Struct, frozen=True, tag="image", tag_field="kind", forbid_unknown_fields=True):
    """An image the site should have, wanted by assignments or seeded ahead."""

    digest: Digest
    config: Digest
    size_bytes: int


class SecretHold(msgspec.Struct, frozen=True, tag="secret", tag_field="kind", forbid_unknown_fields=True):
    """A sealed secret the site should hold: digest of the payload of kind ``secret``."""

    tenant: TenantName
    name: SecretName
    digest: Digest


class TombstoneNotice(msgspec.Struct, frozen=True, tag="tombstone", tag_field="kind", forbid_unknown_fields=True):
    """A signed tombstone the site should act on: digest of the payload of kind ``tombstone``."""

    tenant: TenantName
    app: AppName
    digest: Digest


class RevisionNotice(msgspec.Struct, frozen=True, tag="revision", tag_field="kind", forbid_unknown_fields=True):
    """The newest revision of an app, shown to a site at which it wants nothing more: digest of its payload.

    It lets nothing begin. Where only the tenant may end instances, it is the tenant's word that they end.
    """

    tenant: TenantName
    app: AppName
    digest: Digest


class NetworkPart(msgspec.Struct, frozen=True, tag="network", tag_field="kind", forbid_unknown_fields=True):
    """The part that this site has of a network which is stretched over the sites of its app.

    ``index`` names its ranges of addresses (model/network.py); the core chooses it once, and no other part has it.
    """

    tenant: TenantName
    app: AppName
    network: NetworkName
    index: int


class NetworkMember(msgspec.Struct, frozen=True, tag="member", tag_field="kind", forbid_unknown_fields=True):
    """Another site has a part of such a network. It counts only where the tenant's revision admits that site."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    site: SiteName
    index: int


class Through(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a pair finds the relay of a third site."""

    site: SiteName
    #: ``address:port``, of this side of the pair.
    place: str


class Peer(msgspec.Struct, frozen=True, tag="peer", tag_field="kind", forbid_unknown_fields=True):
    """A site to which this one has an encrypted tunnel: who it is by signed objects, and where it may be found."""

    site: SiteName
    #: Digest of the payload of its site record: who its nodes are, and which tenants it admits.
    record: Digest
    #: Digests of the payloads of its overlay keys, the oldest first; two while it changes from one to the next.
    keys: tuple[Digest, ...]
    #: ``address:port``, best first, as the core heard of them; no authority, a wrong one is only not answered.
    endpoints: tuple[str, ...] = ()
    #: ``address:port`` of a relay for this pair, for when none of the endpoints answers; empty for none.
    relay: str = ""
    #: The same at other sites that may relay, best first; left out for none.
    through: tuple[Through, ...] | UnsetType = UNSET

    @property
    def relays(self) -> tuple[str, ...]:
        """Places of every relay of the pair, in the order in which to try them."""
        return (*(each.place for each in self.through or ()), *((self.relay,) if self.relay else ()))


class RelayEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of two sites that this one passes datagrams on for: who it is by signed objects."""

    site: SiteName
    record: Digest
    #: Of the payloads of its overlay keys: by these the relay tells its senders from strangers.
    keys: tuple[Digest, ...]
    #: Addresses that it is known to send from, as the core heard of them.
    addresses: tuple[str, ...] = ()


class RelayDuty(msgspec.Struct, frozen=True, tag="relay", tag_field="kind", forbid_unknown_fields=True):
    """Datagrams of two other sites are passed on here. It counts only where this site's own record allows it."""

    #: By name, the lesser first.
    ends: tuple[RelayEnd, RelayEnd]
    #: Which two of the ports that the record lends.
    slot: int


Unit = (
    Assignment
    | ImageHold
    | SecretHold
    | TombstoneNotice
    | RevisionNotice
    | NetworkPart
    | NetworkMember
    | Peer
    | RelayDuty
)

_DECODER: msgspec.json.Decoder[Unit] = msgspec.json.Decoder(Unit)


def encode_unit(unit: Unit) -> bytes:
    """Return the one encoding of a unit; equal units give equal bytes on every machine and release."""
    return msgspec.json.encode(unit, order="deterministic")


def decode_unit(content: bytes) -> Unit:
    """Read a unit; raise ``msgspec.DecodeError`` on anything this release does not know."""
    try:
        return _DECODER.decode(content)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error


def unit_id(unit: Unit) -> UnitId:
    """Name a unit by what it is about, so that a changed unit replaces its predecessor."""
    match unit:
        case Assignment():
            return UnitId("assignment/" + assignment_instance(unit))
        case ImageHold():
            return UnitId(f"image/{unit.digest}")
        case SecretHold():
            return UnitId(f"secret/{unit.tenant}/{unit.name}")
        case TombstoneNotice():
            return UnitId(f"tombstone/{unit.tenant}/{unit.app}")
        case RevisionNotice():
            return UnitId(f"revision/{unit.tenant}/{unit.app}")
        case NetworkPart():
            return UnitId(f"network/{unit.tenant}/{unit.app}/{unit.network}")
        case NetworkMember():
            return UnitId(f"member/{unit.tenant}/{unit.app}/{unit.network}/{unit.site}")
        case Peer():
            return UnitId(f"peer/{unit.site}")
        case RelayDuty():
            return UnitId(f"relay/{unit.ends[0].site}/{unit.ends[1].site}")


def assignment_instance(unit: Assignment) -> InstanceId:
    """Return the id of the instance that an assignment is about."""
    return instance_id(unit.tenant, unit.app, unit.service, unit.ordinal)


def named_objects(unit: Unit) -> tuple[Digest, ...]:
    """Digests of the signed payloads that must be present before the unit may be applied."""
    match unit:
        case Assignment():
            return (unit.revision,)
        case SecretHold() | TombstoneNotice() | RevisionNotice():
            return (unit.digest,)
        case Peer():
            return (unit.record, *unit.keys)
        case RelayDuty():
            return tuple(digest for end in unit.ends for digest in (end.record, *end.keys))
        case ImageHold() | NetworkPart() | NetworkMember():
            return ()


def digest_units(digests: dict[UnitId, Digest]) -> Digest:
    """Digest a whole map of units (trust.md §4)."""
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(f"{name} {digests[name]}\n".encode())
    return Digest("sha256:" + whole.hexdigest())


def digest_bodies(bodies: dict[UnitId, bytes]) -> dict[UnitId, Digest]:
    """Digest each unit body of a map."""
    return {name: digest_of(body) for name, body in bodies.items()}
