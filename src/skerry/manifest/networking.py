"""How a service is reached and what it reaches: networks with its names in them, ports, hosts, name servers.

A port with a host port is a resource of the node; ``expose`` opens nothing beyond the app's own networks. Neighbour:
``meaning.py`` has the networks of the whole app.
"""

import ipaddress
import re
from collections.abc import Mapping as Names
from typing import Literal

from msgspec import UNSET

from skerry.manifest.nodes import Mapping, Place, Sequence
from skerry.manifest.reading import Reading
from skerry.model.app import Network, Port
from skerry.model.ids import NetworkName
from skerry.model.limits import HOST_PORT_FIRST, HOST_PORT_LAST, INTEGER_MAX, PORT_RANGE_MAX

Protocol = Literal["tcp", "udp", "sctp"]

#: Network of services that name none.
DEFAULT = "default"
#: What ``interfaces`` call the way out of the site, and with it the network of the app that leads there.
UPLINK = "uplink"

_ALIAS = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_HOST = re.compile(r"[^=:\s]+", re.ASCII)


def read_networks(
    reading: Reading, service: Place, names: Names[str, NetworkName]
) -> dict[NetworkName, tuple[str, ...]]:
    """Return each network of the service with further names of it there; empty for a service without any."""
    mode = reading.find(service, "network_mode")
    place = reading.find(service, "networks")
    if mode is not None:
        if place is not None:
            reading.findings.complain(mode, "E-CONFLICT", "networks is given too", at_key=True)
        return _read_mode(reading, mode)
    if place is None or not (any(place.elements()) or any(place.entries())):
        return {NetworkName(DEFAULT): ()}
    found: dict[NetworkName, tuple[str, ...]] = {}
    for item in place.elements():
        name = find_network(reading, item, reading.text(item), names)
        if name is not None:
            found[name] = ()
    for written, item in place.entries():
        name = find_network(reading, item, written, names)
        if name is not None:
            found[name] = tuple(
                sorted({check_alias(reading, one) for one in reading.texts(reading.find(item, "aliases"))})
            )
    return found


def _read_mode(reading: Reading, place: Place) -> dict[NetworkName, tuple[str, ...]]:
    text = reading.text(place)
    match text:
        case "none":
            return {}
        case "" | "bridge" | "default":
            reading.findings.note(place, "translated", f"the app's network {DEFAULT}")
        case "host":
            return {}  # ``node_use.py`` asks for it.
        case _ if text.startswith("service:"):
            return {}  # ``sharing.py`` reads whose.
        case _ if text.startswith("container:"):
            reading.findings.refuse(place, "containers have names of the engine, which differ from site to site")
        case _:
            detail = f'"{text[:40]}" is none of bridge, none, host and service:NAME'
            reading.findings.complain(place, "E-TYPE", detail)
    return {NetworkName(DEFAULT): ()}


def find_network(reading: Reading, place: Place, written: str, names: Names[str, NetworkName]) -> NetworkName | None:
    """Return the network of the app that is called so; None after a complaint."""
    if written == DEFAULT:
        return NetworkName(DEFAULT)
    if written not in names:
        reading.findings.complain(place, "E-REFERENCE", f'there is no network "{written[:80]}" at the top of the file')
    return names.get(written)


def check_alias(reading: Reading, place: Place) -> str:
    """Return a further name of a service, or say that it cannot be one."""
    name = reading.text(place)
    if _ALIAS.fullmatch(name) is None:
        reading.findings.complain(place, "E-TYPE", f'"{name[:80]}" cannot be a name in a network')
    return name


def read_ports(reading: Reading, service: Place) -> tuple[Port, ...]:
    """Return the ports that the node answers for, then those that only neighbours in the app's networks reach."""
    found: dict[Port, None] = {}
    taken: dict[tuple[str, int, str], int] = {}
    for item in reading.texts(reading.find(service, "ports")):
        for port in (
            _read_long_port(reading, item) if isinstance(item.node, Mapping) else _read_short_port(reading, item)
        ):
            key = (port.host_ip, port.published, port.protocol)
            if port.published and taken.setdefault(key, port.target) != port.target:
                detail = f"host port {port.published} already leads to {taken[key]}"
                reading.findings.complain(item, "E-CONFLICT", detail)
            found[port] = None
    reached = {(port.target, port.protocol) for port in found}
    for item in reading.texts(reading.find(service, "expose")):
        text, protocol = _split_protocol(reading, item, reading.text(item))
        for number in _read_range(reading, item, text):
            if (number, protocol) not in reached:
                found[Port(target=number, protocol=protocol)] = None
    return tuple(found)


def _read_short_port(reading: Reading, place: Place) -> list[Port]:
    """Read ``[[IP:]PUBLISHED:]TARGET[/PROTOCOL]``."""
    text, protocol = _split_protocol(reading, place, reading.text(place))
    before, _, target = text.rpartition(":")
    address, _, published = before.rpartition(":")
    return _pair_ports(reading, place, target, published, protocol, address)


def _read_long_port(reading: Reading, place: Place) -> list[Port]:
    mode = reading.find(place, "mode")
    if mode is not None and reading.text(mode) not in ("host", "ingress"):
        reading.findings.complain(mode, "E-TYPE", f'"{reading.text(mode)[:40]}" is neither host nor ingress')
    target = reading.find(place, "target")
    if target is None:
        reading.findings.complain(place, "E-TYPE", '"target" must be given here')
        return []
    _, protocol = _split_protocol(reading, place, "/" + (reading.text(reading.find(place, "protocol")) or "tcp"))
    published = reading.text(reading.find(place, "published"))
    address = reading.text(reading.find(place, "host_ip"))
    return _pair_ports(reading, place, reading.text(target), published, protocol, address)


def _pair_ports(
    reading: Reading, place: Place, target: str, published: str, protocol: Protocol, address: str
) -> list[Port]:
    targets = _read_range(reading, place, target)
    if not targets:
        return []
    host_ip = _read_address(reading, place, address)
    if published in ("", "0"):
        reading.findings.note(place, "translated", f"a port that the site chooses from {HOST_PORT_FIRST} on")
        among = (HOST_PORT_FIRST, HOST_PORT_LAST)
        return [Port(target=inner, protocol=protocol, host_ip=host_ip, among=among) for inner in targets]
    outside = _read_range(reading, place, published)
    if not outside:
        return []
    if len(outside) != len(targets):
        if len(targets) == 1:
            among = (outside[0], outside[-1])
            return [Port(target=targets[0], protocol=protocol, host_ip=host_ip, among=among)]
        detail = f"{published} has {len(outside)} ports and {target} has {len(targets)}"
        reading.findings.complain(place, "E-RANGE", detail)
        return []
    return [
        Port(target=inner, published=outer, protocol=protocol, host_ip=host_ip)
        for inner, outer in zip(targets, outside, strict=True)
    ]


def _split_protocol(reading: Reading, place: Place, text: str) -> tuple[str, Protocol]:
    rest, sign, word = text.rpartition("/")
    if not sign:
        return text, "tcp"
    match word.lower():
        case "tcp":
            return rest, "tcp"
        case "udp":
            return rest, "udp"
        case "sctp":
            return rest, "sctp"
        case _:
            reading.findings.complain(place, "E-TYPE", f'"{word[:40]}" is none of tcp, udp, sctp')
    return rest, "tcp"


def _read_range(reading: Reading, place: Place, text: str) -> list[int]:
    """Return the ports of ``80`` or ``8000-8010``; empty after a complaint."""
    found = _RANGE.fullmatch(text)
    if found is None:
        reading.findings.complain(place, "E-TYPE", f'"{text[:40]}" is not a port: write 8080:80 or 8080:80/udp')
        return []
    first, last = int(found[1]), int(found[2] or found[1])
    if not (1 <= first <= last <= 65535 and last - first < PORT_RANGE_MAX):
        detail = f"{text} is out of range: ports are 1 to 65535, and a range has at most {PORT_RANGE_MAX}"
        reading.findings.complain(place, "E-RANGE", detail)
        return []
    return list(range(first, last + 1))


def _read_address(reading: Reading, place: Place, text: str) -> str:
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not inner:
        return ""
    try:
        address = ipaddress.ip_address(inner)
    except ValueError:
        reading.findings.complain(place, "E-TYPE", f'"{text[:60]}" is not an IP address')
        return ""
    return "" if address.is_unspecified else str(address)


def read_hosts(reading: Reading, place: Place | None) -> tuple[str, ...]:
    """Return ``NAME:ADDRESS`` for further hosts; variables of an instance may stand in them."""
    found: dict[str, None] = {}
    if place is not None and isinstance(place.node, Sequence):
        for item in place.elements():
            text = reading.text(item)
            sign = "=" if "=" in text else ":"
            name, _, address = text.partition(sign)
            found[_join_host(reading, item, name, address)] = None
    elif place is not None:
        for name, child in place.entries():
            for item in reading.texts(child):
                found[_join_host(reading, item, name, reading.text(item))] = None
    return tuple(found)


def _join_host(reading: Reading, place: Place, name: str, address: str) -> str:
    inner = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if inner == "host-gateway":
        reading.findings.refuse(place, "no instance reaches the node that it runs on")
    elif "$" not in inner:
        try:
            ipaddress.ip_address(inner)
        except ValueError:
            reading.findings.complain(place, "E-TYPE", f'"{inner[:60]}" is not an IP address: write NAME:ADDRESS')
    if _HOST.fullmatch(name) is None:
        reading.findings.complain(place, "E-TYPE", f'"{name[:60]}" cannot be the name of a host')
    return f"{name}:{inner}"


def read_servers(reading: Reading, place: Place | None) -> tuple[str, ...]:
    """Return the addresses of name servers."""
    found: list[str] = []
    for item in reading.texts(place):
        text = reading.text(item)
        try:
            found.append(str(ipaddress.ip_address(text)))
        except ValueError:
            reading.findings.complain(item, "E-TYPE", f'"{text[:60]}" is not an IP address')
    return tuple(found)


def judge_gateways(
    reading: Reading, service: Place, names: Names[str, NetworkName], networks: Names[NetworkName, Network]
) -> None:
    """Say what becomes of ``gw_priority``, by which a service leaves through one of several networks.

    Podman 4.3 gives an instance a route out through each network that has one, all of the same weight, and which of
    them the kernel takes is chance: where that makes a difference, a site whose podman makes the links waits.
    """
    place = reading.find(service, "networks")
    items = list(place.entries()) if place is not None else []
    ranked = [item for _, child in items if (item := reading.find(child, "gw_priority")) is not None]
    ranks = [reading.whole(item, -INTEGER_MAX, INTEGER_MAX, 0) for item in ranked]
    joined = (names.get(written, NetworkName(written)) for written, _ in items)
    ways = [networks[name] for name in joined if name in networks]
    ways = [network for network in ways if not network.internal]
    if len(ways) < 2 or not any(ranks):
        return
    kinds = {(network.plan.mtu, network.plan.lan) if network.plan else (0, UNSET) for network in ways}
    detail = "nothing: each of its networks leads out through the node, and with the node's address"
    if len(kinds) > 1:
        detail = 'the first of the ways out, at sites whose agent has links = "skerry"; others say that they cannot'
    for item in ranked:
        reading.findings.note(item, "translated", detail)
