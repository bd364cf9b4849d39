"""One connection that carries as much as fits: ``bulk hear ADDRESS PORT`` or ``bulk send ADDRESS PORT SECONDS``.

Prints one JSON object: bytes, seconds from the first byte to the last, and seconds of this process's processor. It
needs the standard library alone, as it runs in namespaces that have nothing.
"""

import json
import socket
import sys
import time

#: Large enough that system calls cost nothing beside the packets.
CHUNK = 256 * 1024


def hear(address: str, port: int) -> tuple[int, float]:
    """Take one connection to its end."""
    with socket.create_server((address, port)) as server:
        print("ready", flush=True)
        taken, _ = server.accept()
        buffer, size, began = bytearray(CHUNK), 0, 0.0
        with taken:
            while count := taken.recv_into(buffer):
                began = began or time.monotonic()
                size += count
        return size, time.monotonic() - began


def send(address: str, port: int, seconds: float) -> tuple[int, float]:
    """Send for so long."""
    chunk, size = bytes(CHUNK), 0
    with socket.create_connection((address, port), timeout=20) as connection:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            connection.sendall(chunk)
            size += len(chunk)
        return size, time.monotonic() - began


if __name__ == "__main__":
    verb, address, port, *rest = sys.argv[1:]
    size, seconds = hear(address, int(port)) if verb == "hear" else send(address, int(port), float(rest[0]))
    print(json.dumps({"bytes": size, "seconds": seconds, "cpu_s": time.process_time()}))
