"""The parent's end: a TLS 1.3 listener of its own, which serves the link and ``/v1/roots`` and nothing else.

What a stranger costs is bounded before it has proved anything: arrivals are admitted before TLS begins (admission.py),
a deadline runs until the first whole frame, and frames stay small until ``raise_limit``. One task per connection greets
it and runs the handler in it. In the core the event loop is uvloop's: asyncio's own holds 256 KiB per TLS connection
(docs/decisions/0012).
"""

import asyncio
import base64
import contextlib
import errno
import socket
import ssl
import struct
import urllib.parse
from collections.abc import Callable
from typing import cast

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from skerry.clock import SECOND_US, Clock, Mint, Tasks
from skerry.link.admission import Admission, Quota, Verdict, name_source
from skerry.link.channel import Channel
from skerry.link.dialling import set_stall_limit
from skerry.link.heads import LINK_PATH, NONCE_BYTES, NONCE_HEADER, ROOTS_PATH, make_answer, parse_head, read_count
from skerry.link.ports import CloseReason, Handler, LinkClosed, Patience
from skerry.link.tls import digest_certificate, make_server_context
from skerry.model import limits

#: Connections that the kernel holds for us while the loop is busy: a second's worth of arrivals.
_BACKLOG = 1_024
#: Without descriptors left nothing can be accepted; trying again at once would only burn the processor.
_OUT_OF_DESCRIPTORS_PAUSE_US = SECOND_US
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: How long a child that finds no room is asked to stay away, before its own jitter.
_RETRY_AFTER_S = 30


class ListenerCounters(msgspec.Struct):
    """What a listener has seen since it began; the shell shows it in ``/metrics``."""

    #: By verdict of admission.py.
    arrivals: dict[Verdict, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    tls_failed: int = 0
    #: Heads that asked for no link: other paths, malformed upgrades, no room.
    refused: int = 0
    roots_served: int = 0
    #: Connections that never delivered a first frame.
    late: int = 0
    upgraded: int = 0
    open: int = 0


class LinkListener:
    """Implements ``ports.Listener``.

    ``host`` is a literal address; ``::`` listens on both families. ``read_roots(after)`` returns the root documents
    above a number, encoded.
    """

    def __init__(
        self,
        *,
        certificate_pem: bytes,
        key_pem: bytes,
        host: str,
        port: int,
        read_roots: Callable[[int], bytes],
        clock: Clock,
        mint: Mint,
        tasks: Tasks,
        quota: Quota | None = None,
        patience: Patience | None = None,
        children_max: int = limits.LINK_CHILDREN_MAX,
    ) -> None:
        self._context = make_server_context(certificate_pem, key_pem)
        self._digest = digest_certificate(certificate_pem)
        self._bind = (host, port)
        self._read_roots = read_roots
        self._clock = clock
        self._mint = mint
        self._tasks = tasks
        self._admission = Admission(quota or Quota())
        self._patience = patience or Patience()
        self._children_max = children_max
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._greeting: dict[asyncio.Task[None], socket.socket] = {}
        self.counters = ListenerCounters()

    @property
    def port(self) -> int:
        """The port that is listened on; once listening a real one, when 0 was asked for."""
        return self._bind[1]

    async def serve(self, handler: Handler) -> None:
        """Begin to listen; raise OSError when the port cannot be had."""
        host, port = self._bind
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::" and socket.has_dualstack_ipv6()
        self._listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
        self._listening.setblocking(False)
        self._bind = (host, cast("int", self._listening.getsockname()[1]))
        self._accepting = self._tasks.start("link listener", self._accept(self._listening, handler))

    async def stop(self) -> None:
        """Listen no longer, close every connection with 1001 and return when all handlers have ended."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        if self._listening is not None:
            self._listening.close()
        greeting = dict(self._greeting)
        for task in greeting:
            task.cancel()
        if greeting:
            await asyncio.wait(greeting)
        for sock in greeting.values():
            sock.close()  # of a task that was cancelled before it began

    async def _accept(self, listening: socket.socket, handler: Handler) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    await self._clock.sleep_until(self._clock.boot_us() + _OUT_OF_DESCRIPTORS_PAUSE_US)
                continue  # else the peer was gone before we took it
            source = name_source(cast("str", address[0]))
            verdict = self._admission.admit(source, self._clock.boot_us())
            self.counters.arrivals[verdict] += 1
            if verdict is not Verdict.ADMITTED:
                _reset(sock)
                continue
            greeting = self._tasks.start("link child", self._greet(sock, source, handler))
            self._greeting[greeting] = sock
            greeting.add_done_callback(self._greeting.pop)

    async def _greet(self, sock: socket.socket, source: str, handler: Handler) -> None:
        """Carry one connection from TLS to the end of its handler."""
        unproven = contextlib.ExitStack()
        unproven.callback(self._admission.release, source)
        channel = Channel(self._answer, self._patience)
        channel.on_proven = unproven.close
        with unproven:
            try:
                async with asyncio.timeout(self._patience.first_frame_us / SECOND_US):
                    await self._begin_tls(sock, channel)
                    await channel.wait_frame()
            except TimeoutError:
                self.counters.late += 1
                channel.give_up(CloseReason.LATE, "no first frame in time")
                return
            except (OSError, ssl.SSLError):
                self.counters.tls_failed += 1
                return
            except LinkClosed:
                return
            except asyncio.CancelledError:
                channel.give_up(CloseReason.OURS, "the listener stops")
                raise
            await self._run(channel, handler)

    async def _begin_tls(self, sock: socket.socket, channel: Channel) -> None:
        set_stall_limit(sock, self._patience)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: channel,
            sock,
            ssl=self._context,
            ssl_handshake_timeout=self._patience.first_frame_us / SECOND_US + 1,  # the deadline around it counts
            ssl_shutdown_timeout=self._patience.close_us / SECOND_US,
        )

    async def _run(self, channel: Channel, handler: Handler) -> None:
        self.counters.open += 1
        code, reason = 1000, ""
        try:
            with contextlib.suppress(LinkClosed):
                await handler(channel)
        except asyncio.CancelledError:
            code, reason = 1001, "the listener stops"
            raise
        except BaseException:
            code, reason = 1011, "internal error"
            raise
        finally:
            self.counters.open -= 1
            await channel.close(code, reason)

    # --- the head of a connection ------------------------------------------------------------------------------------

    def _answer(self, channel: Channel, content: bytes, rest: bytes) -> None:
        if not content:
            return
        try:
            head = parse_head(content)
        except ValueError:
            self._refuse(channel, "400 Bad Request")
            return
        method, target, _version = head.first
        path, _question, query = target.partition("?")
        if rest or method != "GET":
            self._refuse(channel, "404 Not Found")
        elif path == ROOTS_PATH:
            self._serve_roots(channel, query)
        elif target == LINK_PATH:
            self._upgrade(channel, Request(target, Headers(head.headers)))
        else:
            self._refuse(channel, "404 Not Found")

    def _serve_roots(self, channel: Channel, query: str) -> None:
        asked = urllib.parse.parse_qs(query, max_num_fields=4).get("after", [])
        after = read_count(asked[0]) if len(asked) == 1 else None
        if after is None:
            self._refuse(channel, "404 Not Found")
            return
        self.counters.roots_served += 1
        content_type = {"Content-Type": "application/octet-stream"}
        channel.write_head(make_answer("200 OK", self._read_roots(after), content_type))
        channel.end_after_writing()

    def _upgrade(self, channel: Channel, request: Request) -> None:
        if self.counters.open >= self._children_max:
            self._refuse(channel, "503 Service Unavailable", {"Retry-After": str(_RETRY_AFTER_S)})
            return
        response = ServerProtocol().accept(request)
        if response.status_code != 101:
            self._refuse(channel, f"{response.status_code} {response.reason_phrase}")
            return
        channel.nonce = self._mint.draw(NONCE_BYTES)
        channel.server_digest = self._digest
        response.headers[NONCE_HEADER] = base64.b64encode(channel.nonce).decode()
        self.counters.upgraded += 1
        channel.write_head(response.serialize())
        channel.begin_frames(b"")

    def _refuse(self, channel: Channel, status: str, headers: dict[str, str] | None = None) -> None:
        self.counters.refused += 1
        channel.write_head(make_answer(status, b"", headers or {}))
        channel.end_after_writing()


def _reset(sock: socket.socket) -> None:
    """Close at once with a reset: no state of a connection that was not admitted stays behind in the kernel."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
