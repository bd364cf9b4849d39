"""What a driver runs for one instance: the derived, complete specification.

``plan.derive`` makes it from a signed revision; nothing here names where the wish came from but for display. Two specs
with one ``spec_digest`` are the same thing to run, so a running container with that digest is adopted, never restarted.
"""

import hashlib
import re
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.app import FileMount, Further, HealthCheck, Mount, Port, Resources, Restart, Ulimit
from skerry.model.ids import (
    AppName,
    Digest,
    InstanceId,
    NetworkName,
    SecretName,
    ServiceName,
    TenantName,
    VolumeName,
    instance_id,
)


class InlineFile(msgspec.Struct, frozen=True):
    """A config file whose bytes are part of the specification."""

    mount: FileMount
    content: bytes


class InlineFolder(msgspec.Struct, frozen=True):
    """A folder of config files whose bytes are part of the specification, by their paths below it."""

    target: str
    files: dict[str, InlineFile]


class SecretFile(msgspec.Struct, frozen=True):
    """A secret to be opened on the node and shown as a memory-backed file; only its version is part of the spec."""

    mount: FileMount
    name: SecretName
    #: Digest of the payload of kind ``secret``.
    version: Digest
    #: Variable that is set to it too.
    env: str | UnsetType = UNSET
    #: What a new version means where it does not mean another instance: ``none``, or ``signal:NAME``.
    rotate: str | UnsetType = UNSET


class InstanceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a container driver needs to know about one instance."""

    tenant: TenantName
    app: AppName
    service: ServiceName
    ordinal: int
    image: Digest
    image_config: Digest
    #: Bytes of the image, uncompressed.
    image_size_bytes: int
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
    files: tuple[InlineFile, ...] = ()
    secrets: tuple[SecretFile, ...] = ()
    ports: tuple[Port, ...] = ()
    networks: dict[NetworkName, tuple[str, ...]] = {}
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    healthcheck: HealthCheck | None = None
    depends_on: dict[ServiceName, Literal["started", "healthy", "completed"]] = {}
    restart: Restart = Restart()
    limits: Resources = Resources()
    shm_bytes: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: dict[str, str] = {}
    #: The assignment's restart counter: a raised one makes another spec, so the instance is made afresh.
    restart_counter: int = 0
    #: Services with which it starts again, each with the specification of its first copy at the node; empty until
    #: ``plan.companions`` has filled it in, and where there is no copy.
    restart_with: dict[ServiceName, str] | UnsetType = UNSET
    further: Further | UnsetType = UNSET
    folders: tuple[InlineFolder, ...] | UnsetType = UNSET
    #: Specification of the instance whose namespaces it shares (``further.shares``); empty until ``plan.companions``
    #: has filled it in, and where there is no such instance.
    joined: Digest | UnsetType = UNSET

    @property
    def id(self) -> InstanceId:
        """The instance this is about."""
        return instance_id(self.tenant, self.app, self.service, self.ordinal)


def list_followed(spec: InstanceSpec) -> dict[SecretName, Digest]:
    """Return the secrets whose newest version the running instance is told of, with that version."""
    return {each.name: each.version for each in spec.secrets if signal_of(each)}


def signal_of(secret: SecretFile) -> str:
    """Return the signal that tells of a new version; empty where none does."""
    return (secret.rotate or "").partition(":")[2]


def implied_volume(spec: InstanceSpec, folder: str) -> VolumeName:
    """Name the volume for a folder that only an instance's image declares; one of its own for each copy."""
    mark = hashlib.sha256(f"{spec.service}/{spec.ordinal}/{folder}".encode()).hexdigest()[:10]
    return VolumeName(_implied_prefix(spec.service) + mark)


def is_implied_by(volume: VolumeName, service: ServiceName) -> bool:
    """Say whether a volume is one that the image of this service declares."""
    prefix = _implied_prefix(service)
    return volume.startswith(prefix) and re.fullmatch("[0-9a-f]{10}", volume[len(prefix) :]) is not None


def _implied_prefix(service: ServiceName) -> str:
    return f"image-{service[:40].rstrip('-')}-"


def spec_digest(spec: InstanceSpec) -> Digest:
    """Name the specification by its content; equal on every machine and release.

    A new version of a secret that does not mean another instance gives no other name.
    """
    if any(secret.rotate for secret in spec.secrets):
        secrets = (msgspec.structs.replace(each, version="") if each.rotate else each for each in spec.secrets)
        spec = msgspec.structs.replace(spec, secrets=tuple(secrets))
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest())
