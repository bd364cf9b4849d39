"""What the top level says of networks: Compose's section of them, and our words beside it.

A network is one of each site by itself, or one over all sites of its app; then its addresses are the fleet's, and what
goes between sites is encrypted. Or it is a part of a network that the site has, at a device of the node, which an
operator's own profile has to grant. Neighbours: ``networking.py`` reads how services stand in them, ``addresses.py``
their ranges.
"""

import ipaddress
from collections.abc import Mapping
from typing import get_args

import msgspec
from msgspec import UNSET, UnsetType

from skerry.manifest.addresses import MTU, find_mtu_option, read_plan
from skerry.manifest.nodes import Place
from skerry.manifest.process import read_labels
from skerry.manifest.reading import Reading
from skerry.manifest.wishes import Given
from skerry.model.app import Network, NetworkPlan, NetworkWords
from skerry.model.grants import Need
from skerry.model.ids import NetworkName
from skerry.model.lan import VLAN_ID_MAX, Lan, LanKind, find_lan_flaw
from skerry.model.limits import MTU_MIN_V6
from skerry.model.network import SITE_V4, STRETCHED_V4, TUNNEL_MTU
from skerry.model.profile import Range

_LAN_DRIVERS = ("macvlan", "ipvlan")
#: A range that meets what Skerry gives out itself has at least so many bits: a sixteenth of the smaller pool, so that
#: files that have 10.100.0.0/16 run as they are and no app takes all that others are to get.
_POOL_BITS_MIN = 16
#: Local prefixes are drawn with so many bits (RFC 4193 section 3.2.1): a wider range has others' in it.
_PREFIX_BITS_MIN = 48
#: The mode that each has here, in Docker's words.
_MODES = {"macvlan_mode": "bridge", "ipvlan_mode": "l2"}


def read_network(reading: Reading, place: Place, words: Given) -> Network:
    """Return one network of the top level; ``words`` are its words of ``x-skerry``."""
    said = _read_words(reading, reading.find(place, "driver"), words)
    plan = read_plan(reading, place)
    lan = _read_lan(reading, place, words)
    plan = msgspec.structs.replace(plan, mtu=_read_mtu(reading, place, plan, said, words), lan=lan)
    ranges = reading.find(place, "ipam")
    if said.scope == "app" and plan.subnets and ranges is not None:
        detail = "a network over all sites has addresses of the fleet's plan, which no two networks share"
        reading.findings.complain(ranges, "E-CONFLICT", detail, at_key=True)
    return Network(
        internal=reading.switch(reading.find(place, "internal")),
        labels=read_labels(reading, reading.find(place, "labels")),
        plan=plan if plan != NetworkPlan() else msgspec.UNSET,
        words=said if said != NetworkWords() else msgspec.UNSET,
    )


def find_meeting(reading: Reading, place: Place, network: Network, others: Mapping[NetworkName, Network]) -> None:
    """Complain of a range of a network that meets another one of its own or of the app's: no site could make both."""
    taken = [(name, each) for name, other in others.items() for each in _list_made(other)]
    configs = reading.texts(reading.find(reading.find(place, "ipam"), "config"))
    made = _list_made(network)
    # Where one of them is none there are other complaints.
    for item, subnet in zip(configs, made, strict=True) if len(configs) == len(made) else ():
        mine = ipaddress.ip_network(subnet)
        where = reading.find(item, "subnet") or item
        if _hides_pool(mine):
            detail = f"{mine} holds addresses that other networks of a site and networks over sites have"
            narrower = f"/{_POOL_BITS_MIN if mine.version == 4 else _PREFIX_BITS_MIN}"
            hint = f"give it {narrower} or narrower, or leave ipam out and have a range chosen"
            reading.findings.complain(where, "E-CONFLICT", detail, hint=hint)
            continue
        for name, each in taken:
            theirs = ipaddress.ip_network(each)
            if mine.version == theirs.version and mine.overlaps(theirs):
                whose = f"network {name}" if name else "the same network"
                detail = (
                    f"{mine} meets {theirs} of {whose}: a node routes an address to one bridge; give it another range"
                )
                reading.findings.complain(where, "E-CONFLICT", detail)
                break
        taken.append((NetworkName(""), subnet))


def _hides_pool(wished: Range) -> bool:
    """Say whether a range takes so much of what Skerry gives out itself that others would be without."""
    if isinstance(wished, ipaddress.IPv6Network):
        return wished.prefixlen < _PREFIX_BITS_MIN
    return wished.prefixlen < _POOL_BITS_MIN and any(wished.overlaps(each) for each in (SITE_V4, STRETCHED_V4))


def _list_made(network: Network) -> tuple[str, ...]:
    """List the ranges that a node makes for a network; those of a network of the site are not its own."""
    plan = network.plan or NetworkPlan()
    return () if plan.lan else tuple(each.subnet for each in plan.subnets)


def _read_words(reading: Reading, driver: Place | None, words: Given) -> NetworkWords:
    stretched = driver is not None and _judge_driver(reading, driver)
    kind_place, scope_place = reading.find(words.get("kind")), reading.find(words.get("scope"))
    kind = reading.text(kind_place) or ("overlay" if stretched else "bridge")
    if kind_place is not None and kind == "sriov":
        reading.findings.not_yet(kind_place, f'"kind: {kind}"')
    scope = reading.text(scope_place) or ("app" if kind == "overlay" else "site")
    if kind == "overlay" and scope == "app":
        return NetworkWords(kind="overlay", scope="app")
    if kind == "overlay" and scope_place is not None:
        detail = "a network of kind overlay is one over all sites: write scope: app, or kind: bridge"
        reading.findings.complain(scope_place, "E-CONFLICT", detail, at_key=True)
    elif scope == "app" and scope_place is not None:
        detail = "a network over all sites is of kind overlay: write kind: overlay, or scope: site"
        reading.findings.complain(scope_place, "E-CONFLICT", detail, at_key=True)
    return NetworkWords()


def _judge_driver(reading: Reading, place: Place) -> bool:
    """Say whether Compose's driver means a network over all sites."""
    name = reading.text(place)
    match name:
        case "" | "bridge":
            pass
        case "overlay":
            reading.findings.note(place, "translated", "kind: overlay, scope: app: one network over all sites")
            return True
        case "macvlan" | "ipvlan":
            reading.findings.note(place, "translated", f"kind: {name}")
        case "host" | "none":
            reading.findings.refuse(place, f'networks are private to the app, and "{name}" is not')
        case _:
            reading.findings.refuse(place, f'the network driver "{name[:40]}" is none that a site has')
    return False


def _read_lan(reading: Reading, network: Place, words: Given) -> Lan | UnsetType:
    """Return what a network is a part of at each site; unset for one that the node makes."""
    kind_place, id_place = reading.find(words.get("kind")), reading.find(words.get("id"))
    driver = reading.text(reading.find(network, "driver"))
    options = reading.find(network, "driver_opts")
    parent = reading.find(words.get("parent")) or reading.find(options, "parent")
    written = reading.text(kind_place) or (driver if driver in _LAN_DRIVERS else "bridge")
    kinds: dict[str, LanKind] = {name: name for name in get_args(LanKind)}
    if written not in kinds or (written == "bridge" and parent is None):
        for place in filter(None, (parent, id_place)):
            detail = f"a network of kind {written} is at no device of the node: kinds vlan, macvlan and ipvlan are"
            reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
        return UNSET
    for name, mode in _MODES.items():
        item = reading.find(options, name)
        if item is not None and driver in _LAN_DRIVERS and reading.text(item) != mode:
            reading.findings.refuse(item, f"at a site it is {mode}")
    if parent is None:
        where = kind_place or reading.find(network, "driver") or network
        detail = "the device of the node that it is at must be named"
        reading.findings.complain(where, "E-TYPE", detail, hint="give parent", at_key=True)
        return UNSET
    lan = Lan(kind=kinds[written], parent=reading.text(parent), id=reading.whole(id_place, 1, VLAN_ID_MAX, 0))
    if lan.kind == "vlan" and id_place is None:
        reading.findings.complain(kind_place or network, "E-TYPE", "a VLAN has a number", hint="give id", at_key=True)
        return UNSET
    flaw = find_lan_flaw(lan)
    if flaw:
        word, _, detail = flaw.partition(": ")
        reading.findings.complain((id_place if word == "id" else None) or parent, "E-TYPE", detail)
        return UNSET
    reading.findings.ask_grant(parent, Need("interface", lan.place))
    return lan


def _read_mtu(reading: Reading, network: Place, plan: NetworkPlan, said: NetworkWords, words: Given) -> int:
    """Return the bytes of a network's largest packet, by our word or by an option of Compose; 0 not stated."""
    place = reading.find(words.get("mtu"))
    mtu = reading.whole(place, *MTU, 0) or plan.mtu
    if place is not None and plan.mtu and mtu != plan.mtu:
        detail = f"the option of its driver says {plan.mtu}"
        reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
    if place is not None and said.scope == "app" and mtu > TUNNEL_MTU:
        detail = f"mtu: {TUNNEL_MTU}: the largest packet that a tunnel between sites takes"
        reading.findings.note(place, "translated", detail)
    where = place or find_mtu_option(reading, network)
    if where is not None and 0 < mtu < MTU_MIN_V6 and (plan.ipv6 or said.scope == "app"):
        detail = f"{mtu} is out of range: a network with addresses of version 6 takes at least {MTU_MIN_V6}"
        reading.findings.complain(where, "E-RANGE", detail)
    return mtu
