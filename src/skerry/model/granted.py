"""Whether a site's own record grants what a service asks for: one answer for placement and for derivation."""

from collections.abc import Iterator

from msgspec import UNSET

from skerry.model.app import AppRevision, Further, Service
from skerry.model.grants import Need, NodeUse, Profile, find_planted, is_granted, list_needs, needs_grant
from skerry.model.ids import ServiceName, TenantName
from skerry.model.lan import Lan
from skerry.model.profile import CAPABILITIES, PROFILES
from skerry.model.signed import SiteRecord


def find_profile(record: SiteRecord, tenant: TenantName, name: str) -> Profile | None:
    """Return the operator's own profile as it holds for a tenant at a site; None where it does not."""
    profile = (record.profiles or {}).get(name)
    return profile if profile is not None and tenant in profile.tenants else None


def list_service_needs(service: Service) -> tuple[Need, ...]:
    """Return all that a service asks for beyond profile ``default``."""
    added = (Need("cap_add", name) for name in service.cap_add if name not in CAPABILITIES)
    return (*added, *list_needs(node_use(service)), *list_further_needs(service))


def list_further_needs(service: Service) -> tuple[Need, ...]:
    """Return what stands beside ``node`` in the signed form and needs a grant too."""
    further = service.further or Further()
    devices = (Need("devices", name) for name in further.vendor_devices if needs_grant(name))
    hooks = (*further.post_start, *further.pre_stop)
    return (*devices, *((Need("privileged hook"),) if any(hook.privileged for hook in hooks) else ()))


def list_lans(revision: AppRevision, service: Service) -> Iterator[Lan]:
    """Yield the networks of sites that a service is in by networks of its app."""
    for name in sorted(service.networks):
        network = revision.networks.get(name)
        if network is not None and network.plan and network.plan.lan:
            yield network.plan.lan


def list_chain_devices(revision: AppRevision, service: ServiceName) -> Iterator[str]:
    """Yield the devices of the node whose traffic passes a service by the chains of its app."""
    for chain in revision.chains or ():
        if service in chain.through:
            yield from (end.name for end in (chain.start, chain.end) if end.kind == "interface")


def node_use(service: Service) -> NodeUse:
    """Return what a service asks of the node."""
    return (service.further.node if service.further else UNSET) or NodeUse()


def grants_unmet(revision: AppRevision, name: ServiceName, record: SiteRecord) -> str:
    """Say what a service asks for that the site's record does not grant its tenant; empty when all is granted."""
    profile, tenant, service = revision.profile, revision.tenant, revision.services[name]
    if profile in PROFILES:
        return ""  # Built in: such a revision asks for nothing that a record has to grant, or it is not well formed.
    found = find_profile(record, tenant, profile)
    if found is None:
        return f"{record.site} has no profile {profile} for tenant {tenant}"
    devices = (*(lan.place for lan in list_lans(revision, service)), *list_chain_devices(revision, name))
    needs = (*list_service_needs(service), *(Need("interface", device) for device in devices))
    missing = next((need for need in needs if not is_granted(found, need)), None)
    if missing is not None:
        return f'profile "{profile}" does not grant "{missing}" at {record.site}'
    for bind in node_use(service).binds:
        planted = find_planted((record.profiles or {}).values(), bind.source)
        if planted:
            return f"{bind.source[:80]} lies in {planted}, which instances at {record.site} may write: bind that whole"
    return ""
