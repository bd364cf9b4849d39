"""Test packets as bytes: what any router reads in them, and the token that they carry."""

import ipaddress
import struct

import pytest

from skerry.model.ids import AppName, InstanceId, ServiceName, TenantName
from skerry.plan.actions import ProbeChain, ProbeHop
from skerry.plan.chain_frames import build_frame, read_token, token_offset

OWN, OTHER = bytes.fromhex("feffffff5350"), bytes.fromhex("020000000001")
TOKEN = 0xABCDEF07


def make(protocol: str, six: bool, ports_of: str = "to") -> ProbeChain:
    return ProbeChain(
        tenant=TenantName("t"),
        app=AppName("a"),
        chain="out",
        family="ip6" if six else "ip",
        protocol=protocol,  # type: ignore[arg-type]
        port=0 if protocol == "icmp" else 443,
        ports_of=ports_of,  # type: ignore[arg-type]
        bridge="sk0",
        source="fd00::a" if six else "10.64.0.10",
        target="2001:db8::1" if six else "192.0.2.1",
        hops=(ProbeHop(ServiceName("wall"), InstanceId("t/a/wall/0"), ()),),
        count=3,
    )


def fold(content: bytes) -> int:
    """Return the sum of RFC 1071 over something that has its own checksum: all ones where that is right."""
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("protocol", ["tcp", "udp", "icmp"])
def test_a_frame_is_whole_and_has_its_token(protocol: str, six: bool):
    action = make(protocol, six)
    frame = build_frame(action, TOKEN, OWN, OTHER)
    assert (frame[:6], frame[6:12], frame[12:14].hex()) == (OTHER, OWN, "86dd" if six else "0800")
    head, body = (frame[14:54], frame[54:]) if six else (frame[14:34], frame[34:])
    source, target = (ipaddress.ip_address(each).packed for each in (action.source, action.target))
    if six:
        assert (head[0] >> 4, head[7], head[8:24], head[24:40]) == (6, 3, source, target)
        number, length = head[6], struct.unpack("!H", head[4:6])[0]
    else:
        assert (head[0], head[8], head[12:16], head[16:20]) == (0x45, 3, source, target)
        assert fold(head) == 0xFFFF
        number, length = head[9], struct.unpack("!H", head[2:4])[0] - 20
    assert length == len(body)
    pseudo = source + target + struct.pack("!II", len(body), number)
    assert fold((b"" if number == 1 else pseudo) + body) == 0xFFFF
    assert number == {"tcp": 6, "udp": 17, "icmp": 58 if six else 1}[protocol]
    assert read_token(action, frame) == TOKEN
    assert read_token(action, frame[: token_offset(action) + 3]) is None
    if protocol != "icmp":
        assert struct.unpack("!H", body[2:4])[0] == 443
    if protocol == "tcp":
        assert body[13] == 0x02  # a SYN and nothing else


def test_a_packet_of_answers_has_the_port_at_the_other_end():
    body = build_frame(make("tcp", six=False, ports_of="from"), TOKEN, OWN, OTHER)[34:]
    assert struct.unpack("!H", body[:2])[0] == 443
    assert struct.unpack("!H", body[2:4])[0] >= 49_152
