"""A copy of a service for tests of the entrance: ``entrance_server NAME ADDRESS PORT`` answers with its name.

HTTP with connections kept, a line over TCP for one that begins with ``HELLO``, and datagrams at the same port.
"""

import asyncio
import functools
import sys
from typing import cast


async def answer(name: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until its end."""
    try:
        while line := await reader.readline():
            if line.startswith(b"HELLO"):
                writer.write(name + b"\n")
                continue
            length, secure, is_last = 0, b"-", False
            while (header := await reader.readline()).strip():
                word, _, value = header.partition(b":")
                length = int(value) if word.lower() == b"content-length" else length
                is_last = is_last or header.lower().split() == [b"connection:", b"close"]
                secure = value.strip() if word.lower() == b"x-forwarded-proto" else secure
            await reader.readexactly(length)
            if b"/slow" in line:
                await asyncio.sleep(0.4)
            body = name + b" " + secure
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            if is_last:
                break
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


class Echo(asyncio.DatagramProtocol):
    """Answers a datagram with the name."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(self.name, addr)


async def main(name: bytes, address: str, port: int) -> None:
    """Serve until killed."""
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Echo(name), local_addr=(address, port))
    server = await asyncio.start_server(functools.partial(answer, name), address, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1].encode(), sys.argv[2], int(sys.argv[3])))
