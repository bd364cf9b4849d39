"""The lower half of a dial: name, address, HTTP proxy, TLS; every failure typed by the step in which it happened.

Names are looked up in the event loop's executor, because the system's resolver blocks; all else is non-blocking.
"""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from skerry.clock import SECOND_US
from skerry.link.channel import HEAD_END
from skerry.link.heads import parse_head, read_status
from skerry.link.ports import ConnectFailed, ConnectReason, Endpoint, Patience, Proxy, parse_endpoint
from skerry.model import limits

_T = TypeVar("_T")
_P = TypeVar("_P", bound=asyncio.BaseProtocol)
#: Family and socket address, as the socket module wants them.
Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]
#: From name and port to addresses, best first; raises OSError when there are none.
Resolver = Callable[[str, int], Awaitable[list[Address]]]

#: Name of the link's class among queues: ``HANDLE`` of ``drivers/queues.py``, ``LINK_CLASS`` of ``plan/queues.py``.
LINK_PRIORITY = 0x5E2F_0010
_UNREACHABLE = frozenset(
    {errno.ENODEV, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES}
)
_RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN})


class Deadline:
    """When a dial must be done; each step says what running out of time in it means."""

    def __init__(self, dial_us: int) -> None:
        self._at_s = asyncio.get_running_loop().time() + dial_us / SECOND_US

    async def wait(self, step: Awaitable[_T], reason: ConnectReason, detail: str) -> _T:
        """Return what ``step`` returns, or raise ConnectFailed with ``reason`` at the deadline."""
        try:
            async with asyncio.timeout_at(self._at_s):
                return await step
        except TimeoutError:
            raise ConnectFailed(reason, detail) from None


async def resolve_name(host: str, port: int) -> list[Address]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, cast("tuple[str, int]", address)) for family, _type, _protocol, _name, address in found]


async def open_tls(
    endpoint: Endpoint,
    context: ssl.SSLContext,
    factory: Callable[[], _P],
    *,
    patience: Patience,
    deadline: Deadline,
    resolve: Resolver,
) -> tuple[asyncio.Transport, _P]:
    """Return transport and the protocol that ``factory`` makes once TLS to ``endpoint`` stands; raise ConnectFailed."""
    connecting = _connect(endpoint, resolve, patience)
    sock = await deadline.wait(connecting, ConnectReason.TIMEOUT, f"no answer from {endpoint}")
    if endpoint.proxy is not None:
        try:
            asking = _ask_proxy(sock, endpoint, endpoint.proxy)
            await deadline.wait(asking, ConnectReason.PROXY, f"{endpoint.proxy} does not answer")
        except BaseException:
            sock.close()
            raise
    beginning = _begin_tls(sock, endpoint, context, factory, patience)  # from here on the socket is the event loop's
    return await deadline.wait(beginning, ConnectReason.STALLED, f"connected to {endpoint}, then no TLS came through")


async def _connect(endpoint: Endpoint, resolve: Resolver, patience: Patience) -> socket.socket:
    proxy = endpoint.proxy
    known = () if proxy else endpoint.addresses
    host, port = (proxy.host, proxy.port) if proxy else (endpoint.host, endpoint.port)
    try:
        async with asyncio.timeout(patience.connect_us / SECOND_US):
            addresses = _alternate_families(await resolve(host, port))
    except OSError as error:  # which TimeoutError is, too
        if not known:
            raise ConnectFailed(ConnectReason.DNS, f"{host} does not resolve: {error or 'no answer'}") from None
        addresses = [_read_address(address) for address in known]
    failures: list[ConnectFailed] = []
    for family, address in addresses[: limits.ADDRESSES_TRIED_MAX]:
        try:
            return await _connect_address(family, address, patience, endpoint.device)
        except ConnectFailed as failure:
            failures.append(failure)
    detail = "; ".join(failure.detail for failure in failures)
    if not failures:
        raise ConnectFailed(ConnectReason.DNS, f"{proxy or endpoint} resolves to nothing")
    raise ConnectFailed(ConnectReason.PROXY if proxy else failures[-1].reason, detail)


def _alternate_families(found: list[Address]) -> list[Address]:
    """Take the families by turns, so that a dead one costs one try between two of the other."""
    by_family: dict[int, list[Address]] = {}
    for family, address in found:
        by_family.setdefault(family, []).append((family, address))
    longest = max(map(len, by_family.values()), default=0)
    return [held[index] for index in range(longest) for held in by_family.values() if index < len(held)]


def _read_address(text: str) -> Address:
    known = parse_endpoint(text)
    return (socket.AF_INET6 if ":" in known.host else socket.AF_INET), (known.host, known.port)


async def _connect_address(
    family: int, address: tuple[str, int] | tuple[str, int, int, int], patience: Patience, device: str = ""
) -> socket.socket:
    host = address[0]
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        set_stall_limit(sock, patience)
        _choose_way(sock, device)
        async with asyncio.timeout(patience.connect_us / SECOND_US):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except TimeoutError:
        sock.close()
        raise ConnectFailed(ConnectReason.TIMEOUT, f"{host} does not answer") from None
    except OSError as error:
        sock.close()
        raise ConnectFailed(_classify(error), f"{host}: {_explain(error)}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def _choose_way(sock: socket.socket, device: str) -> None:
    """Bind a socket to a device, and have its packets go before others where uplinks are shared out (``tc``)."""
    with contextlib.suppress(PermissionError):  # Without the right to it, it waits like everything else.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, LINK_PRIORITY)
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())


def set_stall_limit(sock: socket.socket, patience: Patience) -> None:
    """Have the kernel end a connection whose written bytes stay unacknowledged: half-open ones go by themselves."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience.stall_us // 1000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # What the kernel has and has not sent cannot be overtaken by a heartbeat any more (faults.md N9).
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, limits.LINK_UNSENT_BYTES_MAX // 4)


async def _ask_proxy(sock: socket.socket, endpoint: Endpoint, proxy: Proxy) -> None:
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {endpoint} HTTP/1.1", f"Host: {endpoint}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    head = b""
    try:
        await loop.sock_sendall(sock, "\r\n".join((*lines, "", "")).encode("latin-1"))
        while HEAD_END not in head:
            chunk = await loop.sock_recv(sock, 4096)
            head += chunk
            if not chunk or len(head) > limits.LINK_HEAD_BYTES_MAX:
                raise ConnectFailed(ConnectReason.PROXY, f"{proxy} is no HTTP proxy")
        status = read_status(parse_head(head[: head.index(HEAD_END) + len(HEAD_END)]))
    except OSError as error:
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy}: {_explain(error)}") from None
    except ValueError as error:
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy} is no HTTP proxy: {error}") from None
    if status // 100 == 3 or status == 511:
        raise ConnectFailed(ConnectReason.CAPTIVE, f"{proxy} answered {status}: somebody has to log in there")
    if status // 100 != 2:
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy} answered {status}")
    if not head.endswith(HEAD_END):
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy} spoke before it was its turn")


async def _begin_tls(
    sock: socket.socket, endpoint: Endpoint, context: ssl.SSLContext, factory: Callable[[], _P], patience: Patience
) -> tuple[asyncio.Transport, _P]:
    try:
        return await asyncio.get_running_loop().create_connection(
            factory,
            sock=sock,
            ssl=context,
            server_hostname=endpoint.host,
            ssl_handshake_timeout=patience.dial_us / SECOND_US,
            ssl_shutdown_timeout=patience.close_us / SECOND_US,
        )
    except ssl.SSLCertVerificationError as error:
        raise ConnectFailed(ConnectReason.TLS_UNTRUSTED, error.verify_message) from None
    except ssl.SSLError as error:
        raise ConnectFailed(ConnectReason.TLS, f"{endpoint} does not speak TLS 1.3: {error.reason or error}") from None
    except TimeoutError:
        raise ConnectFailed(ConnectReason.STALLED, f"connected to {endpoint}, then no TLS came through") from None
    except OSError as error:
        raise ConnectFailed(_classify(error), f"{endpoint} during TLS: {_explain(error)}") from None


def _classify(error: OSError) -> ConnectReason:
    if error.errno in _UNREACHABLE:
        return ConnectReason.UNREACHABLE
    if error.errno in _RESET or isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return ConnectReason.RESET
    return ConnectReason.REFUSED


def _explain(error: OSError) -> str:
    """Say what the system says; asyncio's own texts repeat the address instead."""
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
