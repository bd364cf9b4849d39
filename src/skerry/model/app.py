"""An app as its tenant signs it: the canonical form of a manifest, complete, every default of a built word written out.

This is the payload of kind ``revision``. Units are fixed by the field's name: millicores, bytes, microseconds. Core and
site derive what to run from exactly these bytes (plan/derive.py), so no meaning may depend on a program's version.
Text fields named in ``PER_INSTANCE_FIELDS`` keep ``${SKERRY_...}`` variables, expanded where the instance runs.
"""

from typing import Literal

import msgspec

from skerry.model.ids import AppName, Digest, NetworkName, SecretName, ServiceName, TenantName, VolumeName

#: Fields of a service in which ``SKERRY_*`` variables may stand and ``$$`` is an escaped dollar (manifest.md §3).
PER_INSTANCE_FIELDS = ("environment", "command", "entrypoint", "hostname", "labels", "healthcheck", "extra_hosts")


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


class HealthCheck(_Signed, frozen=True, kw_only=True):
    """How the agent finds out whether an instance is well; times in microseconds."""

    #: First word is CMD or CMD-SHELL, as in Compose.
    test: tuple[str, ...]
    interval_us: int = 30_000_000
    timeout_us: int = 30_000_000
    retries: int = 3
    start_period_us: int = 0
    #: Interval during the start period.
    start_interval_us: int = 5_000_000


class Port(_Signed, frozen=True, kw_only=True):
    """A port of the instance that the node answers for; ``published`` 0 means inside the app's network only."""

    target: int
    published: int = 0
    protocol: Literal["tcp", "udp"] = "tcp"
    #: Address of the node to listen at; empty means all.
    host_ip: str = ""


class Mount(_Signed, frozen=True, kw_only=True):
    """Durable or temporary storage inside the instance."""

    kind: Literal["volume", "tmpfs"]
    target: str
    #: Name of the app's volume; empty for tmpfs.
    source: str = ""
    read_only: bool = False
    #: Bytes of a tmpfs; 0 means the engine's default. Ignored for volumes.
    size_bytes: int = 0


class FileMount(_Signed, frozen=True, kw_only=True):
    """A config or secret shown as a file held in memory."""

    source: str
    target: str
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


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
    """One resource limit of the process tree."""

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
    restart: Restart = Restart()
    limits: Resources = Resources()
    reservations: Resources = Resources()
    shm_bytes: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: dict[str, str] = {}
    placement: Placement = Placement()


class Volume(_Signed, frozen=True, kw_only=True):
    """Durable storage of an app at each of its sites; never deleted but by a signed tombstone."""

    labels: dict[str, str] = {}


class Network(_Signed, frozen=True, kw_only=True):
    """A private network of the app at each of its sites."""

    internal: bool = False
    labels: dict[str, str] = {}


class Config(_Signed, frozen=True, kw_only=True):
    """Bytes that services see as a file; per-instance variables are expanded when ``expand`` is set."""

    content: bytes
    expand: bool = False


class SecretUse(_Signed, frozen=True, kw_only=True):
    """A sealed value that the app's services use under this name; the value travels as kind ``secret``."""

    #: Name of the tenant's secret; the manifest's own name may differ.
    name: SecretName


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
