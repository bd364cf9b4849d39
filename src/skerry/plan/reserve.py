"""Copies at other sites as the entrance's reserve: asked only while none of this site answers. Pure.

Only where an app has a network over several sites: requests go through its tunnels, from the node's own address in the
network. Which copies are well there is what the other sites' name servers say (``names.py``); those of the nearest site
that has any are taken. The entrance itself does not ask them whether they are there, which would cost the link around
the clock.

Requests and connections are asked again by the entrance, at an IPv4 address where there is one. Datagrams keep their
family, and pass by the node instead: where a chain of the app lies between its service and the outside, they would get
around its steps, so nothing stands by for them there.
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

#: Addresses of a family that stand by for one port of a service: more would not carry more over one tunnel.
RESERVE_MAX = 8
#: Round trip of a site that none was measured to yet.
_UNKNOWN_US = 1 << 40


def list_reserve(claim: Claim, units: Mapping[UnitId, Unit], names: NamesSeen | None) -> tuple[Server, ...]:
    """Return the copies of the nearest other site that has any."""
    is_udp = bool(claim.entrance.udp)
    if names is None or names.reason or (is_udp and claim.chained):
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
        sources = part_ranges(own)
        for each in names.heard:
            key = (each.tenant, each.app, each.network, each.service)
            if key != (tenant, app, network, service) or each.site not in members:
                continue
            rtt_us = names.rtt_us.get(each.site, _UNKNOWN_US)
            inside = keep_inside(members[each.site], each.addresses)
            v4 = [address for address in inside if ":" not in address][:RESERVE_MAX]
            v6 = [address for address in inside if ":" in address][:RESERVE_MAX] if is_udp or not v4 else []
            servers = [_make_server(address, claim.entrance.port, str(sources.v4[1])) for address in v4]
            servers += [_make_server(address, claim.entrance.port, str(sources.v6[1])) for address in v6]
            if servers:
                found.setdefault((rtt_us, each.site), []).extend(servers)
    return tuple(sorted(found[min(found)])) if found else ()


def _make_server(address: str, port: int, source: str) -> Server:
    # Containers are called by hexadecimal digits, so none is called like this.
    name = "r" + hashlib.sha256(f"{source} {address}".encode()).hexdigest()[:16]
    return Server(name=name, address=address, port=port, rank=1, source=source)
