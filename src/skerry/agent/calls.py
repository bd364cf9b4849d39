"""Answering the parent's calls: a nonce, logs, a command, a connection, a word about an instance, use, a trace.

Reading needs a session only. A command, a connection, a restart, stop or start, a test of a chain is an act on what
runs, and a snapshot or a restore of a volume one on what it holds: it needs a call signed by the tenant's deploy key
that names a nonce this node drew, good once and for a short time (trust.md §5).
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import msgspec

from skerry.agent.desk import CallAnswer, Refusal
from skerry.clock import SECOND_US, Clock, Mint, Tasks
from skerry.drivers.base import Chunk, Console, ContainerStats, Exit, Pipe, PortRefused, Typed
from skerry.model.errors import Unavailable
from skerry.model.ids import CallId, InstanceId, NodeName, instance_id
from skerry.model.observed import ChainProbed, ContainerSeen
from skerry.model.signed import Call, Envelope
from skerry.model.trace import NodeView, TraceAsk
from skerry.trust.verdict import Denied
from skerry.wire import CallRequest, LogsAsk, NonceAsk, NonceReply, StreamData

#: A nonce is used at once by the client that asked for it; a minute covers a satellite link and a slow person.
NONCE_LIFE_US = 60 * SECOND_US
#: Nonces waiting for their call; more are drawn only by a misbehaving parent.
NONCES_MAX = 64
#: Lines of old output one call may ask for.
TAIL_LINES_MAX = 10_000


class StatsReply(msgspec.Struct, frozen=True, array_like=True):
    """Body of the reply to ``stats``."""

    containers: tuple[ContainerStats, ...]


class CallDesk:
    """Answers calls for one node."""

    def __init__(
        self,
        *,
        clock: Clock,
        mint: Mint,
        console: Console,
        find_container: Callable[[InstanceId], ContainerSeen | None],
        verify_call: Callable[[Envelope], Call | Denied],
        obey: Callable[[Call], Awaitable[Refusal | None]],
        test_chain: Callable[[Call], Awaitable[ChainProbed | Refusal]],
        keep_volume: Callable[[Call], Awaitable[Refusal | None]],
        look: Callable[[TraceAsk], Awaitable[NodeView]],
    ) -> None:
        self._clock = clock
        self._mint = mint
        self._console = console
        self._find_container = find_container
        self._verify_call = verify_call
        self._obey = obey
        self._test_chain_of = test_chain
        self._keep_volume = keep_volume
        self._look = look
        self._nonces: dict[bytes, int] = {}
        self.node = NodeName("")

    async def answer(self, request: CallRequest, stdin: AsyncIterator[Typed]) -> CallAnswer:
        """Answer one call; a refusal is an answer too. ``stdin`` is what the caller sends after it."""
        try:
            match request.kind:
                case "nonce":
                    return self._draw_nonce(msgspec.msgpack.decode(request.body, type=NonceAsk))
                case "logs":
                    return self._read_logs(request.call, msgspec.msgpack.decode(request.body, type=LogsAsk))
                case "exec":
                    return self._run_command(request, stdin)
                case "forward":
                    return await self._open_port(request, stdin)
                case "restart" | "stop" | "start":
                    return await self._control(request, self._obey)
                case "snapshot" | "restore" | "drop-snapshot":
                    return await self._control(request, self._keep_volume)
                case "test-chain":
                    return await self._test_chain(request)
                case "stats":
                    stats = StatsReply(await self._console.read_stats())
                    return CallAnswer(True, msgspec.msgpack.encode(stats))
                case "trace":
                    view = await self._look(msgspec.msgpack.decode(request.body, type=TraceAsk))
                    return CallAnswer(True, msgspec.msgpack.encode(view))
                case _:
                    return CallAnswer(False, code="E-CALL", reason=f"this agent knows no call {request.kind!r}")
        except msgspec.DecodeError as error:
            return CallAnswer(False, code="E-CALL", reason=f"the body of call {request.kind} is malformed: {error}")

    def _draw_nonce(self, ask: NonceAsk) -> CallAnswer:
        if ask.node != self.node:
            return CallAnswer(False, code="E-CALL", reason=f"this is node {self.node}, not {ask.node}")
        now_us = self._clock.boot_us()
        self._nonces = {nonce: end for nonce, end in self._nonces.items() if end > now_us}
        if len(self._nonces) >= NONCES_MAX:
            return CallAnswer(False, code="E-BUSY", reason="too many calls are waiting for their nonce")
        nonce = self._mint.draw(32)
        self._nonces[nonce] = now_us + NONCE_LIFE_US
        return CallAnswer(True, msgspec.msgpack.encode(NonceReply(nonce)))

    def _read_logs(self, call: CallId, ask: LogsAsk) -> CallAnswer:
        seen = self._find_container(ask.instance)
        if seen is None:
            return CallAnswer(False, code="E-NOT-FOUND", reason=f"there is no container of {ask.instance} here")
        tail = max(0, min(ask.tail, TAIL_LINES_MAX))
        return CallAnswer(
            True, stream=_as_stream(call, self._console.read_logs(seen.container, tail=tail, follow=ask.follow))
        )

    def _run_command(self, request: CallRequest, stdin: AsyncIterator[Typed]) -> CallAnswer:
        found = self._admit(request)
        if isinstance(found, CallAnswer):
            return found
        call, container = found
        output = self._console.run_command(container, call.argv, stdin, call.terminal)
        return CallAnswer(True, stream=_as_stream(request.call, output))

    async def _open_port(self, request: CallRequest, stdin: AsyncIterator[Typed]) -> CallAnswer:
        found = self._admit(request)
        if isinstance(found, CallAnswer):
            return found
        call, container = found
        try:
            pipe = await self._console.open_port(container, call.port)
        except PortRefused as error:
            return CallAnswer(False, code="E-PORT-CLOSED", reason=str(error))
        return CallAnswer(True, stream=_carry(request.call, pipe, stdin))

    async def _control(self, request: CallRequest, obey: Callable[[Call], Awaitable[Refusal | None]]) -> CallAnswer:
        """Do what a signed call says of an instance itself, whether or not it runs now, or of a volume."""
        call = self._judge(request)
        if isinstance(call, CallAnswer):
            return call
        try:
            refused = await obey(call)
        except Unavailable as error:
            # What could not be written down does not hold, so it is not done either.
            return CallAnswer(False, code=error.code, reason=error.detail)
        return CallAnswer(True) if refused is None else CallAnswer(False, code=refused.code, reason=refused.reason)

    async def _test_chain(self, request: CallRequest) -> CallAnswer:
        """Send test packets as a signed call says; what came of them is the answer, in JSON for who asked."""
        call = self._judge(request)
        if isinstance(call, CallAnswer):
            return call
        found = await self._test_chain_of(call)
        if isinstance(found, Refusal):
            return CallAnswer(False, code=found.code, reason=found.reason)
        return CallAnswer(True, msgspec.json.encode(found))

    def _admit(self, request: CallRequest) -> tuple[Call, str] | CallAnswer:
        """Judge a signed call about what runs: return it and the container that it is about, or a refusal."""
        signed = self._judge(request)
        if isinstance(signed, CallAnswer):
            return signed
        instance = instance_id(signed.tenant, signed.app, signed.service, signed.ordinal)
        seen = self._find_container(instance)
        if seen is None or seen.state != "running":
            return CallAnswer(False, code="E-NOT-FOUND", reason=f"{instance} does not run here")
        return signed, seen.container

    def _judge(self, request: CallRequest) -> Call | CallAnswer:
        """Judge a signed call, whose nonce it uses up: return it, or a refusal."""
        signed = self._verify_call(msgspec.msgpack.decode(request.body, type=Envelope))
        if isinstance(signed, Denied):
            return CallAnswer(False, code=signed.code, reason=signed.reason)
        end_us = self._nonces.pop(signed.nonce, None)
        if end_us is None or end_us <= self._clock.boot_us():
            reason = "the call's nonce was not drawn here, was used, or is too old"
            return CallAnswer(False, code="E-CALL", reason=reason)
        if signed.verb != request.kind:
            return CallAnswer(False, code="E-SUBJECT", reason=f"a call to {signed.verb} was sent as {request.kind}")
        return signed


async def _as_stream(
    call: CallId, items: AsyncIterator[Chunk] | AsyncIterator[Chunk | Exit]
) -> AsyncIterator[StreamData]:
    try:
        async for item in items:
            match item:
                case Chunk():
                    yield StreamData(call, item.channel, item.data)
                case Exit():
                    yield StreamData(call, 1, b"", end=True, exit_code=item.code)
                    return
        yield StreamData(call, 1, b"", end=True)
    finally:
        # By name: a reader that goes away must not leave its call of the runtime behind.
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _carry(call: CallId, pipe: Pipe, stdin: AsyncIterator[Typed]) -> AsyncIterator[StreamData]:
    """Carry a connection's bytes both ways until both halves have ended, or it breaks."""
    tasks = Tasks()
    upward = tasks.start("forward input", _send_upward(pipe, stdin))
    try:
        async for data in pipe.read():
            yield StreamData(call, 1, data)
        yield StreamData(call, 1, b"", end=True)
        await upward
    except OSError as error:
        raise Unavailable("E-CUT", f"the connection inside the site broke: {error}") from error
    finally:
        await tasks.stop()
        await pipe.close()


async def _send_upward(pipe: Pipe, stdin: AsyncIterator[Typed]) -> None:
    # A container that has closed both halves takes nothing more; its reader has seen the end.
    with contextlib.suppress(OSError):
        async for data in stdin:
            if isinstance(data, bytes):
                await pipe.write(data)
        pipe.end()
