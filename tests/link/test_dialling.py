import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator

import pytest
from tests.link.rig import Answer, hostile_parent, make_dialer, make_listener, read_all

from skerry.clock import Tasks
from skerry.link.dialling import Address, Resolver, resolve_name
from skerry.link.ports import ConnectFailed, ConnectReason, Endpoint, Patience, Proxy
from skerry.link.server import LinkListener
from skerry.model import limits


async def resolve_nothing(_host: str, _port: int) -> list[Address]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def resolving(*addresses: str) -> Resolver:
    """A resolver that lies or tells the truth, as the test wants."""

    async def resolve(_host: str, port: int) -> list[Address]:
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(family, (address, port)) for family, address in zip(families, addresses, strict=True)]

    return resolve


@contextlib.asynccontextmanager
async def listening() -> AsyncGenerator[LinkListener, None]:
    tasks = Tasks()
    listener = make_listener(tasks)

    async def handle(_connection: object) -> None:
        return

    await listener.serve(handle)
    yield listener
    await listener.stop()
    await tasks.stop()
    assert tasks.failed == []


async def fail_to_dial(
    endpoint: Endpoint, dial_us: int = 20_000_000, resolve: Resolver = resolve_name
) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        await make_dialer(patience=Patience(dial_us=dial_us), resolve=resolve).dial(endpoint)
    return caught.value


async def test_a_dead_name_is_a_reason():
    failure = await fail_to_dial(Endpoint("core.example"), resolve=resolve_nothing)
    assert failure.reason is ConnectReason.DNS
    assert "core.example does not resolve" in failure.detail


async def test_a_name_without_addresses_is_a_reason():
    assert (await fail_to_dial(Endpoint("core.example"), resolve=resolving())).reason is ConnectReason.DNS


async def test_an_address_from_before_stands_in_for_a_dead_name():
    async with listening() as listener:
        known = Endpoint(
            "core.example", listener.port, addresses=(f"127.0.0.2:{listener.port}", f"127.0.0.1:{listener.port}")
        )
        child = await make_dialer(resolve=resolve_nothing).dial(known)
        assert child.peer == f"127.0.0.1:{listener.port}"
        await child.close()


async def test_a_family_where_nobody_answers_does_not_stop_the_other():
    async with listening() as listener:
        dialer = make_dialer(resolve=resolving("::1", "127.0.0.9", "127.0.0.1"))
        child = await dialer.dial(Endpoint("core.example", listener.port))
        await child.close()


async def test_the_systems_resolver_knows_this_machine():
    async with listening() as listener:
        child = await make_dialer().dial(Endpoint("localhost", listener.port))
        await child.close()


async def test_the_reasons_of_all_addresses_are_told():
    failure = await fail_to_dial(Endpoint("core.example", 1), resolve=resolving("127.0.0.1", "127.0.0.2"))
    assert failure.reason is ConnectReason.REFUSED
    assert "127.0.0.1: " in failure.detail
    assert "127.0.0.2: " in failure.detail


async def test_a_name_with_endless_addresses_is_tried_a_few_times():
    many = [f"127.0.1.{number}" for number in range(200)]
    failure = await fail_to_dial(Endpoint("core.example", 1), resolve=resolving(*many))
    assert failure.detail.count("127.0.1.") == limits.ADDRESSES_TRIED_MAX


async def test_a_resolver_that_never_answers_leaves_time_for_known_addresses():
    async def resolve(_host: str, _port: int) -> list[Address]:
        await asyncio.Event().wait()
        return []

    async with listening() as listener:
        known = Endpoint("core.example", listener.port, addresses=(f"127.0.0.1:{listener.port}",))
        child = await make_dialer(patience=Patience(connect_us=100_000), resolve=resolve).dial(known)
        await child.close()


# --- proxies ---------------------------------------------------------------------------------------------------------


class Tunnel:
    """An honest proxy; it notes what it was asked."""

    def __init__(self) -> None:
        self.head = b""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        host, _, port = self.head.split(b" ")[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.0 200 Connection established\r\nVia: proxy\r\n\r\n")
        try:
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                target.write(chunk)
                await target.drain()
        target.transport.abort()


async def test_a_proxy_carries_the_link():
    tunnel = Tunnel()
    async with listening() as listener, hostile_parent(tunnel.answer, None) as at:
        proxy = Proxy(at.host, at.port, "Basic c2tlcnJ5OnNlY3JldA==")
        child = await make_dialer().dial(Endpoint("127.0.0.1", listener.port, proxy=proxy))
        assert len(child.nonce) == 32
        await child.send(b"hello")
        await child.close()
    assert (
        tunnel.head
        == (
            f"CONNECT 127.0.0.1:{listener.port} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\n"
            "Proxy-Authorization: Basic c2tlcnJ5OnNlY3JldA==\r\n\r\n"
        ).encode()
    )


def answering(content: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()
        writer.write_eof()
        await read_all(reader)

    return answer


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", ConnectReason.PROXY),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", ConnectReason.PROXY),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", ConnectReason.CAPTIVE),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", ConnectReason.PROXY),
        (b"\x05\x00 no HTTP\r\n\r\n", ConnectReason.PROXY),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Filler: y\r\n" * 2000, ConnectReason.PROXY),
        (b"", ConnectReason.PROXY),
    ],
)
async def test_a_proxy_that_does_not_carry_it_is_a_reason(content: bytes, reason: ConnectReason):
    async with hostile_parent(answering(content), None) as at:
        endpoint = Endpoint("core.example", proxy=Proxy(at.host, at.port))
        assert (await fail_to_dial(endpoint)).reason is reason


async def test_a_proxy_that_says_nothing_is_left_at_the_deadline():
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_all(reader)

    async with hostile_parent(silent, None) as at:
        failure = await fail_to_dial(Endpoint("core.example", proxy=Proxy(at.host, at.port)), dial_us=300_000)
        assert failure.reason is ConnectReason.PROXY


async def test_a_proxy_that_is_not_there_is_a_reason():
    failure = await fail_to_dial(Endpoint("core.example", proxy=Proxy("127.0.0.1", 1)))
    assert failure.reason is ConnectReason.PROXY
