"""Whom a site lets into a network: only other sites that the tenant's own revision admits (trust.md §5).

A document names parts, members and peers; none of them is believed for being there. A member counts where a revision in
force stretches the network, the registrar's record of the other site admits the tenant, and the revision admits that
site for a service of the network. So a core in wrong hands can leave a site out and cannot bring one in.
"""

from collections.abc import Mapping

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import NetworkMember, NetworkPart, Unit
from skerry.model.ids import SiteName, UnitId
from skerry.model.signed import SiteRecord
from skerry.model.site_match import service_unmet
from skerry.trust.verdict import Denied


class Stretched(msgspec.Struct, frozen=True):
    """What a document says of such networks, each unit good by itself."""

    units: Mapping[UnitId, Unit]
    revisions: tuple[AppRevision, ...]
    peers: Mapping[SiteName, SiteRecord]


def find_strays(found: Stretched, site: SiteName) -> dict[UnitId, Denied]:
    """Return the parts and members that may not be followed at ``site``, each with its reason."""
    strays: dict[UnitId, Denied] = {}
    taken: dict[int, UnitId] = {}
    for name in sorted(found.units):
        unit = found.units[name]
        if not isinstance(unit, NetworkPart | NetworkMember):
            continue
        denied = _judge_part(unit, found) if isinstance(unit, NetworkPart) else _judge_member(unit, found, site)
        if denied is None and taken.setdefault(unit.index, name) != name:
            denied = Denied("E-NETWORK", f"its addresses are those of {taken[unit.index]}", security=True)
        if denied is not None:
            strays[name] = denied
    return strays


def _judge_part(unit: NetworkPart | NetworkMember, found: Stretched) -> Denied | None:
    if any(_stretches(revision, unit) for revision in found.revisions):
        return None
    return Denied("E-NETWORK", f"no revision of {unit.app} here stretches network {unit.network} over sites")


def _judge_member(unit: NetworkMember, found: Stretched, site: SiteName) -> Denied | None:
    denied = _judge_part(unit, found)
    if denied is not None:
        return denied
    record = found.peers.get(unit.site)
    if record is None or unit.site == site:
        return Denied("E-NETWORK", f"there is no peer {unit.site}")
    if unit.tenant not in record.tenants:
        return Denied("E-TENANT", f"site {unit.site} does not admit tenant {unit.tenant}", security=True)
    reason = ""
    for revision in found.revisions:
        if not _stretches(revision, unit):
            continue
        for service in revision.services.values():
            if unit.network in service.networks:
                reason = service_unmet(service, record)
                if not reason:
                    return None
    return Denied("E-SITE", f"the tenant keeps {unit.app} away from {unit.site}: {reason}", security=True)


def _stretches(revision: AppRevision, unit: NetworkPart | NetworkMember) -> bool:
    network = revision.networks.get(unit.network)
    same = (revision.tenant, revision.app) == (unit.tenant, unit.app)
    return same and network is not None and network.stretched
