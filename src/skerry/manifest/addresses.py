"""Addresses: which ranges a network has, and what a service is called by in it.

Ranges are private ones only: an app that took others would cut its node off from whom they belong to. A range is the
same at each site; where another network has it, this one waits there and says so.
"""

import ipaddress
import itertools
import re
from collections.abc import Iterable
from collections.abc import Mapping as Names

import msgspec

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.model.app import Address, Network, NetworkPlan, Subnet
from skerry.model.ids import NetworkName
from skerry.model.limits import INTEGER_MAX, MTU_MAX, MTU_MIN, MTU_MIN_V6
from skerry.model.network import TUNNEL_MTU
from skerry.model.profile import Range, grants_range, holds_range

_One = ipaddress.IPv4Address | ipaddress.IPv6Address


class Attached(msgspec.Struct, frozen=True):
    """The networks that a service is in, with its further names there, what it is called by, and where that stands."""

    networks: dict[NetworkName, tuple[str, ...]]
    addresses: dict[NetworkName, Address]
    places: dict[NetworkName, Place]


_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII)
_NO_MAC = "00:00:00:00:00:00"
_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", re.ASCII)
_DEVICE_OPTION = "com.docker.network.endpoint.ifname"
_BITS_MIN, _BITS_MAX = 8, 30
_BITS_MAX_6 = 126
_MTU_OPTIONS = ("com.docker.network.driver.mtu", "mtu")
#: What Docker's macvlan and ipvlan have beside: ``networks.py`` reads them.
LAN_OPTIONS = ("parent", "macvlan_mode", "ipvlan_mode")
#: From and to, in bytes.
MTU = (MTU_MIN, MTU_MAX)
#: Options of Docker's bridge that are so at every site whatever they say, or that name what the node names itself.
_IDLE_OPTIONS = {
    "com.docker.network.bridge.name": "the node names its bridges",
    "com.docker.network.bridge.enable_icc": "services of one network reach each other",
    "com.docker.network.bridge.enable_ip_masquerade": "what goes out has the node's address",
    "com.docker.network.bridge.default_bridge": "each app has networks of its own",
}


def read_plan(reading: Reading, network: Place) -> NetworkPlan:
    """Return what a network of the top level is to be like."""
    ipv6 = reading.switch(reading.find(network, "enable_ipv6"))
    ipv4 = reading.find(network, "enable_ipv4")
    if ipv4 is not None and not reading.switch(ipv4):
        reading.findings.not_yet(ipv4, "a network without addresses of version 4")
    ipam = reading.find(network, "ipam")
    driver = reading.find(ipam, "driver")
    if driver is not None and reading.text(driver) not in ("", "default", "host-local"):
        reading.findings.refuse(driver, f'no site has the address driver "{reading.text(driver)[:40]}"')
    options = reading.find(ipam, "options")
    for _, option in options.entries() if options is not None else ():
        reading.findings.refuse(option, "the site's own address plan has no options")
    subnets = [_read_subnet(reading, item) for item in reading.texts(reading.find(ipam, "config"))]
    given = tuple(one for one in subnets if one is not None)
    return NetworkPlan(
        subnets=given, ipv6=ipv6 or any(":" in one.subnet for one in given), mtu=_read_options(reading, network)
    )


def _read_options(reading: Reading, network: Place) -> int:
    mtu = 0
    options = reading.find(network, "driver_opts")
    for name, item in options.entries() if options is not None else ():
        if name in _MTU_OPTIONS:
            mtu = reading.whole(item, *MTU, 0)
        elif name in LAN_OPTIONS and reading.text(reading.find(network, "driver")) in ("macvlan", "ipvlan"):
            pass
        elif name in _IDLE_OPTIONS:
            reading.findings.note(item, "translated", f"nothing: {_IDLE_OPTIONS[name]}")
        else:
            reading.findings.refuse(item, f'networks of a site have no option "{name[:60]}"')
    return mtu


def find_mtu_option(reading: Reading, network: Place) -> Place | None:
    """Return the option of Compose that says a network's largest packet."""
    options = reading.find(network, "driver_opts")
    return next(filter(None, (reading.find(options, name) for name in _MTU_OPTIONS)), None)


def _read_subnet(reading: Reading, place: Place) -> Subnet | None:
    text = reading.find(place, "subnet")
    if text is None:
        if reading.findings.is_sound(place):
            reading.findings.complain(place, "E-TYPE", '"subnet" must be given here')
        return None
    found = _parse_range(reading, text)
    if found is None:
        return None
    gateway = _inside(reading, reading.find(place, "gateway"), found)
    if gateway and is_edge(ipaddress.ip_address(gateway), found):
        detail = f"{gateway} is the first or last address of {found}, which nobody can have"
        reading.findings.complain(reading.find(place, "gateway") or place, "E-RANGE", detail)
    first, last = "", ""
    lease = reading.find(place, "ip_range")
    if lease is not None:
        inner = _parse_range(reading, lease)
        if inner is not None and not holds_range(found, inner):
            reading.findings.complain(lease, "E-RANGE", f"{inner} is not inside {found}")
        elif inner is not None:
            first, last = str(inner[0]), str(inner[-1])
            # The range's own address and its last one are no addresses of anybody.
            first = str(inner[1]) if inner[0] == found[0] else first
            last = str(inner[-2]) if inner[-1] == found[-1] else last
    _judge_kept(reading, reading.find(place, "aux_addresses"), found, first, last)
    return Subnet(subnet=str(found), gateway=gateway, first=first, last=last)


def _judge_kept(reading: Reading, place: Place | None, within: Range, first: str, last: str) -> None:
    """Take addresses that no instance is to get where the range of those that they get leaves them out."""
    for _, item in place.entries() if place is not None else ():
        one = parse_address(reading, item)
        if one is None:
            continue
        if one not in within:
            reading.findings.complain(item, "E-RANGE", f"{one} is not inside {within}")
        elif not first or int(ipaddress.ip_address(first)) <= int(one) <= int(ipaddress.ip_address(last)):
            detail = f"an address is kept free by an ip_range that it is not in, and {one} is one that instances get"
            reading.findings.refuse(item, detail, hint="give ip_range")


def is_edge(one: _One, within: Range) -> bool:
    """Say whether an address is its range's own or the one for all, which are nobody's."""
    return one == within[0] or (one.version == 4 and one == within[-1])


def _parse_range(reading: Reading, place: Place) -> Range | None:
    text = reading.text(place)
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        reading.findings.complain(place, "E-TYPE", f'"{text[:60]}" is not a range of addresses: write 172.20.0.0/24')
        return None
    most = _BITS_MAX if found.version == 4 else _BITS_MAX_6
    if not _BITS_MIN <= found.prefixlen <= most:
        reading.findings.complain(place, "E-RANGE", f"a range has from {_BITS_MIN} to {most} bits, {found} does not")
        return None
    if not grants_range(found):
        reading.findings.refuse(
            place, f"{found} is not private: an app that took it would cut the node off from others"
        )
        return None
    return found


def _inside(reading: Reading, place: Place | None, within: Range) -> str:
    if place is None:
        return ""
    found = parse_address(reading, place)
    if found is not None and found not in within:
        reading.findings.complain(place, "E-RANGE", f"{found} is not inside {within}")
    return str(found) if found is not None else ""


def parse_address(reading: Reading, place: Place) -> _One | None:
    """Return an IP address; None after a complaint."""
    text = reading.text(place)
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        reading.findings.complain(place, "E-TYPE", f'"{text[:60]}" is not an IP address')
        return None


def read_addresses(
    reading: Reading, service: Place, names: Names[str, NetworkName], used: Iterable[NetworkName]
) -> dict[NetworkName, Address]:
    """Return what a service is called by in its networks, where it says so."""
    found: dict[NetworkName, Address] = {}
    ranks: dict[NetworkName, int] = {}
    ways: dict[NetworkName, int] = {}
    networks = reading.find(service, "networks")
    for written, item in networks.entries() if networks is not None else ():
        name = NetworkName("default") if written == "default" else names.get(written)
        address = _read_one(reading, item)
        rank = reading.whole(reading.find(item, "priority"), -INTEGER_MAX, INTEGER_MAX, 0)
        way = reading.whole(reading.find(item, "gw_priority"), -INTEGER_MAX, INTEGER_MAX, 0)
        if name is not None and address != Address():
            found[name] = address
        if name is not None:
            ranks[name], ways[name] = rank, way
    if any(ranks.values()):
        found = _number_devices(found, ranks)
    if any(ways.values()):
        for at, name in enumerate(sorted(ways, key=lambda name: (ways[name], name), reverse=True)):
            found[name] = msgspec.structs.replace(found.get(name, Address()), way=len(ways) - at)
    mac = reading.find(service, "mac_address")
    among = list(used)
    if mac is None or (networks is not None and not among):
        return found  # None of them exists, which was told.
    first = sorted(among, key=lambda name: (-ranks.get(name, 0), name))[:1]
    is_clear = len([name for name in among if first and ranks.get(name, 0) == ranks.get(first[0], 0)]) == 1
    if not is_clear:
        several = f"the service is in {len(among)} networks: say it in one of them, or give one the highest priority"
        detail = several if among else "the service is in no network"
        reading.findings.complain(mac, "E-CONFLICT", detail, at_key=True)
    else:
        known = found.get(first[0], Address())
        found[first[0]] = msgspec.structs.replace(known, mac=parse_mac(reading, mac))
    return found


def _number_devices(found: Names[NetworkName, Address], ranks: Names[NetworkName, int]) -> dict[NetworkName, Address]:
    """Name the devices of networks that are joined in a wished order: ``eth0`` is the first, as engines name them."""
    taken = {address.device for address in found.values()}
    free = (f"eth{number}" for number in itertools.count() if f"eth{number}" not in taken)
    named = dict(found)
    for name in sorted(ranks, key=lambda name: (-ranks[name], name)):
        address = found.get(name, Address())
        named[name] = address if address.device else msgspec.structs.replace(address, device=next(free))
    return named


def _find_device(reading: Reading, place: Place) -> Place | None:
    """Return the name of a network's device, in Compose's word or in Docker's option."""
    device = reading.find(place, "interface_name")
    options = reading.find(place, "driver_opts")
    for name, item in options.entries() if options is not None else ():
        if name != _DEVICE_OPTION:
            reading.findings.refuse(item, f'a service has no option "{name[:60]}" in a network of a site')
        elif device is not None and reading.text(device) != reading.text(item):
            reading.findings.complain(item, "E-CONFLICT", "interface_name says something else", at_key=True)
        else:
            device = item
    return device


def _read_one(reading: Reading, place: Place) -> Address:
    device = _find_device(reading, place)
    if device is not None:
        check_device(reading, device, reading.text(device))
    return Address(
        ipv4=_read_version(reading, reading.find(place, "ipv4_address"), 4),
        ipv6=_read_version(reading, reading.find(place, "ipv6_address"), 6),
        mac=parse_mac(reading, reading.find(place, "mac_address")),
        device=reading.text(device),
    )


def check_device(reading: Reading, place: Place, name: str) -> None:
    """Complain of what cannot be the name of a network device inside an instance."""
    if _DEVICE.fullmatch(name) is None or name == "lo":
        detail = f'"{name[:40]}" cannot be the name of a network device: at most 15 letters and digits'
        reading.findings.complain(place, "E-TYPE", detail)


def _read_version(reading: Reading, place: Place | None, version: int) -> str:
    found = parse_address(reading, place) if place is not None else None
    if found is not None and place is not None and found.version != version:
        reading.findings.complain(place, "E-TYPE", f"{found} is no address of version {version}")
        return ""
    return str(found) if found is not None else ""


def parse_mac(reading: Reading, place: Place | None) -> str:
    """Return the hardware address of one device; empty where none is given, and after a complaint."""
    text = reading.text(place).lower().replace("-", ":")
    if place is not None and (_MAC.fullmatch(text) is None or int(text[1], 16) & 1 or text == _NO_MAC):
        detail = f'"{reading.text(place)[:40]}" is not the address of one network device: write 02:42:ac:11:00:03'
        reading.findings.complain(place, "E-TYPE", detail)
    return text


class Places(msgspec.Struct, frozen=True):
    """Where a service says what it is called by in each network."""

    service: Place
    found: Names[NetworkName, Place]
    findings: Findings

    def complain(self, network: NetworkName, detail: str, *, hint: str = "") -> None:
        """Tell a conflict in what is said of one network."""
        networks = self.service.find("networks") or self.service
        place = self.found.get(network) or networks.find(network) or self.service
        self.findings.complain(place, "E-CONFLICT", detail, hint=hint, at_key=True)


def check_addresses(
    found: Names[NetworkName, Address], networks: Names[NetworkName, Network], copies: int, places: Places
) -> None:
    """Tell addresses that no range of their network has, and those of which there would be several holders."""
    devices: dict[str, NetworkName] = {}
    for name, address in found.items():
        network = networks.get(name, Network())
        plan = network.plan or NetworkPlan()
        if address.device and devices.setdefault(address.device, name) != name:
            places.complain(name, f"{address.device} is the device in network {devices[address.device]} already")
        if copies > 1 and (address.ipv4 or address.ipv6 or address.mac):
            detail = f"there would be {copies} copies at one site, and an address is for one"
            places.complain(name, detail)
        ranges = [ipaddress.ip_network(one.subnet) for one in plan.subnets]
        for text in filter(None, (address.ipv4, address.ipv6)):
            one = ipaddress.ip_address(text)
            if not any(one in each for each in ranges if each.version == one.version):
                places.complain(name, f"network {name} has no range with {text}: give it one under ipam")
            if any(text == (each.gateway or _choose_gateway(each, plan)) for each in plan.subnets):
                places.complain(name, f"{text} is the gateway of network {name}")
            if any(one.version == each.version and is_edge(one, each) for each in ranges):
                detail = f"{text} is the first or last address of its range, which nobody can have"
                places.complain(name, detail, hint="give another one, or leave it out")
        largest = min(plan.mtu or MTU_MAX, TUNNEL_MTU if network.stretched else MTU_MAX)
        if address.mtu > largest:
            places.complain(name, f"packets of {address.mtu} bytes do not fit network {name}, which takes {largest}")
        if 0 < address.mtu < MTU_MIN_V6 and (plan.ipv6 or network.stretched):
            detail = (
                f"{address.mtu} bytes are too few for network {name}: with version 6 it takes {MTU_MIN_V6} at least"
            )
            places.complain(name, detail)
        if plan.lan and plan.lan.kind == "ipvlan" and address.mac:
            places.complain(name, "an interface of kind ipvlan has the hardware address of the node's device")
        if plan.lan and plan.lan.is_direct and (address.up_bps or address.down_bps):
            hint = "use kind: bridge"
            places.complain(name, f"nothing on the node limits an interface of kind {plan.lan.kind}", hint=hint)


def _choose_gateway(subnet: Subnet, plan: NetworkPlan) -> str:
    """Return the address that the node takes where none is said; none in a network of the site."""
    return "" if plan.lan else str(ipaddress.ip_network(subnet.subnet)[1])


def check_clashes(services: Names[str, tuple[Names[NetworkName, Address], Places]]) -> None:
    """Tell addresses of one network that two services want, at the second of them."""
    taken: dict[tuple[NetworkName, str], str] = {}
    for service, (found, places) in services.items():
        for name, address in found.items():
            for text in filter(None, (address.ipv4, address.ipv6, address.mac)):
                other = taken.setdefault((name, text), service)
                if other != service:
                    places.complain(name, f"{text} in network {name} is service {other}'s already")
