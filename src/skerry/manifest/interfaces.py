"""``interfaces`` of a service: its network devices by name, in order, in place of Compose's ``networks``.

Each leads to a network of the app or, as ``uplink``, out of the site; the order is that of the ways out. One device
stands in one network. Neighbours: ``networks.py`` says what networks are, ``addresses.py`` reads the same of Compose.
"""

from collections.abc import Mapping as Names

import msgspec

from skerry.manifest.addresses import MTU, Attached, check_device, parse_address, parse_mac
from skerry.manifest.networking import UPLINK, find_network
from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.reading import Reading
from skerry.manifest.resources import read_rates
from skerry.model.app import Address
from skerry.model.ids import NetworkName

#: What Compose says of the same.
_INSTEAD = ("networks", "network_mode", "mac_address")


def read_interfaces(
    reading: Reading, service: Place, words: Place | None, names: Names[str, NetworkName]
) -> Attached | None:
    """Return what a service's interfaces are; None for one that has no such word."""
    if words is None:
        return None
    for field in _INSTEAD:
        place = reading.find(service, field)
        if place is not None:
            detail = "interfaces is given too, which says all of a service's networks"
            reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
    found: dict[NetworkName, Address] = {}
    places: dict[NetworkName, Place] = {}
    items = list(words.entries())
    if not items and reading.findings.is_sound(words):
        detail = "there is no interface in it: a service without any says network_mode: none"
        reading.findings.complain(words, "E-TYPE", detail, at_key=True)
    for position, (device, item) in enumerate(items):
        check_device(reading, item, device)
        network = _find(reading, item, names)
        if network is None:
            continue
        if network in found:
            detail = f"interface {places[network].name} is in network {network} already: one of a service is"
            reading.findings.complain(item, "E-CONFLICT", detail, at_key=True)
            continue
        found[network] = msgspec.structs.replace(
            _read_one(reading, item), device=device, way=len(items) - position if len(items) > 1 else 0
        )
        places[network] = item
    return Attached(networks=dict.fromkeys(found, ()), addresses=found, places=places)


def _find(reading: Reading, item: Place, names: Names[str, NetworkName]) -> NetworkName | None:
    place = reading.find(item, "network") if isinstance(item.node, Mapping) else item
    if place is None:
        if reading.findings.is_sound(item):
            reading.findings.complain(item, "E-TYPE", '"network" must be given here')
        return None
    text = reading.text(place)
    if text == UPLINK and text in names:
        detail = f"{UPLINK} is the way out of the site, and a network of the app is called so too"
        reading.findings.complain(place, "E-CONFLICT", detail, hint="give that network another name")
        return None
    return NetworkName(UPLINK) if text == UPLINK else find_network(reading, place, text, names)


def _read_one(reading: Reading, item: Place) -> Address:
    if not isinstance(item.node, Mapping):
        return Address()
    fixed = {4: "", 6: ""}
    for place in reading.texts(reading.find(item, "address")):
        one = parse_address(reading, place)
        if one is not None and fixed[one.version]:
            detail = f"{fixed[one.version]} is given already: an interface has one address of each version"
            reading.findings.complain(place, "E-CONFLICT", detail)
        elif one is not None:
            fixed[one.version] = str(one)
    rate = reading.find(item, "bandwidth")
    rates = read_rates(reading, rate)
    return Address(
        ipv4=fixed[4],
        ipv6=fixed[6],
        mac=parse_mac(reading, reading.find(item, "mac")),
        mtu=reading.whole(reading.find(item, "mtu"), *MTU, 0),
        up_bps=rates.up_bps,
        down_bps=rates.down_bps,
    )
