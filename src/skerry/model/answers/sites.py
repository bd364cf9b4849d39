"""What the API answers about sites and their nodes: documents, drains and boxes that join."""

from typing import Literal

import msgspec

from skerry.model.answers.apps import InstanceView
from skerry.model.answers.base import Answer, CloudEvent, Condition, SiteState
from skerry.model.answers.networks import UplinkView
from skerry.model.answers.usage import LinkBytes
from skerry.model.ids import AppName, InstanceId, KeyId, NodeName, ServiceName, SiteName, TenantName
from skerry.model.signed import PublicKey


class NodeView(Answer, frozen=True, kw_only=True):
    """A node: the registrar's word and the node's own."""

    node: NodeName
    key_class: str
    device_key: KeyId
    sealing_key: KeyId
    reported: bool
    cpu_m: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    disk_free_bytes: int = 0
    arch: str = ""
    kernel: str = ""
    agent: str = ""
    facts: dict[str, str] = {}
    #: Device nodes that are there, of those that the site's profiles name.
    devices: tuple[str, ...] = ()


class NodeSummary(NodeView, frozen=True, kw_only=True):
    """A node and how its site is; what a silent site's node says of itself is as old as the silence."""

    site: SiteName
    state: SiteState
    #: Seconds since the core heard of the site; None when it has not since it was started.
    heard_s_ago: int | None
    #: Conditions of the site, a cordon among them.
    conditions: tuple[Condition, ...]


class SiteSummary(Answer, frozen=True, kw_only=True):
    """A site in one line."""

    site: SiteName
    number: int
    state: SiteState
    labels: dict[str, str]
    region: str
    country: str
    nodes: int
    instances: int
    ready: int
    #: Conditions the site reports, and ``learning``.
    conditions: tuple[Condition, ...]
    #: Seconds since the core heard of it; None when it has not since it was started.
    heard_s_ago: int | None
    settled: bool


class DocumentView(Answer, frozen=True, kw_only=True):
    """Which document a site should hold, and which it does."""

    epoch: int
    wanted: int
    held: int
    #: The wish has changed since ``wanted`` was numbered; it is numbered when the site next asks.
    pending: bool
    refused_code: str = ""
    refused_reason: str = ""


class MapPoint(msgspec.Struct, frozen=True, array_like=True):
    """A site as a point on a map; an array, because there are thousands. Micro-degrees, None when unknown."""

    site: SiteName
    longitude_udeg: int | None
    latitude_udeg: int | None
    state: SiteState
    #: It holds what is wished of it, all of that runs, and it reports no condition.
    well: bool


class SiteMap(Answer, frozen=True, kw_only=True):
    """All sites as points, by name."""

    points: tuple[MapPoint, ...]


class DrainedInstance(Answer, frozen=True, kw_only=True):
    """An instance at a site that is drained; of another tenant's only its owner is named."""

    tenant: TenantName
    app: AppName | Literal[""]
    service: ServiceName | Literal[""]
    ordinal: int
    #: Where it goes; empty while it stays.
    to: SiteName | Literal[""] = ""
    #: The machine there, where one machine is drained.
    to_node: NodeName | Literal[""] = ""
    #: Why it stays.
    reason: str = ""
    #: It goes later, by itself.
    waits: bool = False


class SiteDrain(Answer, frozen=True, kw_only=True):
    """What becomes of a site that is drained, by a plan of now."""

    site: SiteName
    dry_run: bool
    moving: tuple[DrainedInstance, ...]
    staying: tuple[DrainedInstance, ...]


class NodeDrain(SiteDrain, frozen=True, kw_only=True):
    """What becomes of a machine that is drained, by a plan of now; copies may go to another machine of its site."""

    node: NodeName


class SiteDetail(Answer, frozen=True, kw_only=True):
    """A site with everything that ``skerry site show`` prints. ``latitude_udeg`` and its like are micro-degrees."""

    summary: SiteSummary
    latitude_udeg: int | None
    longitude_udeg: int | None
    tenants: tuple[TenantName, ...]
    node_list: tuple[NodeView, ...]
    document: DocumentView
    #: The site holds a newer document than the core knows: nothing is published until apps are applied again.
    learning: bool
    unknown: tuple[InstanceId, ...]
    session_epoch: int
    link_class: str
    link_bytes: tuple[LinkBytes, ...]
    instances: tuple[InstanceView, ...]
    events: tuple[CloudEvent, ...]
    #: Of a site that is drained: what of the asker's is still there, and why.
    staying: tuple[DrainedInstance, ...] = ()
    #: Its ways to the rest of the world, as its operator has signed them.
    uplinks: tuple[UplinkView, ...] = ()
    #: ``ADDRESS:FIRST-LAST`` of the ports that it lends to pairs of other sites, as its operator has signed it; the
    #: address is empty where it is the node's own. Empty for a site that may not.
    relay: str = ""


class NodeDetail(Answer, frozen=True, kw_only=True):
    """A node with everything that ``skerry node show`` prints; instances are those that the asker may see."""

    summary: NodeSummary
    #: Labels of its site, which its operator has signed.
    labels: dict[str, str]
    #: Instances that are there or should be.
    instances: tuple[InstanceView, ...]


class JoinTokenView(Answer, frozen=True, kw_only=True):
    """A join token as the core knows it."""

    token_id: str
    site: SiteName
    state: Literal["open", "used", "ended"]
    expires_us: int
    node: NodeName | None = None


class JoinRequestView(Answer, frozen=True, kw_only=True):
    """A box that asks to join, with all that the signer needs to check the second MAC itself (trust.md §8)."""

    request: str
    token_id: str
    site: SiteName
    node: NodeName
    device: PublicKey
    sealing: PublicKey
    proof: bytes
    mac_core: bytes
    mac_bind: bytes
    nonce: bytes
    server_digest: bytes
    #: Number of the site's present record; 0 when it has none.
    record_number: int
    state: Literal["pending", "joined", "refused"]
    asked_us: int
