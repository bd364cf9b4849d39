"""The agent's end of the link, performed: dial, prove, then do what ``sync.child_end`` says, session after session.

Every decision of the protocol is the child end's. This shell turns frames, timers and answers of the desk into events
and commands into calls. What changes the journal goes through one queue, in order; calls and blobs run beside it. The
site never waits for any of this.
"""

import asyncio
from collections.abc import AsyncIterator

from skerry import wire
from skerry.agent.desk import AgentDesk
from skerry.clock import SECOND_US, Alarm, Clock, ClockTimeout, Mint, Tasks
from skerry.drivers.images import BlobUnavailable
from skerry.link.compress import Compressor
from skerry.link.ports import ConnectFailed, ConnectReason, Dialer, Endpoint, LinkClosed
from skerry.link.pump import Pump
from skerry.model.ids import CallId, Digest
from skerry.sync import child_ports, ports
from skerry.sync.backoff import Backoff
from skerry.sync.child_end import ChildEnd
from skerry.sync.child_ports import ChildCommand, ChildEvent
from skerry.sync.classes import LINK_PLANS
from skerry.sync.lanes import Lane
from skerry.wire import LinkClass

#: A farewell in the control lane gets so long before the connection is closed anyway.
_FAREWELL_US = 5 * SECOND_US
#: A session that stood this long was good: the next dial begins with the shortest wait.
_GOOD_SESSION_US = 10 * SECOND_US


class _Source:
    """What the agent sends in one call's stream."""

    def __init__(self, items: AsyncIterator[wire.StreamData]) -> None:
        self.items = items
        self.left: wire.StreamData | None = None
        self.task: asyncio.Task[None] | None = None


class LinkSession:
    """The link of one agent, for the life of its process."""

    def __init__(
        self,
        *,
        desk: AgentDesk,
        dialer: Dialer,
        endpoints: tuple[Endpoint, ...],
        clock: Clock,
        mint: Mint,
        tasks: Tasks,
        link_class: LinkClass = "wired",
    ) -> None:
        self._desk = desk
        self._dialer = dialer
        self._endpoints = endpoints
        self._clock = clock
        self._mint = mint
        self._tasks = tasks
        self._backoff = Backoff(LINK_PLANS[link_class])
        self._compressor = Compressor()
        self._end = ChildEnd()
        self._alarm = Alarm(clock, tasks, "link alarm", lambda: self._feed(ports.Woke()))
        self._pump: Pump | None = None
        self._closing: ports.Close | None = None
        self._chores: asyncio.Queue[ChildCommand] = asyncio.Queue()
        self._sources: dict[CallId, _Source] = {}
        self._blobs: dict[Digest, asyncio.Queue[child_ports.DeliverBlob | child_ports.FailBlob]] = {}
        self.meter_total = 0
        self.sessions = 0

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Hold the link until cancelled."""
        self._tasks.start("link changes", self._watch_changes())
        self._tasks.start("link chores", self._do_chores())
        above = 0
        while True:
            for endpoint in self._endpoints:
                wait_us = 0
                try:
                    close = await self._hold_session(endpoint, above)
                    above = 0 if close is None else close.above
                    if close is not None and close.retry_after_us:
                        wait_us = self._backoff.busy(close.retry_after_us)
                except ConnectFailed as error:
                    state = "captive" if error.reason is ConnectReason.CAPTIVE else "down"
                    self._desk.note_link(state, error.detail)
                    if error.retry_after_us is not None:
                        wait_us = self._backoff.busy(error.retry_after_us)
                if not above:
                    wait_us = wait_us or self._backoff.fail(self._mint.uniform())
                    await self._clock.sleep_until(self._clock.boot_us() + wait_us)

    async def _hold_session(self, endpoint: Endpoint, above: int) -> ports.Close | None:
        """Dial and hold one session; return why it was closed, None when it was lost."""
        connection = await self._dialer.dial(endpoint)
        pump = Pump(connection, self._compressor)
        pump.trust_size()
        started_us = self._clock.boot_us()
        sender: asyncio.Task[None] | None = None
        try:
            claim = await self._desk.begin_session(above)
            content = wire.encode_claim(claim)
            proof = await self._desk.prove(connection.nonce, connection.server_digest, content)
            self._pump, self._closing = pump, None
            sender = self._tasks.start("link sender", self._send(pump))
            self._feed(child_ports.Linked(claim, content, proof))
            self.sessions += 1
            while self._closing is None:
                self._feed(ports.Received(await pump.receive()))
        except LinkClosed as error:
            if self._closing is None:
                self._desk.note_link("down", error.detail)
        finally:
            close = self._closing
            if close is not None:
                self._desk.note_link("busy" if close.code == "E-BUSY" else "down", f"{close.code}: {close.reason}")
                await self._say_goodbye(pump)
            self._pump = None
            self._feed(ports.Ended())
            if sender is not None:
                sender.cancel()
            await connection.close()
            self.meter_total += pump.meter.bytes
        if self._clock.boot_us() - started_us >= _GOOD_SESSION_US:
            self._backoff.succeed()
        return close

    async def _say_goodbye(self, pump: Pump) -> None:
        try:
            async with ClockTimeout(self._clock, self._tasks, _FAREWELL_US):
                await pump.wait_sent(Lane.CONTROL)
        except TimeoutError:
            return

    async def _send(self, pump: Pump) -> None:
        try:
            await pump.run()
        except LinkClosed:
            return  # the receiver hears of it too, and says why

    async def _watch_changes(self) -> None:
        while True:
            await self._desk.wait_changed()
            self._feed(child_ports.Changed())

    # --- events in, commands out -------------------------------------------------------------------------------------

    def _feed(self, event: ChildEvent) -> None:
        for command in self._end.handle(event, self._clock.boot_us()):
            self._perform(command)

    def _perform(self, command: ChildCommand) -> None:
        match command:
            case ports.Send():
                if self._pump is not None:
                    try:
                        self._pump.push(command.message)
                    except LinkClosed as error:
                        self._close(ports.Close("E-STALLED", error.detail))
            case ports.Close():
                self._close(command)
            case ports.WakeAt():
                self._alarm.set(command.boot_us)
            case child_ports.NoteLink():
                self._desk.note_link(command.state, command.reason)
            case child_ports.AnswerCall():
                self._tasks.start("answer call", self._answer(command.request))
            case ports.ReadStream():
                source = self._sources.get(command.call)
                if source is not None:
                    source.task = self._tasks.start("read stream", self._read_stream(source, command))
            case ports.DeliverStream():
                # Input of commands is not built: it is taken and dropped, so that its sender is not held up.
                self._feed(ports.StreamTaken(command.call, len(command.data)))
            case ports.EndStream():
                self._end_stream(command.call)
            case child_ports.DeliverBlob() | child_ports.FailBlob():
                queue = self._blobs.get(command.blob)
                if queue is not None:
                    queue.put_nowait(command)
            case _:
                self._chores.put_nowait(command)

    def _close(self, command: ports.Close) -> None:
        if self._pump is None or self._closing is not None:
            return
        self._closing = command
        self._tasks.start("close link", self._close_soon(self._pump))

    async def _close_soon(self, pump: Pump) -> None:
        """End the connection after the farewell, so that the receiver wakes up."""
        await self._say_goodbye(pump)
        await pump.close()

    async def _do_chores(self) -> None:
        """What touches the journal, one after the other."""
        while True:
            command = await self._chores.get()
            match command:
                case child_ports.KeepSiteRecord():
                    await self._desk.accept_site_record(command.envelope)
                case child_ports.ApplyDocument():
                    verdict = await self._desk.accept_document(command.patch, command.objects)
                    self._feed(
                        child_ports.Judged(
                            verdict.state,
                            verdict.epoch,
                            verdict.generation,
                            verdict.code,
                            verdict.reason,
                            verdict.digests,
                        )
                    )
                case child_ports.ReadFacts():
                    self._feed(child_ports.FactsRead(await self._desk.read_facts()))
                case child_ports.ReadOutbox():
                    events, _ = await self._desk.read_outbox(command.after, command.limit)
                    self._feed(child_ports.OutboxRead(command.after, events))
                case child_ports.TrimOutbox():
                    await self._desk.trim_outbox(command.through)
                case child_ports.RaiseOutbox():
                    await self._desk.raise_outbox(command.floor)
                    self._feed(child_ports.Changed())
                case _:
                    raise AssertionError(f"{type(command).__name__} is no chore")

    # --- calls -------------------------------------------------------------------------------------------------------

    async def _answer(self, request: wire.CallRequest) -> None:
        answer = await self._desk.answer_call(request, _no_input())
        if answer.ok and answer.stream is not None:
            self._sources[request.call] = _Source(answer.stream)
        self._feed(
            child_ports.CallAnswered(
                request.call, answer.ok, answer.body, answer.code, answer.reason, answer.stream is not None
            )
        )

    async def _read_stream(self, source: _Source, command: ports.ReadStream) -> None:
        """Give up to ``count`` bytes of the next item."""
        item = source.left or await anext(source.items, None)
        source.left = None
        if self._pump is not None:
            await self._pump.wait_room(Lane.CALL)
        if item is None:
            self._feed(ports.StreamFinished(command.call))
            return
        if len(item.data) > command.count:
            rest = item.data[command.count :]
            source.left = wire.StreamData(command.call, item.channel, rest, item.end, item.exit_code)
            self._feed(ports.StreamRead(command.call, item.channel, item.data[: command.count]))
            return
        self._feed(ports.StreamRead(command.call, item.channel, item.data, item.end, item.exit_code))

    def _end_stream(self, call: CallId) -> None:
        source = self._sources.pop(call, None)
        if source is not None and source.task is not None:
            source.task.cancel()

    # --- blobs -------------------------------------------------------------------------------------------------------

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        """Give the bytes of a blob from ``offset`` on, over as many sessions as it takes; raise BlobUnavailable."""
        queue: asyncio.Queue[child_ports.DeliverBlob | child_ports.FailBlob] = asyncio.Queue()
        self._blobs[blob] = queue
        done = False
        self._feed(child_ports.BlobWanted(blob, offset))
        try:
            while True:
                item = await queue.get()
                if isinstance(item, child_ports.FailBlob):
                    done = True
                    raise BlobUnavailable(f"{item.code}: {item.reason}")
                yield item.data
                done = item.last
                self._feed(child_ports.BlobTaken(blob, item.offset + len(item.data)))
                if done:
                    return
        finally:
            del self._blobs[blob]
            if not done:
                self._feed(child_ports.BlobDropped(blob))


async def _no_input() -> AsyncIterator[bytes]:
    for nothing in ():
        yield nothing
