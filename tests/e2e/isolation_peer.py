"""One end of the isolation matrix, run inside its own namespace: it sees what arrives, and sends what it is told to.

``isolation_peer see`` prints ``ready`` and, once its input ends, every packet that arrived as one JSON list: (protocol,
source, target, what it carries). It looks at the wire; ``isolation_peer hear`` does so behind the firewall of its own
namespace, where nobody knows any more to which address a packet went. ``isolation_peer send`` reads a JSON list of
(protocol, source or nothing, target, what to carry) and sends each of them.
"""

import contextlib
import ipaddress
import json
import select
import socket
import struct
import sys
from collections.abc import Callable

#: Where every end listens; TCP and UDP.
PORT = 7000
_ECHO = {4: (8, socket.IPPROTO_ICMP), 6: (128, socket.IPPROTO_ICMPV6)}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
#: How an AF_PACKET socket marks what its own namespace has sent.
_SENT_HERE = 4
_FREEBIND = {4: (socket.SOL_IP, 15), 6: (socket.IPPROTO_IPV6, 78)}


Seen = tuple[str, str, str, str]


def see() -> None:
    """Note each TCP connection's first packet, each datagram and each echo request on the wires of this namespace."""
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

        def read(_: socket.socket) -> Seen | None:
            packet, where = wire.recvfrom(2048)
            return None if where[2] == _SENT_HERE else read_packet(packet)

        _collect([wire], read)


def hear() -> None:
    """Note what the sockets of this namespace are given."""
    with contextlib.ExitStack() as stack:
        ends: list[socket.socket] = []
        for version, family in _FAMILY.items():
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                end = socket.socket(family, kind, _ECHO[version][1] if kind == socket.SOCK_RAW else 0)
                ends.append(stack.enter_context(end))
                if version == 6 and kind != socket.SOCK_RAW:
                    end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                end.bind(("", 0 if kind == socket.SOCK_RAW else PORT))
                if kind == socket.SOCK_STREAM:
                    end.listen(64)
        _collect(ends, _hear_one)


def _hear_one(end: socket.socket) -> Seen | None:
    if end.type == socket.SOCK_STREAM:
        taken, where = end.accept()
        taken.close()
        return "tcp", where[0], "", ""
    content, where = end.recvfrom(2048)
    if end.type == socket.SOCK_DGRAM:
        return "udp", where[0], "", content.decode()
    body = content[(content[0] & 15) * 4 :] if end.family == socket.AF_INET else content
    return ("icmp", where[0], "", body[8:].decode()) if body[0] in (8, 128) else None


def _collect(ends: list[socket.socket], read: Callable[[socket.socket], Seen | None]) -> None:
    print("ready", flush=True)
    seen: set[Seen] = set()
    while True:
        ready, _, _ = select.select([*ends, sys.stdin], [], [])
        if ready == [sys.stdin]:
            print(json.dumps(sorted(seen)))
            return
        for each in (each for each in ends if each in ready):
            found = read(each)
            if found is not None:
                seen.add(found)


def read_packet(packet: bytes) -> Seen | None:
    """Return protocol, source, target and what a packet carries; None for one that nobody sends on purpose."""
    if not packet:
        return None
    if packet[0] >> 4 == 4:
        protocol, start = packet[9], (packet[0] & 15) * 4
        ends = packet[12:16], packet[16:20]
    else:
        protocol, start = packet[6], 40
        ends = packet[8:24], packet[24:40]
    source, target = (str(ipaddress.ip_address(each)) for each in ends)
    body = packet[start:]
    if protocol == socket.IPPROTO_TCP and len(body) > 13 and body[13] & 0x12 == 2:
        return "tcp", source, target, ""
    if protocol == socket.IPPROTO_UDP and struct.unpack("!H", body[2:4])[0] == PORT:
        return "udp", source, target, body[8:].decode()
    if protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6) and body[0] in (8, 128):
        return "icmp", source, target, body[8:].decode()
    return None


def send(wishes: list[tuple[str, str, str, str]]) -> None:
    """Send each packet once; what the kernel itself refuses is not sent."""
    kept: list[socket.socket] = []
    for protocol, source, target, carried in wishes:
        version = ipaddress.ip_address(target).version
        kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "icmp": socket.SOCK_RAW}[protocol]
        end = socket.socket(_FAMILY[version], kind, _ECHO[version][1] if protocol == "icmp" else 0)
        kept.append(end)
        end.setblocking(False)
        with contextlib.suppress(OSError):
            if source:
                end.setsockopt(*_FREEBIND[version], 1)
                end.bind((source, 0))
            if protocol == "tcp":
                end.connect_ex((target, PORT))
            elif protocol == "udp":
                end.sendto(carried.encode(), (target, PORT))
            else:
                end.sendto(make_echo(version, carried.encode()), (target, 0))
    for each in kept:
        each.close()


def make_echo(version: int, carried: bytes) -> bytes:
    """Write an echo request; of IPv6 the kernel writes the checksum."""
    head = struct.pack("!BBHHH", _ECHO[version][0], 0, 0, 7, 1)
    if version == 6:
        return head + carried
    content = head + carried + bytes(len(carried) % 2)
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:2] + struct.pack("!H", ~total & 0xFFFF) + head[4:] + carried


if __name__ == "__main__":
    match sys.argv[1]:
        case "see":
            see()
        case "hear":
            hear()
        case _:
            send(json.loads(sys.stdin.read()))
