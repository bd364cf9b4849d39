"""The lower half of a dial: name, address, HTTP proxy, TLS; every failure typed by the step in which it happened.

Names are looked up in the event loop's executor, because resolvers block; everything else is non-blocking.
"""

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from skerry.link.channel import HEAD_END, SECOND_US
from skerry.link.heads import parse_head, read_status
from skerry.link.ports import ConnectFailed, ConnectReason, Endpoint, Proxy
from skerry.model import limits

_T = TypeVar("_T")
_P = TypeVar("_P", bound=asyncio.BaseProtocol)
#: Family and socket address, as the socket module wants them.
_Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]

_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES})
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


async def open_tls(
    endpoint: Endpoint, context: ssl.SSLContext, factory: Callable[[], _P], deadline: Deadline
) -> tuple[asyncio.Transport, _P]:
    """Return transport and the protocol that ``factory`` makes once TLS to ``endpoint`` stands; raise ConnectFailed."""
    sock = await deadline.wait(_connect(endpoint), ConnectReason.TIMEOUT, f"no answer from {endpoint}")
    if endpoint.proxy is not None:
        try:
            asking = _ask_proxy(sock, endpoint, endpoint.proxy)
            await deadline.wait(asking, ConnectReason.PROXY, f"{endpoint.proxy} does not answer")
        except BaseException:
            sock.close()
            raise
    beginning = _begin_tls(sock, endpoint, context, factory)  # from here on the socket is the event loop's
    return await deadline.wait(beginning, ConnectReason.STALLED, f"connected to {endpoint}, then no TLS came through")


async def _connect(endpoint: Endpoint) -> socket.socket:
    proxy = endpoint.proxy
    addresses = await (_look_up(proxy.host, proxy.port, ()) if proxy else _look_up_endpoint(endpoint))
    failures: list[ConnectFailed] = []
    for family, address in addresses[: limits.ADDRESSES_TRIED_MAX]:
        try:
            return await _connect_address(family, address)
        except ConnectFailed as failure:
            failures.append(failure)
    detail = "; ".join(failure.detail for failure in failures)
    raise ConnectFailed(ConnectReason.PROXY if proxy else failures[-1].reason, detail)


async def _look_up_endpoint(endpoint: Endpoint) -> list[_Address]:
    return await _look_up(endpoint.host, endpoint.port, endpoint.addresses)


async def _look_up(host: str, port: int, known: tuple[str, ...]) -> list[_Address]:
    """Return the addresses of ``host``, families by turns; those ``known`` from before when the name is dead."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limits.LINK_CONNECT_US_MAX / SECOND_US):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        if not known:
            raise ConnectFailed(ConnectReason.DNS, f"{host} does not resolve: {error or 'no answer'}") from None
        return [_read_address(address, port) for address in known]
    by_family: dict[int, list[_Address]] = {}
    for family, _type, _protocol, _name, address in found:
        by_family.setdefault(family, []).append((family, cast("tuple[str, int]", address)))
    longest = max(map(len, by_family.values()), default=0)
    return [held[index] for index in range(longest) for held in by_family.values() if index < len(held)]


def _read_address(text: str, port: int) -> _Address:
    version = ipaddress.ip_address(text).version
    return (socket.AF_INET if version == 4 else socket.AF_INET6), (text, port)


async def _connect_address(family: int, address: tuple[str, int] | tuple[str, int, int, int]) -> socket.socket:
    host = address[0]
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        set_stall_limit(sock)
        async with asyncio.timeout(limits.LINK_CONNECT_US_MAX / SECOND_US):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except TimeoutError:
        sock.close()
        raise ConnectFailed(ConnectReason.TIMEOUT, f"{host} does not answer") from None
    except OSError as error:
        sock.close()
        raise ConnectFailed(_classify(error), f"{host}: {error.strerror or error}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def set_stall_limit(sock: socket.socket) -> None:
    """Have the kernel end a connection whose written bytes stay unacknowledged: half-open ones go by themselves."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.LINK_STALL_US_MAX // 1000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


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
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy}: {error.strerror or error}") from None
    except ValueError as error:
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy} is no HTTP proxy: {error}") from None
    if status // 100 == 3 or status == 511:
        raise ConnectFailed(ConnectReason.CAPTIVE, f"{proxy} answered {status}: somebody has to log in there")
    if status // 100 != 2:
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy} answered {status}")
    if not head.endswith(HEAD_END):
        raise ConnectFailed(ConnectReason.PROXY, f"{proxy} spoke before it was its turn")


async def _begin_tls(
    sock: socket.socket, endpoint: Endpoint, context: ssl.SSLContext, factory: Callable[[], _P]
) -> tuple[asyncio.Transport, _P]:
    try:
        return await asyncio.get_running_loop().create_connection(
            factory,
            sock=sock,
            ssl=context,
            server_hostname=endpoint.host,
            ssl_handshake_timeout=limits.LINK_DIAL_US_MAX / SECOND_US,
            ssl_shutdown_timeout=limits.LINK_CLOSE_US_MAX / SECOND_US,
        )
    except ssl.SSLCertVerificationError as error:
        raise ConnectFailed(ConnectReason.TLS_UNTRUSTED, error.verify_message) from None
    except ssl.SSLError as error:
        raise ConnectFailed(ConnectReason.TLS, f"{endpoint} does not speak TLS 1.3: {error.reason or error}") from None
    except TimeoutError:
        raise ConnectFailed(ConnectReason.STALLED, f"connected to {endpoint}, then no TLS came through") from None
    except OSError as error:
        raise ConnectFailed(_classify(error), f"{endpoint} during TLS: {error.strerror or error}") from None


def _classify(error: OSError) -> ConnectReason:
    if error.errno in _UNREACHABLE:
        return ConnectReason.UNREACHABLE
    if error.errno in _RESET or isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return ConnectReason.RESET
    return ConnectReason.REFUSED
