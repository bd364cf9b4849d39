"""Networks that are stretched over the sites of their app: who has which part, and who sees whom.

A site is a member while an instance of a service of the network is assigned to it. Up to ``FULL_MESH_SITES`` members
all see each other; in a larger network each sees its neighbours on a line through all of them, which goes by position,
so that the number of a site's tunnels does not grow with the fleet. Pure; the core's planner calls it once a round.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skerry.model.document import Assignment, NetworkMember, NetworkPart, Peer, Unit
from skerry.model.ids import AppName, NetworkName, SiteName, TenantName, digest_of
from skerry.model.network import (
    ENDPOINTS_MAX,
    OVERLAY_KEYS_MAX,
    PARTS_MAX,
    STRETCHED_V4,
    index_of,
    is_endpoint,
)
from skerry.plan.relaying import Places, choose_relays
from skerry.plan.snapshot import FleetSnapshot, SiteView

#: Members of one network up to which each has a tunnel to each: 63 peers cost an idle site nothing, and a document
#: of them is 10 kB.
FULL_MESH_SITES = 64
#: Beyond it: members on either side of a site, on the line, that it sees.
NEIGHBOURS_EACH_WAY = 16
#: Bits of each coordinate that the line goes by: a cell of a degree and a half.
_CELL_BITS = 8

NetworkKey = tuple[TenantName, AppName, NetworkName]


class _Network(msgspec.Struct):
    key: NetworkKey
    #: Members in the order of the line.
    members: list[SiteView]


def stretch_networks(
    snapshot: FleetSnapshot, seated: Mapping[SiteName, Sequence[Assignment]]
) -> dict[SiteName, list[Unit]]:
    """Return the units of stretched networks for each site that has any, from who is assigned where."""
    networks = _find_networks(snapshot, seated)
    if not networks:
        return {}
    indexes = _choose_indexes(snapshot, networks)
    units: dict[SiteName, list[Unit]] = {}
    peers: dict[SiteName, dict[SiteName, SiteView]] = {}
    for network in networks:
        tenant, app, name = network.key
        for place, view in enumerate(network.members):
            index = indexes.get((*network.key, view.site))
            if index is None:
                continue
            mine = units.setdefault(view.site, [])
            mine.append(NetworkPart(tenant, app, name, index))
            for other in _list_seen(network.members, place):
                theirs = indexes.get((*network.key, other.site))
                if theirs is not None and _has_keys(other) and tenant in other.record.tenants:
                    mine.append(NetworkMember(tenant, app, name, other.site, theirs))
                    peers.setdefault(view.site, {})[other.site] = other
    relays = choose_relays(snapshot, peers)
    for site, seen in peers.items():
        units[site] += [make_peer(other, relays.places.get((site, name))) for name, other in sorted(seen.items())]
    for site, duties in relays.duties.items():
        units.setdefault(site, []).extend(duties)
    return units


def make_peer(view: SiteView, relays: Places | None = None) -> Peer:
    """Say where and by which keys a site is reached: by its first node, which is its lead."""
    overlay = view.overlays[min(view.overlays)]
    keys = tuple(digest_of(envelope.payload) for envelope in overlay.keys[-OVERLAY_KEYS_MAX:])
    addresses = dict.fromkeys((*overlay.addresses, view.seen_from))
    endpoints = (f"[{each}]:{overlay.port}" if ":" in each else f"{each}:{overlay.port}" for each in addresses if each)
    sound = tuple(each for each in endpoints if is_endpoint(each))
    relay, through = relays or ("", ())
    return Peer(view.site, view.record_digest, keys, sound[:ENDPOINTS_MAX], relay, through or msgspec.UNSET)


def _has_keys(view: SiteView) -> bool:
    return bool(view.record_digest and view.overlays and view.overlays[min(view.overlays)].keys)


def _find_networks(snapshot: FleetSnapshot, seated: Mapping[SiteName, Sequence[Assignment]]) -> list[_Network]:
    stretched = {
        digest: frozenset(name for name, network in revision.networks.items() if network.stretched)
        for digest, revision in snapshot.revisions.items()
        if any(network.stretched for network in revision.networks.values())
    }
    if not stretched:
        return []
    found: dict[NetworkKey, dict[SiteName, SiteView]] = {}
    for view in snapshot.sites:
        for each in seated.get(view.site, ()):
            names = stretched.get(each.revision)
            service = snapshot.revisions[each.revision].services.get(each.service) if names else None
            for name in names.intersection(service.networks) if names and service is not None else ():
                found.setdefault((each.tenant, each.app, name), {})[view.site] = view
    return [_Network(key, sorted(found[key].values(), key=_order)) for key in sorted(found)]


def _order(view: SiteView) -> tuple[int, int]:
    """Order sites on a line by position; neighbours on it are mostly near each other.

    The line is that of G. M. Morton, "A computer oriented geodetic data base" (IBM, 1966): bits of both coordinates in
    turn. Sites without a position come first. Ties go by enrolment.
    """
    record = view.record
    if record.latitude_udeg is None or record.longitude_udeg is None:
        return -1, view.enrolment
    east = ((record.longitude_udeg + 180_000_000) << _CELL_BITS) // 360_000_001
    north = ((record.latitude_udeg + 90_000_000) << _CELL_BITS) // 180_000_001
    line = 0
    for bit in range(_CELL_BITS):
        line |= (east >> bit & 1) << (2 * bit) | (north >> bit & 1) << (2 * bit + 1)
    return line, view.enrolment


def _list_seen(members: Sequence[SiteView], place: int) -> Iterable[SiteView]:
    if len(members) <= FULL_MESH_SITES:
        return (*members[:place], *members[place + 1 :])
    before = members[max(place - NEIGHBOURS_EACH_WAY, 0) : place]
    return (*before, *members[place + 1 : place + 1 + NEIGHBOURS_EACH_WAY])


def _list_foreign(snapshot: FleetSnapshot) -> set[int]:
    """Return the indexes whose addresses some site has on its uplinks: a part there would hide what is beside them."""
    told = (each for view in snapshot.sites for fact in view.overlays.values() for each in fact.addresses)
    addresses = (ipaddress.IPv4Address(each) for each in told if is_endpoint(f"{each}:1"))
    return {index_of(each) for each in addresses if each in STRETCHED_V4}


def _list_wished(snapshot: FleetSnapshot) -> set[int]:
    """Return the indexes in ranges that manifests ask for: a node that has such a range has no way to a part in it."""
    found: set[int] = set()
    for revision in snapshot.revisions.values():
        for network in revision.networks.values():
            for each in network.plan.subnets if network.plan else ():
                wished = ipaddress.ip_network(each.subnet, strict=False)
                if isinstance(wished, ipaddress.IPv4Network) and wished.overlaps(STRETCHED_V4):
                    first = max(wished[0], STRETCHED_V4[0])
                    last = min(wished[-1], STRETCHED_V4[-1])
                    found.update(range(index_of(first), index_of(last) + 1))
    return found


def _choose_indexes(
    snapshot: FleetSnapshot, networks: Sequence[_Network]
) -> dict[tuple[TenantName, AppName, NetworkName, SiteName], int]:
    """Keep the index of each part that has one, and choose one for each new part that no part has.

    A part that goes still counts in this plan, so that nobody gets its addresses at the moment it leaves them. The
    search begins at a place that the part's name gives: a part that comes again mostly has its addresses again.
    """
    present: dict[tuple[TenantName, AppName, NetworkName, SiteName], int] = {}
    for view in snapshot.sites:
        for unit in view.units.values():
            if isinstance(unit, NetworkPart):
                present[unit.tenant, unit.app, unit.network, view.site] = unit.index
    taken = set(present.values()) | _list_foreign(snapshot)
    # Ranges of tenants give way where nothing else is left: nobody keeps others from having parts by asking for much.
    wished = _list_wished(snapshot) - taken
    chosen = dict(present)
    for network in networks:
        for view in sorted(network.members, key=lambda each: each.enrolment):
            part = (*network.key, view.site)
            if part in present or len(taken) >= PARTS_MAX:
                continue
            first = int.from_bytes(hashlib.sha256("/".join(part).encode()).digest()[:4], "big")
            if len(taken) + len(wished) >= PARTS_MAX:
                wished.clear()
            places = ((first + step) % PARTS_MAX for step in range(PARTS_MAX))
            index = next(place for place in places if place not in taken and place not in wished)
            taken.add(index)
            chosen[part] = index
    return chosen
