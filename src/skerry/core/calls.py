"""Calls about what runs: output of instances, commands in them, connections to ports, and words about themselves.

Reading output needs a role only; a command, a connection, a restart, stop or start, a test of a chain, a snapshot of a
volume or going back to one needs a call signed by the tenant for one nonce of the node, which the core hands on and
cannot make (trust.md §5). All ride the site's own outbound link.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Literal, Protocol

import msgspec
import structlog

from skerry.clock import SECOND_US
from skerry.core.auth import Caller
from skerry.core.refusals import denied, not_found
from skerry.core.state import Part, SiteCall, Sites
from skerry.model.answers import LogLine
from skerry.model.asks import ChainTestQuery, ControlQuery, ExecQuery, ForwardQuery, LogQuery, VolumeControlQuery
from skerry.model.document import Assignment, assignment_instance
from skerry.model.errors import Invalid, NotFound, SkerryError, Unavailable
from skerry.model.ids import NodeName, SiteName, digest_of, instance_id, volume_id
from skerry.model.signed import CallVerb, Envelope
from skerry.store import Connection, access, apps, documents, facts, sites
from skerry.store.scope import PLATFORM
from skerry.trust.envelope import encode_envelope_msgpack
from skerry.trust.held import hold_tenants
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope
from skerry.wire import CallKind, CallReply, LogsAsk, NonceAsk, NonceReply, StreamData

Stream = Literal["stdout", "stderr", "note"]

#: Time until a site's first answer: two round trips by satellite and a busy box.
ANSWER_US = 15 * SECOND_US
#: Streams of one log request: each holds a window of memory at both ends.
STREAMS_MAX = 32
#: Lines of all streams that wait for a slow reader; then the sites are made to wait.
_LINES_WAITING_MAX = 1_000
#: A line without an end is cut here, so that it cannot fill memory.
_LINE_BYTES_MAX = 64 * 1024

_log = structlog.get_logger("skerry.core")


class CallSocket(Protocol):
    """The client's end of a signed call (api/sockets.py)."""

    async def send_nonce(self, site: SiteName, node: NodeName, nonce: bytes) -> None:
        """Ask the client to sign a call for this nonce."""
        ...

    async def receive_call(self) -> Envelope:
        """Return the signed call; raises ``Invalid`` for anything else."""
        ...

    async def send_output(self, channel: int, data: bytes) -> None:
        """Pass output on."""
        ...

    async def send_end(self) -> None:
        """Say that the far end of a connection sends no more."""
        ...

    async def send_exit(self, code: int) -> None:
        """Say how the command ended, or that the connection has."""
        ...

    def receive_input(self) -> AsyncIterator[tuple[int, bytes]]:
        """Give what the client sends, with the channel it goes to, until it says that there is no more.

        Raises ``Unavailable`` when it goes away instead.
        """
        ...

    async def wait_left(self) -> None:
        """Return when a client that sends no more has gone away."""
        ...


class CallsPart(Part):
    """Operations that stream from sites."""

    async def read_logs(self, caller: Caller, *, app: str, query: LogQuery) -> AsyncIterator[LogLine]:
        """Return the output of an app's instances, merged line by line as it comes."""
        chosen = await self._core.db.read(lambda connection: _choose(connection, caller, app, query))
        if len(chosen) > STREAMS_MAX:
            raise Invalid(
                "E-TOO-MANY",
                f"That is the output of {len(chosen)} instances, at most {STREAMS_MAX} are shown at once.",
                hint="Name a --site or a service.",
            )
        return self._merge(chosen, query)

    async def _merge(self, chosen: list[tuple[SiteName, Assignment]], query: LogQuery) -> AsyncIterator[LogLine]:
        lines: asyncio.Queue[LogLine | None] = asyncio.Queue(_LINES_WAITING_MAX)
        readers = [
            self._core.tasks.start("logs", self._read_instance(site, unit, query, lines)) for site, unit in chosen
        ]
        left = len(readers)
        try:
            while left:
                line = await lines.get()
                if line is None:
                    left -= 1
                else:
                    yield line
        finally:
            for reader in readers:
                reader.cancel()

    async def _read_instance(
        self, site: SiteName, unit: Assignment, query: LogQuery, lines: asyncio.Queue[LogLine | None]
    ) -> None:
        def line(stream: Stream, text: str) -> LogLine:
            return LogLine(site=site, service=unit.service, ordinal=unit.ordinal, stream=stream, text=text)

        call = None
        try:
            ask = LogsAsk(assignment_instance(unit), query.tail, query.follow)
            call = await self._call(site, "logs", msgspec.msgpack.encode(ask))
            if call.reply.ok:
                async for stream, text in _read_lines(call):
                    await lines.put(line(stream, text))
            else:
                await lines.put(line("note", _describe(call.reply)))
        except SkerryError as error:
            await lines.put(line("note", error.detail))
        except Exception:
            # What one site sends must not end the stream of the others, nor the core.
            _log.exception("logs failed", site=site)
            await lines.put(line("note", "the core could not read this output"))
        finally:
            if call is not None:
                await call.close()
        # Not in ``finally``: nobody waits any more for a reader that was cancelled.
        await lines.put(None)

    async def run_command(self, caller: Caller, *, app: str, query: ExecQuery, socket: CallSocket) -> None:
        """Run one signed command in one instance and pass its streams on."""
        call = await self._begin_call(caller, app, query, socket, verb="exec", operation="run_command")
        async with aclosing(self._converse(call, socket)) as said:
            async for data in said:
                if data.exit_code is not None:
                    await socket.send_exit(data.exit_code)

    async def forward_port(self, caller: Caller, *, app: str, query: ForwardQuery, socket: CallSocket) -> None:
        """Carry one connection to a port of one instance, by one signed call."""
        call = await self._begin_call(caller, app, query, socket, verb="forward", operation="forward_port")
        is_ended = False
        async with aclosing(self._converse(call, socket)) as said:
            async for data in said:
                if data.end:
                    is_ended = True
                    await socket.send_end()
        if not is_ended:
            raise Unavailable("E-CUT", f"The connection to {app}/{query.service} broke.", hint=f"skerry app show {app}")
        await socket.send_exit(0)

    async def control_instance(self, caller: Caller, *, app: str, query: ControlQuery, socket: CallSocket) -> None:
        """Have one instance restarted, stopped or started by one signed call; its site remembers it."""
        call = await self._begin_call(caller, app, query, socket, verb=query.verb, operation="control_instance")
        await call.close()
        await socket.send_exit(0)

    async def test_chain(self, caller: Caller, *, app: str, query: ChainTestQuery, socket: CallSocket) -> None:
        """Have test packets sent through a chain by one signed call; the site's answer is its output, as JSON."""
        call = await self._begin_call(caller, app, query, socket, verb="test-chain", operation="test_chain")
        await call.close()
        await socket.send_output(1, call.reply.body)
        await socket.send_exit(0)

    async def control_volume(self, caller: Caller, *, app: str, query: VolumeControlQuery, socket: CallSocket) -> None:
        """Have a snapshot taken, gone back to or let go at one site by one signed call; the site remembers it."""
        call = await self._begin_call(caller, app, query, socket, verb=query.verb, operation="control_volume")
        await call.close()
        await socket.send_exit(0)

    async def _begin_call(
        self,
        caller: Caller,
        app: str,
        query: ExecQuery | VolumeControlQuery,
        socket: CallSocket,
        *,
        verb: CallVerb,
        operation: str,
    ) -> SiteCall:
        """Have the node's nonce signed, write the act down, and call the site; return the call once it said yes."""
        tenant = caller.owner()
        node = await self._core.db.read(lambda connection: _find_node(connection, caller, app, query))
        site = SiteName(query.site)
        asked = await self._call(site, "nonce", msgspec.msgpack.encode(NonceAsk(node)))
        await asked.close()
        if not asked.reply.ok:
            raise _refusal(asked.reply, app)
        nonce = msgspec.msgpack.decode(asked.reply.body, type=NonceReply).nonce
        await socket.send_nonce(site, node, nonce)
        envelope = await socket.receive_call()
        wanted = _list_wanted(query)

        def job(connection: Connection, stamp: object) -> None:
            owner = access.find_tenant(connection, tenant)
            held = hold_tenants(self._core.root(), {} if owner is None else {tenant: owner.deploy_keys}, {})
            verified = verify_envelope(envelope, held, expect="call", site=site)
            if isinstance(verified, Denied):
                raise denied(verified)
            said = verified.payload
            same = all(getattr(said, name) == value for name, value in wanted.items())
            if (said.verb, said.app, said.nonce) != (verb, app, nonce) or not same:
                raise Invalid("E-SUBJECT", "The signed call is about something else than the request.")

        subject = f"{_describe_act(tenant, app, query)}@{site} {digest_of(envelope.payload)}"
        await self._core.change(caller, operation, subject, job, chain=tenant)
        call = await self._call(site, verb, encode_envelope_msgpack(envelope))
        if not call.reply.ok:
            await call.close()
            raise _refusal(call.reply, app)
        return call

    async def _converse(self, call: SiteCall, socket: CallSocket) -> AsyncGenerator[StreamData]:
        """Pass bytes on both ways to the end of the call; give what the site sent, for what is more than bytes."""
        typing = self._core.tasks.start("call input", _pass_input(call, socket))
        try:
            async for data in call.read():
                if data.data:
                    await socket.send_output(data.channel, data.data)
                yield data
        finally:
            typing.cancel()
            await call.close()

    async def _call(self, site: SiteName, kind: CallKind, body: bytes) -> SiteCall:
        reachable: Sites | None = self._core.sites
        if reachable is None:
            raise Unavailable("E-UNREACHABLE", f"{site} has no session here.")
        return await reachable.call(site, kind, body, ANSWER_US)


class LineCutter:
    """Cuts the bytes of one stream's channels into lines of text."""

    def __init__(self) -> None:
        self._begun: dict[int, bytes] = {}

    def feed(self, data: StreamData) -> list[tuple[Stream, str]]:
        """Take bytes; return the lines they complete."""
        parts = (self._begun.pop(data.channel, b"") + data.data).split(b"\n")
        begun = parts.pop()
        while len(begun) > _LINE_BYTES_MAX:
            parts.append(begun[:_LINE_BYTES_MAX])
            begun = begun[_LINE_BYTES_MAX:]
        if begun:
            self._begun[data.channel] = begun
        return [_read_line(data.channel, part) for part in parts]

    def rest(self) -> list[tuple[Stream, str]]:
        """Return what was begun and never ended."""
        begun, self._begun = self._begun, {}
        return [_read_line(channel, begun[channel]) for channel in sorted(begun)]


async def _read_lines(call: SiteCall) -> AsyncIterator[tuple[Stream, str]]:
    cutter = LineCutter()
    async for data in call.read():
        for found in cutter.feed(data):
            yield found
    for found in cutter.rest():
        yield found


def _read_line(channel: int, content: bytes) -> tuple[Stream, str]:
    return ("stderr" if channel == 2 else "stdout", content.removesuffix(b"\r").decode("utf-8", "replace"))


async def _pass_input(call: SiteCall, socket: CallSocket) -> None:
    try:
        async for channel, data in socket.receive_input():
            await call.write(data, channel=channel)
        await call.write(b"", end=True)
        await socket.wait_left()
        await call.close("the client has gone")
    except SkerryError:
        await call.close("the client's input broke off")


def _choose(connection: Connection, caller: Caller, app: str, query: LogQuery) -> list[tuple[SiteName, Assignment]]:
    chosen = (query.site,) if query.site else ()
    found = [
        (site, unit)
        for site, unit in documents.list_assignments(connection, caller.scope, app=app, sites=chosen)
        if query.service in ("", unit.service) and query.ordinal in (-1, unit.ordinal)
    ]
    if not found and apps.find_app(connection, caller.owner(), app) is None:
        raise not_found()
    if not found:
        raise NotFound("E-NOT-FOUND", "No instance that was asked for has a place.", hint=f"skerry why {app}")
    return found


def _list_wanted(query: ExecQuery | VolumeControlQuery) -> dict[str, Any]:
    """Return what a signed call has to say besides its verb, its app and the nonce: all else is to be empty."""
    asked = {name: getattr(query, name, "") for name in ("service", "chain", "volume", "snapshot")}
    return {**asked, "ordinal": getattr(query, "ordinal", 0), "port": getattr(query, "port", 0)}


def _describe_act(tenant: str, app: str, query: ExecQuery | VolumeControlQuery) -> str:
    if isinstance(query, VolumeControlQuery):
        return f"{query.verb} {query.snapshot} volume/{volume_id(tenant, app, query.volume)}"
    act = f"{query.verb} " if isinstance(query, ControlQuery) else ""
    return f"{act}instance/{instance_id(tenant, app, query.service, query.ordinal)}"


def _find_node(connection: Connection, caller: Caller, app: str, query: ExecQuery | VolumeControlQuery) -> NodeName:
    row = sites.find_site(connection, query.site, PLATFORM)
    if row is None:
        raise not_found()
    if isinstance(query, VolumeControlQuery):
        return _find_volume_node(connection, caller, app, query, row)
    for _, unit in documents.list_assignments(connection, caller.scope, app=app, sites=(query.site,)):
        if (unit.service, unit.ordinal) == (query.service, query.ordinal):
            return unit.node
    raise not_found()


def _find_volume_node(
    connection: Connection, caller: Caller, app: str, query: VolumeControlQuery, row: sites.SiteRow
) -> NodeName:
    """Return the node of a site that reports the volume."""
    found = facts.list_volume_facts(connection, caller.scope, app=app, site=query.site)
    if not any(fact.volume.rpartition("/")[2] == query.volume for _, fact in found):
        raise not_found()
    return min(row.record.nodes)


def _refusal(reply: CallReply, app: str) -> Unavailable:
    return Unavailable(reply.code or "E-CALL", _describe(reply), hint=f"skerry app show {app}")


def _describe(reply: CallReply) -> str:
    return f"{reply.reason or 'the site refused the call'} ({reply.code})" if reply.code else reply.reason
