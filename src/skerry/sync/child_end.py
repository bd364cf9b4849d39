"""The child's end of a link: one object for the life of an agent, session after session.

How a session goes. The shell dials, has the claim proved and gives ``Linked``; ``Hello`` goes out. ``Welcome`` carries
what the parent has (events, facts) and the newest document when the child's is older: two round trips after TLS.
Then, each flow for itself and one message of each on its way at a time: the document is applied and answered; facts go
as patches, at most one per pace; events go in batches behind them; calls are answered; blobs resume where they were.

Rules of this file:
1. ``handle`` alone changes anything; a message that the state does not foresee ends the session (``_FORESEEN``).
2. Nothing is forgotten with a session: facts, blobs and the outbox go on where the parent's word says.
3. Whatever the parent says, nothing is acknowledged that was not sent, and nothing is applied here.
"""

import enum
from collections.abc import Iterable

from skerry import wire
from skerry.model.ids import CallId
from skerry.model.limits import EVENTS_PER_BATCH_MAX, INTEGER_MAX, STREAMS_PER_SITE_MAX
from skerry.model.samples import Sample
from skerry.sync import child_ports, ports
from skerry.sync.bulk import BulkReceiver
from skerry.sync.child_ports import ChildCommand, ChildEvent
from skerry.sync.classes import LINK_PLANS, clamp_heartbeat
from skerry.sync.documents import Gathering
from skerry.sync.facts import FactsSender
from skerry.sync.outbox import OutboxCursor
from skerry.sync.ports import Send
from skerry.sync.pulse import ANSWER_US, Pulse, Sign
from skerry.sync.samples import SamplesSender
from skerry.sync.streams import Streams

#: Messages of a later release that are refused by name in one session, before it counts as garbage.
_UNKNOWN_MAX = 8
#: Event numbers that a parent may claim to hold; what is left above is enough for any site.
_SEQUENCE_MAX = INTEGER_MAX // 2
#: Signs of life that are no step towards an answer which the other end owes.
_SIGNS = (wire.Beat, wire.Samples, wire.SamplesAsk)


class ChildState(enum.Enum):
    """Where a session is."""

    DOWN = "down"
    #: ``Hello`` is on its way.
    GREETING = "greeting"
    UP = "up"


_FORESEEN: dict[ChildState, tuple[type, ...]] = {
    ChildState.DOWN: (),
    ChildState.GREETING: (wire.Welcome, wire.Busy, wire.Rejected),
    ChildState.UP: (
        wire.Beat,
        wire.Rejected,
        wire.Busy,
        wire.DocumentOffer,
        wire.Objects,
        wire.FactsAnswer,
        wire.EventsAnswer,
        wire.SamplesAsk,
        wire.CallRequest,
        wire.StreamData,
        wire.StreamWindow,
        wire.StreamClose,
        wire.BulkData,
        wire.BulkEnd,
        wire.Unknown,
    ),
}


class ChildEnd:
    """Events in, commands out; times are this machine's boot-time microseconds."""

    def __init__(self) -> None:
        self.state = ChildState.DOWN
        self._claim: wire.HelloClaim | None = None
        self._pulse = Pulse(leads=True)
        self._wake_at: int | None = None
        #: When a sign of life was asked for on behalf of the agent; None while none is awaited.
        self._asked_us: int | None = None
        self._greet_by = 0
        self._unknown = 0
        #: The parent has seen later sessions than this site remembers (faults.md P8).
        self._is_set_back = False
        self._facts = FactsSender()
        self._outbox = OutboxCursor()
        self._samples = SamplesSender()
        self._gathering: Gathering | None = None
        self._is_judging = False
        #: A document that came while another one is being worked on.
        self._next_offer: wire.DocumentPatch | None = None
        #: Calls without an answer yet, and by when each is due.
        self._calls: dict[CallId, int] = {}
        self._streams = Streams()
        self._bulk = BulkReceiver()

    def handle(self, event: ChildEvent, now: int) -> list[ChildCommand]:
        """Take one event and return what is to be done, in this order."""
        out: list[ChildCommand] = []
        match event:
            case child_ports.Linked():
                self._link(event, now, out)
            case ports.Received():
                self._receive(event.message, now, out)
            case ports.Ended():
                self._end(out)
            case ports.Woke():
                self._wake(now, out)
            case child_ports.Changed():
                self._facts.note_changed()
                self._outbox.note_changed()
            case child_ports.Asked():
                if self.state is ChildState.UP and self._asked_us is None:
                    self._asked_us = now
                    out.append(Send(wire.Beat(want=True)))
            case child_ports.FactsRead():
                self._facts.learn(event.facts)
                self._send_facts(now, out)
            case child_ports.OutboxRead():
                self._outbox.take(event.after, event.events)
            case child_ports.SampleRead():
                self._send_sample(event.sample, now, out)
            case child_ports.Judged():
                self._judge(event, out)
            case child_ports.CallAnswered():
                self._answer_call(event, out)
            case ports.StreamRead():
                out.extend(self._streams.read(event))
            case ports.StreamFinished():
                out.extend(self._streams.finish(event))
            case ports.StreamTaken():
                out.extend(self._streams.take(event))
            case child_ports.BlobWanted():
                out.extend(self._bulk.want(event))
            case child_ports.BlobTaken():
                out.extend(self._bulk.take(event.blob, event.offset))
            case child_ports.BlobDropped():
                out.extend(self._bulk.drop(event.blob))
        return self._finish(now, out)

    # --- session -----------------------------------------------------------------------------------------------------

    def _link(self, event: child_ports.Linked, now: int, out: list[ChildCommand]) -> None:
        self.state = ChildState.GREETING
        self._claim = event.claim
        self._greet_by = now + ANSWER_US
        self._unknown = 0
        self._wake_at = None
        out.append(Send(wire.Hello(event.content, event.proof)))

    def _welcome(self, message: wire.Welcome, claim: wire.HelloClaim, now: int, out: list[ChildCommand]) -> None:
        acknowledged = max(message.event_acknowledged, 0)
        if acknowledged > _SEQUENCE_MAX:
            self._close(out, "E-PROTOCOL", "the parent claims more events than a site can have")
            return
        self.state = ChildState.UP
        self._pulse.begin(now, clamp_heartbeat(message.heartbeat_us))
        out.append(child_ports.NoteLink("up"))
        plan = LINK_PLANS[claim.link_class]
        self._facts.begin(message.facts_digest, now, plan.facts_pace_us)
        self._samples.begin(plan)
        self._outbox.begin(acknowledged)
        if acknowledged > (claim.event_acknowledged if self._is_set_back else claim.event_last):
            # An old disk was put back: numbers that the parent knows must not be used for other events.
            out.append(child_ports.RaiseOutbox(acknowledged))
        elif acknowledged > claim.event_acknowledged:
            out.append(child_ports.TrimOutbox(acknowledged, message.event_mark))
        self._is_set_back = False
        if message.site_record is not None:
            out.append(child_ports.KeepSiteRecord(message.site_record))
        if message.document is not None:
            self._offer(message.document, out)
        out.extend(self._bulk.begin())

    def _end(self, out: list[ChildCommand]) -> None:
        self.state = ChildState.DOWN
        self._claim = None
        self._asked_us = None
        self._gathering = None
        self._next_offer = None
        out.extend(ports.EndStream(call, "the link is down") for call in self._calls)
        self._calls.clear()
        out.extend(self._streams.cut("the link is down"))
        self._bulk.end()

    def _close(self, out: list[ChildCommand], code: str, reason: str, retry_after_us: int = 0, above: int = 0) -> None:
        self._end(out)
        out.append(ports.Close(code, reason, retry_after_us, above))

    def _receive(self, message: wire.Message | wire.Unknown, now: int, out: list[ChildCommand]) -> None:
        if self.state is ChildState.DOWN:
            return
        if not isinstance(message, _FORESEEN[self.state]):
            name = type(message).__name__
            out.append(Send(wire.Rejected("E-PROTOCOL", f"{name} is not foreseen here", fatal=True)))
            self._close(out, "E-PROTOCOL", f"the parent sent {name} while {self.state.value}")
            return
        self._pulse.note_heard(now, word=not isinstance(message, _SIGNS))
        match message:
            case wire.Welcome() if self._claim is not None:
                self._welcome(message, self._claim, now, out)
            case wire.Busy():
                self._close(out, "E-BUSY", "the parent asks to come back later", message.retry_after_us)
            case wire.Rejected(fatal=True):
                self._is_set_back = self._is_set_back or message.number > 0
                self._close(out, message.code, message.detail, above=max(message.number, 0))
            case wire.Beat(want=True):
                out.append(Send(wire.Beat()))
            case wire.Beat() if self._asked_us is not None:
                out.append(child_ports.NoteAnswer(self._asked_us))
                self._asked_us = None
            case wire.DocumentOffer():
                if message.site_record is not None:
                    out.append(child_ports.KeepSiteRecord(message.site_record))
                if message.patch is not None:
                    self._offer(message.patch, out)
            case wire.Objects():
                self._gather(message, out)
            case wire.FactsAnswer():
                self._facts.answer(message.number, now, again=message.again)
            case wire.EventsAnswer():
                self._acknowledge(message.through, out)
            case wire.SamplesAsk():
                self._samples.ask(message, now)
            case wire.CallRequest():
                self._call(message, now, out)
            case wire.StreamData():
                self._extend(self._streams.receive(message), out)
            case wire.StreamWindow():
                self._extend(self._streams.grant(message), out)
            case wire.StreamClose():
                if self._calls.pop(message.call, None) is not None:
                    out.append(ports.EndStream(message.call, message.reason))
                out.extend(self._streams.end(message))
            case wire.BulkData():
                self._extend(self._bulk.receive(message), out)
            case wire.BulkEnd():
                out.extend(self._bulk.finish(message))
            case wire.Unknown():
                self._refuse_unknown(message, out)
            case _:
                pass  # a beat that asks nothing, a refusal of something that can be done without

    def _refuse_unknown(self, message: wire.Unknown, out: list[ChildCommand]) -> None:
        self._unknown += 1
        out.append(Send(wire.Rejected("E-UNKNOWN-MESSAGE", message.tag)))
        if self._unknown > _UNKNOWN_MAX:
            self._close(out, "E-PROTOCOL", "too many messages of an unknown kind")

    def _extend(self, commands: Iterable[ChildCommand], out: list[ChildCommand]) -> None:
        """Take what a flow wants done; a flow that wants to close ends the session."""
        for command in commands:
            if isinstance(command, ports.Close):
                out.append(Send(wire.Rejected(command.code, command.reason, fatal=True)))
                self._close(out, command.code, command.reason)
                return
            out.append(command)

    # --- flows -------------------------------------------------------------------------------------------------------

    def _offer(self, patch: wire.DocumentPatch, out: list[ChildCommand]) -> None:
        if self._gathering is not None or self._is_judging:
            self._next_offer = patch
            return
        self._gathering = Gathering(patch)
        self._is_judging = True
        out.append(child_ports.ApplyDocument(patch))

    def _gather(self, message: wire.Objects, out: list[ChildCommand]) -> None:
        gathering = self._gathering
        if gathering is None or self._is_judging:
            return
        hopeless = gathering.add(message)
        if hopeless is not None:
            self._answer_document(hopeless, out)
        elif gathering.is_complete:
            self._is_judging = True
            out.append(child_ports.ApplyDocument(gathering.patch, gathering.objects))

    def _judge(self, event: child_ports.Judged, out: list[ChildCommand]) -> None:
        self._is_judging = False
        if self._gathering is None:
            # Its session is over; the next one's Hello says what is held. A document may have come with its Welcome.
            self._begin_next_offer(out)
            return
        match self._gathering.judge(event):
            case wire.Need() as need:
                out.append(Send(need))
            case wire.DocumentAnswer() as answer:
                self._answer_document(answer, out)

    def _answer_document(self, answer: wire.DocumentAnswer, out: list[ChildCommand]) -> None:
        self._gathering = None
        out.append(Send(answer))
        self._begin_next_offer(out)

    def _begin_next_offer(self, out: list[ChildCommand]) -> None:
        patch, self._next_offer = self._next_offer, None
        if patch is not None:
            self._offer(patch, out)

    def _send_facts(self, now: int, out: list[ChildCommand]) -> None:
        patch = self._facts.next_patch(now) if self.state is ChildState.UP else None
        if patch is not None:
            out.append(Send(patch))

    def _send_sample(self, sample: Sample | None, now: int, out: list[ChildCommand]) -> None:
        size = 0
        if sample is not None and self.state is ChildState.UP:
            message = wire.Samples(sample, self._pulse.rtt_us)
            size = len(wire.encode(message))
            out.append(Send(message))
        self._samples.note_read(now, size)

    def _acknowledge(self, through: int, out: list[ChildCommand]) -> None:
        was_waiting = self._outbox.is_waiting
        if self._outbox.answer(through):
            out.append(child_ports.TrimOutbox(self._outbox.acknowledged))
        elif was_waiting:
            self._close(out, "E-EVENTS", "the parent keeps none of the events that it is sent")

    def _call(self, request: wire.CallRequest, now: int, out: list[ChildCommand]) -> None:
        if request.call in self._calls or len(self._calls) + len(self._streams) >= STREAMS_PER_SITE_MAX:
            reason = f"at most {STREAMS_PER_SITE_MAX} calls of a site are open at once"
            out.append(Send(wire.CallReply(request.call, ok=False, code="E-BUSY", reason=reason)))
            return
        self._calls[request.call] = now + max(request.deadline_us, 0)
        out.append(child_ports.AnswerCall(request))

    def _answer_call(self, event: child_ports.CallAnswered, out: list[ChildCommand]) -> None:
        if self._calls.pop(event.call, None) is None:
            out.append(ports.EndStream(event.call, "nobody waits for it any more"))
            return
        stream = event.ok and event.stream
        out.append(Send(wire.CallReply(event.call, event.ok, event.body, event.code, event.reason, stream)))
        if stream:
            out.extend(self._streams.open(event.call))

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def _is_waiting(self) -> bool:
        """Say whether the parent owes an answer."""
        gathering = self._gathering
        asked = gathering is not None and not gathering.is_complete
        asked = asked or self._asked_us is not None
        return asked or self._facts.is_waiting or self._outbox.is_waiting or self._bulk.is_waiting

    def _wake(self, now: int, out: list[ChildCommand]) -> None:
        self._wake_at = None
        if self.state is ChildState.GREETING and now >= self._greet_by:
            self._close(out, "E-SILENT", "no Welcome came")
        elif self.state is ChildState.UP:
            for call in [call for call, due in self._calls.items() if due <= now]:
                del self._calls[call]
                out.append(Send(wire.CallReply(call, ok=False, code="E-DEADLINE", reason="the site was too slow")))
                out.append(ports.EndStream(call, "too late"))
            match self._pulse.judge(now, waiting=self._is_waiting):
                case Sign.ASK:
                    out.append(Send(wire.Beat(want=True)))
                case Sign.SILENT:
                    self._close(out, "E-SILENT", "nothing came for two heartbeats")
                case Sign.STALLED:
                    self._close(out, "E-STALLED", "the parent lives and does not answer")
                case Sign.NOTHING:
                    pass

    def _finish(self, now: int, out: list[ChildCommand]) -> list[ChildCommand]:
        """Read and send what has become due, and ask for the next wake-up."""
        if self.state is ChildState.UP:
            facts_due = self._facts.read_due()
            if facts_due is not None and facts_due <= now:
                self._facts.start_reading()
                out.append(child_ports.ReadFacts())
            sample_due = self._samples.due(now)
            if sample_due is not None and sample_due <= now:
                self._samples.start_reading()
                out.append(child_ports.ReadSample())
            batch = self._outbox.next_batch()
            if batch is not None:
                out.append(Send(batch))
            elif self._outbox.wants_read():
                self._outbox.start_reading()
                out.append(child_ports.ReadOutbox(self._outbox.acknowledged, EVENTS_PER_BATCH_MAX))
        sent = [command.message for command in out if isinstance(command, Send)]
        if sent:
            self._pulse.note_sent(now, word=not all(isinstance(message, _SIGNS) for message in sent))
        self._ask_wake(now, out)
        return out

    def _ask_wake(self, now: int, out: list[ChildCommand]) -> None:
        if self.state is ChildState.DOWN:
            return
        due = self._greet_by
        if self.state is ChildState.UP:
            reads = [due for due in (self._facts.read_due(), self._samples.due(now)) if due is not None]
            due = min([self._pulse.next_due(waiting=self._is_waiting), *self._calls.values(), *reads])
        if self._wake_at is None or due < self._wake_at:
            self._wake_at = due
            out.append(ports.WakeAt(due))
