"""Steps about a node's networks: their bridges, translation of addresses, rules, bindings, flows and queues."""

import hashlib

import msgspec

from skerry.model.app import NetworkPlan, Subnet
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, TenantName
from skerry.model.network import bridge_name
from skerry.plan.actions.base import BaseAction
from skerry.plan.actions.containers import Link


class CreateNetwork(BaseAction, frozen=True, kw_only=True, tag="create-network"):
    """Make an app's private network. Proof: the runtime lists it."""

    tenant: TenantName
    app: AppName
    name: NetworkName
    internal: bool
    plan: NetworkPlan = NetworkPlan()
    #: Its instances are to ask the node's own name server; no part of the plan's name, so one that is there stays.
    names: bool = False
    #: Its ranges with the node's own address in each, where Skerry makes it; empty where the runtime chooses.
    ranges: tuple[Subnet, ...] = ()

    @property
    def plan_name(self) -> str:
        """Names the plan by its content; empty where the node is free."""
        if self.plan == NetworkPlan():
            return ""
        return hashlib.sha256(msgspec.json.encode(self.plan, order="deterministic")).hexdigest()[:16]


class WayOut(msgspec.Struct, frozen=True, order=True):
    """A network whose instances may speak to the world by the node's own address."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    ranges: tuple[str, ...]
    #: Nothing of it leaves the node; its published ports still answer.
    internal: bool = False


class OpenPort(msgspec.Struct, frozen=True, order=True):
    """A port of the node that leads to a port of one instance."""

    protocol: str
    published: int
    #: Address of the node; empty for all.
    host_ip: str
    #: Address of the instance.
    address: str
    target: int


class ApplyTranslation(BaseAction, frozen=True, kw_only=True, tag="apply-translation"):
    """Make the node's translation of addresses equal to this, whole. Proof: the observed digest is ``digest``."""

    networks: tuple[WayOut, ...]
    ports: tuple[OpenPort, ...]
    digest: Digest


class RemoveNetwork(BaseAction, frozen=True, kw_only=True, tag="remove-network"):
    """Remove a network that no assignment uses. Proof: the runtime no longer lists it."""

    tenant: TenantName
    app: AppName
    name: NetworkName


class AppRules(msgspec.Struct, frozen=True, order=True):
    """One app network's openings, as the firewall needs them."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    internal: bool
    #: Ranges of its part here and of its parts at other sites; both empty for a network of this site alone.
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()
    #: It is a part of a network of the site, with which the node itself has nothing to do.
    lan: bool = False
    #: UDP ports of its instances at other sites to which the entrance here may lead people.
    doors: tuple[int, ...] = ()


class QueueClass(msgspec.Struct, frozen=True, order=True):
    """A share of a device: ``rate_bps`` is its own; up to ``ceil_bps`` it has what others leave, lowest order first."""

    number: int
    rate_bps: int
    ceil_bps: int
    order: int


class UplinkQueue(msgspec.Struct, frozen=True, order=True):
    """How what leaves by an uplink is shared out."""

    device: str
    classes: tuple[QueueClass, ...]


class Cap(msgspec.Struct, frozen=True, order=True):
    """What one instance may send and be sent over the node, in bits per second; 0 is not limited."""

    #: Of its class, wherever it has one.
    number: int
    tenant: TenantName
    app: AppName
    networks: tuple[NetworkName, ...]
    addresses: tuple[str, ...]
    up_bps: int
    down_bps: int
    #: Of its class on an uplink: who has what others leave first.
    order: int = 2

    @property
    def devices(self) -> tuple[str, ...]:
        """The node's bridges of its networks."""
        return tuple(bridge_name(self.tenant, self.app, name) for name in self.networks)


class Rank(msgspec.Struct, frozen=True, order=True):
    """Instances without a cap whose packets have another class on uplinks than the rest."""

    number: int
    #: The node's bridges that they are at.
    devices: tuple[str, ...]
    addresses: tuple[str, ...]


class ApplyQueues(BaseAction, frozen=True, kw_only=True, tag="apply-queues"):
    """Make the node's queues equal to this, whole. Proof: their digest is ``digest``, at just these devices."""

    uplinks: tuple[UplinkQueue, ...]
    caps: tuple[Cap, ...]
    #: Empty where nothing is queued.
    digest: Digest
    ranks: tuple[Rank, ...] = ()


class ApplyFlows(BaseAction, frozen=True, kw_only=True, tag="apply-flows"):
    """Count what goes over these bridges and uplinks, and nothing else. Proof: the counters' digest is ``digest``."""

    bridges: tuple[str, ...]
    devices: tuple[str, ...]
    #: First and last UDP port of the node's tunnels; 0 and 0 where there are none.
    ports: tuple[int, int]
    #: Empty where nothing is counted.
    digest: Digest


class InsideRoute(msgspec.Struct, frozen=True, order=True):
    """Where an instance sends what is for a range: through a gateway, by the device that has its address ``source``."""

    range: str
    gateway: str
    source: str


class BindLinks(BaseAction, frozen=True, kw_only=True, tag="bind-links"):
    """Have just these guards at the links of a running container, and just these routes in it.

    Proof: the digest of what is kept at the container is ``digest``.
    """

    container: str
    instance: InstanceId
    #: Of each only the network, the addresses and ``passes`` count.
    guards: tuple[Link, ...]
    routes: tuple[InsideRoute, ...]
    #: Empty where nothing is kept.
    digest: Digest


class ApplyRules(BaseAction, frozen=True, kw_only=True, tag="apply-rules"):
    """Make the node's own firewall table equal to this, whole. Proof: the observed rules digest is ``digest``."""

    networks: tuple[AppRules, ...]
    digest: Digest
