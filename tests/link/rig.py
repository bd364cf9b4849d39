"""A delivery authority, a listener on an ephemeral loopback port, and raw TLS for peers that misbehave."""

import asyncio
import contextlib
import datetime
import functools
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from skerry.clock import SeededMint, SystemClock, Tasks
from skerry.link.admission import Quota
from skerry.link.client import LinkDialer
from skerry.link.dialling import Resolver, resolve_name
from skerry.link.ports import Endpoint, Patience, SpiffeName, Trust
from skerry.link.server import LinkListener
from skerry.link.tls import make_server_context, make_unverified_context
from skerry.model import limits
from skerry.trust import x509

NAME = SpiffeName("td", "core")
UPGRADE = (
    b"GET /v1/link HTTP/1.1\r\nHost: core\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@functools.cache
def make_authority(seed: int = 1) -> x509.DeliveryAuthority:
    return x509.make_delivery_ca(bytes([seed]) * 32)


@functools.cache
def make_identity(
    seed: int = 1, spiffe: str = "spiffe://td/core/one", year: int = 2000, dns: tuple[str, ...] = ("localhost",)
) -> tuple[bytes, bytes]:
    """A certificate valid in one long past year only: sites do not look at the time."""
    return x509.make_server_certificate(
        make_authority(seed),
        x509.ServerNames(spiffe, dns, ("127.0.0.1",)),
        datetime.datetime(year, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(year + 1, 1, 1, tzinfo=datetime.UTC),
        seed=bytes([seed + 100]) * 32,
    )


def make_trust(seed: int = 1) -> Trust:
    return Trust((make_authority(seed).certificate_der,), NAME)


def make_dialer(seed: int = 1, *, patience: Patience | None = None, resolve: Resolver = resolve_name) -> LinkDialer:
    return LinkDialer(make_trust(seed), SeededMint("child"), patience=patience or Patience(), resolve=resolve)


def make_listener(
    tasks: Tasks,
    *,
    host: str = "127.0.0.1",
    read_roots: Callable[[int], bytes] = lambda after: b"roots after %d" % after,
    quota: Quota | None = None,
    patience: Patience | None = None,
    children_max: int = limits.LINK_CHILDREN_MAX,
) -> LinkListener:
    certificate, key = make_identity()
    return LinkListener(
        certificate_pem=certificate,
        key_pem=key,
        host=host,
        port=0,
        read_roots=read_roots,
        clock=SystemClock(),
        mint=SeededMint("parent"),
        tasks=tasks,
        quota=quota,
        patience=patience,
        children_max=children_max,
    )


@contextlib.asynccontextmanager
async def hostile_child(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    """TLS to a listener by somebody who then writes what he likes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=make_unverified_context())
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """What a peer still sends until it ends the connection, gently or not."""
    content = b""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while chunk := await reader.read(65536):
            content += chunk
    return content


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def hostile_parent(answer: Answer, identity: tuple[bytes, bytes] | None) -> AsyncGenerator[Endpoint, None]:
    """A server that runs ``answer`` per connection, over TLS with ``identity`` or over plain TCP."""
    context: ssl.SSLContext | None = make_server_context(*identity) if identity is not None else None
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            # A cancelled one returns as well: asyncio 3.11 logs an error for a stream handler that ends otherwise.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await answer(reader, writer)
        finally:
            running.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await server.wait_closed()
