"""From a signed revision and an assignment to the one specification that may run (trust.md §5).

Core and site call the same function on the same bytes. An assignment chooses site, node, ordinal, state and restart
counter inside what the tenant signed; image, command, mounts, ports, limits and everything else come only from the
revision. Changing a rule here changes what old signatures mean: it needs a new version of the kind.
"""

from typing import Protocol

import msgspec
from msgspec import UNSET

from skerry.model import variables
from skerry.model.app import AppRevision, FileMount, Further, HealthCheck, Hook, Placement, Service, Sites
from skerry.model.document import Assignment
from skerry.model.granted import find_profile, grants_unmet
from skerry.model.grants import map_binds
from skerry.model.ids import Digest, NodeName, SecretName, is_inner_path
from skerry.model.instance import InlineFile, InlineFolder, InstanceSpec, SecretFile, spec_digest
from skerry.model.policy import SecretPolicy
from skerry.model.signed import SiteRecord
from skerry.model.site_match import service_unmet, site_unmet


class Derived(msgspec.Struct, frozen=True):
    """What to run, and the digest a container made from it carries."""

    spec: InstanceSpec
    digest: Digest


class Underivable(msgspec.Struct, frozen=True):
    """The signed revision does not allow what the assignment says, or something it needs is not here."""

    code: str
    reason: str


class _NotDerivableError(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Put(Protocol):
    """Type of the text expander: ``(text, where) -> text``."""

    def __call__(self, text: str, where: str) -> str: ...


def derive_instance(
    revision: AppRevision,
    assignment: Assignment,
    record: SiteRecord,
    secrets: dict[SecretName, Digest],
) -> Derived | Underivable:
    """Derive the instance that ``assignment`` asks for from the tenant's ``revision`` at the site of ``record``.

    ``secrets`` are the tenant's secrets held at the site: name to digest of the newest sealed version.
    """
    try:
        spec = _derive(revision, assignment, record, secrets)
    except _NotDerivableError as refusal:
        return Underivable(refusal.code, refusal.reason)
    return Derived(spec, spec_digest(spec))


def replicas_max(placement: Placement) -> int:
    """Ordinals of a service lie below this at any site."""
    return placement.replicas.per_site or placement.replicas.total


def instance_variables(revision: AppRevision, assignment: Assignment, record: SiteRecord) -> dict[str, str]:
    """Return the ``SKERRY_*`` variables of an instance (manifest.md §3); two labels that give one name give none."""
    values: dict[str, str] = {}
    clashing: set[str] = set()
    for key, value in record.labels.items():
        name = (
            "SKERRY_LABEL_"
            + "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in key).upper()
        )
        if name in values:
            clashing.add(name)
        values[name] = value
    for name in clashing:
        del values[name]
    values |= {
        "SKERRY_SITE": record.site,
        "SKERRY_REGION": record.region,
        "SKERRY_COUNTRY": record.country,
        "SKERRY_NODE": assignment.node,
        "SKERRY_APP": revision.app,
        "SKERRY_SERVICE": assignment.service,
        "SKERRY_INSTANCE": f"{revision.app}-{assignment.service}-{assignment.ordinal}",
        "SKERRY_INDEX": str(assignment.ordinal),
    }
    return values


def _derive(
    revision: AppRevision, assignment: Assignment, record: SiteRecord, secrets: dict[SecretName, Digest]
) -> InstanceSpec:
    if (revision.tenant, revision.app) != (assignment.tenant, assignment.app):
        raise _NotDerivableError("E-ASSIGNMENT", "the revision is of another app than the assignment")
    if revision.tenant not in record.tenants:
        raise _NotDerivableError("E-TENANT", f"the site does not admit tenant {revision.tenant}")
    service = revision.services.get(assignment.service)
    if service is None:
        raise _NotDerivableError("E-ASSIGNMENT", f"the revision has no service {assignment.service}")
    if not 0 <= assignment.ordinal < replicas_max(service.placement):
        raise _NotDerivableError("E-ASSIGNMENT", f"ordinal {assignment.ordinal} is beyond the signed replicas")
    if NodeName(assignment.node) not in record.nodes:
        raise _NotDerivableError("E-ASSIGNMENT", f"the site has no node {assignment.node}")
    unmet = service_unmet(service, record)
    if unmet:
        raise _NotDerivableError("E-PLACEMENT", unmet)
    unmet = grants_unmet(revision, assignment.service, record)
    if unmet:
        raise _NotDerivableError("E-PROFILE", unmet)
    return _fill(revision, service, assignment, record, secrets)


def _fill(
    revision: AppRevision,
    service: Service,
    assignment: Assignment,
    record: SiteRecord,
    secrets: dict[SecretName, Digest],
) -> InstanceSpec:
    values = instance_variables(revision, assignment, record)

    def put(text: str, where: str) -> str:
        try:
            return variables.expand(text, values.get)
        except variables.VariableError as error:
            raise _NotDerivableError("E-INTERPOLATION", f"{where}: {error}") from error

    def put_all(words: tuple[str, ...] | None, where: str) -> tuple[str, ...] | None:
        return None if words is None else tuple(put(word, where) for word in words)

    health = service.healthcheck
    if health is not None:
        health = msgspec.structs.replace(health, test=put_all(health.test, "healthcheck") or ())
    return InstanceSpec(
        tenant=revision.tenant,
        app=revision.app,
        service=assignment.service,
        ordinal=assignment.ordinal,
        image=service.image.digest,
        image_config=service.image.config,
        image_size_bytes=service.image.size_bytes,
        command=put_all(service.command, "command"),
        entrypoint=put_all(service.entrypoint, "entrypoint"),
        environment={key: put(value, f"environment.{key}") for key, value in service.environment.items()},
        working_dir=service.working_dir,
        user=service.user,
        group_add=service.group_add,
        hostname=put(service.hostname, "hostname"),
        domainname=service.domainname,
        labels={key: put(value, f"labels.{key}") for key, value in service.labels.items()},
        init=service.init,
        tty=service.tty,
        stdin_open=service.stdin_open,
        read_only=service.read_only,
        cap_add=service.cap_add,
        cap_drop=service.cap_drop,
        stop_signal=service.stop_signal,
        stop_grace_us=service.stop_grace_us,
        mounts=service.mounts,
        files=_inline_files(revision, service, put),
        secrets=_secret_files(revision, service, record, secrets),
        ports=service.ports,
        networks=service.networks,
        extra_hosts=put_all(service.extra_hosts, "extra_hosts") or (),
        dns=service.dns,
        healthcheck=_enabled(health),
        depends_on=service.depends_on,
        restart_with=dict.fromkeys(service.restart_with, "") if service.restart_with else UNSET,
        restart=service.restart,
        limits=service.limits,
        shm_bytes=service.shm_bytes,
        ulimits=service.ulimits,
        sysctls=service.sysctls,
        restart_counter=assignment.restart,
        further=_expand_hooks(_map_binds(revision, service, record), put),
        folders=_inline_folders(revision, service, put),
    )


def _map_binds(revision: AppRevision, service: Service, record: SiteRecord) -> Further | msgspec.UnsetType:
    profile = find_profile(record, revision.tenant, revision.profile)
    if profile is None or not service.further or not service.further.node:
        return service.further
    return msgspec.structs.replace(service.further, node=map_binds(service.further.node, profile))


def _expand_hooks(further: Further | msgspec.UnsetType, put: _Put) -> Further | msgspec.UnsetType:
    if not further or not (further.post_start or further.pre_stop):
        return further

    def fill(hook: Hook, where: str) -> Hook:
        return msgspec.structs.replace(
            hook,
            command=tuple(put(word, where) for word in hook.command),
            environment={key: put(value, f"{where}.environment.{key}") for key, value in hook.environment.items()},
        )

    return msgspec.structs.replace(
        further,
        post_start=tuple(fill(hook, "post_start") for hook in further.post_start),
        pre_stop=tuple(fill(hook, "pre_stop") for hook in further.pre_stop),
    )


def _enabled(health: HealthCheck | None) -> HealthCheck | None:
    return None if health is None or health.test[:1] == ("NONE",) else health


def _inline_files(revision: AppRevision, service: Service, put: _Put) -> tuple[InlineFile, ...]:
    return tuple(InlineFile(mount, _read_config(revision, mount.source, put)) for mount in service.configs)


def _inline_folders(revision: AppRevision, service: Service, put: _Put) -> tuple[InlineFolder, ...] | msgspec.UnsetType:
    mounts = service.further.folders if service.further else ()
    folders: list[InlineFolder] = []
    for mount in mounts:
        files: dict[str, InlineFile] = {}
        for path, file in mount.files.items():
            if not is_inner_path(path):
                raise _NotDerivableError("E-REFERENCE", f"{path[:80]} is no path below {mount.target}")
            shown = FileMount(source=file.source, target=path, mode=0o555 if file.executable else 0o444)
            files[path] = InlineFile(shown, _read_config(revision, file.source, put))
        folders.append(InlineFolder(mount.target, files))
    return tuple(folders) or msgspec.UNSET


def _read_config(revision: AppRevision, name: str, put: _Put) -> bytes:
    config = revision.configs.get(name)
    if config is None:
        raise _NotDerivableError("E-REFERENCE", f"the revision has no config {name}")
    if not config.expand:
        return config.content
    text = put(config.content.decode("utf-8", "surrogateescape"), f"configs.{name}")
    return text.encode("utf-8", "surrogateescape")


def _secret_files(
    revision: AppRevision, service: Service, record: SiteRecord, held: dict[SecretName, Digest]
) -> tuple[SecretFile, ...]:
    files: list[SecretFile] = []
    for mount in service.secrets:
        use = revision.secrets.get(mount.source)
        if use is None:
            raise _NotDerivableError("E-REFERENCE", f"the revision has no secret {mount.source}")
        policy = use.policy or SecretPolicy()
        unmet = site_unmet(Sites(match=policy.sites), record)
        if unmet:
            raise _NotDerivableError("E-SECRET", f"secret {use.name} is kept from this site: {unmet}")
        version = held.get(use.name)
        if version is None:
            raise _NotDerivableError("E-SECRET", f"secret {use.name} is not sealed for this site")
        rotate = policy.on_rotate if policy.on_rotate != "restart" else UNSET
        files.append(SecretFile(mount, use.name, version, env=policy.env or UNSET, rotate=rotate))
    return tuple(files)
