"""The agent's end of the link, performed: dial, prove, then do what ``sync.child_end`` says, session after session.

Every decision of the protocol is the child end's. This shell turns frames, timers and answers of the desk into events,
and commands into calls. What touches the journal is done one after the other, calls and blobs run beside it
(``agent/flows.py``). The site never waits for any of this.
"""

import contextlib
from collections.abc import AsyncIterator

import msgspec

from skerry import wire
from skerry.agent.desk import AgentDesk
from skerry.agent.flows import BlobFetcher, ServedCall
from skerry.clock import SECOND_US, Alarm, Clock, Mint, Tasks, Worker
from skerry.link.dictionary import link_compressor
from skerry.link.ports import ConnectFailed, Connection, ConnectReason, Dialer, Endpoint, LinkClosed
from skerry.link.pump import Pump
from skerry.model.ids import CallId, Digest
from skerry.plan.uplinks import RETRY_US, Ways, order_ways
from skerry.safe.errors import StoreFull
from skerry.sync import child_ports, ports
from skerry.sync.backoff import WAIT_US_MIN, Backoff
from skerry.sync.child_end import ChildEnd
from skerry.sync.child_ports import ChildCommand, ChildEvent
from skerry.sync.classes import LINK_PLANS
from skerry.sync.lanes import Lane
from skerry.sync.turns import Turns
from skerry.wire import LinkClass

#: A session that was up and stood this long was good: the next dial begins with the shortest wait.
_GOOD_SESSION_US = 10 * SECOND_US
#: How often it is looked whether the link is on the uplink on which it should be: a few instructions.
_WAY_LOOK_US = 5 * SECOND_US
#: What the bytes of a link are for, in the words in which an operator pays for them.
_PURPOSES: dict[wire.Purpose, str] = {
    "document": "documents",
    "image": "images",
    "logs": "streams",
    "call": "streams",
    "facts": "reports",
    "events": "reports",
    "samples": "reports",
    "heartbeat": "reports",
    "join": "reports",
}
#: Addresses remembered per endpoint, for the day on which its name does not resolve (faults.md N14).
_ADDRESSES_MAX = 4


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
        self._endpoints = list(endpoints)
        self._clock = clock
        self._mint = mint
        self._tasks = tasks
        self._backoff = Backoff(LINK_PLANS[link_class])
        self._compressor = link_compressor()
        self._end = ChildEnd()
        self._turns = Turns[ChildEvent](self._take)
        self._alarm = Alarm(clock, tasks, "link alarm", lambda: self._feed(ports.Woke()))
        self._chores = Worker[ChildCommand](tasks, "link chores", self._do_chore)
        #: Beside the chores: a runtime that takes its time must not hold the journal up.
        self._looks = Worker[ChildCommand](tasks, "link samples", self._look)
        self._pump: Pump | None = None
        self._closing: ports.Close | None = None
        self._is_up = False
        #: The session epoch that the parent said must be exceeded; asked for at once, but only once in a row.
        self._above = 0
        #: The device of the present connection and the wishes it was chosen by; when dials by a device failed last.
        self._way = ""
        self._way_name = ""
        self._failed: dict[str, int] = {}
        self._calls: dict[CallId, ServedCall] = {}
        self._fetcher = BlobFetcher(self._feed)
        #: Bytes on the wire of all sessions that are over, and how many sessions were begun.
        self.meter_total = 0
        #: Bytes of those sessions by device and purpose.
        self._moved: dict[str, int] = {}
        self.sessions = 0

    async def run(self) -> None:
        """Hold the link until cancelled: endpoints in their order, a wait after each round that failed."""
        self._tasks.start("link changes", self._watch_changes())
        self._tasks.start("link ways", self._watch_ways())
        turn = 0
        while True:
            wait_us = await self._hold_link(turn)
            turn = (turn + 1) % len(self._endpoints)
            if self._backoff.failures == 0:
                turn = 0
            if turn and wait_us > WAIT_US_MIN:
                wait_us = WAIT_US_MIN  # another endpoint may answer: the real wait comes after the last one
            await self._clock.sleep_until(self._clock.boot_us() + wait_us)

    def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        """Give the bytes of a blob from ``offset`` on, over as many sessions as it takes; raise BlobUnavailable."""
        return self._fetcher.fetch(blob, offset)

    def read_moved(self) -> dict[str, int]:
        """Return the bytes of all sessions since this process began, by ``DEVICE/PURPOSE``, both ways together."""
        return self._moved if self._pump is None else self._add_moved(self._pump)

    def _add_moved(self, pump: Pump) -> dict[str, int]:
        moved = dict(self._moved)
        for counts in (pump.meter.sent, pump.meter.received):
            for purpose, count in counts.items():
                name = f"{self._way}/{_PURPOSES[purpose]}"
                moved[name] = moved.get(name, 0) + count.bytes
        return moved

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _hold_link(self, turn: int) -> int:
        """Dial and hold one session; return how long to wait before the next dial, in microseconds."""
        endpoint, above = self._endpoints[turn], self._above
        self._above = 0
        try:
            connection = await self._dial(endpoint)
        except ConnectFailed as error:
            state = "captive" if error.reason is ConnectReason.CAPTIVE else "down"
            self._desk.note_link(state, f"{error.reason}: {error.detail}")
            if error.retry_after_us is not None:
                return self._backoff.busy(error.retry_after_us)
            return self._backoff.fail(self._mint.uniform())
        started_us = self._clock.boot_us()
        close = await self._hold_session(connection, above)
        if self._is_up and self._clock.boot_us() - started_us >= _GOOD_SESSION_US:
            self._backoff.succeed()
        if self._is_up:
            self._endpoints[turn] = _remember(endpoint, connection.peer)
        if close is not None and close.above and not above:
            self._above = close.above
            return 0
        if close is not None and close.retry_after_us:
            return self._backoff.busy(close.retry_after_us)
        return self._backoff.fail(self._mint.uniform())

    async def _dial(self, endpoint: Endpoint) -> Connection:
        """Dial by one uplink after the other; raise the last one's ConnectFailed."""
        ways = self._desk.list_ways()
        last: ConnectFailed | None = None
        for device in order_ways(ways, self._failed, self._clock.boot_us()):
            try:
                connection = await self._dialer.dial(msgspec.structs.replace(endpoint, device=device))
            except ConnectFailed as error:
                self._failed[device] = self._clock.boot_us()
                last = error
                continue
            self._failed.pop(device, None)
            self._way, self._way_name = device, ways.name
            self._desk.note_way(device)
            return connection
        assert last is not None, "there is always a way"
        raise last

    async def _watch_ways(self) -> None:
        """End a session that stands on wishes which do not hold any more, or on a worse uplink than there could be."""
        looked_us = self._clock.boot_us()
        while True:
            await self._clock.sleep_until(self._clock.boot_us() + _WAY_LOOK_US)
            if self._pump is None or not self._is_up:
                continue
            ways = self._desk.list_ways()
            if ways.name != self._way_name or self._way not in ways.devices:
                self._close(ports.Close("E-UPLINK", "other uplinks are wished now: the link is made anew"))
            elif self._way != ways.devices[0] and self._clock.boot_us() - looked_us >= RETRY_US:
                looked_us = self._clock.boot_us()
                if await self._try_better(ways):
                    self._close(ports.Close("E-UPLINK", "a better uplink reaches the core again"))

    async def _try_better(self, ways: Ways) -> bool:
        """Say whether an uplink before the present one reaches the parent, by a connection that is closed at once."""
        for device in ways.devices[: ways.devices.index(self._way)]:
            with contextlib.suppress(ConnectFailed):
                connection = await self._dialer.dial(msgspec.structs.replace(self._endpoints[0], device=device))
                await connection.close()
                self._failed.pop(device, None)
                return True
        return False

    async def _hold_session(self, connection: Connection, above: int) -> ports.Close | None:
        """Prove and hold a session; return why this end closed it, None when it was lost."""
        pump = Pump(connection, self._compressor, self._tasks, "link")
        pump.trust_size()
        self._closing, self._is_up = None, False
        try:
            claim = await self._desk.begin_session(above)
            content = wire.encode_claim(claim)
            proof = await self._desk.prove(connection.nonce, connection.server_digest, content)
            self._pump = pump
            self.sessions += 1
            self._feed(child_ports.Linked(claim, content, proof))
            while self._closing is None:
                self._feed(ports.Received(await pump.receive()))
        except LinkClosed as error:
            if self._closing is None:
                self._desk.note_link("down", f"{error.reason}: {error.detail}")
        except StoreFull as full:
            self._desk.note_link("down", f"{full.code}: {full.detail}")
        finally:
            close = self._closing
            if close is not None:
                state = "busy" if close.code == "E-BUSY" else "down"
                self._desk.note_link(state, f"{close.code}: {close.reason}")
            self._moved, self._pump = self._add_moved(pump), None
            self._alarm.stop()
            self._feed(ports.Ended())
            await pump.part(self._clock)
            self.meter_total += pump.meter.bytes
        return close

    async def _watch_changes(self) -> None:
        while True:
            await self._desk.wait_changed()
            self._feed(child_ports.Changed())
            if self._desk.wants_answer():
                self._feed(child_ports.Asked())

    # --- events in, commands out -------------------------------------------------------------------------------------

    def _feed(self, event: ChildEvent) -> None:
        """Give the child end an event and do what it says; what comes of that is taken in turn, never in between."""
        self._turns.feed(event)

    def _take(self, event: ChildEvent) -> None:
        for command in self._end.handle(event, self._clock.boot_us()):
            self._perform(command)

    def _perform(self, command: ChildCommand) -> None:
        match command:
            case ports.Send():
                self._send(command.message)
            case ports.Close():
                self._close(command)
            case ports.WakeAt():
                self._alarm.set(command.boot_us)
            case child_ports.NoteLink():
                self._is_up = self._is_up or command.state == "up"
                self._desk.note_link(command.state, command.reason)
            case child_ports.NoteAnswer():
                self._desk.note_answer(command.asked_us)
            case child_ports.AnswerCall():
                call = ServedCall(command.request, self._desk, self._feed, self._wait_call_room)
                self._calls[command.request.call] = call
                call.begin(self._tasks)
            case ports.ReadStream():
                if command.call in self._calls:
                    self._calls[command.call].allow(command.count)
            case ports.DeliverStream():
                if command.call in self._calls:
                    self._calls[command.call].deliver(command.channel, command.data, end=command.end)
            case ports.EndStream():
                call = self._calls.pop(command.call, None)
                if call is not None:
                    call.end()
            case child_ports.ReadSample():
                self._looks.add(command)
            case child_ports.DeliverBlob() | child_ports.FailBlob():
                self._fetcher.take(command)
            case _:
                self._chores.add(command)

    def _send(self, message: wire.Message) -> None:
        if self._pump is None:
            return
        try:
            self._pump.push(message)
        except LinkClosed as error:
            self._close(ports.Close("E-STALLED", error.detail))

    def _close(self, command: ports.Close) -> None:
        if self._closing is None and self._pump is not None:
            self._closing = command
            # The receiver waits for a frame; it ends with the connection.
            self._tasks.start("link farewell", self._pump.part(self._clock))

    async def _wait_call_room(self) -> None:
        if self._pump is not None:
            await self._pump.wait_room(Lane.CALL)

    async def _look(self, _: ChildCommand) -> None:
        await self._wait_call_room()
        self._feed(child_ports.SampleRead(await self._desk.read_sample()))

    async def _do_chore(self, command: ChildCommand) -> None:
        """What touches the journal, one after the other. A journal that fails ends the agent (faults.md §3.4).

        One whose disk is full refuses the document, which is offered again later. Anything else ends the session:
        nothing was acknowledged, and the next one begins with the same.
        """
        try:
            await self._touch_journal(command)
        except StoreFull as full:
            if isinstance(command, child_ports.ApplyDocument):
                self._feed(child_ports.Judged("refused", code=full.code, reason=full.detail))
            else:
                self._close(ports.Close(full.code, full.detail))

    async def _touch_journal(self, command: ChildCommand) -> None:
        match command:
            case child_ports.KeepSiteRecord():
                await self._desk.accept_site_record(command.envelope)
            case child_ports.ApplyDocument():
                verdict = await self._desk.accept_document(command.patch, command.objects)
                self._feed(msgspec.convert(verdict, child_ports.Judged, from_attributes=True))
            case child_ports.ReadFacts():
                self._feed(child_ports.FactsRead(await self._desk.read_facts()))
            case child_ports.ReadOutbox():
                events, _ = await self._desk.read_outbox(command.after, command.limit)
                self._feed(child_ports.OutboxRead(command.after, events))
            case child_ports.TrimOutbox():
                await self._desk.trim_outbox(command.through, command.mark)
            case child_ports.RaiseOutbox():
                await self._desk.raise_outbox(command.floor)
                self._feed(child_ports.Changed())
            case _:
                raise AssertionError(f"{type(command).__name__} is no chore")


def _remember(endpoint: Endpoint, peer: str) -> Endpoint:
    """Return the endpoint with an address at which it answered; through a proxy the peer is only the proxy."""
    if endpoint.proxy is not None or ":" not in peer or peer in endpoint.addresses[:1]:
        return endpoint
    older = tuple(address for address in endpoint.addresses if address != peer)
    return msgspec.structs.replace(endpoint, addresses=(peer, *older)[:_ADDRESSES_MAX])
