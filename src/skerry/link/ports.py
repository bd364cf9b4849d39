"""What the rest of Skerry sees of a transport: dial, listen, and a connection that carries whole frames.

The real transport is TLS with a WebSocket (client.py, server.py), the simulation has another; both pass the same
contract (tests/contract/transport.py). Every way to fail is typed here, because a site's only witness of a bad WAN is
the reason its agent wrote down (link.md §3).
"""

import enum
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from skerry.model import limits
from skerry.model.errors import Unavailable

#: A DNS name or a literal address, at most as long as DNS allows.
_HOST = re.compile(r"[0-9A-Za-z._:%-]{1,253}", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


class ConnectReason(enum.StrEnum):
    """Why a dial did not end in a connection."""

    DNS = "dns"  # the name does not resolve, and no address is known from before
    REFUSED = "refused"  # the host is there and nothing listens
    UNREACHABLE = "unreachable"  # no route
    TIMEOUT = "timeout"  # nobody answers the first packet
    RESET = "reset"  # the peer or something on the way cut the connection
    STALLED = "stalled"  # connected, then silence: a black-holed MTU, or something that swallows TLS
    TLS_UNTRUSTED = "tls-untrusted"  # the certificate does not chain to the pinned delivery key
    TLS_NAME = "tls-name"  # it does, but names somebody else
    TLS = "tls"  # what answers does not speak TLS 1.3
    CAPTIVE = "captive"  # a page for people, or a redirect to one, in place of the link
    PROXY = "proxy"  # the HTTP proxy refused or is none
    BAD_UPGRADE = "bad-upgrade"  # an HTTP server that offers no link, or a broken one
    BUSY = "busy"  # the parent asks to come back later


class ConnectFailed(Unavailable):
    """A dial failed; dialling again later is the remedy for every reason but the TLS ones."""

    def __init__(self, reason: ConnectReason, detail: str, *, retry_after_us: int | None = None) -> None:
        super().__init__("E-CONNECT", detail)
        self.reason = reason
        #: With ``BUSY``: how long the parent asks to stay away.
        self.retry_after_us = retry_after_us


class CloseReason(enum.StrEnum):
    """Why an open connection is over."""

    CLOSED = "closed"  # the peer said so
    OURS = "ours"  # ``close`` was called at this end
    LOST = "lost"  # reset, or the stream ended without a word
    GARBAGE = "garbage"  # the peer broke the framing
    TOO_BIG = "too-big"  # the peer announced more than the limit
    STALLED = "stalled"  # written bytes do not get through
    LATE = "late"  # no first frame within the deadline


class LinkClosed(Unavailable):
    """The connection is over. Frames that had arrived whole before were delivered; sent ones may not have been."""

    def __init__(self, reason: CloseReason, detail: str = "", *, code: int = 1006) -> None:
        super().__init__("E-LINK-CLOSED", detail or str(reason))
        self.reason = reason
        #: WebSocket close code; 1006 when none was exchanged.
        self.code = code


class SpiffeName(msgspec.Struct, frozen=True):
    """Accept a server named ``spiffe://<trust_domain>/<path>/<one more segment>``: any member of one class of peers."""

    trust_domain: str
    path: str = "core"


class DnsName(msgspec.Struct, frozen=True):
    """Accept a server whose certificate carries exactly this DNS name."""

    name: str


class Trust(msgspec.Struct, frozen=True):
    """Whom a dialer believes."""

    #: DER certificates of the pinned delivery authorities (``Root.delivery_ca``), at least one.
    authorities: tuple[bytes, ...]
    name: SpiffeName | DnsName


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy that is asked to CONNECT. ``authorization`` is the whole value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        """Leave the credential out, so that a log line cannot leak it."""
        return f"Proxy({self.host}:{self.port})"


class Endpoint(msgspec.Struct, frozen=True):
    """Where a parent listens."""

    host: str
    port: int = 443
    #: ``Connection.peer`` of connections that were made before without a proxy, literal addresses with their ports:
    #: dialled when the name does not resolve (faults.md N14).
    addresses: tuple[str, ...] = ()
    proxy: Proxy | None = None
    #: Network device by which to reach it; empty as the system's routes have it.
    device: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be looked up, and what could end the header lines that name the endpoint."""
        labels = self.host.removesuffix(".").split(".") if ":" not in self.host else []
        named = _HOST.fullmatch(self.host) and all(0 < len(label) < 64 for label in labels)
        if not named or not 0 < self.port < 65536:
            raise ValueError(f"{self.host!r} port {self.port} is no endpoint")

    def __str__(self) -> str:
        """Write it as a root document does."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read ``host:port`` or ``[v6]:port`` as a root document writes it; raise ValueError when it is neither."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not _PORT.fullmatch(port):
        raise ValueError(f"{text!r} is no host:port")
    return Endpoint(host, int(port))


class Patience(msgspec.Struct, frozen=True):
    """How long an end of a real transport waits for the other, in microseconds."""

    dial_us: int = limits.LINK_DIAL_US_MAX
    connect_us: int = limits.LINK_CONNECT_US_MAX
    first_frame_us: int = limits.LINK_FIRST_FRAME_US_MAX
    stall_us: int = limits.LINK_STALL_US_MAX
    close_us: int = limits.LINK_CLOSE_US_MAX


class Connection(Protocol):
    """One connection, the same at both ends. Frames arrive whole, in order, or the connection is over."""

    @property
    def nonce(self) -> bytes:
        """The parent's 32 fresh bytes of this connection, which the device proof signs (trust.md §9)."""
        ...

    @property
    def server_digest(self) -> bytes:
        """SHA-256 of the parent's DER certificate, known at both ends: binds the proof to this TLS session."""
        ...

    @property
    def peer(self) -> str:
        """``address:port`` of the other end, a proxy where there is one; see ``Endpoint.addresses``."""
        ...

    @property
    def bytes_sent(self) -> int:
        """Frame bytes sent, as they are on the wire inside the WebSocket."""
        ...

    @property
    def bytes_received(self) -> int:
        """Frame bytes received."""
        ...

    async def send(self, frame: bytes) -> None:
        """Wait until the buffer has room, then send one frame. Raises LinkClosed; ValueError above the limit."""
        ...

    async def receive(self) -> bytes:
        """Return the next frame; raise LinkClosed once the connection is over and all that had arrived was returned.

        One caller at a time. Not calling it stops the peer (backpressure); nothing is dropped.
        """
        ...

    def raise_limit(self) -> None:
        """The peer has proved itself: frames up to FRAME_BYTES_MAX are accepted from now on."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and wait shortly for the answer. Idempotent, never raises."""
        ...


class Dialer(Protocol):
    """The child's end."""

    async def dial(self, endpoint: Endpoint) -> Connection:
        """Open a connection; raise ConnectFailed with the reason."""
        ...


Handler = Callable[[Connection], Awaitable[None]]


class Listener(Protocol):
    """The parent's end."""

    async def serve(self, handler: Handler) -> None:
        """Begin to listen. Each connection runs ``handler`` and is closed when it returns; LinkClosed may end it.

        The child speaks first, so a handler may be begun only when its first frame has arrived.
        """
        ...

    async def stop(self) -> None:
        """Listen no longer, close every connection and return when all handlers have ended."""
        ...
