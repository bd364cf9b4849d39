"""The closed union of steps a driver performs at a site, and what comes of one.

An action is complete: the performer chooses nothing. ``lane`` names what an action is about: actions of one lane are
performed one after the other, of different lanes side by side. After each action the site is observed again, so an
action that was half done by a crash is simply planned again from what is there. What observation proves an action done
is said in its docstring.
"""

import hashlib
from typing import Literal

import msgspec

from skerry.model.app import HealthCheck, NetworkPlan, Subnet
from skerry.model.ids import (
    AppName,
    CauseId,
    Digest,
    InstanceId,
    NetworkName,
    SecretName,
    ServiceName,
    SiteName,
    TenantName,
    VolumeId,
    VolumeName,
)
from skerry.model.instance import InstanceSpec
from skerry.model.lan import Lan
from skerry.model.network import bridge_name
from skerry.model.observed import ChainHop, ProbePass
from skerry.model.relay import RelayTable


class _Action(msgspec.Struct, frozen=True, kw_only=True):
    #: Why: ties the action to the wish, in events and logs.
    cause: CauseId = CauseId("")


class FetchImage(_Action, frozen=True, kw_only=True, tag="fetch-image"):
    """Bring the image's blobs here, resumable. Proof: the blob store lists the image as complete."""

    image: Digest
    config: Digest
    size_bytes: int


class LoadImage(_Action, frozen=True, kw_only=True, tag="load-image"):
    """Give a complete image to the runtime. Proof: the runtime lists an image with this config digest."""

    image: Digest
    config: Digest


class DropBlobs(_Action, frozen=True, kw_only=True, tag="drop-blobs"):
    """Give up the blobs of an image that the runtime has by now. Proof: the blob store no longer lists it."""

    image: Digest
    config: Digest


class RemoveImage(_Action, frozen=True, kw_only=True, tag="remove-image"):
    """Evict an image that nothing needs. Proof: neither runtime nor blob store lists it."""

    image: Digest
    config: Digest


class CreateNetwork(_Action, frozen=True, kw_only=True, tag="create-network"):
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


class ApplyTranslation(_Action, frozen=True, kw_only=True, tag="apply-translation"):
    """Make the node's translation of addresses equal to this, whole. Proof: the observed digest is ``digest``."""

    networks: tuple[WayOut, ...]
    ports: tuple[OpenPort, ...]
    digest: Digest


class RemoveNetwork(_Action, frozen=True, kw_only=True, tag="remove-network"):
    """Remove a network that no assignment uses. Proof: the runtime no longer lists it."""

    tenant: TenantName
    app: AppName
    name: NetworkName


class CreateVolume(_Action, frozen=True, kw_only=True, tag="create-volume"):
    """Make a volume with its identity file, owned by the tenant's uid range. Proof: it is seen with that identity."""

    volume: VolumeId
    tenant: TenantName
    app: AppName
    name: VolumeName
    uid_start: int
    born: int


class DeleteVolume(_Action, frozen=True, kw_only=True, tag="delete-volume"):
    """Delete a volume whose tombstone's grace has passed. Proof: it is no longer seen."""

    volume: VolumeId
    tenant: TenantName
    app: AppName
    name: VolumeName
    #: Digest of the tombstone's payload that permits it.
    tombstone: Digest


class CreateContainer(_Action, frozen=True, kw_only=True, tag="create-container"):
    """Make the instance's container, not started. Proof: a container with this spec digest in state ``created``."""

    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance is attached to one of its app's networks."""

    network: NetworkName
    #: Name of the device inside the instance.
    device: str
    mac: str
    #: Each with the prefix length of its range.
    addresses: tuple[str, ...]
    #: The node's addresses through which it leaves; none in a network without a way out.
    gateways: tuple[str, ...] = ()
    #: Bytes of the largest packet; 0 for the kernel's own choice.
    mtu: int = 0
    #: It is a step of a service chain, so it passes on what came from other addresses.
    passes: bool = False
    #: All that it may send and be sent, in bits per second; 0 without limit.
    up_bps: int = 0
    down_bps: int = 0
    #: What it stands on where that is no bridge of its network.
    lan: Lan | None = None


class StartContainer(_Action, frozen=True, kw_only=True, tag="start-container"):
    """Start a container that exists, its memory-backed files laid out afresh. Proof: state ``running``.

    Its links are made before its first process runs; a container in which that was half done is begun again.
    """

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int
    #: One for each of its networks; empty where the runtime makes them.
    links: tuple[Link, ...] = ()

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class StopContainer(_Action, frozen=True, kw_only=True, tag="stop-container"):
    """Ask it to stop, kill it after the grace. Proof: state ``exited``."""

    container: str
    instance: InstanceId
    #: 0 for what it was made with, where the wish that it came from is no longer held.
    grace_us: int
    signal: str = ""


class UnpauseContainer(_Action, frozen=True, kw_only=True, tag="unpause-container"):
    """Let a container go on that somebody froze by hand. Proof: state ``running``."""

    container: str
    instance: InstanceId


class RenewSecrets(_Action, frozen=True, kw_only=True, tag="renew-secrets"):
    """Write new versions into the files of a running container, then send it a signal. Proof: it is seen with them."""

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int
    names: tuple[SecretName, ...]
    signal: str

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class RunHooks(_Action, frozen=True, kw_only=True, tag="run-hooks"):
    """Run the commands after a start inside, unless they have begun for this process before.

    Proof: it is seen that they are done, or which of them failed.
    """

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    #: Boot time at which the process began that they are for.
    began_us: int

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class RemoveContainer(_Action, frozen=True, kw_only=True, tag="remove-container"):
    """Remove a stopped or surplus container; never its named volumes. Proof: it is no longer seen."""

    container: str
    instance: InstanceId


class CheckHealth(_Action, frozen=True, kw_only=True, tag="check-health"):
    """Run the instance's health command, or ask by its probe, once.

    Its outcome is the proof: ``healthy``, or not with the output's end or what the probe found.
    """

    container: str
    instance: InstanceId
    check: HealthCheck


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


class Tunnel(msgspec.Struct, frozen=True, order=True):
    """An encrypted way to one key of another site, at the interface of one of the node's own keys."""

    #: Number of the node's own key.
    own: int
    #: At the second interface of that key, where a peer's next key stands beside its present one.
    aside: bool
    site: SiteName
    #: The peer's public key.
    key: bytes
    #: Where to look for the peer; empty to wait for it.
    endpoint: str
    #: Ranges of addresses that are at the peer.
    ranges: tuple[str, ...]
    #: Seconds after which a way that is quiet is kept open, as NAT needs it; 0 for never.
    keepalive_s: int = 0
    #: What goes to these ranges goes this way.
    used: bool = True


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


class ApplyQueues(_Action, frozen=True, kw_only=True, tag="apply-queues"):
    """Make the node's queues equal to this, whole. Proof: their digest is ``digest``, at just these devices."""

    uplinks: tuple[UplinkQueue, ...]
    caps: tuple[Cap, ...]
    #: Empty where nothing is queued.
    digest: Digest
    ranks: tuple[Rank, ...] = ()


class ApplyFlows(_Action, frozen=True, kw_only=True, tag="apply-flows"):
    """Count what goes over these bridges and uplinks, and nothing else. Proof: the counters' digest is ``digest``."""

    bridges: tuple[str, ...]
    devices: tuple[str, ...]
    #: First and last UDP port of the node's tunnels; 0 and 0 where there are none.
    ports: tuple[int, int]
    #: Empty where nothing is counted.
    digest: Digest


class ApplyOverlay(_Action, frozen=True, kw_only=True, tag="apply-overlay"):
    """Make the node's tunnels and the routes into them equal to this, whole. Proof: the overlay's digest is ``digest``.

    A peer that moved is not told its old place again: a place is set only where it is another than was set before.
    """

    tunnels: tuple[Tunnel, ...]
    digest: Digest


class ApplyRelay(_Action, frozen=True, kw_only=True, tag="apply-relay"):
    """Have this node's relay for other sites do just this; without pairs it ends. Proof: its digest is ``digest``."""

    table: RelayTable
    #: The address to listen at.
    host: str
    #: Empty where there is nothing to relay.
    digest: Digest


class InsideRoute(msgspec.Struct, frozen=True, order=True):
    """Where an instance sends what is for a range: through a gateway, by the device that has its address ``source``."""

    range: str
    gateway: str
    source: str


class BindLinks(_Action, frozen=True, kw_only=True, tag="bind-links"):
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


class MakeOverlayKey(_Action, frozen=True, kw_only=True, tag="make-overlay-key"):
    """Make the node's next overlay key and have its device key sign it. Proof: the key is seen."""

    number: int


class DropOverlayKey(_Action, frozen=True, kw_only=True, tag="drop-overlay-key"):
    """Forget an overlay key that no tunnel uses any more. Proof: the key is no longer seen."""

    number: int


class Steer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which packets get which mark; what is empty does not matter. ``plan/chains.py`` says what marks mean."""

    family: Literal["ip", "ip6"]
    mark: int
    #: By which bridge it comes; empty for what comes from beyond the site.
    bridge: str = ""
    #: Hardware addresses of those who hand it over, and of those who do not.
    macs: tuple[str, ...] = ()
    not_macs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    not_sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    not_targets: tuple[str, ...] = ()
    protocol: Literal["", "tcp", "udp", "sctp", "icmp"] = ""
    ports: tuple[tuple[int, int], ...] = ()
    #: At which end of the packet the ports are.
    ports_of: Literal["to", "from"] = "to"
    #: The node keeps track of the connection here, and here alone its addresses may be changed.
    tracked: bool = False
    #: What counts such packets; empty for nothing.
    counter: str = ""


class ApplyChains(_Action, frozen=True, kw_only=True, tag="apply-chains"):
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


class ProbeChain(_Action, frozen=True, kw_only=True, tag="probe-chain"):
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
    hops: tuple[ProbeHop, ...]
    #: Those that count; one more is sent ahead of them and is for neighbours to get to know each other.
    count: int


class ApplyRules(_Action, frozen=True, kw_only=True, tag="apply-rules"):
    """Make the node's own firewall table equal to this, whole. Proof: the observed rules digest is ``digest``."""

    networks: tuple[AppRules, ...]
    digest: Digest


class Named(msgspec.Struct, frozen=True, order=True):
    """Where a name leads."""

    name: str
    #: None now where it is empty: the name is known all the same.
    addresses: tuple[str, ...]


class PortNamed(msgspec.Struct, frozen=True, order=True):
    """A declared port of a service, found as ``_PORT._PROTOCOL.SERVICE``."""

    service: str
    port: int
    protocol: str
    #: The name of the service that the answer gives; empty while it leads nowhere.
    target: str


class Zone(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """Everything that one network knows by name, and at which of the node's addresses it asks."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    gateways: tuple[str, ...]
    #: It has no way out, so nothing else is asked for it.
    shut: bool = False
    names: tuple[Named, ...] = ()
    ports: tuple[PortNamed, ...] = ()
    #: Address to the name that it belongs to.
    reverse: tuple[tuple[str, str], ...] = ()
    #: What other sites may ask: by service, where its instances are at this site.
    own: tuple[Named, ...] = ()
    #: Names that are of other networks of an instance that begins: no answer, so that it asks again.
    unsaid: tuple[str, ...] = ()


class Asker(msgspec.Struct, frozen=True, order=True):
    """An instance of several networks asks for all of them at whichever gateway."""

    address: str
    #: Its networks.
    tenant: TenantName
    app: AppName
    networks: tuple[NetworkName, ...]


class Question(msgspec.Struct, frozen=True, order=True):
    """What to ask the name server of another site, from the node's own address in the network."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    service: ServiceName
    site: SiteName
    #: Its address in its part of the network, and ours.
    server: str
    source: str
    #: Ranges in which its answers may lie.
    ranges: tuple[str, ...]
    #: What is heard there is used now, or nothing was heard yet: asked often; others are asked seldom.
    often: bool


class ApplyNames(_Action, frozen=True, kw_only=True, tag="apply-names"):
    """Make what the node's name server answers equal to this, whole, and ask other sites this from now on.

    Without zones no server runs. Proof: the observed digest of names is ``digest``.
    """

    zones: tuple[Zone, ...]
    askers: tuple[Asker, ...]
    questions: tuple[Question, ...]
    digest: Digest


class Server(msgspec.Struct, frozen=True, order=True):
    """One copy of a service as the entrance asks it."""

    name: str
    address: str
    port: int
    #: ``drain``: what is under way is ended, nothing new is begun.
    state: Literal["up", "drain"] = "up"
    #: 0 is asked first; others, which are at other sites, only where none of a lower rank answers.
    rank: int = 0
    #: The node's own address that it is asked from; empty for whatever routes say.
    source: str = ""


class Backend(msgspec.Struct, frozen=True, order=True):
    """The copies of a service at one of their ports; ``page`` is what a copy that is well answers, empty for any."""

    name: str
    mode: Literal["http", "tcp"]
    page: str
    servers: tuple[Server, ...]


class Route(msgspec.Struct, frozen=True, order=True):
    """A host name and where a service begins at it; ``secure``: by TLS alone. ``holder`` is TENANT/APP/SERVICE."""

    host: str
    path: str
    backend: str
    secure: bool
    holder: str


class Listener(msgspec.Struct, frozen=True, order=True):
    """A TCP port of the node whose connections go to a backend."""

    port: int
    backend: str
    holder: str


class Datagrams(msgspec.Struct, frozen=True, order=True):
    """A UDP port of the node whose datagrams go to servers in turn."""

    port: int
    holder: str
    servers: tuple[Server, ...]


class Certificate(msgspec.Struct, frozen=True, order=True):
    """What a host name is shown with: the digest of chain and key, or of the sealed payload that has both."""

    host: str
    version: Digest


class Challenge(msgspec.Struct, frozen=True):
    """Hosts for which an authority is answered that the site has them (RFC 8555, section 8.3), and with whose name."""

    hosts: tuple[str, ...] = ()
    #: The name of the site's account key (RFC 7638); the answer is the token that is asked for and this.
    thumbprint: str = ""


class ApplyEntrance(_Action, frozen=True, kw_only=True, tag="apply-entrance"):
    """Make the site's entrance equal to this, whole, ending nothing that is under way; without anything, end it.

    Proof: the observed entrance has this digest, and its servers are seen in these states.
    """

    routes: tuple[Route, ...] = ()
    listeners: tuple[Listener, ...] = ()
    backends: tuple[Backend, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    datagrams: tuple[Datagrams, ...] = ()
    challenge: Challenge = Challenge()
    digest: Digest


class MakeAccount(_Action, frozen=True, kw_only=True, tag="make-account"):
    """Make the key by which the site asks an authority for certificates. Proof: its thumbprint is observed."""


class ObtainCertificate(_Action, frozen=True, kw_only=True, tag="obtain-certificate"):
    """Get a certificate for a host name from the site's authority; the one that is held stays until then.

    Proof: the observed certificate of the host ends later. What fails is remembered, and observed as well.
    """

    host: str


Action = (
    FetchImage
    | LoadImage
    | DropBlobs
    | RemoveImage
    | CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | DeleteVolume
    | CreateContainer
    | StartContainer
    | StopContainer
    | UnpauseContainer
    | RenewSecrets
    | RunHooks
    | RemoveContainer
    | CheckHealth
    | ApplyRules
    | ApplyTranslation
    | ApplyQueues
    | ApplyFlows
    | ApplyOverlay
    | ApplyRelay
    | BindLinks
    | ApplyChains
    | ProbeChain
    | MakeOverlayKey
    | DropOverlayKey
    | ApplyEntrance
    | MakeAccount
    | ObtainCertificate
    | ApplyNames
)


#: Begins the lane of every fetch.
FETCH_LANE = "fetch/"
#: One chain is probed at a time: another's packets would be in the way of what is measured.
PROBE_LANE = "chain-probe"


def lane(action: Action) -> str:
    """Name what the action is about; at most one action of a lane is under way at any time."""
    match action:
        case FetchImage():
            return f"{FETCH_LANE}{action.image}"
        case LoadImage() | DropBlobs() | RemoveImage():
            return f"image/{action.config}"
        case CreateNetwork() | RemoveNetwork():
            return f"network/{action.tenant}/{action.app}/{action.name}"
        case CreateVolume() | DeleteVolume():
            return volume_lane(action.volume)
        case CreateContainer():
            return instance_lane(action.spec.id)
        case StartContainer() | StopContainer() | UnpauseContainer() | RenewSecrets() | RunHooks() | RemoveContainer():
            return instance_lane(action.instance)
        case CheckHealth():
            return f"health/{action.instance}"
        case ApplyRules():
            return "rules"
        case ApplyTranslation():
            return "translation"
        case ApplyChains():
            return "chains"
        case ProbeChain():
            return PROBE_LANE
        case ApplyQueues():
            return "queues"
        case ApplyFlows():
            return "flows"
        case ApplyOverlay() | MakeOverlayKey() | DropOverlayKey():
            return "overlay"
        case ApplyRelay():
            return "relay"
        case BindLinks():
            return f"links/{action.instance}"
        case ApplyEntrance():
            return "entrance"
        case MakeAccount() | ObtainCertificate():
            return "certificates"
        case ApplyNames():
            return "names"


def instance_lane(instance: InstanceId) -> str:
    """Name the lane of everything done to the containers of one instance."""
    return f"instance/{instance}"


def volume_lane(volume: VolumeId) -> str:
    """Name the lane of everything done to one volume."""
    return f"volume/{volume}"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an action. Failure is a value: the next plan decides what to do about it."""

    ok: bool
    #: Stable word such as ``E-DISK-FULL``, ``E-RUNTIME``, ``E-UNREACHABLE``, ``E-PORT-IN-USE``; empty when ok.
    code: str = ""
    #: One sentence for people.
    reason: str = ""
    #: Result of ``CheckHealth``; None for all others.
    healthy: bool | None = None
    #: Result of ``ProbeChain``: where its packets were seen; None for all others.
    passes: tuple[ProbePass, ...] | None = None


DONE = Outcome(ok=True)


def failed(code: str, reason: str) -> Outcome:
    """Make the outcome of an action that did not succeed."""
    return Outcome(ok=False, code=code, reason=reason)
