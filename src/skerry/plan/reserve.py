"""Copies at other sites as the entrance's reserve: asked only while none of this site answers. Pure.

Only where an app has a network over several sites: requests go through its tunnels, from the node's own address in the
network. Which copies are well there is what the other sites' name servers say (``names.py``); those of the nearest site
that has any are taken. The entrance itself does not ask them whether they are there, which would cost the link around
the clock.
"""

import hashlib
from collections.abc import Mapping

from skerry.model.document import NetworkMember, NetworkPart, Unit
from skerry.model.ids import SiteName, UnitId
from skerry.model.network import part_ranges
from skerry.model.observed import NamesSeen
from skerry.plan.actions import Server
from skerry.plan.names import keep_inside
from skerry.plan.places import Claim

#: Copies that stand by for one port of a service: more would not carry more over one tunnel.
RESERVE_MAX = 8
#: Round trip of a site that none was measured to yet.
_UNKNOWN_US = 1 << 40


def list_reserve(claim: Claim, units: Mapping[UnitId, Unit], names: NamesSeen | None) -> tuple[Server, ...]:
    """Return the copies of the nearest other site that has any."""
    if names is None or names.reason:
        return ()
    tenant, app, service = claim.owner
    found: dict[tuple[int, SiteName], list[Server]] = {}
    for network in claim.networks:
        parts = [
            unit
            for unit in units.values()
            if isinstance(unit, NetworkPart | NetworkMember)
            and (unit.tenant, unit.app, unit.network) == (tenant, app, network)
        ]
        own = next((unit for unit in parts if isinstance(unit, NetworkPart)), None)
        members = {unit.site: unit for unit in parts if isinstance(unit, NetworkMember)}
        if own is None:
            continue
        source = str(part_ranges(own).v4[1])
        for each in names.heard:
            key = (each.tenant, each.app, each.network, each.service)
            if key != (tenant, app, network, service) or each.site not in members:
                continue
            rtt_us = names.rtt_us.get(each.site, _UNKNOWN_US)
            for address in keep_inside(members[each.site], each.addresses):
                if ":" not in address:
                    found.setdefault((rtt_us, each.site), []).append(_make_server(address, claim.entrance.port, source))
    return tuple(sorted(found[min(found)])[:RESERVE_MAX]) if found else ()


def _make_server(address: str, port: int, source: str) -> Server:
    # Containers are called by hexadecimal digits, so none is called like this.
    name = "r" + hashlib.sha256(f"{source} {address}".encode()).hexdigest()[:16]
    return Server(name=name, address=address, port=port, rank=1, source=source)
