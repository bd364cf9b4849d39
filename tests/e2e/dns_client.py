"""Asks a name server one question, by the standard library alone: also run in the network of an instance.

python dns_client.py SERVER NAME:KIND...
"""

import asyncio
import json
import socket
import struct
import sys

KINDS = {"A": 1, "PTR": 12, "AAAA": 28, "SRV": 33}
CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
SILENT = ("SILENT", ())


def write(name: str, kind: str, number: int = 7) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", KINDS[kind], 1)


def read_name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    end = 0
    while data[at]:
        if data[at] >= 0xC0:
            end = end or at + 2
            at = int.from_bytes(data[at : at + 2], "big") & 0x3FFF
        else:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += data[at] + 1
    return ".".join(labels) + ".", end or at + 1


def read(data: bytes) -> tuple[str, tuple[str, ...]]:
    answers = int.from_bytes(data[6:8], "big")
    at = read_name(data, 12)[1] + 4
    found: list[str] = []
    for _ in range(answers):
        at = read_name(data, at)[1]
        kind, size = struct.unpack(">HxxxxxxH", data[at : at + 10])
        at += 10
        body = data[at : at + size]
        if kind in (1, 28):
            found.append(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, body))
        elif kind == 12:
            found.append(read_name(data, at)[0])
        elif kind == 33:
            found.append(" ".join(map(str, struct.unpack(">HHH", body[:6]))) + " " + read_name(data, at + 6)[0])
        at += size
    return CODES[data[3] & 15], tuple(sorted(found))


async def ask(source: str, server: str, name: str, kind: str) -> tuple[str, tuple[str, ...]]:
    """Ask from an address, or from any where that is empty."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        if source:
            asking.bind((source, 0))
        asking.connect((server, 53))
        try:
            async with asyncio.timeout(1.0):
                await loop.sock_sendall(asking, write(name, kind))
                return read(await loop.sock_recv(asking, 4096))
        except (OSError, TimeoutError):
            return SILENT


async def ask_all(server: str, *questions: str) -> list[tuple[str, tuple[str, ...]]]:
    return [await ask("", server, *each.split(":")) for each in questions]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask_all(*sys.argv[1:]))))
