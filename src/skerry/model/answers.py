"""What the API answers with; clients ignore fields they do not know, so fields are only ever added.

Times are microseconds since 1970 by the core's wall clock, for people; order comes from numbers and event ids. States
are computed from records and facts when asked, never stored.
"""

from typing import Generic, Literal, TypeVar

import msgspec

from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.errors import Problem
from skerry.model.geography import Region, UserPoint
from skerry.model.grants import Profile
from skerry.model.ids import (
    AppName,
    CauseId,
    Digest,
    InstanceId,
    KeyId,
    NetworkName,
    NodeName,
    OperationId,
    PlanId,
    SecretName,
    ServiceName,
    SiteName,
    TenantName,
    TokenId,
    VolumeName,
)
from skerry.model.signed import Envelope, PublicKey, RoleKeys
from skerry.model.trace import TraceLine, TraceVerdict

T = TypeVar("T")

AppState = Literal["run", "hold", "ended", "lost"]
SiteState = Literal["online", "silent", "joining", "unheard"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every answer."""


class Page(Answer, Generic[T], frozen=True, kw_only=True):
    """Part of a listing in a stated order; an empty ``next_page_token`` ends it."""

    items: tuple[T, ...]
    next_page_token: str = ""


class Condition(Answer, frozen=True, kw_only=True):
    """Something about an object that is worth a person's eye."""

    kind: str
    reason: str


class CloudEvent(Answer, frozen=True, kw_only=True):
    """An event as CloudEvents 1.0 has it. ``id`` is the number in the core's log, so it also orders and resumes."""

    specversion: str = "1.0"
    id: str
    #: ``/sites/NAME`` or ``/core``.
    source: str
    #: ``dev.skerry.`` kind ``.v1``
    type: str
    subject: str = ""
    #: RFC 3339, by the clock of whoever wrote the event.
    time: str = ""
    datacontenttype: str = "application/json"
    #: Extension attributes: the story it belongs to and its number at its site.
    cause: CauseId = CauseId("")
    sequence: int = 0
    data: dict[str, str] = {}


# --- apps ------------------------------------------------------------------------------------------------------------


class Applied(Answer, frozen=True, kw_only=True):
    """A wish was recorded durably: this number is now the app's newest."""

    app: AppName
    number: int
    digest: Digest
    state: AppState
    #: Follow it with ``operations/ID`` until every site has it.
    operation: OperationId
    cause: CauseId
    #: Newest event id before the change: read events after it to see what comes of it.
    event_id: int


class AppSummary(Answer, frozen=True, kw_only=True):
    """An app in one line."""

    app: AppName
    #: Newest number of the app's line, tombstones included: what ``If-Match`` must name.
    number: int
    #: Number of the current revision; 0 when the app has ended.
    revision: int
    state: AppState
    wanted: int
    ready: int
    refused: int
    sites: int
    changed_us: int


class InstanceView(Answer, frozen=True, kw_only=True):
    """One wanted or reported instance: the core's assignment beside the site's fact."""

    instance: InstanceId
    app: AppName
    service: ServiceName
    ordinal: int
    site: SiteName
    node: NodeName
    site_state: SiteState
    #: Revision number wanted; 0 when the core no longer wants the instance.
    wanted: int
    #: Revision number the site reported; 0 when it has not.
    reported: int
    #: The site's word; ``unknown`` until it has reported.
    phase: str
    health: str = "none"
    reason: str = ""
    restarts: int = 0
    ports: dict[str, int] = {}


class Unplaced(Answer, frozen=True, kw_only=True):
    """Instances without a place, and why in one sentence."""

    service: ServiceName
    site: SiteName | None
    reason: str


class AppDetail(Answer, frozen=True, kw_only=True):
    """An app with everything that ``skerry app show`` prints."""

    summary: AppSummary
    digest: Digest
    description: str
    labels: dict[str, str]
    services: tuple[ServiceName, ...]
    instances: tuple[InstanceView, ...]
    unplaced: tuple[Unplaced, ...]
    conditions: tuple[Condition, ...]
    events: tuple[CloudEvent, ...]


class RevisionSummary(Answer, frozen=True, kw_only=True):
    """One number of an app's line."""

    number: int
    kind: Literal["revision", "tombstone"]
    digest: Digest
    current: bool
    #: Digest of the manifest text; empty for tombstones.
    source: str
    description: str
    actor: str
    recorded_us: int


class SiteBytes(Answer, frozen=True, kw_only=True):
    """What a site must fetch before it can run the planned instances."""

    site: SiteName
    bytes: int


class PlannedChange(Answer, frozen=True, kw_only=True):
    """One difference that applying would make."""

    kind: Literal["add", "remove", "change", "keep"]
    site: SiteName
    instance: InstanceId
    detail: str


class AppPlan(Answer, frozen=True, kw_only=True):
    """A dry run: what applying this payload now would do. ``PUT`` with ``Skerry-Plan`` holds the core to it."""

    plan: PlanId
    app: AppName
    #: Number that the apply's ``If-Match`` must name; 0 for ``If-None-Match: *``.
    number: int
    changes: tuple[PlannedChange, ...]
    unplaced: tuple[Unplaced, ...]
    pulls: tuple[SiteBytes, ...]
    notes: tuple[str, ...]
    #: What would refuse the apply: unknown images, secrets or sites.
    problems: tuple[Problem, ...]


class ManifestPlan(Answer, frozen=True, kw_only=True):
    """What a manifest's text means here and now; ``plan`` is None while ``problems`` keep it from being planned."""

    #: Empty when the text does not even name an app.
    app: str
    problems: tuple[Problem, ...]
    plan: AppPlan | None = None


class PlaceView(Answer, frozen=True, kw_only=True):
    """Where an instance is and what its score was; lower is better."""

    service: ServiceName
    ordinal: int
    site: SiteName
    node: NodeName
    score: int
    kept: bool


class RejectionView(Answer, frozen=True, kw_only=True):
    """The first constraint that keeps an instance away from a site or node."""

    service: ServiceName
    site: SiteName
    node: NodeName | None
    constraint: str
    detail: str


class Why(Answer, frozen=True, kw_only=True):
    """The reasons of the newest plan for an app."""

    app: AppName
    number: int
    placed: tuple[PlaceView, ...]
    unplaced: tuple[Unplaced, ...]
    rejections: tuple[RejectionView, ...]
    notes: tuple[str, ...]


class AppChanged(Answer, frozen=True, kw_only=True):
    """An app was paused, resumed or restarted."""

    app: AppName
    number: int
    state: AppState
    operation: OperationId
    cause: CauseId
    event_id: int


class RolloutSite(Answer, frozen=True, kw_only=True):
    """How one site stands in a rollout; ``let-in`` may have the revision and has not begun with it."""

    site: SiteName
    standing: Literal["waiting", "let-in", "watching", "proven", "failed"]
    reason: str = ""


class RolloutView(Answer, frozen=True, kw_only=True):
    """How far the newest revision of an app has come in its waves; ``sites`` are listed where one app is shown."""

    app: AppName
    number: int
    digest: Digest
    phase: Literal["running", "baking", "approval", "paused", "halted", "rolled-back", "aborted", "done"]
    #: 0 is the canary; waves follow.
    stage: int
    waves: int
    let_in: int
    proven: int
    failed: int
    waiting: int
    reason: str
    sites: tuple[RolloutSite, ...] = ()


class LogLine(Answer, frozen=True, kw_only=True):
    """One line of output; ``stream`` is ``note`` when the core says something about the stream itself."""

    site: SiteName
    service: ServiceName
    ordinal: int
    stream: Literal["stdout", "stderr", "note"]
    text: str


class OperationView(Answer, frozen=True, kw_only=True):
    """Long work: running until the sites have done it. Its state is computed from their facts."""

    operation: OperationId
    kind: Literal["apply", "delete", "pause", "resume", "restart"]
    app: AppName
    number: int
    state: Literal["running", "done", "superseded"]
    wanted: int
    ready: int
    #: Instances at sites that are silent: they do not hold a wait up for ever, they are named.
    silent: int
    refused: int
    started_us: int
    cause: CauseId


# --- sites and joining -----------------------------------------------------------------------------------------------


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


class SiteUseView(Answer, frozen=True, kw_only=True):
    """What a site uses, as its newest sample says; ``sampled_s_ago`` is None while there is none."""

    site: SiteName
    state: SiteState
    sampled_s_ago: int | None = None
    #: Thousandths of processors: in use since the sample before, None before there are two; and what there is.
    cpu_used_m: int | None = None
    cpu_m: int = 0
    #: Run queue over a minute, in thousandths.
    load_m: int = 0
    memory_used_bytes: int = 0
    memory_bytes: int = 0
    disk_used_bytes: int = 0
    disk_bytes: int = 0
    #: Round trip of the last answered heartbeat in microseconds; 0 while it is not known.
    link_rtt_us: int = 0
    #: Files (inodes) that the disk can have and has; 0 where its file system does not count them.
    files: int = 0
    files_used: int = 0
    #: Hottest sensor in thousandths of a degree Celsius; 0 where there is none.
    temperature_m: int = 0
    #: Events that wait at the site for the core.
    outbox_events: int = 0
    #: By how much the site's clock is before the core's, in milliseconds; None when it was not told.
    clock_off_ms: int | None = None
    instances: int = 0
    ready: int = 0
    #: Conditions worth a person's eye, by name.
    conditions: tuple[str, ...] = ()


class InstanceUseView(Answer, frozen=True, kw_only=True):
    """What an instance uses; bytes are counted since its container started."""

    instance: InstanceId
    app: AppName
    service: ServiceName
    ordinal: int
    site: SiteName
    phase: str
    restarts: int
    sampled_s_ago: int | None = None
    cpu_used_m: int | None = None
    memory_bytes: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class InstanceDetail(Answer, frozen=True, kw_only=True):
    """An instance with everything that ``skerry instance show`` prints."""

    summary: InstanceView
    #: The site says of the wanted revision, on its newest document, that it is as wanted.
    ready: bool
    #: What the core wishes of it; empty when it no longer wants the instance.
    wish: Literal["", "run", "hold"]
    #: The rollout of the wanted revision was taken back: the site may run the one that it proved before.
    back: bool
    #: The silent site whose copy it stands in for; empty for none.
    instead_of: SiteName | Literal[""]
    #: Digests of the wanted and of the reported revision; empty where there is none.
    wanted_revision: Digest | Literal[""]
    reported_revision: Digest | Literal[""]
    #: Name and digest of the image of the wanted revision; of the reported one where none is wanted. Empty when the
    #: core does not have that revision.
    image: str
    image_digest: Digest | Literal[""]
    #: How it ended last, as its site says; 0 too while it never did.
    exit_code: int
    #: What it uses; ``sampled_s_ago`` is None when the core remembers no sample of it.
    use: InstanceUseView
    #: What the newest plan says of its place; None for one that this plan did not place there.
    place: PlaceView | None
    #: What is worth a person's eye: of the instance, of its app at this site, and of the site.
    conditions: tuple[Condition, ...]
    #: The newest of its events, newest last.
    events: tuple[CloudEvent, ...]


class UsePoint(Answer, frozen=True, kw_only=True):
    """One step of a history. ``cpu_used_m`` and ``bytes_moved`` are of the time since the point before, if known."""

    time_s: int
    cpu_used_m: int | None
    memory_bytes: int
    disk_bytes: int
    #: Over the link of a site, over the networks of an instance.
    bytes_moved: int | None


class UseHistory(Answer, frozen=True, kw_only=True):
    """What a site or one of its instances used over a span, oldest first; a core forgets it when it stops."""

    site: SiteName
    instance: str
    step_s: int
    points: tuple[UsePoint, ...]


class ScrapeGroup(Answer, frozen=True, kw_only=True):
    """One group of targets, as Prometheus reads it (``http_sd_configs``)."""

    targets: tuple[str, ...]
    labels: dict[str, str]


class LinkBytes(Answer, frozen=True, kw_only=True):
    """Bytes of a site's link for one purpose since the site joined, as the core counted them."""

    purpose: str
    sent: int
    received: int


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


class UplinkView(Answer, frozen=True, kw_only=True):
    """An uplink of a site; 0 is not stated. ``price_micro`` is millionths of the operator's unit for a gigabyte."""

    uplink: str
    device: str
    #: wired, mobile or satellite.
    kind: str
    price_micro: int
    #: Bytes a month.
    budget_bytes: int
    up_bps: int
    down_bps: int
    preference: int


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


class Recorded(Answer, frozen=True, kw_only=True):
    """A change was recorded durably under ``number``."""

    name: str
    number: int
    cause: CauseId
    event_id: int


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


# --- images, volumes, secrets ----------------------------------------------------------------------------------------


class BlobState(Answer, frozen=True, kw_only=True):
    """How much of a blob is here: go on from ``have_bytes``."""

    digest: Digest
    have_bytes: int
    complete: bool


class ImageView(Answer, frozen=True, kw_only=True):
    """A registered image."""

    digest: Digest
    name: str
    config: Digest
    #: Bytes of all layers, uncompressed: what a revision's image reference must say.
    size_bytes: int
    blobs: tuple[Digest, ...]
    architecture: str
    registered_us: int


class ImageConfigView(Answer, frozen=True, kw_only=True):
    """The configuration of an image; its digest is the image's ``config``."""

    content: bytes


class SeedView(Answer, frozen=True, kw_only=True):
    """An image that is wanted at sites ahead of need, and how far it has come; sites as they said last."""

    digest: Digest
    name: str
    size_bytes: int
    #: Which sites: those that match, of those named; empty words admit every site of the tenant.
    label_selector: str
    names: tuple[SiteName, ...]
    since_us: int
    #: When the wish ends by itself.
    ends_us: int
    #: Sites that are meant now, and those of them that hold it whole.
    sites: int
    held: int
    #: Bytes at all sites that are meant, of ``size_bytes`` at each.
    have_bytes: int


class ImageAtSite(Answer, frozen=True, kw_only=True):
    """An image at a site where the tenant has a use for it: to run from, or seeded ahead of need."""

    site: SiteName
    state: SiteState
    #: An app of the tenant runs from it there, or is to.
    used: bool
    seeded: bool
    have_bytes: int
    size_bytes: int
    held: bool
    #: Why it does not come, by the site's word.
    reason: str = ""


class ImagesPruned(Answer, frozen=True, kw_only=True):
    """Images that were removed, or would be."""

    images: tuple[ImageView, ...]
    #: Images that stay.
    kept: int
    #: Bytes of parts that only these images have, of those of this tenant.
    freed_bytes: int


class VolumeView(Answer, frozen=True, kw_only=True):
    """A volume at one site, as the site reports it."""

    app: AppName
    volume: VolumeName
    site: SiteName
    born: int
    size_bytes: int
    in_use: bool
    state: str


class NetworkView(Answer, frozen=True, kw_only=True):
    """A network of an app, as the app's newest revision says it."""

    app: AppName
    network: NetworkName
    kind: str
    #: ``site``: one at each site by itself. ``app``: one over all of them.
    scope: str
    internal: bool
    services: tuple[ServiceName, ...]
    #: Sites at which a service of it is wished.
    sites: int


class NetworkPartView(Answer, frozen=True, kw_only=True):
    """What one site has of a network over sites, as it is wished."""

    site: SiteName
    #: Addresses of its instances, of version 4 and of version 6.
    ranges: tuple[str, ...]
    #: Other sites to which it has a tunnel.
    sees: tuple[SiteName, ...]
    #: Where those look for it, best first, and which relay they take when none of these answers.
    endpoints: tuple[str, ...]
    relay: str


class NetworkFlow(Answer, frozen=True, kw_only=True):
    """What went between a network and anywhere else at one site, since its node counts it; by the newest sample."""

    site: SiteName
    sampled_s_ago: int
    #: From it and to it, behind all rules of the node.
    sent_packets: int
    sent_bytes: int
    received_packets: int
    received_bytes: int
    #: What some rule of the node dropped, both ways together.
    dropped_packets: int
    dropped_bytes: int


class NetworkDetail(Answer, frozen=True, kw_only=True):
    """A network, and its part at each site where it is one over sites."""

    network: NetworkView
    #: Range of version 6 in which all parts lie; empty for a network of each site by itself.
    prefix: str
    parts: tuple[NetworkPartView, ...]
    #: Parts beyond those that are listed.
    more: int
    #: What it has moved at each site that has told.
    flows: tuple[NetworkFlow, ...] = ()


class TraceAnswer(Answer, frozen=True, kw_only=True):
    """The way of packets between two ends: every hop and rule in order, up to the one that stops them."""

    start: str
    end: str
    #: Sites at which the ends are; empty for what is at none.
    start_site: str
    end_site: str
    #: What was asked for, like ``80/tcp``; empty for nothing in particular.
    port: str
    #: ``passes`` where no hop says otherwise; ``unknown`` where nobody that was asked can say.
    verdict: TraceVerdict
    #: Text of the line that decides.
    reason: str
    lines: tuple[TraceLine, ...]


class PeerLink(Answer, frozen=True, kw_only=True):
    """The way from a site to another one, as the site sees it."""

    site: SiteName
    #: ``direct``, ``relayed``; ``quiet`` where nobody has spoken for three minutes; ``cut`` where nobody answers.
    way: Literal["direct", "relayed", "quiet", "cut"]
    #: Seconds since both ends agreed on keys; None for never.
    heard_s: int | None
    #: Round trip and loss in thousandths, of questions for names; None where none are asked.
    rtt_us: int | None
    loss_m: int | None
    #: Through the tunnel since it is there.
    received_bytes: int
    sent_bytes: int


class UplinkUseView(Answer, frozen=True, kw_only=True):
    """What went over an uplink of a site this month, and what its operator signed of it; 0 is not stated."""

    uplink: str
    device: str
    kind: str
    price_micro: int
    budget_bytes: int
    preference: int
    #: The site's link to the core goes by it.
    has_link: bool
    #: Like ``2026-12``; empty while the site has not told.
    month: str
    used_bytes: int
    #: Of these: documents, images, streams and reports of the site's own link, tunnels, instances, and other.
    purposes: dict[str, int]
    #: What they cost, in millionths of the operator's unit.
    cost_micro: int


class SiteLinks(Answer, frozen=True, kw_only=True):
    """The links of one site: to the core, to other sites, and the uplinks under them."""

    site: SiteName
    state: SiteState
    link_class: str
    #: Round trip to the core as the link measured it; None where it has not.
    rtt_us: int | None
    #: None where no sample has come since this core began.
    sampled_s_ago: int | None
    peers: tuple[PeerLink, ...]
    uplinks: tuple[UplinkUseView, ...]


class ChainView(Answer, frozen=True, kw_only=True):
    """A service chain of an app, as the app's newest revision says it."""

    app: AppName
    chain: str
    #: Its ends: ``network:NAME``, ``uplink`` or a service.
    start: str
    through: tuple[ServiceName, ...]
    end: str
    symmetric: bool
    #: ``closed``: nothing passes where a step is not well. ``open``: it is gone around.
    fail: str
    #: How many nodes say that its traffic passes every step, goes around some, or is stopped.
    whole: int
    around: int
    closed: int
    #: Longest time that passing all steps may take, in microseconds; 0 for no limit.
    max_latency_us: int = 0


class ChainNodeView(Answer, frozen=True, kw_only=True):
    """Where the traffic of a chain goes at one node, as the node says it."""

    site: SiteName
    node: NodeName
    state: str
    #: Each step and the instance that has its traffic, in order; empty where none can take it.
    steps: dict[ServiceName, str]
    #: Why it is not whole.
    reason: str
    #: Time that test packets take through each step and through all, in microseconds rounded up to 1, 2 or 5 times a
    #: power of ten; without those of which nothing is known.
    latency_us: dict[ServiceName, int] = {}
    path_us: int = 0
    #: It takes longer than its owner allows.
    late: bool = False
    #: What test packets met; empty where all is well.
    flaw: str = ""
    #: Packets given to each step on their way out and back, test packets among them; counted since the node's chains
    #: last changed, and so many seconds old. None before the node's first sample.
    packets: dict[ServiceName, tuple[int, int]] = {}
    counted_s_ago: int | None = None


class ChainDetail(Answer, frozen=True, kw_only=True):
    """A service chain, and what each node says of it."""

    chain: ChainView
    nodes: tuple[ChainNodeView, ...]
    #: Nodes beyond those that are listed.
    more: int


class SecretView(Answer, frozen=True, kw_only=True):
    """A sealed secret: everything but its value, which nobody here can open."""

    name: SecretName
    number: int
    digest: Digest
    sealed_for: tuple[KeyId, ...]
    used_by: tuple[AppName, ...]
    recorded_us: int


class AreaView(Answer, frozen=True, kw_only=True):
    """An area, as the newest version of it says."""

    name: str
    number: int
    digest: Digest
    region: Region
    recorded_us: int


class AreaDetail(Answer, frozen=True, kw_only=True):
    """An area and what its tenant signed: a client that puts it into a revision believes nothing else."""

    summary: AreaView
    signed: Envelope


class UserGroupView(Answer, frozen=True, kw_only=True):
    """Where users are, as the newest version of the group says; see ``UserPoint``."""

    name: str
    number: int
    digest: Digest
    points: tuple[UserPoint, ...]
    recorded_us: int


class UserGroupDetail(Answer, frozen=True, kw_only=True):
    """A group of users and what its tenant signed."""

    summary: UserGroupView
    signed: Envelope


# --- access, audit and the core itself -------------------------------------------------------------------------------


class TokenView(Answer, frozen=True, kw_only=True):
    """An API token without its secret."""

    token_id: TokenId
    name: str
    tenant: str
    tenant_role: TenantRole
    operator_role: OperatorRole
    created_us: int
    #: 0 means it does not end.
    expires_us: int
    state: Literal["live", "revoked", "ended"]
    #: The person who holds it; empty for a token of no person.
    user: str = ""


class SessionView(Answer, frozen=True, kw_only=True):
    """Who asks, as the credential says: what a screen shows of it and hides by it."""

    token_id: TokenId
    tenant: str
    tenant_role: TenantRole
    operator_role: OperatorRole
    version: str
    #: The person whose token it is; empty for a token of no person.
    user: str = ""


class TokenMade(Answer, frozen=True, kw_only=True):
    """A new token; ``token`` is shown this once and kept nowhere."""

    token: str
    view: TokenView


class UserView(Answer, frozen=True, kw_only=True):
    """A person who holds tokens: of a tenant, or (with an empty tenant) one of the operator's."""

    name: str
    tenant: str
    #: The most that their tokens may do.
    tenant_role: TenantRole
    operator_role: OperatorRole
    created_us: int
    #: Tokens of theirs that are good for something now.
    tokens: int


class UserDetail(Answer, frozen=True, kw_only=True):
    """A person with the tokens they hold or held."""

    summary: UserView
    tokens: tuple[TokenView, ...]


class UserMade(Answer, frozen=True, kw_only=True):
    """A new person and their first token, shown this once."""

    user: UserView
    first: TokenMade


class UserRemoved(Answer, frozen=True, kw_only=True):
    """A person who was removed, and how many tokens ended with that."""

    name: str
    ended: int


class RoleView(Answer, frozen=True, kw_only=True):
    """A role and what it may do."""

    role: str
    #: Of whom: of a tenant, or of the operator.
    of: Literal["tenant", "operator"]
    #: Words that operations ask for: read, deploy, admin, operate.
    permissions: tuple[str, ...]
    #: Names of the operations that it may use.
    operations: tuple[str, ...]


class TenantView(Answer, frozen=True, kw_only=True):
    """An owner of apps."""

    tenant: TenantName
    deploy_keys: RoleKeys
    created_us: int


class TenantMade(Answer, frozen=True, kw_only=True):
    """A new tenant and its first token, shown this once."""

    tenant: TenantView
    first: TokenMade


class AuditEntry(Answer, frozen=True, kw_only=True):
    """One record of a chain: hash = SHA-256("skerry-audit-v1", 0x00, previous hash, payload) (trust.md §12)."""

    seq: int
    previous: bytes
    hash: bytes
    payload: bytes
    time_us: int
    actor: str
    operation: str
    object: str
    outcome: str
    cause: CauseId


class SiteCounts(Answer, frozen=True, kw_only=True):
    """Sites by state."""

    online: int = 0
    silent: int = 0
    joining: int = 0
    unheard: int = 0
    learning: int = 0


class Status(Answer, frozen=True, kw_only=True):
    """One screen: what ``skerry status`` prints."""

    version: str
    root: bool
    sites: SiteCounts
    apps: tuple[AppSummary, ...]
    #: Apps of ``apps`` that are not as wanted.
    not_as_wanted: int
    warnings: tuple[CloudEvent, ...]
    conditions: tuple[Condition, ...]


class WatchDelta(Answer, frozen=True, kw_only=True):
    """The newest state of one object that changed; without ``site`` and ``app`` it is gone."""

    kind: Literal["site", "app", "link"]
    name: str
    site: SiteSummary | None = None
    app: AppSummary | None = None
    #: Of ``link``: the links of the site of that name.
    links: SiteLinks | None = None


class ProfileView(Answer, frozen=True, kw_only=True):
    """One way in which sites have an operator's own profile."""

    profile: str
    #: As the registrar signed it; a tenant sees itself alone among the tenants.
    grants: Profile
    site_count: int
    #: The first of them by name.
    sites: tuple[SiteName, ...]


class ProfileDetail(Answer, frozen=True, kw_only=True):
    """All ways in which sites have a profile: several while a change is on its way."""

    profile: str
    variants: tuple[ProfileView, ...]


class CoreIdentity(Answer, frozen=True, kw_only=True):
    """What a signer needs to write the root document: the core's delivery key and where sites reach it."""

    version: str
    delivery: PublicKey
    #: DER of the delivery key's own certificate authority.
    delivery_ca: bytes
    endpoints: tuple[str, ...]
    #: Number of the root document held; 0 when there is none yet.
    root: int


class Version(Answer, frozen=True, kw_only=True):
    """Which release answers."""

    version: str
    format: int


class Health(Answer, frozen=True, kw_only=True):
    """Liveness or readiness; each check with its own word."""

    ok: bool
    checks: dict[str, str] = {}


class ProblemDocument(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details, with Skerry's own code, hint, cause and located problems."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    hint: str = ""
    cause: str = ""
    errors: tuple[Problem, ...] = ()
