"""What people's programs ask of a signer over its socket, and what it answers: one line of JSON each way.

Closed structs, tagged by ``ask`` and ``answer``. Payloads travel as the exact bytes to be signed. Client:
``sdk/signing.py``; the other end: ``signer/``.
"""

import msgspec

from skerry.model.app import Sites
from skerry.model.grants import Profile
from skerry.model.ids import AppName, NodeName, SecretName, SiteName, TenantName, TokenId
from skerry.model.limits import PAYLOAD_BYTES_MAX
from skerry.model.signed import Envelope, PublicKey, RoleKeys
from skerry.model.site_relay import SiteRelay
from skerry.model.uplinks import Uplink

#: One line of the signer's socket: a payload of the largest size in base64, and its frame.
SIGNER_LINE_BYTES_MAX = PAYLOAD_BYTES_MAX * 4 // 3 + 64 * 1024


class _Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask"):
    pass


class ReadStatus(_Ask, frozen=True, kw_only=True, tag="status"):
    """Which keys are held, and what was done unasked of late."""


class MakeRoot(_Ask, frozen=True, kw_only=True, tag="root"):
    """Sign root document 1 for a core (``answers.CoreIdentity`` says what it needs). Once: the same again is given."""

    delivery: PublicKey
    delivery_ca: bytes
    endpoints: tuple[str, ...]


class MakeTenant(_Ask, frozen=True, kw_only=True, tag="tenant"):
    """Make a deploy key for a tenant, or say which it is."""

    tenant: TenantName


class SignRevision(_Ask, frozen=True, kw_only=True, tag="revision"):
    """Sign an app revision: a payload of kind ``revision``, of a tenant whose deploy key is held."""

    payload: bytes


class SignTombstone(_Ask, frozen=True, kw_only=True, tag="tombstone"):
    """Sign a tombstone."""

    payload: bytes


class SignSecret(_Ask, frozen=True, kw_only=True, tag="secret"):
    """Sign a secret that the client has sealed. With a box for the signer's own key it is sealed again for nodes that
    join later at ``sites``.
    """

    payload: bytes
    sites: Sites = Sites()


class SignArea(_Ask, frozen=True, kw_only=True, tag="area"):
    """Sign the next version of an area."""

    payload: bytes


class SignUserGroup(_Ask, frozen=True, kw_only=True, tag="user-group"):
    """Sign the next version of a group of users."""

    payload: bytes


class SignCall(_Ask, frozen=True, kw_only=True, tag="call"):
    """Sign one act on what runs."""

    payload: bytes


class SignSite(_Ask, frozen=True, kw_only=True, tag="site"):
    """Sign the next record of a site: what is None stays as it was. Nodes join by token and leave by name.

    A new site admits the tenants whose deploy keys the signer holds.
    """

    site: SiteName
    #: One above the record that the core holds.
    number: int
    #: The core's record, for a signer that has not signed one itself.
    base: Envelope | None = None
    labels: dict[str, str] | None = None
    region: str | None = None
    country: str | None = None
    #: Position in micro-degrees.
    latitude_udeg: int | None = None
    longitude_udeg: int | None = None
    tenants: dict[TenantName, RoleKeys] | None = None
    profiles: dict[str, Profile] | None = None
    uplinks: dict[str, Uplink] | None = None
    #: Without ports it is no relay any more.
    relay: SiteRelay | None = None
    remove_nodes: tuple[NodeName, ...] = ()


class MintToken(_Ask, frozen=True, kw_only=True, tag="token"):
    """Make a join token for one box of one site."""

    site: SiteName
    lifetime_s: int = 3_600


class ReadLine(_Ask, frozen=True, kw_only=True, tag="line"):
    """Say how far a number line is: of the one thing that is named."""

    tenant: TenantName
    app: AppName = AppName("")
    secret: SecretName = SecretName("")
    area: str = ""
    user_group: str = ""
    #: Return what was accepted of the app under this number.
    number: int = 0


class KeepAccepted(_Ask, frozen=True, kw_only=True, tag="accepted"):
    """Remember that a core has accepted a revision or tombstone that this signer signed."""

    envelope: Envelope


class BackUpKeys(_Ask, frozen=True, kw_only=True, tag="back-up"):
    """Return the keys sealed by a passphrase (``trust/backup.py``); they leave the signer in no other form."""

    passphrase: bytes


class RecoverKeys(_Ask, frozen=True, kw_only=True, tag="recover"):
    """Take the keys of a backup in the place of a new signer's, which never signed anything."""

    content: bytes
    passphrase: bytes


Ask = (
    ReadStatus
    | MakeRoot
    | MakeTenant
    | SignRevision
    | SignTombstone
    | SignSecret
    | SignArea
    | SignUserGroup
    | SignCall
    | SignSite
    | MintToken
    | ReadLine
    | KeepAccepted
    | BackUpKeys
    | RecoverKeys
)


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer"):
    pass


class Signed(_Answer, frozen=True, kw_only=True, tag="signed"):
    """The signed object, to be handed to the core."""

    envelope: Envelope


class Minted(_Answer, frozen=True, kw_only=True, tag="minted"):
    """A join token: ``token`` is for the box, the rest for the core (``asks.CreateJoinToken``)."""

    token: str
    token_id: TokenId
    site: SiteName
    core_key: bytes
    lifetime_s: int


class SignerStatus(_Answer, frozen=True, kw_only=True, tag="status"):
    """What a signer holds; no secret is in it."""

    #: Empty before the root document is signed.
    trust_domain: str
    root: Envelope | None
    tenants: dict[TenantName, RoleKeys]
    #: Seal secrets to this key besides the nodes'.
    sealing: PublicKey
    #: Join tokens that are open.
    tokens: int
    #: What the signer did or refused unasked, newest last.
    notes: tuple[str, ...]


class Refusal(_Answer, frozen=True, kw_only=True, tag="refusal"):
    """Nothing was signed."""

    code: str
    reason: str
    hint: str = ""


class LineState(_Answer, frozen=True, kw_only=True, tag="line"):
    """How far a number line is."""

    #: Highest number signed.
    signed: int
    #: Highest number that a core is known to have accepted; 0 for none and for all but apps.
    accepted: int
    #: What was accepted under the number that was asked for, if it is still kept.
    envelope: Envelope | None = None


class BackedUp(_Answer, frozen=True, kw_only=True, tag="backed-up"):
    """The sealed file."""

    content: bytes


Answer = BackedUp | Signed | Minted | SignerStatus | LineState | Refusal
