"""The parent's end of a link: one object per session of a child.

How a session goes. The shell checks the child's proof, records the session and gives ``Admitted``; the newest document
is drawn against what the child holds, and ``Welcome`` goes out. Then each flow goes for itself: one document at a time
is offered, the newest one when the last was answered; facts and events are stored, one message of each at a time, and
acknowledged after commit; objects and blobs are read as the lanes have room; calls go down and their streams both ways.

Rules of this file:
1. ``handle`` alone changes anything; a message that a child does not send ends the session (``_FORESEEN``).
2. A child that sends before it was answered, out of order or beyond a limit has broken the protocol: nothing piles up.
3. Acknowledgements follow the shell's word that something is committed, and nothing else.
"""

from collections.abc import Iterable, Mapping

from skerry import wire
from skerry.model.ids import CallId, Digest
from skerry.model.limits import FACTS_MAX, OBJECTS_PER_MESSAGE_MAX, STREAMS_PER_SITE_MAX
from skerry.sync import parent_ports, ports
from skerry.sync.bulk import BulkSender
from skerry.sync.classes import HEARTBEATS_US, LINK_PLANS
from skerry.sync.documents import Offering, fit_patch, split_objects
from skerry.sync.outbox import check_batch
from skerry.sync.parent_ports import ParentCommand, ParentEvent
from skerry.sync.ports import Send
from skerry.sync.pulse import Pulse, Sign
from skerry.sync.streams import Streams

#: Messages of a later release that are refused by name in one session, before it counts as garbage.
_UNKNOWN_MAX = 8
#: Objects that are read and held at a time.
_OBJECTS_PER_READ = 8
#: Signs of life that are no step towards an answer which the other end owes.
_SIGNS = (wire.Beat, wire.Samples, wire.SamplesAsk)

_FORESEEN = (
    wire.Beat,
    wire.Rejected,
    wire.DocumentAnswer,
    wire.Need,
    wire.FactsPatch,
    wire.Events,
    wire.Samples,
    wire.CallReply,
    wire.StreamData,
    wire.StreamWindow,
    wire.StreamClose,
    wire.BulkOpen,
    wire.BulkMore,
    wire.BulkEnd,
    wire.Unknown,
)


class ParentEnd:
    """Events in, commands out; times are this machine's boot-time microseconds.

    ``time_s`` is the wall clock's hint for display at the child; ``heartbeats_us`` is how seldom each class may speak.
    """

    def __init__(self, time_s: int, heartbeats_us: Mapping[wire.LinkClass, int] = HEARTBEATS_US) -> None:
        self._time_s = time_s
        self._heartbeats_us = heartbeats_us
        self._claim: wire.HelloClaim | None = None
        self._pulse = Pulse(leads=False)
        self._wake_at: int | None = None
        self._unknown = 0
        self._admitted: parent_ports.Admitted | None = None
        self._offering = Offering((0, 0))
        self._is_drawing = False
        self._is_nudged = False
        #: Draw without a base: the child does not hold the one it was thought to.
        self._draw_whole = False
        self._retry_at: int | None = None
        self._record_number = 0
        self._needed: list[Digest] = []
        self._is_reading_objects = False
        self._facts_number: int | None = None
        self._is_ingesting_events = False
        #: Calls without an answer yet, and by when each is due.
        self._calls: dict[CallId, int] = {}
        self._streams = Streams()
        self._bulk = BulkSender()

    def handle(self, event: ParentEvent, now: int) -> list[ParentCommand]:
        """Take one event and return what is to be done, in this order."""
        out: list[ParentCommand] = []
        match event:
            case parent_ports.Admitted():
                self._admit(event, now, out)
            case ports.Ended():
                self._end(out, "the link is down")
            case _ if self._claim is None:
                if isinstance(event, parent_ports.CallWanted):
                    out.append(parent_ports.ReplyCall(event.call, ok=False, code="E-LINK", reason="the link is down"))
            case ports.Received():
                self._receive(event.message, now, out)
            case ports.Woke():
                self._wake(now, out)
            case parent_ports.Nudged():
                self._is_nudged = True
            case parent_ports.PatchDrawn():
                self._take_patch(event, now, out)
            case parent_ports.ObjectsRead():
                self._is_reading_objects = False
                out.extend(Send(message) for message in split_objects(event.objects, event.missing))
            case parent_ports.FactsStored():
                self._facts_number = None
                out.append(Send(wire.FactsAnswer(event.number, not event.ok)))
            case parent_ports.EventsStored():
                self._is_ingesting_events = False
                out.append(Send(wire.EventsAnswer(event.through)))
            case parent_ports.BlobSized():
                out.extend(self._bulk.size(event))
            case parent_ports.BlobRead():
                out.extend(self._bulk.send(event, now))
            case parent_ports.CallWanted():
                self._call(event, now, out)
            case parent_ports.SamplesWanted():
                self._ask_samples(event.every_us, event.span_us, out)
            case parent_ports.CallDropped():
                self._drop_call(event, out)
            case ports.StreamRead():
                out.extend(self._streams.read(event))
            case ports.StreamFinished():
                out.extend(self._streams.finish(event))
            case ports.StreamTaken():
                out.extend(self._streams.take(event))
        return self._finish(now, out)

    # --- session -----------------------------------------------------------------------------------------------------

    def _admit(self, event: parent_ports.Admitted, now: int, out: list[ParentCommand]) -> None:
        claim = event.claim
        self._claim = claim
        self._admitted = event
        self._record_number = claim.site_record
        self._pulse.begin(now, self._heartbeats_us[claim.link_class])
        held = (claim.document_epoch, claim.document_generation)
        self._offering = Offering(held)
        if claim.document_generation > 0:
            # The answer to an offer may have been lost with the last session; what is held is what counts.
            out.append(parent_ports.RecordAnswer(*held, accepted=True))
        self._is_nudged = True

    def _end(self, out: list[ParentCommand], reason: str) -> None:
        self._claim = None
        self._needed.clear()
        out.extend(parent_ports.ReplyCall(call, ok=False, code="E-LINK", reason=reason) for call in self._calls)
        self._calls.clear()
        out.extend(self._streams.cut(reason))

    def _close(self, out: list[ParentCommand], code: str, reason: str) -> None:
        out.append(Send(wire.Rejected(code, reason, fatal=True)))
        self._end(out, reason)
        out.append(ports.Close(code, reason))

    def _receive(self, message: wire.Message | wire.Unknown, now: int, out: list[ParentCommand]) -> None:
        if not isinstance(message, _FORESEEN):
            self._close(out, "E-PROTOCOL", f"{type(message).__name__} is not foreseen here")
            return
        self._pulse.note_heard(now, word=not isinstance(message, _SIGNS))
        match message:
            case wire.Beat(want=True):
                out.append(Send(wire.Beat()))
            case wire.Rejected(fatal=True):
                self._end(out, message.detail)
                out.append(ports.Close(message.code, message.detail))
            case wire.DocumentAnswer():
                self._answer_document(message, now, out)
            case wire.Need():
                self._need(message, out)
            case wire.FactsPatch():
                self._ingest_facts(message, out)
            case wire.Events():
                self._ingest_events(message, out)
            case wire.Samples():
                out.append(parent_ports.TakeSample(message.sample, message.rtt_us))
            case wire.CallReply():
                self._answer_call(message, out)
            case wire.StreamData():
                self._extend(self._streams.receive(message), out)
            case wire.StreamWindow():
                self._extend(self._streams.grant(message), out)
            case wire.StreamClose():
                out.extend(self._streams.end(message))
            case wire.BulkOpen():
                out.extend(self._bulk.open(message))
            case wire.BulkMore():
                self._extend(self._bulk.more(message, now), out)
            case wire.BulkEnd():
                self._bulk.drop(message.blob)
            case wire.Unknown():
                self._refuse_unknown(message, out)
            case _:
                pass  # a beat that asks nothing, a refusal of something that can be done without

    def _refuse_unknown(self, message: wire.Unknown, out: list[ParentCommand]) -> None:
        self._unknown += 1
        out.append(Send(wire.Rejected("E-UNKNOWN-MESSAGE", message.tag)))
        if self._unknown > _UNKNOWN_MAX:
            self._close(out, "E-PROTOCOL", "too many messages of an unknown kind")

    def _extend(self, commands: Iterable[ParentCommand], out: list[ParentCommand]) -> None:
        """Take what a flow wants done; a flow that wants to close ends the session."""
        for command in commands:
            if isinstance(command, ports.Close):
                self._close(out, command.code, command.reason)
                return
            out.append(command)

    # --- flows -------------------------------------------------------------------------------------------------------

    def _take_patch(self, event: parent_ports.PatchDrawn, now: int, out: list[ParentCommand]) -> None:
        self._is_drawing = False
        patch = event.patch
        if patch is not None and not self._offering.offer(event.epoch, event.generation):
            patch = None
        if patch is not None:
            fitting = fit_patch(patch)
            if fitting is None:
                reason = "the document does not fit into one message"
                out.append(
                    parent_ports.RecordAnswer(
                        event.epoch, event.generation, accepted=False, code="E-DOCUMENT-TOO-LARGE", reason=reason
                    )
                )
                self._retry_at = now + self._offering.refuse()
            patch = fitting
        record = event.site_record if event.record_number > self._record_number else None
        self._record_number = max(self._record_number, event.record_number)
        if self._admitted is not None:
            out.append(Send(self._welcome(self._admitted, patch, record)))
            self._admitted = None
            if self._claim is not None:
                self._ask_samples(LINK_PLANS[self._claim.link_class].samples_us, 0, out)
        elif patch is not None or record is not None:
            out.append(Send(wire.DocumentOffer(patch, record)))

    def _welcome(
        self, admitted: parent_ports.Admitted, patch: wire.DocumentPatch | None, record: wire.Envelope | None
    ) -> wire.Welcome:
        return wire.Welcome(
            format=wire.FORMAT,
            event_acknowledged=admitted.event_acknowledged,
            facts_digest=admitted.facts_digest,
            heartbeat_us=self._heartbeats_us[admitted.claim.link_class],
            document=patch,
            site_record=record,
            time_s=self._time_s,
            event_mark=admitted.event_mark,
        )

    def _answer_document(self, message: wire.DocumentAnswer, now: int, out: list[ParentCommand]) -> None:
        offered = self._offering.offered
        if offered is None or (message.accepted and (message.epoch, message.generation) != offered):
            self._close(out, "E-PROTOCOL", "an answer to a document that was not offered")
            return
        self._needed.clear()
        if message.accepted:
            self._offering.accept()
            out.append(parent_ports.RecordAnswer(*offered, accepted=True))
        elif message.whole and not self._draw_whole:
            # The base was not held after all: once more, without one.
            self._offering.offered = None
            self._draw_whole = True
            self._is_nudged = True
            return
        else:
            out.append(parent_ports.RecordAnswer(*offered, accepted=False, code=message.code, reason=message.reason))
            self._retry_at = now + self._offering.refuse()
        self._draw_whole = False

    def _need(self, message: wire.Need, out: list[ParentCommand]) -> None:
        if self._offering.offered is None:
            self._close(out, "E-PROTOCOL", "objects are asked for while no document is on its way")
        elif not 0 < len(message.digests) <= OBJECTS_PER_MESSAGE_MAX:
            self._close(out, "E-PROTOCOL", f"1 to {OBJECTS_PER_MESSAGE_MAX} objects are asked for at a time")
        else:
            self._needed = list(message.digests)

    def _ingest_facts(self, message: wire.FactsPatch, out: list[ParentCommand]) -> None:
        if self._facts_number is not None or len(message.changed) + len(message.removed) > 2 * FACTS_MAX:
            self._close(out, "E-PROTOCOL", "facts before the last ones were answered, or too many of them")
        else:
            self._facts_number = message.number
            out.append(parent_ports.IngestFacts(message))

    def _ingest_events(self, message: wire.Events, out: list[ParentCommand]) -> None:
        flaw = "events before the last ones were answered" if self._is_ingesting_events else check_batch(message)
        if flaw:
            self._close(out, "E-PROTOCOL", flaw)
        else:
            self._is_ingesting_events = True
            out.append(parent_ports.IngestEvents(message.events, message.dropped))

    def _ask_samples(self, every_us: int, span_us: int, out: list[ParentCommand]) -> None:
        """Ask a child that knows the word, once it was answered."""
        if self._claim is not None and self._admitted is None and wire.SAMPLES_FEATURE in self._claim.features:
            out.append(Send(wire.SamplesAsk(every_us, span_us)))

    def _call(self, event: parent_ports.CallWanted, now: int, out: list[ParentCommand]) -> None:
        if self._admitted is not None:
            out.append(
                parent_ports.ReplyCall(event.call, ok=False, code="E-LINK", reason="the session is just beginning")
            )
            return
        if len(self._calls) + len(self._streams) >= STREAMS_PER_SITE_MAX:
            reason = f"at most {STREAMS_PER_SITE_MAX} calls of a site are open at once"
            out.append(parent_ports.ReplyCall(event.call, ok=False, code="E-BUSY", reason=reason))
            return
        self._calls[event.call] = now + event.allowed_us
        out.append(Send(wire.CallRequest(event.call, event.kind, event.body, event.allowed_us)))

    def _answer_call(self, message: wire.CallReply, out: list[ParentCommand]) -> None:
        if self._calls.pop(message.call, None) is None:
            return
        stream = message.ok and message.stream
        out.append(parent_ports.ReplyCall(message.call, message.ok, message.body, message.code, message.reason, stream))
        if stream:
            out.extend(self._streams.open(message.call))

    def _drop_call(self, event: parent_ports.CallDropped, out: list[ParentCommand]) -> None:
        if self._calls.pop(event.call, None) is not None:
            out.append(Send(wire.StreamClose(event.call, event.reason)))
        out.extend(self._streams.close(event.call, event.reason))

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def _is_waiting(self) -> bool:
        """Say whether the child owes an answer."""
        return bool(self._calls) or (self._offering.offered is not None and not self._needed)

    def _wake(self, now: int, out: list[ParentCommand]) -> None:
        self._wake_at = None
        for call in [call for call, due in self._calls.items() if due <= now]:
            del self._calls[call]
            out.append(Send(wire.StreamClose(call, "too late")))
            out.append(
                parent_ports.ReplyCall(call, ok=False, code="E-DEADLINE", reason="the site did not answer in time")
            )
        if self._retry_at is not None and self._retry_at <= now:
            self._retry_at = None
            self._offering.retry()
            self._is_nudged = True
        if self._admitted is not None:
            return  # until Welcome the child has nothing to say, and no patience to lose
        match self._pulse.judge(now, waiting=self._is_waiting):
            case Sign.ASK:
                out.append(Send(wire.Beat(want=True)))
            case Sign.SILENT:
                self._close(out, "E-SILENT", "nothing came for two heartbeats")
            case Sign.STALLED:
                self._close(out, "E-STALLED", "the site lives and does not answer")
            case Sign.NOTHING:
                pass

    def _finish(self, now: int, out: list[ParentCommand]) -> list[ParentCommand]:
        """Draw and read what has become due, and ask for the next wake-up."""
        if self._claim is None:
            return out
        if self._is_nudged and not self._is_drawing and self._offering.offered is None:
            self._is_nudged, self._is_drawing = False, True
            out.append(parent_ports.DrawPatch(*((0, 0) if self._draw_whole else self._offering.base)))
        if self._needed and not self._is_reading_objects:
            self._is_reading_objects = True
            out.append(parent_ports.ReadObjects(tuple(self._needed[:_OBJECTS_PER_READ])))
            del self._needed[:_OBJECTS_PER_READ]
        sent = [command.message for command in out if isinstance(command, Send)]
        if sent:
            self._pulse.note_sent(now, word=not all(isinstance(message, _SIGNS) for message in sent))
        due = min([self._pulse.next_due(waiting=self._is_waiting), *self._calls.values()])
        if self._retry_at is not None:
            due = min(due, self._retry_at)
        if self._wake_at is None or due < self._wake_at:
            self._wake_at = due
            out.append(ports.WakeAt(due))
        return out
