"""The bytes of a chain's test packets, and how they are known again wherever they are seen. Pure.

Each carries a token of 32 bits: 24 drawn for one probing, and its number. It stands where a router has no reason to
change it: in the sequence number of a TCP SYN, else in the first bytes of the payload. Formats: RFC 791, 8200, 768,
9293, 792 and 4443.
"""

import ipaddress
import struct

from skerry.plan.actions import ProbeChain
from skerry.plan.chain_probes import hop_limit

#: Ethernet header: target, source, type.
_ETHERNET = 14
_TYPES = {"ip": 0x0800, "ip6": 0x86DD}
_HEADERS = {"ip": 20, "ip6": 40}
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_PROTOCOLS = {"tcp": (_TCP, _TCP), "udp": (_UDP, _UDP), "icmp": (_ICMP, _ICMP6)}
#: Where the token is behind the header of the address family: the sequence number, or the payload.
_TOKEN_AT = {"tcp": 4, "udp": 8, "icmp": 8}
#: Of the payload: as much as a plain ping has, so that nobody takes it for too short to be one.
_PAYLOAD = 56
#: The other port, of those that systems give to who asks (RFC 6335 section 6).
_FREE_PORT = 49_152


def token_offset(action: ProbeChain) -> int:
    """Return where in the frame the token begins."""
    return _ETHERNET + _HEADERS[action.family] + _TOKEN_AT[action.protocol]


def read_token(action: ProbeChain, frame: bytes) -> int | None:
    """Return the token of a frame that is long enough to have one."""
    at = token_offset(action)
    return int.from_bytes(frame[at : at + 4], "big") if len(frame) >= at + 4 else None


def build_frame(action: ProbeChain, token: int, source_mac: bytes, target_mac: bytes) -> bytes:
    """Return one test packet as it goes over the wire; ``token`` is its 32 bits."""
    own, other = (ipaddress.ip_address(each).packed for each in (action.source, action.target))
    protocol = _PROTOCOLS[action.protocol][action.family == "ip6"]
    body = _build_body(action, token)
    pseudo = b"" if protocol == _ICMP else own + other + struct.pack("!II", len(body), protocol)
    at = {_TCP: 16, _UDP: 6}.get(protocol, 2)
    body = body[:at] + (_sum(pseudo + body) or 0xFFFF).to_bytes(2, "big") + body[at + 2 :]
    head = target_mac + source_mac + _TYPES[action.family].to_bytes(2, "big")
    if action.family == "ip6":
        return head + struct.pack("!IHBB", 6 << 28, len(body), protocol, hop_limit(action)) + own + other + body
    words = (0x45, 0, 20 + len(body), token & 0xFFFF, 0x4000, hop_limit(action), protocol)
    plain = struct.pack("!BBHHHBB", *words) + bytes(2) + own + other
    return head + plain[:10] + _sum(plain).to_bytes(2, "big") + plain[12:] + body


def _build_body(action: ProbeChain, token: int) -> bytes:
    """Return what is behind the addresses, with an empty checksum."""
    free = _FREE_PORT + (token >> 8) % (65_536 - _FREE_PORT)
    ports = (free, action.port) if action.ports_of == "to" else (action.port, free)
    payload = token.to_bytes(4, "big") + bytes(range(_PAYLOAD - 4))
    match action.protocol:
        case "tcp":
            syn = 5 << 12 | 0x02
            return struct.pack("!HHIIHHHH", *ports, token, 0, syn, 64_240, 0, 0)
        case "udp":
            return struct.pack("!HHHH", *ports, 8 + _PAYLOAD, 0) + payload
        case "icmp":
            kind = 128 if action.family == "ip6" else 8
            return struct.pack("!BBHHH", kind, 0, 0, token >> 16, token & 0xFFFF) + payload


def _sum(content: bytes) -> int:
    """Return the checksum of RFC 1071."""
    total = sum(struct.unpack(f"!{(len(content) + 1) // 2}H", content + bytes(len(content) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
