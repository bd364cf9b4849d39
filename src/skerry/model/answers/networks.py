"""What the API answers about networks: their parts, flows, traces, chains, uplinks and links between sites."""

from typing import Literal

from skerry.model.answers.base import Answer, SiteState
from skerry.model.ids import AppName, NetworkName, NodeName, ServiceName, SiteName
from skerry.model.trace import TraceLine, TraceVerdict


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
