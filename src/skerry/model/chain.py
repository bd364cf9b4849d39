"""Service chains as their tenant signs them: which traffic passes which services, in which order.

A chain has two ends and its steps between them. At each site it is about what passes between the ends there.
Neighbours: ``manifest/chains.py`` reads one, ``plan/chains.py`` says how a node steers packets.
"""

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

import msgspec

from skerry.model.ids import NetworkName, ServiceName, is_name
from skerry.model.limits import CHAIN_LATENCY_US_MAX, CHAIN_RANGES_MAX, CHAIN_STEPS_MAX, CHAINS_MAX
from skerry.model.uplinks import find_link_flaw

#: Protocols by which a chain may choose; those with ports are the first three.
PROTOCOLS = ("tcp", "udp", "sctp", "icmp")
WITH_PORTS = ("tcp", "udp", "sctp")


class _Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True):
    """Signed structs are closed; defaults are left out."""


class ChainEnd(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """Where traffic comes from or goes to.

    A network of the app, a service of it, a network device of the node, what lies beyond the site, or those beyond it
    who come in by a published port.
    """

    kind: Literal["network", "service", "interface", "uplink", "users"]
    #: Of the network, the service or the device; empty for the others.
    name: str = ""

    def __str__(self) -> str:
        """Return it as a manifest writes it."""
        return f"{self.kind}:{self.name}" if self.kind in ("network", "interface") else self.name or self.kind

    @property
    def is_beyond(self) -> bool:
        """Whether it is not at a bridge of the node's, but where the node's own routes lead."""
        return self.kind in ("interface", "uplink", "users")


class ChainMatch(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """Which of the traffic between the ends; what is not said does not matter."""

    protocol: Literal["", "tcp", "udp", "sctp", "icmp"] = ""
    #: First and last port at the end that it goes to.
    ports: tuple[tuple[int, int], ...] = ()
    from_cidr: tuple[str, ...] = ()
    to_cidr: tuple[str, ...] = ()


class Chain(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """One ordered path; of several that want the same packet the first one has it."""

    name: str
    start: ChainEnd
    through: tuple[ServiceName, ...]
    end: ChainEnd
    match: ChainMatch = ChainMatch()
    #: What comes back passes the same steps the other way round.
    symmetric: bool = True
    #: ``open`` goes around a step that cannot take traffic, ``closed`` lets nothing pass then.
    fail: Literal["closed", "open"] = "closed"
    #: Longest time that passing all steps may take before it is told; 0 for no limit. In microseconds.
    max_latency_us: int = 0


class ChainFlaw(msgspec.Struct, frozen=True):
    """What makes no sense in one chain of an app."""

    #: Number of the chain, its field, and the number of the item where the field is a list.
    chain: int
    field: str
    item: int
    code: Literal["E-REFERENCE", "E-CONFLICT", "E-RANGE", "E-LIMIT", "E-TYPE"]
    detail: str


Networks = Mapping[ServiceName, Collection[NetworkName]]


def list_chain_flaws(
    chains: tuple[Chain, ...], services: Networks, networks: Mapping[NetworkName, bool]
) -> Iterator[ChainFlaw]:
    """Give what makes no sense in the chains of an app, nothing where all of it does.

    ``services`` has the networks of each service, ``networks`` for each network whether it has no way out.
    """
    if len(chains) > CHAINS_MAX:
        yield ChainFlaw(0, "", 0, "E-LIMIT", f"an app has at most {CHAINS_MAX} chains")
    names = [chain.name for chain in chains]
    for number, chain in enumerate(chains):
        if chain.name in names[:number]:
            yield ChainFlaw(number, "name", 0, "E-CONFLICT", f"another chain is called {chain.name[:80]}")
        elif not is_name(chain.name):
            yield ChainFlaw(number, "name", 0, "E-TYPE", f"{chain.name[:80]!r} is no name")
        yield from _list_end_flaws(number, chain, services, networks)
        yield from _list_step_flaws(number, chain, services, networks)
        yield from _list_match_flaws(number, chain.match)
        if not 0 <= chain.max_latency_us <= CHAIN_LATENCY_US_MAX:
            detail = f"passing a chain may take at most {CHAIN_LATENCY_US_MAX // 1_000_000} s"
            yield ChainFlaw(number, "max-latency", 0, "E-RANGE", detail)


def _list_end_flaws(
    number: int, chain: Chain, services: Networks, networks: Mapping[NetworkName, bool]
) -> Iterator[ChainFlaw]:
    for field, end in (("from", chain.start), ("to", chain.end)):
        if not _is_known(end, services, networks):
            yield ChainFlaw(number, field, 0, "E-REFERENCE", f"there is no {end.kind} {end.name[:80]!r}")
        elif end.kind == "interface" and (flaw := find_link_flaw(end.name)):
            yield ChainFlaw(number, field, 0, "E-TYPE", flaw)
        elif end.kind == "service" and end.name in chain.through:
            detail = f"{end.name} is a step of the chain, so what it sends would come back to it"
            yield ChainFlaw(number, field, 0, "E-CONFLICT", detail)
        elif not end.is_beyond and all(networks.get(name, True) for name in _list_networks(end, services)):
            yield ChainFlaw(number, field, 0, "E-CONFLICT", f"nothing leaves {end} by way of the node: it is internal")
    if chain.start == chain.end:
        yield ChainFlaw(number, "to", 0, "E-CONFLICT", "a chain cannot end where it starts")
    elif chain.end.kind == "users":
        detail = "users begin, so they are where a chain comes from; what they are answered goes back by it"
        yield ChainFlaw(number, "to", 0, "E-CONFLICT", detail)
    elif chain.start.kind == "users" and chain.end.is_beyond:
        detail = "users come in to published ports, so a chain from them goes to a service or a network of the app"
        yield ChainFlaw(number, "to", 0, "E-CONFLICT", detail)
    elif shared := _list_networks(chain.start, services) & _list_networks(chain.end, services):
        detail = f"both ends are in network {min(shared)}, and what is said within a network does not pass the node"
        yield ChainFlaw(number, "to", 0, "E-CONFLICT", detail)


def _list_step_flaws(
    number: int, chain: Chain, services: Networks, networks: Mapping[NetworkName, bool]
) -> Iterator[ChainFlaw]:
    if not 1 <= len(chain.through) <= CHAIN_STEPS_MAX:
        detail = f"a chain has 1 to {CHAIN_STEPS_MAX} steps, this has {len(chain.through)}"
        yield ChainFlaw(number, "through", 0, "E-LIMIT", detail)
    before, after = (_list_networks(end, services) for end in (chain.start, chain.end))
    for place, step in enumerate(chain.through):
        own = frozenset(services.get(step, ()))
        if step in chain.through[:place]:
            yield ChainFlaw(number, "through", place, "E-CONFLICT", f"a loop: it would pass {step} again")
        elif step not in services:
            yield ChainFlaw(number, "through", place, "E-REFERENCE", f"there is no service {step[:80]!r}")
        elif all(networks.get(name, True) for name in own):
            detail = f"{step} is in no network by which it could pass anything on: one that is not internal"
            yield ChainFlaw(number, "through", place, "E-CONFLICT", detail)
        elif place > 0 and own & before:
            detail = f"{step} is in {min(own & before)}, where it would hand over past the steps before it"
            yield ChainFlaw(number, "through", place, "E-CONFLICT", detail)
        elif place < len(chain.through) - 1 and own & after:
            detail = f"{step} is in {min(own & after)}, where it would hand over past the steps after it"
            yield ChainFlaw(number, "through", place, "E-CONFLICT", detail)


def _list_match_flaws(number: int, match: ChainMatch) -> Iterator[ChainFlaw]:
    if match.ports and match.protocol not in WITH_PORTS:
        detail = f"ports are said of a protocol that has them: {', '.join(WITH_PORTS)}"
        yield ChainFlaw(number, "match", 0, "E-CONFLICT", detail)
    if any(not 1 <= first <= last <= 65_535 for first, last in match.ports):
        yield ChainFlaw(number, "match", 0, "E-RANGE", "ports are 1 to 65535, the lower one first")
    if max(len(match.ports), len(match.from_cidr), len(match.to_cidr)) > CHAIN_RANGES_MAX:
        yield ChainFlaw(number, "match", 0, "E-LIMIT", f"a chain has at most {CHAIN_RANGES_MAX} ranges of one sort")
    for text in (*match.from_cidr, *match.to_cidr):
        if not is_range(text):
            yield ChainFlaw(number, "match", 0, "E-TYPE", f"{text[:80]!r} is no range of addresses")


def _is_known(end: ChainEnd, services: Networks, networks: Mapping[NetworkName, bool]) -> bool:
    match end.kind:
        case "network":
            return end.name in networks
        case "service":
            return end.name in services
        case "interface":
            return bool(end.name)
        case "uplink" | "users":
            return not end.name


def _list_networks(end: ChainEnd, services: Networks) -> frozenset[NetworkName]:
    if end.kind == "network":
        return frozenset({NetworkName(end.name)})
    return frozenset(services.get(ServiceName(end.name), ())) if end.kind == "service" else frozenset()


def is_range(text: str) -> bool:
    """Say whether a text is a range of addresses in its one form: its own first address, and how long the prefix is."""
    try:
        return str(ipaddress.ip_network(text)) == text
    except ValueError:
        return False
