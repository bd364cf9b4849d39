"""A trace: the way from one end to another, hop by hop, and what a node says of it when the core asks.

``TraceAsk`` and ``NodeView`` are the bodies of a call over the link, arrays whose fields are only ever appended; a
``TraceLine`` is one line of the answer. Neighbours: ``plan/trace/`` writes views and lines, ``core/tracing.py`` asks.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skerry.model.facts import ChainFact
from skerry.model.ids import AppName, InstanceId, NetworkName, NodeName, ServiceName, SiteName, TenantName

#: Parts of one kind in a node's view: a site has at most so many networks of one app, tunnels to one peer or waits
#: about them that are worth a person's eye.
PARTS_MAX = 64
_Text = Annotated[str, Meta(max_length=512)]

#: ``told``: it decides nothing. ``unknown``: nobody that was asked can say.
TraceVerdict = Literal["passes", "stopped", "unknown", "told"]
TraceProtocol = Literal["tcp", "udp", "sctp", "icmp"]
PROTOCOLS: tuple[TraceProtocol, ...] = ("tcp", "udp", "sctp", "icmp")


class TraceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One hop or rule of a trace, and what it says."""

    #: ``end``, ``name``, ``network``, ``rule``, ``chain``, ``tunnel``, ``way out``, ``entrance`` or ``port``.
    hop: str
    #: Where this is; empty for the app as a whole.
    site: str
    verdict: TraceVerdict
    text: str
    #: Where this is known from: what was signed, the core's document, facts of a site, or the node itself.
    source: str
    #: Seconds since that was so; None for what does not grow old.
    age_s: int | None = None


class TraceAsk(msgspec.Struct, frozen=True, array_like=True):
    """What the core wants to know of a node, about one app; it needs a session only, as reading logs does."""

    tenant: TenantName
    app: AppName
    services: Annotated[tuple[ServiceName, ...], Meta(max_length=2)] = ()
    #: The site at the other end.
    other: str = ""
    #: A name that an instance would ask for.
    name: _Text = ""
    #: An address that an instance would send to.
    target: _Text = ""


class NetworkLook(msgspec.Struct, frozen=True, array_like=True):
    """One network of the app, as the node's firewall has it."""

    network: NetworkName
    internal: bool
    #: Its ranges at this node.
    ranges: tuple[str, ...]
    #: Of one over sites: its ranges here, and those of its members elsewhere.
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()


class InstanceLook(msgspec.Struct, frozen=True, array_like=True):
    """One container of the services."""

    instance: InstanceId
    state: str
    phase: str
    reason: _Text
    addresses: dict[NetworkName, tuple[str, ...]] = {}


class TunnelLook(msgspec.Struct, frozen=True, array_like=True):
    """One tunnel to the other site."""

    #: What goes to these ranges goes this way.
    used: bool
    ranges: tuple[str, ...]
    place: str
    relayed: bool
    #: Seconds since both ends agreed on keys; None for never.
    heard_s: int | None
    #: It sends and hears nothing.
    trying: bool
    received_bytes: int = 0
    sent_bytes: int = 0


class NameLook(msgspec.Struct, frozen=True, array_like=True):
    """Where the name leads in one network, and why there."""

    network: NetworkName
    addresses: tuple[str, ...]
    sites: tuple[SiteName, ...]
    why: _Text


class DoorLook(msgspec.Struct, frozen=True, array_like=True):
    """One place of the site's entrance that is wished for the services."""

    place: str
    service: ServiceName
    #: Why it is not open; empty where it is.
    flaw: _Text
    #: Copies behind it that answer, and all of them.
    well: int
    copies: int


class NodeView(msgspec.Struct, frozen=True, array_like=True):
    """What a node sees of an app's way to another place, from its own look at this moment."""

    site: SiteName
    node: NodeName
    #: What guards it is as planned (``in force``), is being made another (``changing``), or is not there (``missing``).
    guard: Literal["in force", "changing", "missing"]
    networks: Annotated[tuple[NetworkLook, ...], Meta(max_length=PARTS_MAX)] = ()
    instances: Annotated[tuple[InstanceLook, ...], Meta(max_length=PARTS_MAX)] = ()
    tunnels: Annotated[tuple[TunnelLook, ...], Meta(max_length=PARTS_MAX)] = ()
    #: Why there can be no tunnel; empty where there can.
    tunnels_lack: _Text = ""
    names: Annotated[tuple[NameLook, ...], Meta(max_length=PARTS_MAX)] = ()
    names_lack: _Text = ""
    chains: Annotated[tuple[ChainFact, ...], Meta(max_length=PARTS_MAX)] = ()
    doors: Annotated[tuple[DoorLook, ...], Meta(max_length=PARTS_MAX)] = ()
    #: What waits at the node that has to do with it, each with the reason.
    waits: Annotated[tuple[_Text, ...], Meta(max_length=PARTS_MAX)] = ()
    #: Whose the target is: the node's own address, some other network here, or neither.
    target_is: Literal["", "node", "network"] = ""
    #: Uplink by which the node's link goes, and its device; empty where the node's own routes say.
    uplink: str = ""
    device: str = ""
