"""Who may end the instances at a site that has them: what ``withdraw: tenant`` means (manifest.md §6.1).

A core decides where instances are within what their tenant signed. Under ``tenant`` it may let them begin, and only a
word of the tenant ends them: a revision that no longer wants them at this site, or a tombstone. A site asks these
functions before it lets an instance go, and the core before it plans to, so both give one answer.
"""

from skerry.model.app import AppRevision
from skerry.model.ids import ServiceName
from skerry.model.signed import SiteRecord
from skerry.model.site_match import service_unmet

#: Why an instance is where it is although the core has no use for it there.
ONLY_ITS_TENANT = "only its tenant may end it: its manifest says withdraw: tenant"


def is_kept_from_core(revision: AppRevision) -> bool:
    """Say whether only the tenant may end what runs by this revision."""
    return revision.withdraw == "tenant"


def find_end(revision: AppRevision, service: ServiceName, ordinal: int, record: SiteRecord) -> str:
    """Say by which signed word ``revision`` does not want a copy of a service at a site; empty when it may be there.

    Signed is what the tenant wrote and what the registrar wrote of the site; what a node reports of itself is not.
    """
    wished = revision.services.get(service)
    if wished is None:
        return f"revision {revision.number} has no service {service}"
    replicas = wished.placement.replicas
    if ordinal >= (replicas.per_site or replicas.total):
        return f"revision {revision.number} has {replicas.per_site or replicas.total} copies of {service}"
    if revision.tenant not in record.tenants:
        return f"the site does not admit tenant {revision.tenant}"
    return service_unmet(wished, record)
