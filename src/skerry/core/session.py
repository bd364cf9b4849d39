"""One proven session of one site, performed: what ``sync.parent_end`` decides is done here.

What a session asks of the store is done one thing after the other, one batch at a time, so a site that is far behind
delays nobody by more than one batch; what is read for sending waits until its lane has room. A store that is full, or a
message that meets a bug, ends this session and not the core.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

import msgspec
import structlog

from skerry import wire
from skerry.clock import SECOND_US, Alarm, Clock, Mint, Tasks, Worker, make_ulid
from skerry.core.desk import KnownSite, LinkDesk, SessionGrant
from skerry.link.meter import Count, Meter
from skerry.link.ports import LinkClosed
from skerry.link.pump import Pump
from skerry.model.errors import SkerryError, Unavailable
from skerry.model.ids import CallId
from skerry.model.signed import DocumentHead
from skerry.safe.errors import StoreFailed
from skerry.sync import parent_ports, ports
from skerry.sync.lanes import Lane
from skerry.sync.parent_end import ParentEnd
from skerry.sync.parent_ports import ParentCommand, ParentEvent
from skerry.sync.turns import Turns

#: Counts of bytes are handed on this often, so that a session of months is seen while it lasts.
_COUNT_US = 60 * SECOND_US

_log = structlog.get_logger("skerry.core")


class StreamedCall:
    """One call to a site as its caller sees it: ``core.state.SiteCall``."""

    def __init__(self, session: "SiteSession", call: CallId) -> None:
        self._session = session
        self._call = call
        self.answered: asyncio.Future[wire.CallReply] = asyncio.get_running_loop().create_future()
        self.reply = wire.CallReply(call, ok=False)
        #: What the site sent and nobody read: bounded by the stream's credit. None ends it.
        self._items: asyncio.Queue[wire.StreamData | None] = asyncio.Queue()
        #: What may be sent next, and what the caller wrote: one piece.
        self._allowed: asyncio.Queue[int] = asyncio.Queue()
        self.is_over = False

    async def read(self) -> AsyncIterator[wire.StreamData]:
        """Give what the site sends, in order, to the end of the call."""
        while (item := await self._items.get()) is not None:
            yield item
            self._session.feed(ports.StreamTaken(self._call, len(item.data)))

    async def write(self, data: bytes, *, channel: int = 0, end: bool = False) -> None:
        """Send bytes to the far end; return when the last may go. Nothing once the call is over."""
        while True:
            count = await self._allowed.get()
            if self.is_over:
                self._allowed.put_nowait(count)
                return
            piece, data = data[:count], data[count:]
            self._session.feed(ports.StreamRead(self._call, channel, piece, end and not data))
            if not data:
                return

    async def close(self, reason: str = "") -> None:
        """Give the call up; idempotent."""
        if not self.is_over:
            self._session.feed(parent_ports.CallDropped(self._call, reason))
            self.end()

    # --- for the session ---------------------------------------------------------------------------------------------

    def allow(self, count: int) -> None:
        """The site's reader has room for so many bytes."""
        self._allowed.put_nowait(count)

    def deliver(self, item: wire.StreamData) -> None:
        """The site sent this."""
        self._items.put_nowait(item)

    def end(self) -> None:
        """The call is over: readers read what came, writers stop waiting."""
        if not self.is_over:
            self.is_over = True
            self._items.put_nowait(None)
            self._allowed.put_nowait(0)
            self._session.forget(self._call)


class SiteSession:
    """See the module. ``run`` lasts as long as the session."""

    def __init__(
        self,
        *,
        claim: wire.HelloClaim,
        pump: Pump,
        desk: LinkDesk,
        clock: Clock,
        mint: Mint,
        tasks: Tasks,
        heartbeats_us: Mapping[wire.LinkClass, int],
    ) -> None:
        self.claim = claim
        self._site = claim.site
        self._pump = pump
        self._desk = desk
        self._clock = clock
        self._mint = mint
        self._tasks = tasks
        self._end = ParentEnd(clock.wall_us() // SECOND_US, heartbeats_us)
        self._turns = Turns[ParentEvent](self._take)
        self._alarm = Alarm(clock, tasks, f"alarm {self._site}", self._wake)
        self._chores = Worker[ParentCommand](tasks, f"chores {self._site}", self._do_chore)
        #: Beside the chores: a child that takes its image slowly must not hold its facts up.
        self._blobs = Worker[ParentCommand](tasks, f"blobs {self._site}", self._do_chore)
        self._calls: dict[CallId, StreamedCall] = {}
        self._closing: ports.Close | None = None
        self._lost = ""
        self._counted = Meter()
        self._count_from_us = clock.boot_us() + _COUNT_US

    @property
    def reason(self) -> str:
        """Why the session ended."""
        return self._lost if self._closing is None else f"{self._closing.code}: {self._closing.reason}"

    async def run(self, grant: SessionGrant) -> None:
        """Serve the site until its connection is over."""
        self._desk.hear(self._site)
        try:
            self.feed(parent_ports.Admitted(self.claim, grant.event_acknowledged, grant.facts_digest, grant.event_mark))
            while self._closing is None:
                message = await self._pump.receive()
                self._desk.hear(self._site)
                self.feed(ports.Received(message))
        except LinkClosed as error:
            self._lost = f"{error.reason}: {error.detail}"
        finally:
            self._alarm.stop()
            self.feed(ports.Ended())
            for call in list(self._calls.values()):
                call.end()
            self._chores.stop()
            self._blobs.stop()
            await self._count_bytes()

    def ask_samples(self, every_us: int, span_us: int) -> None:
        """Wish for quicker samples for a while."""
        self.feed(parent_ports.SamplesWanted(every_us, span_us))

    def nudge(self) -> None:
        """The site's document or record may have changed."""
        self.feed(parent_ports.Nudged())

    async def call(self, kind: wire.CallKind, body: bytes, allowed_us: int) -> StreamedCall:
        """Call the site and wait for its reply."""
        name = CallId(make_ulid(self._mint, self._clock.wall_us()))
        call = self._calls[name] = StreamedCall(self, name)
        self.feed(parent_ports.CallWanted(name, kind, body, allowed_us))
        try:
            call.reply = await call.answered
        except asyncio.CancelledError:
            await call.close("the caller has gone")
            raise
        if not (call.reply.ok and call.reply.stream):
            call.end()
        if call.reply.code in ("E-LINK", "E-DEADLINE"):
            raise Unavailable(call.reply.code, f"site {self._site}: {call.reply.reason}")
        return call

    def forget(self, call: CallId) -> None:
        """A call is over."""
        self._calls.pop(call, None)

    def close(self, command: ports.Close) -> None:
        """End the session after its farewell."""
        if self._closing is None:
            self._closing = command
            # The receiver waits for a frame; it ends with the connection.
            self._tasks.start(f"farewell {self._site}", self._pump.part(self._clock))

    def _wake(self) -> None:
        self.feed(ports.Woke())
        if self._clock.boot_us() >= self._count_from_us:
            self._count_from_us = self._clock.boot_us() + _COUNT_US
            self._tasks.start(f"count {self._site}", self._count_bytes())

    async def _count_bytes(self) -> None:
        """Hand on what was not counted before."""
        counted, self._counted = self._counted, self._pump.meter
        sent = _sizes_since(self._counted.sent, counted.sent)
        received = _sizes_since(self._counted.received, counted.received)
        if sent or received:
            await self._desk.count_bytes(self._site, sent, received)

    # --- events in, commands out -------------------------------------------------------------------------------------

    def feed(self, event: ParentEvent) -> None:
        """Give the parent end an event and do what it says; what comes of that is taken in turn, never in between."""
        self._turns.feed(event)

    def _take(self, event: ParentEvent) -> None:
        for command in self._end.handle(event, self._clock.boot_us()):
            self._perform(command)

    def _perform(self, command: ParentCommand) -> None:
        match command:
            case ports.Send():
                try:
                    self._pump.push(command.message)
                except LinkClosed as error:
                    self.close(ports.Close("E-STALLED", error.detail))
            case ports.Close():
                self.close(command)
            case ports.WakeAt():
                self._alarm.set(command.boot_us)
            case parent_ports.ReplyCall():
                self._reply(command)
            case parent_ports.TakeSample():
                self._desk.take_sample(self._site, command.sample, command.rtt_us)
            case ports.DeliverStream():
                if command.call in self._calls:
                    self._calls[command.call].deliver(
                        wire.StreamData(command.call, command.channel, command.data, command.end, command.exit_code)
                    )
            case ports.EndStream():
                if command.call in self._calls:
                    self._calls[command.call].end()
            case ports.ReadStream():
                if command.call in self._calls:
                    self._calls[command.call].allow(command.count)
            case parent_ports.SizeBlob() | parent_ports.ReadBlob():
                self._blobs.add(command)
            case _:
                self._chores.add(command)

    def _reply(self, command: parent_ports.ReplyCall) -> None:
        call = self._calls.get(command.call)
        if call is not None and not call.answered.done():
            call.answered.set_result(
                wire.CallReply(command.call, command.ok, command.body, command.code, command.reason, command.stream)
            )

    async def _do_chore(self, command: ParentCommand) -> None:
        try:
            await self._do(command)
        except StoreFailed:
            raise  # acknowledges nothing more: the process ends (faults.md §3.4)
        except SkerryError as error:
            self.close(ports.Close(error.code, error.detail))
        except Exception as error:
            _log.exception("session failed", site=self._site, work=type(command).__name__)
            self.close(ports.Close("E-BROKEN", f"the core met {type(error).__name__}"))

    async def _do(self, command: ParentCommand) -> None:
        desk, site = self._desk, self._site
        match command:
            case parent_ports.DrawPatch():
                drawn = await desk.draw_patch(site, command.base_epoch, command.base_generation)
                if drawn.known is None:
                    self.close(ports.Close("E-SITE", "the site was removed"))
                else:
                    self.feed(_drawn(drawn.patch, drawn.known))
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
                await self._pump.wait_room(Lane.DOCUMENT)
                found = await desk.read_objects(site, command.digests)
                missing = tuple(digest for digest in command.digests if digest not in found)
                objects = tuple(found[digest] for digest in command.digests if digest in found)
                self.feed(parent_ports.ObjectsRead(objects, missing))
            case parent_ports.SizeBlob():
                self.feed(parent_ports.BlobSized(command.blob, await desk.size_blob(site, command.blob)))
            case parent_ports.ReadBlob():
                await self._pump.wait_room(Lane.IMAGE)
                data = await desk.read_blob(command.blob, command.offset, command.count)
                self.feed(parent_ports.BlobRead(command.blob, command.offset, data))
            case _:
                raise AssertionError(f"{type(command).__name__} is no chore")


def _drawn(patch: wire.DocumentPatch | None, known: KnownSite) -> parent_ports.PatchDrawn:
    epoch = generation = 0
    if patch is not None:
        # The core's own signature: what it says of itself needs no proof here.
        head = msgspec.json.decode(patch.head.payload, type=DocumentHead)
        epoch, generation = head.epoch, head.generation
    return parent_ports.PatchDrawn(patch, epoch, generation, known.envelope, known.record.number)


def _sizes_since(now: Mapping[wire.Purpose, Count], before: Mapping[wire.Purpose, Count]) -> dict[str, int]:
    sizes = {str(purpose): count.bytes - before.get(purpose, Count()).bytes for purpose, count in now.items()}
    return {purpose: size for purpose, size in sizes.items() if size}
