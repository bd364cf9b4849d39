"""What a site reports of itself: the core's picture.

Facts travel as a map from resource key to encoded fact; the newest value per resource wins.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.ids import (
    AppName,
    Digest,
    InstanceId,
    NodeName,
    ServiceName,
    SiteName,
    TenantName,
    UnitId,
    VolumeId,
)
from skerry.model.observed import Health
from skerry.model.signed import Envelope
from skerry.model.volume import SnapshotName, VolumeDriverName

#: Snapshots of one volume that a site names, so that a fact stays under 1 kB; older ones are counted.
TOLD_SNAPSHOTS_MAX = 24

#: ``ready``: running and, where it has a health check, healthy. ``done``: completed and not to be restarted.
InstancePhase = Literal["waiting", "starting", "ready", "unhealthy", "restarting", "held", "stopped", "done", "refused"]


class InstanceFact(msgspec.Struct, frozen=True, kw_only=True, tag="instance", tag_field="kind"):
    """State of one instance; key ``instance/<instance id>``."""

    instance: InstanceId
    node: NodeName
    revision: Digest
    number: int
    phase: InstancePhase
    health: Health = "none"
    #: Why it is in this phase, for people; of one that is ready only why not all of its entrance is open.
    reason: str = ""
    restarts: int = 0
    exit_code: int = 0
    #: For how long it has run without a break, to an eighth and 0 below a minute (``plan/age.py``); told while it runs
    #: and only of a service whose ``on-return`` asks for it.
    up_s: int | UnsetType = UNSET
    #: Host ports that are open for it: ``"8080/tcp": 80``.
    ports: dict[str, int] = {}


class VolumeFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="volume", tag_field="kind"):
    """A volume of this site; key ``volume/<volume id>``."""

    volume: VolumeId
    born: int
    #: Disk that its data takes, to an eighth; 0 until that is measured, and below 64 KiB.
    size_bytes: int = 0
    in_use: bool = False
    #: ``kept``: no assignment uses it; ``doomed``: a tombstone's grace is running.
    state: Literal["used", "kept", "doomed", "strange"] = "used"
    driver: VolumeDriverName = "directory"
    #: Bytes that it cannot grow beyond; 0 where nothing holds it.
    limit_bytes: int = 0
    #: The newest ``TOLD_SNAPSHOTS_MAX`` of its snapshots, oldest first: name and second when it was taken (0: unknown).
    snapshots: tuple[tuple[SnapshotName, int], ...] = ()
    #: How many there are.
    snapshots_count: int = 0
    #: Why it does not have the snapshots that it is to have.
    reason: str = ""


class ImageFact(msgspec.Struct, frozen=True, kw_only=True, tag="image", tag_field="kind"):
    """An image held or arriving; key ``image/<digest>``."""

    digest: Digest
    size_bytes: int
    have_bytes: int
    complete: bool
    #: Why an image that is wanted ahead of need does not come.
    reason: str | UnsetType = UNSET


class NodeFact(msgspec.Struct, frozen=True, kw_only=True, tag="node", tag_field="kind"):
    """The machine; key ``node/<name>``. Amounts are rounded so that an idle node's fact does not change each minute."""

    node: NodeName
    cpu_m: int
    memory_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    arch: str = ""
    kernel: str = ""
    agent: str = ""
    facts: dict[str, str] = {}
    #: Device nodes that are there, of those that the site's profiles name.
    devices: tuple[str, ...] = ()


class SiteFact(msgspec.Struct, frozen=True, kw_only=True, tag="site", tag_field="kind"):
    """The site as a whole; key ``site``."""

    epoch: int
    generation: int
    #: All units of that generation are as wished.
    settled: bool
    #: Conditions worth a person's eye, such as ``disk-full`` or ``podman-unavailable``, each with a sentence.
    conditions: dict[str, str] = {}


#: What a site's health gate says of a revision; ``none`` while it waits for its window, and for one that has not told.
GateVerdict = Literal["none", "watching", "proven", "failed"]


class AppFact(msgspec.Struct, frozen=True, kw_only=True, tag="app", tag_field="kind"):
    """What the health gate of a node says of an app's revision; key ``app/<tenant>/<app>/<node>``."""

    tenant: TenantName
    app: AppName
    node: NodeName
    revision: Digest
    number: int
    verdict: GateVerdict
    #: The revision that passed before, to which the site may be sent back; empty when none did.
    fallback: Digest = Digest("")
    #: Why it failed, for people.
    reason: str = ""


class UnitFact(msgspec.Struct, frozen=True, kw_only=True, tag="unit", tag_field="kind"):
    """A unit the site refuses or has put in quarantine; key ``unit/<unit id>``."""

    unit: UnitId
    code: str
    reason: str


class OverlayFact(msgspec.Struct, frozen=True, kw_only=True, tag="overlay", tag_field="kind"):
    """How other sites may reach a node through a tunnel; key ``overlay/<node>``."""

    node: NodeName
    #: Live overlay keys, each signed by the device key, the oldest first.
    keys: tuple[Envelope, ...]
    #: First of the node's four UDP ports (``plan/overlay.py``, ``own_port``).
    port: int
    #: The node's own addresses on its uplinks, best first; how far they are good for others is not known here.
    addresses: tuple[str, ...] = ()
    #: Sites that do not answer it directly, although it tries: not at all, or only through a relay.
    unheard: tuple[SiteName, ...] = ()


class ChainFact(msgspec.Struct, frozen=True, kw_only=True, tag="chain", tag_field="kind"):
    """Where the traffic of a service chain goes at a node; key ``chain/<tenant>/<app>/<chain>/<node>``."""

    tenant: TenantName
    app: AppName
    chain: str
    node: NodeName
    #: ``whole``: through every step; ``around``: past those that cannot take it; ``closed``: nothing passes;
    #: ``changing``: what steers it is being made another, until when it goes as before.
    state: Literal["whole", "around", "closed", "changing"]
    #: Each step and the instance that has its traffic; empty where none can take it.
    steps: dict[ServiceName, str]
    #: Why it is not whole, for people.
    reason: str = ""
    #: Time that test packets took through each step and through all, in microseconds rounded up to 1, 2 or 5 times a
    #: power of ten; without those that no packet has passed.
    latency_us: dict[ServiceName, int] = {}
    path_us: int = 0
    #: It takes longer than its owner allows.
    late: bool = False
    #: What test packets met, for people; empty where they pass in time, or none were sent.
    flaw: str = ""


Fact = ChainFact | InstanceFact | VolumeFact | ImageFact | NodeFact | SiteFact | AppFact | UnitFact | OverlayFact


def fact_key(fact: Fact) -> str:
    """The resource that a fact is about; one value per key."""
    match fact:
        case InstanceFact():
            return f"instance/{fact.instance}"
        case VolumeFact():
            return f"volume/{fact.volume}"
        case ImageFact():
            return f"image/{fact.digest}"
        case NodeFact():
            return f"node/{fact.node}"
        case SiteFact():
            return "site"
        case AppFact():
            return f"app/{fact.tenant}/{fact.app}/{fact.node}"
        case ChainFact():
            return f"chain/{fact.tenant}/{fact.app}/{fact.chain}/{fact.node}"
        case UnitFact():
            return f"unit/{fact.unit}"
        case OverlayFact():
            return f"overlay/{fact.node}"


def encode_fact(fact: Fact) -> bytes:
    """Return the one encoding of a fact; equal facts give equal bytes."""
    return msgspec.msgpack.encode(fact, order="deterministic")


_FACT_DECODER: msgspec.msgpack.Decoder[Fact] = msgspec.msgpack.Decoder(Fact)


def decode_fact(content: bytes) -> Fact:
    """Read a fact; raise ``msgspec.ValidationError`` when it is of no known kind."""
    return _FACT_DECODER.decode(content)
