"""What an instance says to whoever asks it, against real sockets of this machine's loopback."""

import asyncio
import contextlib

import pytest

from skerry.drivers.podman.probe import ask
from skerry.model.app import Probe

SECOND_US = 1_000_000


async def asked(answer, path="/health", timeout_us=5 * SECOND_US):
    """Ask a server that answers every request so; return what was found wrong, and what the server heard."""
    heard = bytearray()
    served = asyncio.Event()

    async def serve(reader, writer):
        with contextlib.suppress(OSError):  # whoever has heard enough breaks the connection off
            if path:
                heard.extend(await reader.readuntil(b"\r\n\r\n"))
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        flaw = await ask("127.0.0.1", Probe(port=port, path=path), timeout_us)
        await served.wait()
    return flaw.replace(str(port), "PORT"), bytes(heard).replace(str(port).encode(), b"PORT")


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "/health at port PORT answered 404"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "/health at port PORT answered 503"),
        (b"SSH-2.0-x\r\n", "port PORT does not speak HTTP"),
        (b"", "port PORT does not speak HTTP"),
        (b"x" * 100_000, "port PORT does not speak HTTP"),
    ],
)
async def test_the_status_of_a_page_decides(answer, flaw):
    found, heard = await asked(answer)
    assert found == flaw
    assert heard.startswith(b"GET /health HTTP/1.1\r\nHost: localhost:PORT\r\n")


async def test_whoever_takes_a_connection_need_not_say_anything():
    assert await asked(b"", path="") == ("", b"")


async def test_an_answer_that_does_not_come_is_not_waited_for():
    found, _ = await asked(None, timeout_us=SECOND_US // 20)
    assert found == "port PORT gave no answer within 0.05 s"


async def test_where_nobody_listens():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert "takes no connection" in await ask("127.0.0.1", Probe(port=port), SECOND_US)
    assert "no address" in await ask("", Probe(port=80), SECOND_US)
