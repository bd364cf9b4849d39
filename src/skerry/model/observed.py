"""What a site sees of itself: the input of ``plan_site``. Values are read from runtimes and disks, never remembered."""

from typing import Literal

import msgspec

from skerry.model.app import Port, Subnet
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
    VolumeId,
    VolumeName,
)
from skerry.model.relay import RelayPairSeen
from skerry.model.signed import Envelope
from skerry.model.volume import SnapshotSeen, VolumeDriverName

#: ``created``: made, never started. ``gone`` is not a state: a container that is not there is not observed.
ContainerState = Literal["created", "running", "paused", "exited", "stopping"]
Health = Literal["none", "starting", "healthy", "unhealthy"]


class HooksSeen(msgspec.Struct, frozen=True):
    """How far the commands after the start of a container's present process have come."""

    state: Literal["begun", "done", "failed"]
    #: Of a failure: which command, its code and the end of its output.
    reason: str = ""


class ContainerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One container with our labels, as the runtime reports it."""

    #: The runtime's own id.
    container: str
    instance: InstanceId
    tenant: TenantName
    app: AppName
    service: ServiceName
    ordinal: int
    #: Digest of the specification it was made from, read from its label.
    spec: Digest
    image_config: Digest
    state: ContainerState
    #: Volumes of its app that it mounts, read from its label.
    volumes: tuple[VolumeName, ...] = ()
    exit_code: int = 0
    #: Wall time in microseconds when it last started; a hint for display and for health start periods.
    started_us: int = 0
    #: Boot time of the machine at which its process began, which no clock can move; 0 where nobody can tell.
    began_us: int = 0
    oom_killed: bool = False
    #: Versions that it was last told of, of secrets that are renewed while it runs.
    secrets: dict[SecretName, Digest] = {}
    #: Specification of the container in whose namespaces it is; empty where all are its own.
    joined: Digest = Digest("")
    #: None where no command after the start has begun.
    hooks: HooksSeen | None = None
    #: Its addresses in each of its networks, IPv4 before IPv6; of one that runs only.
    addresses: dict[NetworkName, tuple[str, ...]] = {}
    #: Its hardware addresses there, where the runtime tells them.
    macs: dict[NetworkName, str] = {}
    #: Ports of the node that lead to it, where Skerry and not the runtime translates addresses.
    ports: tuple[Port, ...] = ()


class ChainHop(msgspec.Struct, frozen=True, order=True):
    """A next position of packets: the mark and the routing table of this number, which lead there and nowhere else."""

    number: int
    bridge: str
    address: str


class ChainsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What steers packets through service chains at this node."""

    #: Of the rules in force, while all that belongs to them is there; empty for none.
    digest: str = ""
    #: Routing tables of ours; one that is not whole has no bridge.
    hops: tuple[ChainHop, ...] = ()
    #: Packets by the name of what counts them.
    counts: dict[str, int] = {}
    #: Why nothing can be steered; empty where it can.
    reason: str = ""


class ProbePass(msgspec.Struct, frozen=True, order=True):
    """A test packet of a chain where it was seen: at a bridge, handed to the node or given out by it."""

    #: The kernel's wall clock in nanoseconds; only differences within one probing mean anything.
    at_ns: int
    #: Of the packet, from 0.
    number: int
    bridge: str
    #: Hardware address of who handed it to the node, or whom it is given to.
    mac: str
    inward: bool


class ChainStepProbed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of test packets at one step of a chain."""

    service: ServiceName
    instance: InstanceId
    #: Packets that the node gave to it, and those that it handed back.
    given: int
    passed: int
    #: From giving to handing back, in microseconds: median and longest; 0 where none came back.
    median_us: int = 0
    most_us: int = 0


class ChainProbed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of test packets that were sent into a chain where its traffic begins, on their way out."""

    sent: int
    #: Those that passed every step, each after the one before it.
    arrived: int
    steps: tuple[ChainStepProbed, ...] = ()
    #: From the chain's beginning to behind its last step, in microseconds.
    median_us: int = 0
    most_us: int = 0
    #: Why not all of them arrived, or why none could be sent; for people.
    reason: str = ""
    #: What was sent, for people.
    what: str = ""


class VolumeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A volume on disk, known by its identity file; one without a readable identity file is ``strange``."""

    volume: VolumeId
    tenant: TenantName
    app: AppName
    name: VolumeName
    #: First host uid of the tenant's range that owns it.
    uid_start: int
    #: Number of the app revision that first asked for it.
    born: int
    strange: bool = False
    driver: VolumeDriverName = "directory"
    #: Bytes that it cannot grow beyond; 0 where nothing holds it.
    limit_bytes: int = 0
    #: Those that are whole, oldest first.
    snapshots: tuple[SnapshotSeen, ...] = ()


class NetworkSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A network the runtime has for an app."""

    tenant: TenantName
    app: AppName
    name: NetworkName
    internal: bool = False
    #: Name of the plan that it was made from (``CreateNetwork.plan_name``); empty for none.
    plan: str = ""
    #: Its instances ask the node's own name server; else the runtime has one for it.
    names: bool = False
    #: Its ranges with the node's own address in each.
    ranges: tuple[Subnet, ...] = ()
    #: A part of a network of the site: nothing of it goes through the node.
    lan: bool = False
    #: Such a one whose bridge is not at the node's device (any more).
    torn: bool = False


class ImageSeen(msgspec.Struct, frozen=True):
    """An image that is complete and verified on this node."""

    digest: Digest
    config: Digest
    size_bytes: int


#: Fact of a node whose runtime can limit what an instance writes into its own root; ``true`` there, else not told.
ROOT_QUOTA = "root-quota"


class NodeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The machine itself."""

    node: NodeName
    cpu_m: int = 0
    memory_bytes: int = 0
    memory_available_bytes: int = 0
    disk_bytes: int = 0
    disk_free_bytes: int = 0
    arch: str = ""
    kernel: str = ""
    #: Reported labels and facts that node selectors see, for example ``arch``, ``os``, ``kvm``.
    facts: dict[str, str] = {}
    #: Device nodes that are there, and network devices, of those that the site's profiles name.
    devices: tuple[str, ...] = ()


class OwnKey(msgspec.Struct, frozen=True):
    """An overlay key that this node has; its private half never leaves the driver."""

    number: int
    #: What the device key signed of it: an envelope of kind ``overlay-key``.
    statement: Envelope


class TunnelSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One peer's key at one of the node's tunnel interfaces."""

    #: Number of the node's own key, which names the interface, and whether it is the second interface of that key.
    own: int
    aside: bool = False
    #: The peer's public key.
    key: bytes
    #: Where it was told to look for the peer; the tunnel itself follows a peer that moves.
    told: str = ""
    #: Seconds since the two ends last agreed on keys; None when they never did.
    heard_s: int | None = None
    #: Where it finds the peer now; empty where that is not known.
    place: str = ""
    #: Something has come since it was last told where to look.
    answered: bool = True
    #: It sends and hears nothing, and for how many seconds it has been seen to.
    trying: bool = False
    silent_s: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


class OverlaySeen(msgspec.Struct, frozen=True, kw_only=True):
    """Tunnels of the node to other sites, and what they are made with."""

    #: ``kernel`` or ``wireguard-go``; empty where neither is, and then ``reason`` says what is missing.
    mode: Literal["kernel", "wireguard-go", ""] = ""
    reason: str = ""
    keys: tuple[OwnKey, ...] = ()
    #: First of the node's four UDP ports: two keys may live side by side, each with two interfaces.
    port: int = 0
    #: The node's own addresses on its uplinks.
    addresses: tuple[str, ...] = ()
    #: Digest of what the tunnels were made from; empty for none.
    digest: str = ""
    tunnels: tuple[TunnelSeen, ...] = ()


class RelayHere(msgspec.Struct, frozen=True, kw_only=True):
    """The node's relay for other sites."""

    #: What it was made from, while it runs; empty where it does not.
    digest: str = ""
    #: Ports that somebody else has.
    taken: tuple[int, ...] = ()
    #: What went through it, pair by pair.
    pairs: tuple[RelayPairSeen, ...] = ()


class Heard(msgspec.Struct, frozen=True, order=True):
    """What the name server of another site last said of a service: where its instances are that are well there."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    service: ServiceName
    site: SiteName
    #: Empty where it has none that is well.
    addresses: tuple[str, ...]


class NamesSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The node's own name server, and what those of other sites said."""

    #: What is missing where there can be none; empty where there can.
    reason: str = ""
    #: Digest of what it answers from; empty while it does not run, or not as it was told.
    digest: str = ""
    #: Something of a server is there that is not as it was told, or of which that is not known.
    left: bool = False
    #: Addresses of the node's own instances that it answers with.
    answered: frozenset[str] = frozenset()
    heard: tuple[Heard, ...] = ()
    #: Microseconds to each site and back, to an eighth.
    rtt_us: dict[SiteName, int] = {}
    #: Questions to each site since this process began, and how many of them nobody answered in time.
    asked: dict[SiteName, tuple[int, int]] = {}


class ServerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a service in the entrance; ``name`` is that of its container, shortened (``plan/entrance.py``)."""

    backend: str
    name: str
    state: Literal["up", "drain"] = "up"
    #: It answers the entrance.
    well: bool = False
    #: Connections or requests that are with it now.
    sessions: int = 0
    #: Boot time at which it came into this state.
    since_us: int = 0
    #: Port at which it is asked.
    port: int = 0


class DoorCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend of the entrance was asked; ``samples.DoorUse`` says what each is."""

    connections: int = 0
    open: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    answers: tuple[int, ...] = ()
    answer_us: int = 0


class EntranceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The site's entrance."""

    #: Digest of what it was made from and still is; empty where it does not run, or is not as it was made.
    digest: str = ""
    #: A change of it was begun and came to no end, so that there may be more of it than is told.
    left: bool = False
    servers: tuple[ServerSeen, ...] = ()
    #: Place (``http/HOST/PATH``, ``tcp/PORT``, ``udp/PORT``) to TENANT/APP/SERVICE; also of an entrance that is down.
    holders: dict[str, str] = {}
    #: Places that are given and not open, each with the reason.
    flaws: dict[str, str] = {}
    #: Host names that are shown with a certificate, each with its version.
    shown: dict[str, Digest] = {}
    #: By backend.
    counts: dict[str, DoorCounts] = {}


class CertificateHeld(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that the site got for a host name; times in microseconds since 1970."""

    #: Digest of chain and key.
    version: Digest
    from_us: int
    until_us: int


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """Tries in a row that brought no certificate, and how the last one ended."""

    count: int
    at_us: int
    reason: str
    #: The authority was not reached at all: such a try costs nothing there.
    unreached: bool = False


class CertificatesSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates that the site gets for itself."""

    #: Why none can be got; empty where they can.
    reason: str = ""
    #: Name of the account key; empty while there is none.
    thumbprint: str = ""
    #: Both by host name; of tries only those without success since.
    held: dict[str, CertificateHeld] = {}
    tried: dict[str, Tried] = {}
    #: When any host was tried last; 0 for never.
    tried_us: int = 0
    #: The node's own time of day, by which certificates end.
    wall_us: int = 0


class QueuesSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The node's queues, as far as they are ours, and the links that could have some."""

    #: What they were made from; empty for none.
    digest: str = ""
    #: Devices with a queue of ours, and those whose queue somebody else has made.
    devices: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    #: Every link of the node but those of instances, and the bytes that went over each, both ways, since the boot.
    links: frozenset[str] = frozenset()
    moved: dict[str, int] = {}
    #: Why there can be none.
    reason: str = ""


class FlowsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What the node counts of networks and uplinks."""

    #: What is counted was made from this; empty for nothing, or for what is not whole.
    digest: str = ""
    #: Packets and bytes by the name of what counts them (``plan/flows.py``), since it is there.
    counts: dict[str, tuple[int, int]] = {}
    #: Why nothing can be counted.
    reason: str = ""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver saw, whole. ``unavailable`` says why it could not look; then the rest means nothing."""

    driver: str
    containers: tuple[ContainerSeen, ...] = ()
    volumes: tuple[VolumeSeen, ...] = ()
    networks: tuple[NetworkSeen, ...] = ()
    images: tuple[ImageSeen, ...] = ()
    #: Images whose blobs are complete and verified in the node's blob store, not yet given to the runtime.
    blobs: tuple[ImageSeen, ...] = ()
    #: Bytes already here of images on their way, by image digest.
    arriving: dict[Digest, int] = {}
    #: Digest of the firewall table that is in force; empty when there is none.
    rules: str = ""
    #: Skerry itself makes the links of instances, and translates addresses by the table that this digest names;
    #: None where the runtime does both.
    translation: str | None = None
    #: None where no driver looks after tunnels.
    overlay: OverlaySeen | None = None
    #: Container to the digest of what is kept at its links; None where no driver keeps anything there.
    bindings: dict[str, Digest] | None = None
    #: None where no driver looks after a relay for other sites.
    relay: RelayHere | None = None
    #: None where no driver looks after service chains.
    chains: ChainsSeen | None = None
    #: None where no driver looks after an entrance.
    entrance: EntranceSeen | None = None
    #: None where no driver gets certificates.
    certificates: CertificatesSeen | None = None
    #: None where no driver looks after queues.
    queues: QueuesSeen | None = None
    #: None where no driver counts.
    flows: FlowsSeen | None = None
    #: None where no driver looks after names.
    names: NamesSeen | None = None
    node: NodeSeen | None = None
    #: Tenant to first host uid of its range, as the node allocated it.
    uid_ranges: dict[TenantName, int] = {}
    unavailable: str = ""
