"""An app as its tenant signs it: the canonical form of a manifest, complete, every default of a built word written out.

This is the payload of kind ``revision``. Units are fixed by the field's name: millicores, bytes, microseconds. Core and
site derive what to run from exactly these bytes (plan/derive.py), so no meaning may depend on a program's version.
Text fields named in ``PER_INSTANCE_FIELDS`` keep ``${SKERRY_...}`` variables, expanded where the instance runs.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.chain import Chain
from skerry.model.entrance import Entrance
from skerry.model.grants import NodeUse
from skerry.model.ids import AppName, Digest, NetworkName, SecretName, ServiceName, TenantName, VolumeName
from skerry.model.lan import Lan
from skerry.model.placing import PlacementRules
from skerry.model.policy import Policy, SecretPolicy
from skerry.model.rollout import InSite, Rollout
from skerry.model.uplinks import Bandwidth
from skerry.model.volume import Volume

#: Namespaces that an instance may have in common with one of another service of its app.
SharedNamespace = Literal["network", "pid", "ipc"]

#: Fields of a service in which ``SKERRY_*`` variables may stand and ``$$`` is an escaped dollar (manifest.md §3).
PER_INSTANCE_FIELDS = (
    "environment",
    "command",
    "entrypoint",
    "hostname",
    "labels",
    "healthcheck",
    "extra_hosts",
    "post_start",
    "pre_stop",
)


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """Signed structs are closed: an unknown field refuses the whole (trust.md §4)."""


class ImageRef(_Signed, frozen=True, kw_only=True):
    """Which image: the name people wrote, and the bytes that were meant."""

    name: str
    #: Digest of Skerry's own manifest (uncompressed layers); the identity (distribution.md §2).
    digest: Digest
    #: Digest of the image's configuration, the engine's image id; running containers are adopted by it.
    config: Digest
    #: Bytes of all layers, uncompressed: what a site needs room for.
    size_bytes: int


class Probe(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """What the agent asks of an instance at its own address, where no command is run inside."""

    port: int
    #: GET of this path has to give a status of 200 to 399; without one it is enough that the port takes a connection.
    path: str = ""


class HealthCheck(_Signed, frozen=True, kw_only=True):
    """How the agent finds out whether an instance is well; times in microseconds."""

    #: First word is CMD or CMD-SHELL, as in Compose; empty where there is a probe.
    test: tuple[str, ...]
    interval_us: int = 30_000_000
    timeout_us: int = 30_000_000
    retries: int = 3
    start_period_us: int = 0
    #: Interval during the start period.
    start_interval_us: int = 5_000_000
    probe: Probe | UnsetType = UNSET


class Port(_Signed, frozen=True, kw_only=True):
    """A port of the instance that the node answers for; ``published`` 0 means inside the app's network only."""

    target: int
    published: int = 0
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    #: Address of the node to listen at; empty means all.
    host_ip: str = ""
    #: First and last port of the node of which the site chooses one (``plan/host_ports.py``); ``published`` is 0 then.
    among: tuple[int, int] | UnsetType = UNSET


class Mount(_Signed, frozen=True, kw_only=True):
    """Durable or temporary storage inside the instance."""

    kind: Literal["volume", "tmpfs"]
    target: str
    #: Name of the app's volume; empty for tmpfs.
    source: str = ""
    read_only: bool = False
    #: Bytes of a tmpfs; 0 means the engine's default. Ignored for volumes.
    size_bytes: int = 0
    #: Of a tmpfs ``exec``, ``noexec``, ``mode=1750``; of a volume ``nocopy``.
    options: tuple[str, ...] | UnsetType = UNSET


class FileMount(_Signed, frozen=True, kw_only=True):
    """A config or secret shown as a file held in memory."""

    source: str
    target: str
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


class FolderFile(_Signed, frozen=True, kw_only=True):
    """One file of a folder: a config of the app."""

    source: str
    executable: bool = False


class FolderMount(_Signed, frozen=True, kw_only=True):
    """A folder of configs shown read only, held in memory; nothing of the image is seen at its place."""

    target: str
    #: By the path below the folder, its steps parted by ``/``.
    files: dict[str, FolderFile]


class NodeFile(_Signed, frozen=True, kw_only=True):
    """A copy of what the node itself says about local time, read only."""

    kind: Literal["localtime", "timezone"]
    target: str


class Address(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """What a service is called by in one network beside its names; the runtime chooses what is empty."""

    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    #: Name of the network's device inside the instance.
    device: str = ""
    #: Of what the instance can leave by, the highest is taken while it is there.
    way: int = 0
    #: Bytes of the largest packet; 0 for the network's.
    mtu: int = 0
    #: All that it may send into the network and be sent from it, in bits per second; 0 without limit.
    up_bps: int = 0
    down_bps: int = 0


class Hook(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """A command that the agent runs inside an instance, after it has started or before it is stopped."""

    command: tuple[str, ...]
    #: Empty for the instance's own.
    user: str = ""
    working_dir: str = ""
    #: Beside the variables of the instance.
    environment: dict[str, str] = {}
    #: With every capability of the instance's own namespaces; only an operator's own profile grants it.
    privileged: bool = False


class DiskLimit(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """How much of one disk of the node an instance gets, in a second; 0 not stated."""

    device: str
    read_bytes: int = 0
    write_bytes: int = 0
    #: Requests.
    read_count: int = 0
    write_count: int = 0
    #: Share of its time, 10 to 1000.
    weight: int = 0


class Further(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """What a service asks for beyond what nearly all ask for; it is left out of the signed form where nothing is said.

    So the signed form, and with it the digest of what runs, stays the same for services that use none of it.
    """

    annotations: dict[str, str] = {}
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    folders: tuple[FolderMount, ...] = ()
    node_files: tuple[NodeFile, ...] = ()
    addresses: dict[NetworkName, Address] = {}
    #: Memory and swap together; 0 not stated, -1 without limit.
    memory_swap_bytes: int = 0
    cpu_shares: int = 0
    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    #: Share of disk time, 10 to 1000; 0 not stated.
    io_weight: int = 0
    #: Of single disks; each is named once.
    disks: tuple[DiskLimit, ...] = ()
    #: How readily the kernel kills it when memory runs out, 0 to 1000.
    oom_score: int = 0
    #: What only an operator's own profile grants.
    node: NodeUse | UnsetType = UNSET
    ipc: Literal["", "none", "shareable"] = ""
    #: How much it may write into its own root beside its volumes; 0 without limit.
    root_bytes: int = 0
    #: Whether what it writes is kept at the site; ``log_bytes`` 0 means the site's own size.
    log: Literal["kept", "none"] = "kept"
    log_bytes: int = 0
    #: Commands run inside, one after the other: once after each start, and before each stop that is wished.
    post_start: tuple[Hook, ...] = ()
    pre_stop: tuple[Hook, ...] = ()
    #: Devices that a vendor describes (CDI), as ``nvidia.com/gpu=0``; GPUs need no grant.
    vendor_devices: tuple[str, ...] = ()
    #: Namespaces that it shares with the copy of the same ordinal of another service, which has them.
    shares: dict[SharedNamespace, ServiceName] = {}


class Restart(_Signed, frozen=True, kw_only=True):
    """When the agent starts a stopped instance again; ``max_attempts`` 0 means without limit."""

    policy: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    max_attempts: int = 0


class Resources(_Signed, frozen=True, kw_only=True):
    """Amounts of a node; 0 means not stated."""

    cpu_m: int = 0
    memory_bytes: int = 0
    pids: int = 0


class Ulimit(_Signed, frozen=True, kw_only=True):
    """One resource limit of the process tree; -1 means none."""

    name: str
    soft: int
    hard: int


class Sites(_Signed, frozen=True, kw_only=True):
    """Candidate sites: all given words must hold; no word admits every site that admits the tenant."""

    #: Selectors over signed site labels; any one may match.
    match: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Replicas(_Signed, frozen=True, kw_only=True):
    """Copies of a service: exactly one of the two is above 0."""

    per_site: int = 0
    total: int = 0


class Spread(_Signed, frozen=True, kw_only=True):
    """Even distribution; ``require`` makes it a constraint. ``by`` is site, node, region, country or ``label:KEY``."""

    by: str = "node"
    max_skew: int = 1
    require: bool = False


class Placement(_Signed, frozen=True, kw_only=True):
    """Where instances of one service may be, after app-level words were merged in."""

    sites: Sites = Sites()
    replicas: Replicas = Replicas(total=1)
    #: Selectors over facts and labels of the node; any one may match.
    node: tuple[str, ...] = ()
    spread: tuple[Spread, ...] = (Spread(),)
    #: The further words; left out of the signed form where there is none.
    rules: PlacementRules | UnsetType = UNSET


class Service(_Signed, frozen=True, kw_only=True):
    """One component of an app, run as containers."""

    image: ImageRef
    #: None means what the image says; an empty tuple means nothing.
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    working_dir: str = ""
    user: str = ""
    group_add: tuple[str, ...] = ()
    hostname: str = ""
    domainname: str = ""
    labels: dict[str, str] = {}
    init: bool = False
    tty: bool = False
    stdin_open: bool = False
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_grace_us: int = 10_000_000
    mounts: tuple[Mount, ...] = ()
    configs: tuple[FileMount, ...] = ()
    secrets: tuple[FileMount, ...] = ()
    ports: tuple[Port, ...] = ()
    #: Network name to further names of this service in it; its own name is always one.
    networks: dict[NetworkName, tuple[str, ...]] = {}
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    healthcheck: HealthCheck | None = None
    #: Services of the same app that must have reached a condition at this site first.
    depends_on: dict[ServiceName, Literal["started", "healthy", "completed"]] = {}
    #: Those among them after whose update or wished restart it starts again too, sorted.
    restart_with: tuple[ServiceName, ...] | UnsetType = UNSET
    restart: Restart = Restart()
    limits: Resources = Resources()
    reservations: Resources = Resources()
    shm_bytes: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: dict[str, str] = {}
    placement: Placement = Placement()
    further: Further | UnsetType = UNSET
    #: In which order its copies at a site are changed, and changed back; else as the app's rollout says.
    in_site: InSite | UnsetType = UNSET
    in_site_back: InSite | UnsetType = UNSET
    #: Left out of the signed form where the manifest says nothing of it.
    policy: Policy | UnsetType = UNSET
    #: Of the uplinks of its site, for each instance; left out of the signed form where nothing is said.
    bandwidth: Bandwidth | UnsetType = UNSET
    #: What people outside reach of it, beside its ports.
    entrance: tuple[Entrance, ...] | UnsetType = UNSET

    @property
    def secret_sources(self) -> tuple[str, ...]:
        """The revision's secrets that a node with an instance of it needs: those it sees, then its certificates."""
        certificates = (each.secret for each in self.entrance or () if each.secret)
        return tuple(dict.fromkeys((*(mount.source for mount in self.secrets), *certificates)))


class Subnet(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """A range of addresses; ``first`` to ``last`` are those that instances get, all where they are empty."""

    subnet: str
    gateway: str = ""
    first: str = ""
    last: str = ""


class NetworkPlan(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """What a network is to be like; the node chooses what is not said."""

    subnets: tuple[Subnet, ...] = ()
    ipv6: bool = False
    #: Bytes of the largest packet; 0 not stated.
    mtu: int = 0
    #: What it is a part of; unset for one that the node makes and leads out of.
    lan: Lan | UnsetType = UNSET


class NetworkWords(_Signed, frozen=True, kw_only=True, omit_defaults=True):
    """What ``x-skerry`` says of a network."""

    kind: Literal["bridge", "overlay"] = "bridge"
    #: ``app``: one network over all sites of the app; it needs kind ``overlay``.
    scope: Literal["site", "app"] = "site"


class Network(_Signed, frozen=True, kw_only=True):
    """A private network of the app at each of its sites."""

    internal: bool = False
    labels: dict[str, str] = {}
    plan: NetworkPlan | UnsetType = UNSET
    #: Left out of the signed form where the manifest has no such word.
    words: NetworkWords | UnsetType = UNSET

    @property
    def stretched(self) -> bool:
        """Whether it is one network over all sites of its app."""
        return bool(self.words) and self.words.scope == "app"


class Config(_Signed, frozen=True, kw_only=True):
    """Bytes that services see as a file; per-instance variables are expanded when ``expand`` is set."""

    content: bytes
    expand: bool = False


class SecretUse(_Signed, frozen=True, kw_only=True):
    """A sealed value that the app's services use under this name; the value travels as kind ``secret``."""

    #: Name of the tenant's secret; the manifest's own name may differ.
    name: SecretName
    policy: SecretPolicy | UnsetType = UNSET


class AppRevision(_Signed, frozen=True, kw_only=True):
    """Payload of kind ``revision``: one version of an app, whole."""

    tenant: TenantName
    app: AppName
    #: One above the revision the signer had read; grows for ever, also over deletion and re-creation.
    number: int
    #: Digest of the manifest text people wrote, for display.
    source: Digest
    description: str = ""
    labels: dict[str, str] = {}
    profile: str = "default"
    services: dict[ServiceName, Service]
    volumes: dict[VolumeName, Volume] = {}
    networks: dict[NetworkName, Network] = {}
    configs: dict[str, Config] = {}
    secrets: dict[str, SecretUse] = {}
    #: Who may end instances at a site that runs them; left out for ``core``.
    withdraw: Literal["core", "tenant"] | UnsetType = UNSET
    #: Left out of the signed form where the manifest has no such word: then all sites get it at once.
    rollout: Rollout | UnsetType = UNSET
    #: Left out of the signed form where the manifest has none.
    chains: tuple[Chain, ...] | UnsetType = UNSET
