"""The core's end of all links, performed: prove the child, admit it, then do what ``sync.parent_end`` says.

Every decision of the protocol is the parent end's. One session per site: a newer one replaces the older. What a session
asks of the store goes through one queue of its own, so a site that is far behind delays nobody by more than one batch;
what producers may send waits for room in their lane.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal, cast

import msgspec

from skerry import wire
from skerry.clock import SECOND_US, Alarm, Clock, ClockTimeout, Mint, Tasks, make_ulid
from skerry.core.desk import KnownSite, LinkDesk, SessionGrant, SessionRefusal
from skerry.link.compress import Compressor
from skerry.link.meter import Count
from skerry.link.ports import Connection, LinkClosed
from skerry.link.pump import Pump
from skerry.model.errors import SkerryError, Unavailable
from skerry.model.ids import CallId, SiteName
from skerry.model.signed import DocumentHead
from skerry.sync import parent_ports, ports
from skerry.sync.admission import Admission
from skerry.sync.lanes import Lane
from skerry.sync.parent_end import ParentEnd
from skerry.sync.parent_ports import ParentCommand, ParentEvent
from skerry.trust.proof import verify_proof

#: Sessions admitted per second and at once: what a core of two cores proves, records and answers in that time.
ADMISSIONS_PER_S = 100
ADMISSIONS_BURST = 200
#: Children that are told when to come back: every site of the largest fleet of one core.
PLACES_MAX = 20_000
#: A pending box keeps its connection so long before it asks again; its token bounds the whole.
JOIN_WAIT_US = 60 * SECOND_US
_FAREWELL_US = 5 * SECOND_US


class _Call:
    """One call to a site, as its caller sees it: ``core.state.SiteCall``."""

    def __init__(self, session: "_Session", call: CallId) -> None:
        self._session = session
        self._call = call
        self.answered: asyncio.Future[wire.CallReply] = asyncio.get_running_loop().create_future()
        self.reply = wire.CallReply(call, ok=False)
        #: Bounded by the stream's credit.
        self.items: asyncio.Queue[wire.StreamData | None] = asyncio.Queue()
        self._input: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue(1)
        self.reading_input: asyncio.Task[None] | None = None
        self._is_over = False

    async def read(self) -> AsyncIterator[wire.StreamData]:
        """Give what the site sends."""
        while not (self._is_over and self.items.empty()):
            item = await self.items.get()
            if item is None:
                return
            yield item
            self._session.feed(ports.StreamTaken(self._call, len(item.data)))

    async def write(self, data: bytes, *, end: bool = False) -> None:
        """Send bytes to the far end."""
        if not self._is_over:
            await self._input.put((data, end))

    async def next_input(self) -> tuple[bytes, bool]:
        """Return what the caller wrote next."""
        return await self._input.get()

    async def close(self, reason: str = "") -> None:
        """Give the call up."""
        if not self._is_over:
            self._session.feed(parent_ports.CallDropped(self._call, reason))
            self.end()

    def end(self) -> None:
        """The call is over."""
        self._is_over = True
        self.items.put_nowait(None)
        if self.reading_input is not None:
            self.reading_input.cancel()
        self._session.calls.pop(self._call, None)


class _Session:
    """One proven session of one site."""

    def __init__(self, owner: "Sessions", site: SiteName, claim: wire.HelloClaim, pump: Pump) -> None:
        self._owner = owner
        self.site = site
        self.claim = claim
        self.pump = pump
        self._end = ParentEnd(owner.clock.wall_us() // SECOND_US)
        self._alarm = Alarm(owner.clock, owner.tasks, f"alarm {site}", lambda: self.feed(ports.Woke()))
        self._chores: asyncio.Queue[ParentCommand] = asyncio.Queue()
        self._blobs: asyncio.Queue[ParentCommand] = asyncio.Queue()
        self.calls: dict[CallId, _Call] = {}
        self.closing: ports.Close | None = None
        self._workers: list[asyncio.Task[None]] = []

    async def run(self, grant: SessionGrant) -> None:
        """Serve the session to its end."""
        tasks = self._owner.tasks
        self._workers = [
            tasks.start(f"send {self.site}", self._send()),
            tasks.start(f"chores {self.site}", self._do_chores(self._chores)),
            tasks.start(f"blobs {self.site}", self._do_chores(self._blobs)),
        ]
        try:
            self.feed(parent_ports.Admitted(self.claim, grant.event_acknowledged, grant.facts_digest))
            while self.closing is None:
                message = await self.pump.receive()
                self._owner.desk.hear(self.site)
                self.feed(ports.Received(message))
        except LinkClosed:
            pass
        finally:
            self.feed(ports.Ended())
            for call in list(self.calls.values()):
                call.end()
            self._alarm.stop()
            for worker in self._workers:
                worker.cancel()

    def feed(self, event: ParentEvent) -> None:
        """Give the parent end an event and do what it says."""
        for command in self._end.handle(event, self._owner.clock.boot_us()):
            self._perform(command)

    def _perform(self, command: ParentCommand) -> None:
        match command:
            case ports.Send():
                try:
                    self.pump.push(command.message)
                except LinkClosed as error:
                    self.close(ports.Close("E-STALLED", error.detail))
            case ports.Close():
                self.close(command)
            case ports.WakeAt():
                self._alarm.set(command.boot_us)
            case parent_ports.ReplyCall():
                self._reply(command)
            case ports.DeliverStream():
                call = self.calls.get(command.call)
                if call is not None:
                    call.items.put_nowait(
                        wire.StreamData(command.call, command.channel, command.data, command.end, command.exit_code)
                    )
            case ports.EndStream():
                call = self.calls.get(command.call)
                if call is not None:
                    call.end()
            case ports.ReadStream():
                call = self.calls.get(command.call)
                if call is not None:
                    call.reading_input = self._owner.tasks.start("call input", self._read_input(call, command))
            case parent_ports.SizeBlob() | parent_ports.ReadBlob():
                self._blobs.put_nowait(command)
            case _:
                self._chores.put_nowait(command)

    def close(self, command: ports.Close) -> None:
        """End the session after its farewell."""
        if self.closing is None:
            self.closing = command
            self._owner.tasks.start(f"close {self.site}", self._close_soon())

    async def _close_soon(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with ClockTimeout(self._owner.clock, self._owner.tasks, _FAREWELL_US):
                await self.pump.wait_sent(Lane.CONTROL)
        await self.pump.close()

    async def _send(self) -> None:
        with contextlib.suppress(LinkClosed):
            await self.pump.run()

    async def _do_chores(self, queue: "asyncio.Queue[ParentCommand]") -> None:
        """What the store answers, one after the other; a store that is full or busy ends the session, not the core."""
        while True:
            command = await queue.get()
            try:
                await self._do(command)
            except SkerryError as error:
                self.close(ports.Close(error.code, error.detail))

    async def _do(self, command: ParentCommand) -> None:
        desk, site = self._owner.desk, self.site
        match command:
            case parent_ports.DrawPatch():
                patch = await desk.draw_patch(site, command.base_epoch, command.base_generation)
                known = await desk.find_site(site)
                self.feed(_drawn(patch, known))
            case parent_ports.RecordAnswer():
                await desk.record_answer(
                    site,
                    command.epoch,
                    command.generation,
                    accepted=command.accepted,
                    code=command.code,
                    reason=command.reason,
                )
            case parent_ports.IngestFacts():
                ok = await desk.ingest_facts(site, command.patch)
                self.feed(parent_ports.FactsStored(command.patch.number, ok))
            case parent_ports.IngestEvents():
                through = await desk.ingest_events(site, command.events, command.dropped)
                self.feed(parent_ports.EventsStored(through))
            case parent_ports.ReadObjects():
                await self.pump.wait_room(Lane.DOCUMENT)
                found = await desk.read_objects(site, command.digests)
                missing = tuple(digest for digest in command.digests if digest not in found)
                objects = tuple(found[digest] for digest in command.digests if digest in found)
                self.feed(parent_ports.ObjectsRead(objects, missing))
            case parent_ports.SizeBlob():
                size = await desk.size_blob(site, command.blob)
                self.feed(parent_ports.BlobSized(command.blob, size))
            case parent_ports.ReadBlob():
                await self.pump.wait_room(Lane.IMAGE)
                data = await desk.read_blob(command.blob, command.offset, command.count)
                self.feed(parent_ports.BlobRead(command.blob, command.offset, data))
            case _:
                raise AssertionError(f"{type(command).__name__} is no chore")

    # --- calls -------------------------------------------------------------------------------------------------------

    async def call(self, kind: str, body: bytes, allowed_us: int) -> _Call:
        """Call the site and wait for its reply."""
        name = CallId(make_ulid(self._owner.mint, self._owner.clock.wall_us()))
        call = _Call(self, name)
        self.calls[name] = call
        known = cast("Literal['nonce', 'logs', 'exec', 'stats']", kind)
        self.feed(parent_ports.CallWanted(name, known, body, allowed_us))
        try:
            call.reply = await call.answered
        except asyncio.CancelledError:
            await call.close("the caller has gone")
            raise
        if not (call.reply.ok and call.reply.stream):
            call.end()
        if call.reply.code in ("E-LINK", "E-DEADLINE"):
            raise Unavailable(call.reply.code, f"site {self.site}: {call.reply.reason}")
        return call

    def _reply(self, command: parent_ports.ReplyCall) -> None:
        call = self.calls.get(command.call)
        if call is not None and not call.answered.done():
            call.answered.set_result(
                wire.CallReply(command.call, command.ok, command.body, command.code, command.reason, command.stream)
            )

    async def _read_input(self, call: _Call, command: ports.ReadStream) -> None:
        data, end = await call.next_input()
        for start in range(0, max(len(data), 1), command.count):
            piece = data[start : start + command.count]
            self.feed(ports.StreamRead(command.call, 0, piece, end and start + command.count >= len(data)))
            return


class Sessions:
    """Implements ``core.state.Sites``; ``handle`` serves each connection of the link listener."""

    def __init__(self, *, desk: LinkDesk, clock: Clock, mint: Mint, tasks: Tasks) -> None:
        self.desk = desk
        self.clock = clock
        self.mint = mint
        self.tasks = tasks
        self._compressor = Compressor()
        self._admission = Admission(ADMISSIONS_PER_S, ADMISSIONS_BURST, PLACES_MAX)
        self._sessions: dict[SiteName, _Session] = {}

    def nudge(self, site: SiteName) -> None:
        """A site's document or record may have changed."""
        session = self._sessions.get(site)
        if session is not None:
            session.feed(parent_ports.Nudged())

    async def call(self, site: SiteName, kind: str, body: bytes, allowed_us: int) -> _Call:
        """Call a site."""
        session = self._sessions.get(site)
        if session is None:
            raise Unavailable(
                "E-SITE-AWAY",
                f"Site {site} has no link to this core now.",
                hint=f"skerry site show {site}",
            )
        return await session.call(kind, body, allowed_us)

    def linked(self) -> tuple[SiteName, ...]:
        """Sites with a session here, sorted."""
        return tuple(sorted(self._sessions))

    async def handle(self, connection: Connection) -> None:
        """Serve one connection: its first message says whether it is a site or a box that wants to join."""
        pump = Pump(connection, self._compressor)
        sender = self.tasks.start("greet", self._send(pump))
        try:
            first = await pump.receive()
            match first:
                case wire.Hello():
                    await self._greet(connection, pump, first, sender)
                case wire.JoinRequest():
                    await self._join(connection, pump, first)
                case _:
                    pump.push(wire.Rejected("E-PROTOCOL", "a Hello or a JoinRequest comes first", fatal=True))
                    await self._flush(pump)
        finally:
            sender.cancel()

    async def _send(self, pump: Pump) -> None:
        with contextlib.suppress(LinkClosed):
            await pump.run()

    async def _flush(self, pump: Pump) -> None:
        with contextlib.suppress(TimeoutError):
            async with ClockTimeout(self.clock, self.tasks, _FAREWELL_US):
                await pump.wait_sent(Lane.CONTROL)

    async def _greet(self, connection: Connection, pump: Pump, hello: wire.Hello, sender: asyncio.Task[None]) -> None:
        """Check the proof before anything in the claim is believed but the name that says which key to try."""
        refusal = wire.Rejected(
            "E-PROOF", "this core knows no such site, or the proof is not by its device key", fatal=True
        )
        try:
            claim = wire.decode_claim(hello.claim)
        except wire.WireError:
            claim = None
        known = None if claim is None else await self.desk.find_site(claim.site)
        node = None if claim is None or known is None else known.record.nodes.get(claim.node)
        if (
            claim is None
            or node is None
            or not verify_proof(node.device, connection.nonce, connection.server_digest, hello.claim, hello.proof)
        ):
            pump.push(refusal)
            await self._flush(pump)
            return
        wait_us = self._admission.ask(claim.site, self.clock.boot_us())
        if wait_us:
            pump.push(wire.Busy(wait_us))
            await self._flush(pump)
            return
        verdict = await self.desk.open_session(claim, connection.peer)
        if isinstance(verdict, SessionRefusal):
            pump.push(wire.Rejected(verdict.code, verdict.reason, fatal=True, number=verdict.floor))
            await self._flush(pump)
            return
        pump.trust_size()
        sender.cancel()
        await self._serve(claim, pump, verdict)

    async def _serve(self, claim: wire.HelloClaim, pump: Pump, grant: SessionGrant) -> None:
        site = claim.site
        older = self._sessions.pop(site, None)
        if older is not None:
            older.close(ports.Close("E-REPLACED", "the site has a newer session"))
        session = _Session(self, site, claim, pump)
        self._sessions[site] = session
        self.desk.hear(site)
        try:
            await session.run(grant)
        finally:
            if self._sessions.get(site) is session:
                del self._sessions[site]
            reason = "lost" if session.closing is None else session.closing.code
            await self.desk.close_session(site, claim.session_epoch, reason)
            await self.desk.count_bytes(site, _sizes(pump.meter.sent), _sizes(pump.meter.received))

    async def _join(self, connection: Connection, pump: Pump, request: wire.JoinRequest) -> None:
        """Answer a box; while it is pending its connection is kept, up to a limit."""
        answer = await self.desk.join(request, connection.nonce, connection.server_digest, connection.peer)
        pump.push(answer)
        if answer.state == "pending":
            until_us = self.clock.boot_us() + JOIN_WAIT_US
            pump.push(await self.desk.wait_joined(request.site, request.node, until_us))
        await self._flush(pump)


def _drawn(patch: wire.DocumentPatch | None, known: KnownSite | None) -> parent_ports.PatchDrawn:
    epoch = generation = 0
    if patch is not None:
        # The core's own signature: what it says of itself needs no proof here.
        head = msgspec.json.decode(patch.head.payload, type=DocumentHead)
        epoch, generation = head.epoch, head.generation
    return parent_ports.PatchDrawn(
        patch,
        epoch,
        generation,
        None if known is None else known.envelope,
        0 if known is None else known.record.number,
    )


def _sizes(counts: "dict[wire.Purpose, Count]") -> dict[str, int]:
    return {purpose: count.bytes for purpose, count in counts.items()}
