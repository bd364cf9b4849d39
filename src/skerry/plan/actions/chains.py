"""Steps about service chains: steering packets, and test packets of their own."""

from typing import Literal

import msgspec

from skerry.model.ids import AppName, Digest, InstanceId, ServiceName, TenantName
from skerry.model.observed import ChainHop
from skerry.plan.actions.base import BaseAction


class Steer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which packets get which mark; what is empty does not matter. ``plan/chain_rules.py`` says what marks mean."""

    family: Literal["ip", "ip6"]
    mark: int
    #: By which bridge it comes; empty for what comes from beyond the site.
    bridge: str = ""
    #: By which device of the node what is from beyond comes, and by which not.
    device: str = ""
    not_device: str = ""
    #: It was led in by a published port.
    led_in: bool = False
    #: Hardware addresses of those who hand it over, and of those who do not.
    macs: tuple[str, ...] = ()
    not_macs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    not_sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    not_targets: tuple[str, ...] = ()
    #: Devices by which the node's own routes lead to its source and its target, and one by which not to its target.
    source_by: str = ""
    target_by: str = ""
    not_target_by: str = ""
    protocol: Literal["", "tcp", "udp", "sctp", "icmp"] = ""
    ports: tuple[tuple[int, int], ...] = ()
    #: At which end of the packet the ports are.
    ports_of: Literal["to", "from"] = "to"
    #: The node keeps track of the connection here, and here alone its addresses may be changed.
    tracked: bool = False
    #: What counts such packets; empty for nothing.
    counter: str = ""


class ApplyChains(BaseAction, frozen=True, kw_only=True, tag="apply-chains"):
    """Make the node steer packets by this and nothing else, whole. Proof: the digest of its chains is ``digest``.

    Without hops and rules nothing of it is left, and the digest is empty.
    """

    hops: tuple[ChainHop, ...]
    steers: tuple[Steer, ...]
    digest: Digest


class ProbeHop(msgspec.Struct, frozen=True):
    """One step that test packets are to pass."""

    service: ServiceName
    instance: InstanceId
    #: All its bridges and hardware addresses there.
    links: tuple[tuple[str, str], ...]


class ProbeChain(BaseAction, frozen=True, kw_only=True, tag="probe-chain"):
    """Send test packets into a chain at its near end. They die at the node behind the last step, and leave it never.

    Proof: the outcome has what was seen of them. ``plan/chain_probes.py`` says what that means.
    """

    tenant: TenantName
    app: AppName
    chain: str
    family: Literal["ip", "ip6"]
    protocol: Literal["tcp", "udp", "icmp"]
    port: int
    #: At which end of them the port is.
    ports_of: Literal["to", "from"] = "to"
    #: How long passing all steps may take, in microseconds; 0 for no limit.
    max_us: int = 0
    #: The bridge that they come by, as if from an instance there.
    bridge: str
    source: str
    target: str
    #: Devices of the node at which the ends are. An end without an address is one that the device's own range has.
    source_by: str = ""
    target_by: str = ""
    hops: tuple[ProbeHop, ...]
    #: Those that count; one more is sent ahead of them and is for neighbours to get to know each other.
    count: int
