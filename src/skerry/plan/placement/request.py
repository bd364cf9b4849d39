"""What one instance asks of a node, read off its service once.

Integers in the units of ``model/app.py``; reservations count, or limits where nothing is reserved. Two instances of one
service at one revision ask for the same, so a request is made per service and shared.
"""

import msgspec

from skerry.model.app import AppRevision, Port, Resources, Service
from skerry.model.entrance import Entrance
from skerry.model.granted import list_chain_devices, list_lans, node_use
from skerry.model.ids import AppName, Digest, SecretName, ServiceName, TenantName, digest_of
from skerry.model.lan import Lan
from skerry.model.selector import Selector, parse_selector
from skerry.model.site_match import kept_at_site
from skerry.model.uplinks import NO_BANDWIDTH, Bandwidth

#: Fields whose text may hold ``${SKERRY_...}`` and therefore can fail to derive at some sites.
_EXPANDED = ("environment", "command", "entrypoint", "hostname", "labels", "healthcheck", "extra_hosts")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What every instance of one service of one revision asks for."""

    tenant: TenantName
    app: AppName
    service: ServiceName
    revision: AppRevision
    #: Digest of the revision's payload.
    digest: Digest
    wish: Service
    cpu_m: int
    memory_bytes: int
    ports: tuple[Port, ...]
    node: tuple[Selector, ...]
    secrets: tuple[SecretName, ...]
    #: Some text depends on where the instance runs.
    varies: bool
    #: Name of what its geofence and residency say together: one for all services that say the same, empty for none.
    zone: str = ""
    #: Labels that are better, and by how much.
    preferred: tuple[tuple[Selector, int], ...] = ()
    #: Device nodes that it is shown, and network devices that it is at.
    devices: tuple[str, ...] = ()
    #: Networks of the site that it is in; the devices of the node that they are at are among ``devices``.
    lans: tuple[Lan, ...] = ()
    #: What people outside are to reach of it.
    entrances: tuple[Entrance, ...] = ()
    #: What it uses of the uplinks of its site.
    bandwidth: Bandwidth = NO_BANDWIDTH

    @property
    def group(self) -> tuple[TenantName, AppName, ServiceName]:
        """What spreads together."""
        return (self.tenant, self.app, self.service)


def make_request(revision: AppRevision, digest: Digest, name: ServiceName) -> Request:
    """Read off what instances of service ``name`` ask for; raises ``KeyError`` when there is no such service."""
    service = revision.services[name]
    lans = tuple(list_lans(revision, service))
    shown = {device.source for device in node_use(service).devices}
    return Request(
        tenant=revision.tenant,
        app=revision.app,
        service=name,
        revision=revision,
        digest=digest,
        wish=service,
        cpu_m=_amount(service, "cpu_m"),
        memory_bytes=_amount(service, "memory_bytes"),
        ports=tuple(port for port in service.ports if port.published),
        node=tuple(parse_selector(text) for text in service.placement.node),
        secrets=tuple(sorted({revision.secrets[source].name for source in service.secret_sources})),
        varies=_varies(revision, service),
        zone=_name_zone(service),
        preferred=_read_preferred(service),
        devices=tuple(sorted({*shown, *(lan.parent for lan in lans), *list_chain_devices(revision, name)})),
        lans=lans,
        entrances=service.entrance or (),
        bandwidth=service.bandwidth or NO_BANDWIDTH,
    )


def same_room(one: Request, other: Request) -> bool:
    """Say whether two requests take the same room on a node: then what runs there may simply stay."""
    return not other.varies and _room_of(one) == _room_of(other)


def _room_of(request: Request) -> tuple[object, ...]:
    places = [each.place for each in request.entrances]
    return request.cpu_m, request.memory_bytes, request.ports, request.bandwidth, places


def read_room(service: Service) -> Resources:
    """Return what an instance of a service takes of its node."""
    return Resources(cpu_m=_amount(service, "cpu_m"), memory_bytes=_amount(service, "memory_bytes"))


def _amount(service: Service, field: str) -> int:
    def read(resources: Resources) -> int:
        return int(getattr(resources, field))

    return read(service.reservations) or read(service.limits)


def _varies(revision: AppRevision, service: Service) -> bool:
    texts = [msgspec.json.encode(getattr(service, field)) for field in _EXPANDED]
    secrets = (revision.secrets[use.source].policy for use in service.secrets)
    return (
        any(b"$" in text for text in texts)
        or any(revision.configs[use.source].expand for use in service.configs)
        or any(policy.sites for policy in secrets if policy)
    )


def _name_zone(service: Service) -> str:
    rules = service.placement.rules
    if not rules or not (rules.geofence or rules.residency):
        return ""
    kept = sorted(kept_at_site(service)) if rules.residency else []
    return digest_of(msgspec.json.encode((rules.geofence, rules.residency, kept)))


def _read_preferred(service: Service) -> tuple[tuple[Selector, int], ...]:
    rules = service.placement.rules
    return tuple((parse_selector(wish.match), wish.weight) for wish in rules.prefer.labels) if rules else ()
