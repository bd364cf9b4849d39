"""``x-skerry.chain`` as the signed form has it: ordered paths of traffic through services of the app.

The steps of a chain are placed together at one site. Neighbours: ``wishes.py`` has checked the form of every word,
``model/chain.py`` says what makes sense, ``company.py`` keeps services together.
"""

import ipaddress
import itertools
import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.manifest.service import Around, ReadService
from skerry.model.app import Network, Service, Sites
from skerry.model.chain import Chain, ChainEnd, ChainMatch, list_chain_flaws
from skerry.model.grants import Need
from skerry.model.ids import NetworkName, ServiceName
from skerry.model.placing import PlacementRules, Together
from skerry.model.selector import parse_selector
from skerry.model.uplinks import find_link_flaw

_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_NEEDED = ("name", "from", "through", "to")


class ReadChain(msgspec.Struct, frozen=True):
    """A chain and where it stands."""

    chain: Chain
    place: Place


def read_chains(reading: Reading, place: Place | None, around: Around) -> list[ReadChain]:
    """Return the chains that are whole; of what is wrong with them by themselves the findings tell."""
    found: list[ReadChain] = []
    for item in reading.texts(place):
        missing = [word for word in _NEEDED if item.find(word) is None]
        if missing:
            reading.findings.complain(item, "E-TYPE", f'"{missing[0]}" must be given here', at_key=True)
        elif reading.findings.is_sound(item):
            chain = _read_chain(reading, item, around)
            found += [ReadChain(chain, item)] if chain is not None and reading.findings.is_sound(item) else []
    return found


def join_steps(chains: Iterable[ReadChain], read: list[ReadService]) -> list[ReadService]:
    """Return the services with those of one chain kept at one site: its steps, and the services at its ends."""
    for one in chains:
        ends = (ServiceName(end.name) for end in (one.chain.start, one.chain.end) if end.kind == "service")
        names = {*one.chain.through, *ends}
        read = [_keep_at_site(each, names - {each.name}) if each.name in names else each for each in read]
    return read


def check_chains(
    reading: Reading,
    chains: list[ReadChain],
    services: Mapping[ServiceName, Service],
    networks: dict[NetworkName, Network],
) -> tuple[Chain, ...]:
    """Return the chains, held against the services and networks of the app."""
    lans = {name for name, network in networks.items() if network.plan and network.plan.lan}
    for one in chains:
        for word, end in (("from", one.chain.start), ("to", one.chain.end)):
            place = one.place.find(word) or one.place
            if end.kind == "network" and end.name in lans:
                what = "a chain from or to a network at a device of the node, whose packets do not cross the node,"
                hint = "write interface:DEVICE for what comes from a device that no network has"
                reading.findings.not_yet(place, what, hint=hint)
            elif end.kind == "interface":
                _check_interface(reading, place, end.name, networks)
            elif end.kind == "users":
                _check_users(reading, place, one.chain.end, services)
    joined = {name: service.networks.keys() for name, service in services.items()}
    shut = {name: network.internal for name, network in networks.items()}
    for flaw in list_chain_flaws(tuple(one.chain for one in chains), joined, shut):
        place = chains[flaw.chain].place
        field = place.find(flaw.field) if flaw.field else None
        items = list(field.elements()) if field is not None else []
        where = items[flaw.item] if flaw.item < len(items) else field or place
        reading.findings.complain(where, flaw.code, flaw.detail)
    for one in chains:
        _check_one_site(reading, one, services)
    for number, one in enumerate(chains):
        for other in chains[:number]:
            flaw = _find_rivalry(other.chain, one.chain)
            if flaw:
                hint = "say in one of them what the traffic passes, or tell them apart by match"
                reading.findings.complain(one.place, "E-CONFLICT", flaw, hint=hint, at_key=True)
    return tuple(one.chain for one in chains)


def _find_rivalry(first: Chain, second: Chain) -> str:
    """Return why two chains cannot both have their traffic, empty where they can: a node goes by the first that fits.

    Signed documents are not held to it, since some were signed before it was asked.
    """
    protocols = {first.match.protocol, second.match.protocol}
    if "" not in protocols and len(protocols) > 1:
        return ""
    same = _covers(first.start, second.start) and _covers(first.end, second.end)
    is_turned = _covers(first.start, second.end) and _covers(first.end, second.start)
    reversed_too = is_turned and (first.symmetric or second.symmetric)
    if first.match == second.match and (same or reversed_too):
        return f"chain {first.name} has the same traffic already, and of two the first alone would be passed"
    for one, other in ((first, second), (second, first)):
        for end in (other.start, other.end):
            if end.kind == "service" and end.name in one.through:
                return (
                    f"{end.name} is a step of chain {one.name} and an end of chain {other.name}: what it sends passes"
                    f" the rest of {one.name} alone"
                )
    return ""


def _check_one_site(reading: Reading, one: ReadChain, services: Mapping[ServiceName, Service]) -> None:
    """Refuse steps whose own words put them at different sites: placement would wait for a site that cannot be."""
    first, *others = one.chain.through or ("",)
    items = reading.texts(one.place.find("through"))
    for number, step in enumerate(others, 1):
        both = [services[name].placement.sites for name in (ServiceName(first), step) if name in services]
        if len(both) == 2 and _are_parted(*both):
            detail = f"{step} and {first} are placed at different sites, and no chain leads from one site to another"
            reading.findings.complain(items[number], "E-CONFLICT", detail, hint="place all steps by the same words")


def _are_parted(one: Sites, other: Sites) -> bool:
    """Say whether no site can be meant by both: other names, or one label with two values in every alternative."""
    if one.names and other.names and not set(one.names) & set(other.names):
        return True
    wishes = [[_read_labels(text) for text in each.match] for each in (one, other)]
    pairs = list(itertools.product(*wishes))
    return bool(pairs) and all(any(a[key] != b[key] for key in a.keys() & b.keys()) for a, b in pairs)


def _read_labels(selector: str) -> dict[str, str]:
    """Return the labels that must have one value."""
    return {term.key: term.values[0] for term in parse_selector(selector).terms if term.operator == "="}


def _covers(end: ChainEnd, other: ChainEnd) -> bool:
    """Say whether whatever is at one end is at another one as well: users and devices are beyond the uplink too."""
    return end == other or (end.kind == "uplink" and other.is_beyond)


def _check_interface(reading: Reading, place: Place, device: str, networks: Mapping[NetworkName, Network]) -> None:
    """Refuse a device that is not granted, or that a network of the app has whole: nothing comes to the node then."""
    reading.findings.ask_grant(place, Need("interface", device))
    for name, network in sorted(networks.items()):
        lan = network.plan.lan if network.plan else UNSET
        if lan and lan.kind == "bridge" and lan.parent == device:
            detail = (
                f"network {name} has {device} as a port of its bridge, so what comes from it does not cross the node"
            )
            reading.findings.complain(place, "E-CONFLICT", detail, hint="lead one device, and give the network another")


def _check_users(reading: Reading, place: Place, end: ChainEnd, services: Mapping[ServiceName, Service]) -> None:
    """Refuse users where nothing of theirs is led in that a chain could have."""
    there = [
        (name, service)
        for name, service in services.items()
        if (end.kind == "service" and name == end.name) or (end.kind == "network" and end.name in service.networks)
    ]
    if end.is_beyond or any(port.published or port.among for _, service in there for port in service.ports):
        return
    detail = f"users reach nothing in {end}: no service there has a published port"
    if any(service.entrance for _, service in there):
        detail += ", and what comes by an entrance ends at the node's proxy, which no chain leads"
    reading.findings.complain(place, "E-CONFLICT", detail, hint="give the service ports, as 8080:80")


def _read_chain(reading: Reading, place: Place, around: Around) -> Chain | None:
    start, end = (_read_end(reading, reading.find(place, word), around) for word in ("from", "to"))
    through = [_read_step(reading, item, around) for item in reading.texts(reading.find(place, "through"))]
    symmetric = reading.find(place, "symmetric")
    steps = tuple(step for step in through if step is not None)
    if start is None or end is None or len(steps) != len(through):
        return None
    return Chain(
        name=reading.text(reading.find(place, "name")),
        start=start,
        through=steps,
        end=end,
        match=_read_match(reading, reading.find(place, "match")),
        symmetric=symmetric is None or reading.switch(symmetric),
        fail="open" if reading.text(reading.find(place, "fail")) == "open" else "closed",
        max_latency_us=reading.duration(reading.find(place, "max-latency"), 0),
    )


def _read_end(reading: Reading, place: Place | None, around: Around) -> ChainEnd | None:
    text = reading.text(place)
    kind, colon, name = text.partition(":")
    if place is None:
        return None
    if kind == "interface" and colon:
        return _read_interface(reading, place, name)
    if kind == "network" and colon:
        network = around.networks.get(name) or (NetworkName(name) if name == "default" else None)
        if network is None:
            reading.findings.complain(place, "E-REFERENCE", f'network "{name[:80]}" does not exist')
        return None if network is None else ChainEnd(kind="network", name=network)
    if text == "uplink" or text == "users":
        return ChainEnd(kind=text)
    service = _read_step(reading, place, around)
    return None if service is None else ChainEnd(kind="service", name=service)


def _read_interface(reading: Reading, place: Place, device: str) -> ChainEnd | None:
    """Return a device of the node as an end; whether the app's profile grants it is asked later."""
    flaw = find_link_flaw(device)
    if flaw:
        reading.findings.complain(place, "E-TYPE", flaw, hint="write interface:lan1, as ip link calls it on the node")
        return None
    return ChainEnd(kind="interface", name=device)


def _read_step(reading: Reading, place: Place, around: Around) -> ServiceName | None:
    written = reading.text(place)
    if written in around.off:
        detail = f'service "{written[:80]}" is switched off: no profile that is on has it'
        reading.findings.complain(place, "E-REFERENCE", detail)
    elif written not in around.services:
        forms = "network:NAME, interface:DEVICE, uplink, users or the name of a service"
        hint = f"write {forms}" if ":" in written else ""
        reading.findings.complain(place, "E-REFERENCE", f'service "{written[:80]}" does not exist', hint=hint)
    return around.services.get(written)


def _read_match(reading: Reading, place: Place | None) -> ChainMatch:
    protocol = reading.text(reading.find(place, "protocol"))
    return ChainMatch(
        protocol=protocol,  # type: ignore[arg-type]
        ports=tuple(sorted(_read_ports(reading, item) for item in reading.texts(reading.find(place, "ports")))),
        from_cidr=_read_ranges(reading, reading.find(place, "from-cidr")),
        to_cidr=_read_ranges(reading, reading.find(place, "to-cidr")),
    )


def _read_ports(reading: Reading, place: Place) -> tuple[int, int]:
    text = reading.text(place)
    found = _PORTS.fullmatch(text)
    if found is None:
        reading.findings.complain(place, "E-TYPE", f'"{text[:40]}" is not a port: write 80 or 8000-8010')
        return 1, 1
    first, last = int(found[1]), int(found[2] or found[1])
    if not 1 <= first <= last <= 65_535:
        reading.findings.complain(
            place, "E-RANGE", f"{text} is out of range: ports are 1 to 65535, the lower one first"
        )
    return first, last


def _read_ranges(reading: Reading, place: Place | None) -> tuple[str, ...]:
    found: list[str] = []
    for item in reading.texts(place):
        text = reading.text(item)
        try:
            found.append(str(ipaddress.ip_network(text)))
        except ValueError as error:
            detail = f'"{text[:60]}" is not a range of addresses: {error}' if "host bits" in str(error) else ""
            detail = detail or f'"{text[:60]}" is not a range of addresses: write 10.0.0.0/8 or fd00::/8'
            reading.findings.complain(item, "E-TYPE", detail)
    return tuple(sorted(set(found)))


def _keep_at_site(one: ReadService, others: set[ServiceName]) -> ReadService:
    rules = one.service.placement.rules or PlacementRules()
    if not others:
        return one
    tie = Together(by="site", services=tuple(sorted(others)))
    placement = msgspec.structs.replace(
        one.service.placement, rules=msgspec.structs.replace(rules, together=(*rules.together, tie))
    )
    return msgspec.structs.replace(one, service=msgspec.structs.replace(one.service, placement=placement))
