"""The child's end: from an endpoint to an open connection, or to the reason why not.

After TLS (dialling.py) come the name check and the upgrade; nothing is sent to a server that is not the pinned one.
``fetch_roots`` is the one exception, and sends nothing but a number. The agent imports this file, so nothing heavy
stands behind it.
"""

import asyncio
import base64
import binascii

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Response
from websockets.uri import parse_uri

from skerry.clock import SECOND_US, Mint
from skerry.link.channel import HEAD_END, Channel
from skerry.link.dialling import Deadline, Resolver, open_tls, resolve_name
from skerry.link.heads import (
    LINK_PATH,
    NONCE_BYTES,
    NONCE_HEADER,
    ROOTS_PATH,
    Head,
    parse_head,
    read_count,
    read_status,
)
from skerry.link.ports import CloseReason, ConnectFailed, Connection, ConnectReason, Endpoint, Patience, Trust
from skerry.link.tls import digest_der, is_named, list_names, make_client_context, make_unverified_context
from skerry.model import limits

#: Statuses of pages for people: what captive portals answer, whatever they are asked.
_PAGES = frozenset({*range(200, 400), 511})
#: Statuses with which a parent asks to come back later.
_BUSY = frozenset({429, 503})
#: What ``Retry-After`` is cut to: a broken parent cannot send a site away for good.
_RETRY_AFTER_S_MAX = 3600
_PATIENCE = Patience()
_HeadFuture = asyncio.Future[tuple[bytes, bytes]]


class LinkDialer:
    """Implements ``ports.Dialer`` with TLS 1.3 and a WebSocket. A new root, with other authorities, is a new dialer."""

    def __init__(
        self,
        trust: Trust,
        mint: Mint,
        *,
        patience: Patience = _PATIENCE,
        resolve: Resolver = resolve_name,
    ) -> None:
        self._context = make_client_context(trust)
        self._name = trust.name
        self._mint = mint
        self._patience = patience
        self._resolve = resolve

    async def dial(self, endpoint: Endpoint) -> Connection:
        """Open a connection to the link listener at ``endpoint``; raise ConnectFailed with the reason."""
        deadline = Deadline(self._patience.dial_us)
        heads: _HeadFuture = asyncio.get_running_loop().create_future()

        def take_head(_channel: Channel, head: bytes, rest: bytes) -> None:
            if not heads.done():
                heads.set_result((head, rest))

        _transport, channel = await open_tls(
            endpoint,
            self._context,
            lambda: Channel(take_head, self._patience, self._draw_mask),
            patience=self._patience,
            deadline=deadline,
            resolve=self._resolve,
        )
        try:
            self._check_peer(channel)
            upgrading = _upgrade(channel, endpoint, heads)
            await deadline.wait(upgrading, ConnectReason.STALLED, f"{endpoint} does not answer the upgrade")
        except BaseException:
            channel.give_up(CloseReason.OURS, "the dial failed")
            raise
        return channel

    def _check_peer(self, channel: Channel) -> None:
        certificate, der = channel.read_certificate()
        if not is_named(certificate, self._name):
            seen = ", ".join(f"{kind} {name}" for kind, names in list_names(certificate).items() for name in names)
            raise ConnectFailed(ConnectReason.TLS_NAME, f"wanted {self._name}, the server names {seen or 'nobody'}")
        channel.server_digest = digest_der(der)

    def _draw_mask(self) -> bytes:
        return self._mint.draw(4)


async def fetch_roots(
    endpoint: Endpoint, after: int, *, patience: Patience = _PATIENCE, resolve: Resolver = resolve_name
) -> bytes:
    """Return the answer to ``GET /v1/roots?after=N``, at most ROOTS_BYTES_MAX; raise ConnectFailed.

    Over an unverified connection: what comes proves itself or is thrown away, and nothing but ``after`` is sent.
    """
    deadline = Deadline(patience.dial_us)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limits.LINK_HEAD_BYTES_MAX)
    transport, protocol = await open_tls(
        endpoint,
        make_unverified_context(),
        lambda: asyncio.StreamReaderProtocol(reader),
        patience=patience,
        deadline=deadline,
        resolve=resolve,
    )
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    request = f"GET {ROOTS_PATH}?after={after} HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n"
    try:
        writer.write(request.encode())
        return await deadline.wait(_read_roots(reader, endpoint), ConnectReason.STALLED, f"{endpoint} does not answer")
    finally:
        writer.transport.abort()


async def _upgrade(channel: Channel, endpoint: Endpoint, heads: _HeadFuture) -> None:
    protocol = ClientProtocol(parse_uri(f"wss://{endpoint}{LINK_PATH}"))
    channel.write_head(protocol.connect().serialize())
    content, rest = await heads
    if not content:
        raise ConnectFailed(ConnectReason.RESET, f"{endpoint} ended the connection in place of an answer")
    head = _read_answer(content, endpoint, wanted=101)
    try:
        protocol.process_response(Response(read_status(head), head.first[2], Headers(head.headers)))
        nonce = base64.b64decode(head.headers.get(NONCE_HEADER.lower(), ""), validate=True)
    except (InvalidHandshake, binascii.Error) as error:
        raise ConnectFailed(ConnectReason.BAD_UPGRADE, f"{endpoint}: {error}") from None
    if len(nonce) != NONCE_BYTES:
        raise ConnectFailed(ConnectReason.BAD_UPGRADE, f"{endpoint} sent a nonce of {len(nonce)} bytes")
    channel.nonce = nonce
    channel.begin_frames(rest)


async def _read_roots(reader: asyncio.StreamReader, endpoint: Endpoint) -> bytes:
    try:
        head = _read_answer(await reader.readuntil(HEAD_END), endpoint, wanted=200)
        size = read_count(head.headers.get("content-length", ""))
        if size is None or size > limits.ROOTS_BYTES_MAX:
            raise ConnectFailed(ConnectReason.BAD_UPGRADE, f"{endpoint} sent roots without a size, or too many")
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, OSError):
        raise ConnectFailed(ConnectReason.RESET, f"{endpoint} ended the connection in place of an answer") from None
    except asyncio.LimitOverrunError:
        raise ConnectFailed(ConnectReason.BAD_UPGRADE, f"{endpoint} sent a head without end") from None


def _read_answer(content: bytes, endpoint: Endpoint, *, wanted: int) -> Head:
    """Return the head of an answer with the ``wanted`` status; raise ConnectFailed for any other, by what it means."""
    try:
        head = parse_head(content)
        status = read_status(head)
    except ValueError as error:
        raise ConnectFailed(ConnectReason.BAD_UPGRADE, f"{endpoint}: {error}") from None
    page = "html" in head.headers.get("content-type", "")
    if status == wanted and not page:
        return head
    if status in _BUSY:
        wait_s = min(read_count(head.headers.get("retry-after", "")) or 0, _RETRY_AFTER_S_MAX)
        raise ConnectFailed(ConnectReason.BUSY, f"{endpoint} has no room", retry_after_us=wait_s * SECOND_US)
    if status in _PAGES:
        raise ConnectFailed(ConnectReason.CAPTIVE, f"{endpoint} answered {status} with a page: no link, a portal")
    raise ConnectFailed(ConnectReason.BAD_UPGRADE, f"{endpoint} answered {status}")
