"""Which addresses the networks and instances of a node have, where Skerry itself makes their links.

Pure, and the same again for the same node: a network takes the ranges that its plan names, an instance the address that
its manifest names and else the lowest free one. Addresses are given to all instances that are to start, in the order of
their names, so that two starts under way at once do not get the same one; should the wishes change between two looks,
the driver refuses an address that is in use and the next plan gives another.
"""

import functools
import hashlib
import ipaddress
from collections.abc import Iterable, Iterator

from skerry.model.app import Address, NetworkPlan, Subnet
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.network import SITE_V4, network_prefix

_POOL_NETWORKS = 4096

_Range = ipaddress.IPv4Network | ipaddress.IPv6Network


class NoAddress(Exception):
    """A network cannot give what is asked of it; the text says why."""


def choose_subnet(tenant: str, app: str, name: NetworkName, taken: Iterable[str]) -> str:
    """Return a /24 of ``SITE_V4`` that meets none of the ranges ``taken``; the same one again where it is free."""
    busy = {place for each in taken for place in _list_places(each)}
    first = int.from_bytes(hashlib.sha256(f"{tenant}/{app}/{name}".encode()).digest()[:4], "big")
    for step in range(_POOL_NETWORKS):
        place = (first + step) % _POOL_NETWORKS
        if place not in busy:
            return str(ipaddress.IPv4Network((int(SITE_V4.network_address) + (place << 8), 24)))
    raise NoAddress(f"all {_POOL_NETWORKS} networks of this node are in use")


@functools.lru_cache(maxsize=_POOL_NETWORKS)  # the ranges of a node are asked about for each of its networks
def _list_places(taken: str) -> range:
    """Return which /24s of ``SITE_V4`` a range meets, by their number."""
    other = ipaddress.ip_network(taken)
    if not isinstance(other, ipaddress.IPv4Network) or not other.overlaps(SITE_V4):
        return range(0)
    start = max(int(other.network_address), int(SITE_V4.network_address))
    end = min(int(other.broadcast_address), int(SITE_V4.broadcast_address))
    return range(start - int(SITE_V4.network_address) >> 8, (end - int(SITE_V4.network_address) >> 8) + 1)


def choose_ranges(
    tenant: TenantName, app: AppName, name: NetworkName, plan: NetworkPlan, taken: Iterable[str]
) -> tuple[Subnet, ...]:
    """Return the ranges of a network, each with the node's own address in it; ``taken`` are those of other networks."""
    ranges = [Subnet(subnet=each.subnet, gateway=each.gateway or _first_host(each.subnet)) for each in plan.subnets]
    if not any("." in each.subnet for each in ranges):
        subnet = choose_subnet(tenant, app, name, taken)
        ranges.append(Subnet(subnet=subnet, gateway=_first_host(subnet)))
    if plan.ipv6 and not any(":" in each.subnet for each in ranges):
        # Within one site a network is in one place: it has the first of its /64s.
        subnet = str(next(network_prefix(tenant, app, name).subnets(new_prefix=64)))
        ranges.append(Subnet(subnet=subnet, gateway=_first_host(subnet)))
    return tuple(sorted(ranges, key=lambda each: ":" in each.subnet))


class Lease:
    """The free addresses of one network; what was given is not given again."""

    def __init__(self, ranges: tuple[Subnet, ...], plan: NetworkPlan, taken: set[str]) -> None:
        """``taken`` are addresses that are in use or meant for somebody; those that are given are added to them."""
        self._taken = taken
        wished = {each.subnet: each for each in plan.subnets}
        self._ranges = [(ipaddress.ip_network(each.subnet), each.gateway) for each in ranges]
        self._free = [
            _walk(network, gateway, wished.get(str(network), Subnet(subnet="")), taken)
            for network, gateway in self._ranges
        ]
        #: None in a network at a device of the node whose manifest names no router.
        self.gateways = tuple(gateway for _, gateway in self._ranges if gateway)

    def take(self, wanted: Address) -> tuple[str, ...]:
        """Return an address with its prefix length for each range; raise NoAddress where there is none."""
        found: list[str] = []
        for (network, _), free in zip(self._ranges, self._free, strict=True):
            fixed = wanted.ipv4 if network.version == 4 else wanted.ipv6
            if fixed and ipaddress.ip_address(fixed) not in network:
                fixed = ""  # another of its ranges has it, or none, which is found below
            address = fixed or next(free, "")
            if not address:
                raise NoAddress(f"no address of {network} is free")
            found.append(f"{address}/{network.prefixlen}")
        given = {each.partition("/")[0] for each in found}
        for fixed in (wanted.ipv4, wanted.ipv6):
            if fixed and str(ipaddress.ip_address(fixed)) not in given:
                raise NoAddress(f"{fixed} lies in none of its ranges")
        self._taken |= given
        return tuple(found)


def choose_mac(bridge: str, address: str) -> str:
    """Return a hardware address of our own making (IEEE 802: bit 1 of the first byte), the same for the same place."""
    mark = hashlib.sha256(f"{bridge}/{address}".encode()).digest()[:5]
    return ":".join(["02", *(f"{each:02x}" for each in mark)])


def _walk(network: _Range, gateway: str, lease: Subnet, taken: set[str]) -> Iterator[str]:
    first, last = int(network.network_address) + 1, int(network.broadcast_address) - 1
    if lease.first:
        first, last = (
            max(first, int(ipaddress.ip_address(lease.first))),
            min(last, int(ipaddress.ip_address(lease.last))),
        )
    for number in range(first, last + 1):
        address = str(ipaddress.ip_address(number)) if network.version == 4 else str(ipaddress.IPv6Address(number))
        if address != gateway and address not in taken:
            yield address


def _first_host(subnet: str) -> str:
    return str(ipaddress.ip_network(subnet)[1])
