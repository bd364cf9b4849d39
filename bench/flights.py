"""Who spoke when on a link: the packets of one TCP port, listened to at a site's device, folded into flights.

A flight is what one end sends without hearing anything new from the other. Payloads only: acknowledgements are silent.
"""

import select
import socket
import struct
import threading
from pathlib import Path
from typing import Literal

from skerry.berths.namespaces import inside_net

_ETH_P_ALL = 3
_OUTGOING = 4
#: Flights of a TLS 1.3 handshake: the client's hello, the server's whole part. The client's end of it goes with HTTP.
_TLS_FLIGHTS = 2

Side = Literal["site", "core"]


class Flights:
    """Listens while it is entered."""

    def __init__(self, net: Path, device: str, port: int) -> None:
        self._port = port
        with inside_net(net):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.bind((device, 0))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._connection = 0
        #: By whom, and how many bytes of payload, since the newest connection was made.
        self.flights: list[tuple[Side, int]] = []

    def __enter__(self) -> "Flights":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def count_round_trips(self) -> int:
        """How often, after TLS, the site waited for the core before it had sent the last of what it had to say."""
        sides = [side for side, _ in self.flights]
        last = len(sides) - sides[::-1].index("site") - 1
        return sides[_TLS_FLIGHTS:last].count("core")

    def _listen(self) -> None:
        while not self._stop.is_set():
            if select.select([self._socket], [], [], 0.1)[0]:
                packet, address = self._socket.recvfrom(65535)
                self._take(packet, "site" if address[2] == _OUTGOING else "core")

    def _take(self, packet: bytes, side: Side) -> None:
        head = (packet[0] & 15) * 4
        if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
            return
        ports = struct.unpack_from("!HH", packet, head)
        if self._port not in ports:
            return
        client = ports[0] if side == "site" else ports[1]
        if client != self._connection:
            self._connection, self.flights = client, []
        size = struct.unpack_from("!H", packet, 2)[0] - head - (packet[head + 12] >> 4) * 4
        if size <= 0:
            return
        if self.flights and self.flights[-1][0] == side:
            size += self.flights.pop()[1]
        self.flights.append((side, size))
