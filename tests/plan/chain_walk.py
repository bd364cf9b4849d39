"""Packets walked through what a node would steer by, rule by rule, in the town of ``chain_scene.py``."""

import msgspec
from tests.plan.chain_scene import DESK, INSIDE, LAN, PEOPLE, address, bridge, mac

from skerry.model.observed import ChainHop
from skerry.plan.actions import ApplyChains
from skerry.sim.chains import FakeChains
from skerry.sim.chains import Packet as SimPacket

INTERNET = "203.0.113.9"
CLIENT = address(INSIDE, 10)


class Packet(msgspec.Struct, frozen=True):
    """What a node knows of a packet that comes in; ports are those of its source and its target."""

    source: str
    target: str
    bridge: str = ""
    mac: str = ""
    protocol: str = "tcp"
    ports: tuple[int, int] = (40_000, 80)
    device: str = ""
    source_by: str = ""
    target_by: str = ""
    led_in: bool = False


def walk(action: ApplyChains, packet: Packet) -> list[str]:
    """Return whom the packet meets, and what becomes of it at last; a step hands on what it is given as it is."""
    node = FakeChains(pass_on)
    node.apply(action)
    family = "ip6" if ":" in packet.source else "ip"
    words = {name: getattr(packet, name) for name in packet.__struct_fields__ if name != "ports"}
    found = node.walk(SimPacket(family=family, from_port=packet.ports[0], to_port=packet.ports[1], **words))
    return [*(_find_speaker(hop)[0] for hop in found.given), "unsteered" if found.end == "aside" else found.end]


def _find_speaker(hop: ChainHop) -> tuple[str, int]:
    name, number, network = next(
        (name, number, network)
        for name, (number, networks) in PEOPLE.items()
        for network in networks
        if hop.address in (address(network, number), address(network, number, six=True))
    )
    assert hop.bridge == bridge(network)
    return name, number


def pass_on(hop: ChainHop) -> tuple[str, str]:
    """It leaves by the last of its networks, as a default route there would have it."""
    name, number = _find_speaker(hop)
    last = PEOPLE[name][1][-1]
    return bridge(last), mac(last, number)


def out(source: str = CLIENT, target: str = INTERNET, **words: object) -> Packet:
    return msgspec.structs.replace(Packet(source, target, bridge(INSIDE), mac(INSIDE, 10)), **words)


def back(target: str = CLIENT, source: str = INTERNET, **words: object) -> Packet:
    return msgspec.structs.replace(Packet(source, target, ports=(80, 40_000)), **words)


def lan_out(target: str = INTERNET, **words: object) -> Packet:
    """Return what the desk on the LAN sends."""
    return msgspec.structs.replace(Packet(DESK[0], target, device=LAN, source_by=LAN), **words)


def lan_back(source: str = INTERNET, **words: object) -> Packet:
    """Return what it is answered."""
    return msgspec.structs.replace(Packet(source, DESK[0], ports=(80, 40_000), target_by=LAN), **words)
