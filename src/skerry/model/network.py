"""Addresses of networks that are stretched over sites, and what may stand as the place of a peer.

Every part, one network at one site, has one index in the whole fleet, and with it one range of each family: a /26 of
10.64.0.0/10, and a /64 of the network's own unique local prefix (RFC 4193 section 3.2: ``fd``, then 40 bits that hardly
anybody else has; here they are of the digest of the network's names). Both ends compute the ranges from names and
index, so a core can choose an index and nothing else. Neighbours: ``plan/stretching.py`` chooses, ``trust/verify.py``
checks.
"""

import hashlib
import ipaddress

import msgspec

from skerry.model.document import NetworkMember, NetworkPart
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.signed import OverlayKey, SiteRecord

#: Networks of one site lie in here, each a /24.
SITE_V4 = ipaddress.IPv4Network("10.176.0.0/12")
#: Where parts have their IPv4 ranges: beside ``SITE_V4``.
STRETCHED_V4 = ipaddress.IPv4Network("10.64.0.0/10")
#: 64 addresses a part: 61 instances, the gateway, and the two that a range cannot use.
_PART_BITS = 6
#: As many parts as the range holds, and as many as a /48 has /64s.
PARTS_MAX = 1 << (32 - STRETCHED_V4.prefixlen - _PART_BITS)
#: Instances of one network at one site: addresses of a part without the gateway, the network and the broadcast.
PART_INSTANCES_MAX = (1 << _PART_BITS) - 3
#: Bytes of the largest packet in such a network: what a tunnel leaves of 1,500 over IPv6 (40 of IP, 8 of UDP, 32 of its
#: own).
TUNNEL_MTU = 1_420
#: UDP ports of a node's tunnels: two interfaces for each of two keys.
OVERLAY_PORTS = 4
#: Places at which one peer is looked for: three uplinks with two families each, and what the core saw.
ENDPOINTS_MAX = 8
#: Sites that relay for one pair: one, and another for when that one has gone.
RELAYS_MAX = 2
#: Live overlay keys of one node: one, and the next one while it changes.
OVERLAY_KEYS_MAX = 2


class PeerHeld(msgspec.Struct, frozen=True):
    """A site to which a tunnel may lead, by what was signed."""

    record: SiteRecord
    #: Live overlay keys, the oldest first.
    keys: tuple[OverlayKey, ...]


class PartRanges(msgspec.Struct, frozen=True):
    """The addresses of one part."""

    v4: ipaddress.IPv4Network
    v6: ipaddress.IPv6Network


def bridge_name(tenant: str, app: str, network: str) -> str:
    """Name the node's bridge of an app network: the kernel allows 15 characters, so it is a digest."""
    return "sk" + hashlib.sha256(f"{tenant}/{app}/{network}".encode()).hexdigest()[:12]


def network_prefix(tenant: TenantName, app: AppName, network: NetworkName) -> ipaddress.IPv6Network:
    """Return the /48 of a network; its parts at all sites lie in it."""
    unique = int.from_bytes(hashlib.sha256(f"{tenant}/{app}/{network}".encode()).digest()[:5], "big")
    return ipaddress.IPv6Network(((0xFD << 120) | (unique << 80), 48))


def part_ranges(part: NetworkPart | NetworkMember) -> PartRanges:
    """Return the ranges of a part, here or at another site; raises ``ValueError`` for an index beyond ``PARTS_MAX``."""
    index = part.index
    if not 0 <= index < PARTS_MAX:
        raise ValueError(f"there is no part {index}, only 0 to {PARTS_MAX - 1}")
    v4 = ipaddress.IPv4Network((int(STRETCHED_V4.network_address) + (index << _PART_BITS), 32 - _PART_BITS))
    prefix = network_prefix(part.tenant, part.app, part.network)
    v6 = ipaddress.IPv6Network((int(prefix.network_address) + (index << 64), 64))
    return PartRanges(v4, v6)


def index_of(address: ipaddress.IPv4Address) -> int:
    """Return the index of the part in whose range an address of ``STRETCHED_V4`` lies."""
    return (int(address) - int(STRETCHED_V4.network_address)) >> _PART_BITS


def is_endpoint(text: str) -> bool:
    """Say whether a text is the place of a peer: a literal address and a port, ``[…]`` around an IPv6 one."""
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535):
        return False
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return False
    return bracketed == (address.version == 6) and not (address.is_unspecified or address.is_multicast)
