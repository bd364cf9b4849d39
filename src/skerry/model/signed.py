"""Payloads of the signed kinds besides the app revision, and the registry of kinds.

A payload is closed JSON inside a DSSE envelope (trust/). Numbers grow per row of ``KINDS``; a site holds a floor for
each and accepts nothing below it. Keys appear as ``{type, key}`` with the raw public key.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.app import AppRevision, Sites
from skerry.model.geography import Region, UserPoint
from skerry.model.grants import Profile
from skerry.model.ids import (
    AppName,
    Digest,
    KeyId,
    NodeName,
    SecretName,
    ServiceName,
    SiteName,
    TenantName,
    VolumeName,
)
from skerry.model.site_relay import SiteRelay
from skerry.model.uplinks import Uplink

KeyType = Literal["ed25519", "p256-tpm", "x25519"]
Role = Literal["root", "registrar", "delivery", "deploy", "device"]
Kind = Literal[
    "root", "revision", "tombstone", "secret", "area", "user-group", "site", "document", "call", "overlay-key"
]


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    pass


class PublicKey(_Signed, frozen=True, kw_only=True):
    """A public key and the one algorithm it is used with; no algorithm name is ever read from a message."""

    type: KeyType
    key: bytes


class RoleKeys(_Signed, frozen=True, kw_only=True):
    """Who may act in a role: ``threshold`` distinct keys of ``keys`` must sign."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1


class Root(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``root``: what a site pins when it joins. Document 1 only until root chains are built."""

    number: int
    root: RoleKeys
    registrar: RoleKeys
    delivery: RoleKeys
    #: DER of the delivery key's self-made certificate authority; the core's server certificate chains to it.
    delivery_ca: bytes
    #: ``host:port`` of the core's link listener, in order of preference.
    endpoints: tuple[str, ...]


class NodeRecord(_Signed, frozen=True, kw_only=True):
    """A node as the registrar knows it."""

    device: PublicKey
    sealing: PublicKey
    #: Where the device key lives; shown wherever the site is shown.
    key_class: Literal["file", "tpm", "tpm+attested"] = "file"


class SiteRecord(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``site``: the registrar's word on a site. Labels here are the only ones that selectors trust."""

    site: SiteName
    number: int
    labels: dict[str, str] = {}
    region: str = ""
    country: str = ""
    #: Position in micro-degrees, None when unknown.
    latitude_udeg: int | None = None
    longitude_udeg: int | None = None
    nodes: dict[NodeName, NodeRecord] = {}
    #: Tenants whose apps may run here, and the deploy keys that speak for each.
    tenants: dict[TenantName, RoleKeys] = {}
    #: What some tenants may ask of this site beyond the built-in profiles; left out where there is none.
    profiles: dict[str, Profile] | UnsetType = UNSET
    #: Its ways to the rest of the world, by name; left out where its operator says nothing of them.
    uplinks: dict[str, Uplink] | UnsetType = UNSET
    #: It may pass on datagrams for pairs of other sites; left out where it may not.
    relay: SiteRelay | UnsetType = UNSET


class Tombstone(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``tombstone``: permission to delete an app's volumes, after a grace time, at some sites.

    ``number`` is of the app's own number line. With ``ends_app`` no revision with a lower number is accepted any more.
    """

    tenant: TenantName
    app: AppName
    number: int
    ends_app: bool
    volumes: tuple[VolumeName, ...]
    sites: Sites = Sites()
    #: Time between a site's acceptance and the deletion, by the site's trust clock.
    grace_us: int = 0


class Secret(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``secret``: a value sealed on the client to node keys; the core cannot open it (trust.md §10)."""

    tenant: TenantName
    name: SecretName
    number: int
    #: XChaCha20-Poly1305 of the value under a random content key, nonce first.
    content: bytes
    #: Sealing key id of a node to the HPKE-sealed content key.
    boxes: dict[KeyId, bytes]


class Area(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``area``: ground that a tenant's manifests name instead of writing it out.

    It is for clients alone: they put the ground into a revision before that is signed. No site is ever sent one.
    """

    tenant: TenantName
    name: str
    number: int
    region: Region


class UserGroup(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``user-group``: where users are, for clients to put into revisions, as ``Area`` is."""

    tenant: TenantName
    name: str
    number: int
    points: tuple[UserPoint, ...]


#: What manifests may name instead of writing it out, and the kinds of it.
Definition = Area | UserGroup
DefinitionKind = Literal["area", "user-group"]


class Window(_Signed, frozen=True, kw_only=True):
    """The size of a terminal, in characters."""

    columns: int
    rows: int


#: What may be said of a volume from afar.
VolumeVerb = Literal["snapshot", "restore", "drop-snapshot"]
CallVerb = Literal["exec", "forward", "restart", "stop", "start", "test-chain", VolumeVerb]


class Call(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """Payload of kind ``call``: one act on what runs, good for one nonce of one node.

    ``exec`` runs ``argv``; ``forward`` makes one connection to ``port`` of the instance's own address. ``restart``,
    ``stop`` and ``start`` say of the instance itself whether it runs; a stop holds until a start. ``test-chain`` sends
    test packets through ``chain``, of which the service is a step. ``snapshot`` keeps what a volume holds now under a
    name, ``restore`` sets the volume back to one, keeping aside what it held, and ``drop-snapshot`` lets one go.
    """

    tenant: TenantName
    site: SiteName
    node: NodeName
    nonce: bytes
    verb: CallVerb
    app: AppName
    #: Empty where a volume is meant.
    service: ServiceName = ServiceName("")
    ordinal: int = 0
    argv: tuple[str, ...] = ()
    #: The command gets a terminal of this size, which may change later; None for plain streams.
    terminal: Window | None = None
    port: int = 0
    chain: str = ""
    #: What a snapshot or a restore is about, and which snapshot: its name is chosen by who asks.
    volume: str = ""
    snapshot: str = ""
    #: Of a restart, stop, start or restore: who has it done, as they call themselves, and why; shown at the site.
    by: str = ""
    reason: str = ""


class OverlayKey(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``overlay-key``: a node says by its device key which key its tunnels have from now on.

    The registrar's record names the device, so a peer stands on signed site records alone and changes keys by itself.
    """

    site: SiteName
    node: NodeName
    #: Grows by one with each change of the key.
    number: int
    #: Public key of X25519, 32 bytes, as WireGuard uses it.
    key: bytes


class DocumentHead(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``document``: names the whole map of units by one digest (trust.md §4)."""

    site: SiteName
    epoch: int
    generation: int
    #: Digest of the previous head of this epoch, empty for the first: what the planner stood on.
    parent: str
    #: Seconds since 1970; raises the site's time floor.
    time_s: int
    #: SHA-256 over the sorted lines ``unit-id SP digest LF``.
    units: Digest


class KindRow(msgspec.Struct, frozen=True):
    """What the registry knows of a signed kind."""

    payload: type[msgspec.Struct]
    #: Role whose keys must have signed it.
    role: Role
    #: What the kind is numbered per, in words; the floor's key is made by trust.verify.
    numbered_per: str


#: Every signed kind that is built. A kind that is not here is refused by name.
KINDS: dict[Kind, KindRow] = {
    "root": KindRow(Root, "root", "root"),
    "site": KindRow(SiteRecord, "registrar", "site"),
    "revision": KindRow(AppRevision, "deploy", "app"),
    "tombstone": KindRow(Tombstone, "deploy", "app"),
    "secret": KindRow(Secret, "deploy", "secret"),
    "area": KindRow(Area, "deploy", "area"),
    "user-group": KindRow(UserGroup, "deploy", "user group"),
    "call": KindRow(Call, "deploy", "nonce"),
    "overlay-key": KindRow(OverlayKey, "device", "node"),
    "document": KindRow(DocumentHead, "delivery", "epoch and generation"),
}


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """One signature over the envelope's exact bytes."""

    key: KeyId
    sig: bytes


class Envelope(msgspec.Struct, frozen=True):
    """A signed payload: MessagePack over a link, JSON with base64 elsewhere. Payload bytes are never re-encoded."""

    #: ``application/vnd.skerry.<kind>.v<n>+json``
    type: str
    payload: bytes
    signatures: tuple[Signature, ...]
