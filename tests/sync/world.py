"""One site and one core as the two ends see them: disks that survive, memories that do not, connections that break.

Nothing here is asynchronous. A message waits in its connection until it is delivered, a read or write waits in its
end's queue until it is performed, so a test can cut, restart or reorder between any two steps. The disks follow the
rules that the real journal and store promise (agent/desk.py, core/desk.py).
"""

import collections
import hashlib

import msgspec

from skerry import wire
from skerry.model.document import digest_bodies, digest_units
from skerry.model.event import Event, EventClass
from skerry.model.ids import CauseId, Digest, NodeName, SiteName, UnitId, digest_of
from skerry.model.signed import DocumentHead, Envelope
from skerry.sync import child_ports as cp
from skerry.sync import parent_ports as pp
from skerry.sync import ports
from skerry.sync.child_end import ChildEnd, ChildState
from skerry.sync.documents import PatchMismatch, apply_patch, make_patch
from skerry.sync.facts import FactsMismatch, apply_facts, digest_facts
from skerry.sync.parent_end import ParentEnd

SITE, NODE = SiteName("oslo"), NodeName("oslo-1")
SECOND = 1_000_000


def make_object(text: str) -> Envelope:
    """Stands for a signed object, which is bytes to both ends."""
    return Envelope("test", text.encode(), ())


def make_head(epoch: int, generation: int, units: Digest, objects: tuple[Digest, ...] = ()) -> DocumentHead:
    """Stands for a signed head; the objects that the document names travel in ``parent``, so no unit needs parsing."""
    return DocumentHead(site=SITE, epoch=epoch, generation=generation, parent=" ".join(objects), time_s=0, units=units)


def open_head(envelope: Envelope) -> DocumentHead:
    return msgspec.json.decode(envelope.payload, type=DocumentHead)


class Document(msgspec.Struct):
    head: DocumentHead
    units: dict[UnitId, bytes]


class SiteDisk:
    """What a site keeps: session epoch, document, outbox, objects; and its facts, which it reads from the world."""

    def __init__(self, outbox_max: int = 50_000) -> None:
        self.session_epoch = 0
        self.document: Document | None = None
        self.objects: dict[Digest, Envelope] = {}
        self.outbox: list[Event] = []
        self.last = 0
        self.acknowledged = 0
        self.outbox_max = outbox_max
        self.facts: dict[str, bytes] = {}
        self.refuse = ""
        self.link_class: wire.LinkClass = "wired"
        self.hangs = False

    def write_event(self, kind: str, klass: EventClass = "event") -> Event:
        self.last += 1
        event = Event(sequence=self.last, time_us=self.last, type=kind, klass=klass, cause=CauseId("c"))
        self.outbox.append(event)
        while len(self.outbox) > self.outbox_max:
            oldest = next((event for event in self.outbox if event.klass == "event"), None)
            if oldest is None:
                break
            self.outbox.remove(oldest)
        return event

    def trim(self, through: int) -> None:
        self.outbox = [event for event in self.outbox if event.sequence > through]
        self.acknowledged = max(self.acknowledged, through)
        self.last = max(self.last, through)

    def raise_numbers(self, floor: int) -> None:
        shift = max(floor - self.acknowledged, 0)
        self.outbox = [msgspec.structs.replace(event, sequence=event.sequence + shift) for event in self.outbox]
        self.last += shift
        self.acknowledged += shift

    def begin_session(self, above: int) -> wire.HelloClaim:
        self.session_epoch = max(self.session_epoch, above) + 1
        held = self.document.head if self.document else make_head(0, 0, Digest(""))
        return wire.HelloClaim(
            format=wire.FORMAT,
            site=SITE,
            node=NODE,
            session_epoch=self.session_epoch,
            document_epoch=held.epoch,
            document_generation=held.generation,
            facts_digest=digest_facts(self.facts),
            event_last=self.last,
            event_acknowledged=self.acknowledged,
            clock_s=0,
            agent="test",
            link_class=self.link_class,
        )

    def accept(self, command: cp.ApplyDocument) -> cp.Judged:
        head = open_head(command.patch.head)
        held = self.document
        if held is not None and (head.epoch, head.generation) == (held.head.epoch, held.head.generation):
            return cp.Judged("accepted", head.epoch, head.generation)
        if held is not None and (head.epoch, head.generation) < (held.head.epoch, held.head.generation):
            return cp.Judged("refused", head.epoch, head.generation, "E-STALE", "a newer document is held")
        if self.refuse:
            return cp.Judged("refused", head.epoch, head.generation, self.refuse, "told to")
        base = None if held is None else (held.head.epoch, held.head.generation, held.units)
        units = apply_patch(base, command.patch, head.units)
        if isinstance(units, PatchMismatch):
            state = "whole" if units.whole else "refused"
            return cp.Judged(state, head.epoch, head.generation, "E-UNITS", units.reason)
        for envelope in (*command.patch.objects, *command.objects):
            self.objects[digest_of(envelope.payload)] = envelope
        missing = tuple(Digest(name) for name in head.parent.split() if name not in self.objects)
        if missing:
            return cp.Judged("missing", head.epoch, head.generation, digests=missing)
        self.document = Document(head, units)
        return cp.Judged("accepted", head.epoch, head.generation)


class CoreDisk:
    """What a core keeps of one site."""

    def __init__(self) -> None:
        self.session_epoch = 0
        self.documents: list[Document] = []
        self.objects: dict[Digest, Envelope] = {}
        self.answers: list[pp.RecordAnswer] = []
        self.log: list[Event] = []
        self.cursor = 0
        self.dropped = 0
        self.facts: dict[str, bytes] = {}

    def publish(self, units: dict[UnitId, bytes], objects: tuple[Envelope, ...] = (), epoch: int = 1) -> Document:
        for envelope in objects:
            self.objects[digest_of(envelope.payload)] = envelope
        named = tuple(digest_of(envelope.payload) for envelope in objects)
        generation = 1 + sum(document.head.epoch == epoch for document in self.documents)
        document = Document(make_head(epoch, generation, digest_units(digest_bodies(units)), named), units)
        self.documents.append(document)
        return document

    def draw(self, base_epoch: int, base_generation: int) -> pp.PatchDrawn:
        if not self.documents:
            return pp.PatchDrawn(None)
        newest = self.documents[-1]
        base: tuple[int, int, dict[UnitId, Digest]] | None = None
        for document in self.documents:
            if (document.head.epoch, document.head.generation) == (base_epoch, base_generation):
                base = (base_epoch, base_generation, digest_bodies(document.units))
        if base is not None and (newest.head.epoch, newest.head.generation) == base[:2]:
            return pp.PatchDrawn(None)
        patch = make_patch(Envelope("test", msgspec.json.encode(newest.head), ()), newest.units, base)
        return pp.PatchDrawn(patch, newest.head.epoch, newest.head.generation)

    def ingest(self, command: pp.IngestEvents) -> int:
        first = command.events[0].sequence
        if first - command.dropped - 1 <= self.cursor:
            self.dropped += max(0, first - 1 - self.cursor)
            self.cursor = max(self.cursor, first - 1)
            for event in command.events:
                if event.sequence == self.cursor + 1:
                    self.log.append(event)
                    self.cursor = event.sequence
        return self.cursor

    def ingest_facts(self, command: pp.IngestFacts) -> pp.FactsStored:
        facts = apply_facts(self.facts, command.patch)
        if isinstance(facts, FactsMismatch):
            return pp.FactsStored(command.patch.number, ok=False)
        self.facts = facts
        return pp.FactsStored(command.patch.number, ok=True)


class Connection:
    """Frames on their way, each direction in order. Each end may be gone without the other knowing."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.up: collections.deque[bytes] = collections.deque()
        self.down: collections.deque[bytes] = collections.deque()
        #: Made when the Hello is admitted.
        self.parent: ParentEnd | None = None
        self.session_epoch = 0
        self.is_open_above = True
        self.jobs: collections.deque[pp.ParentCommand] = collections.deque()
        self.wake_at: int | None = None


class World:
    """The site's process, the core's process and what lies between."""

    def __init__(self, outbox_max: int = 50_000) -> None:
        self.now = 1000 * SECOND
        self.site = SiteDisk(outbox_max)
        self.core = CoreDisk()
        self.child = ChildEnd()
        self.child_jobs: collections.deque[cp.ChildCommand] = collections.deque()
        self.child_wake_at: int | None = None
        #: The connection that the child believes in.
        self.connection: Connection | None = None
        #: Connections that the core believes in, oldest first.
        self.connections: list[Connection] = []
        self.above = 0
        self.count = 0
        #: What happened, for transcripts: one line each.
        self.story: list[str] = []
        self.replies: list[pp.ReplyCall] = []
        self.blobs: dict[Digest, bytes] = {}
        self.arrived: dict[Digest, bytes] = {}
        self.sent_bytes = {"up": 0, "down": 0}

    # --- what people and the world do -----------------------------------------------------------------------------

    def link(self) -> None:
        """The child dials; a connection that it had before is gone for it, and the core need not know."""
        if self.connection is not None:
            self.end_child("E-CUT")
        self.count += 1
        self.connection = Connection(self.count)
        self.connections.append(self.connection)
        claim = self.site.begin_session(self.above)
        self.above = 0
        self.give_child(cp.Linked(claim, wire.encode_claim(claim), hashlib.sha256(b"proof").digest() * 2))

    def end_child(self, why: str) -> None:
        """The child's end of its connection is gone."""
        if self.connection is not None:
            self.connection.down.clear()
            self.connection = None
            self.child_wake_at = None
            self.story.append(f"child: link down ({why})")
            self.give_child(ports.Ended())

    def end_parent(self, connection: Connection) -> None:
        """The core's end of a connection is gone."""
        connection.is_open_above = False
        connection.up.clear()
        connection.wake_at = None
        if connection in self.connections:
            self.connections.remove(connection)
        if connection.parent is not None:
            self.give_parent(connection, ports.Ended())

    def cut(self) -> None:
        """Both ends see the connection break; what was on its way is lost."""
        connection = self.connection
        self.end_child("cut")
        for each in [connection] if connection is not None else []:
            self.end_parent(each)

    def restart_child(self) -> None:
        """The agent's process dies: what was not written is gone, and its connection with it, unknown to the core."""
        self.child = ChildEnd()
        self.child_jobs.clear()
        self.child_wake_at = None
        self.connection = None
        self.above = 0

    def restart_parent(self) -> None:
        """The core's process dies: every connection breaks."""
        for connection in list(self.connections):
            connection.jobs.clear()
            self.connections.remove(connection)
            connection.is_open_above = False
            connection.up.clear()
        self.end_child("cut")

    def change(self) -> None:
        """The agent says that facts or outbox changed."""
        self.give_child(cp.Changed())

    def nudge(self) -> None:
        """The core says that the document may have changed."""
        for connection in list(self.connections):
            if connection.parent is not None:
                self.give_parent(connection, pp.Nudged())

    # --- steps ----------------------------------------------------------------------------------------------------

    def give_child(self, event: cp.ChildEvent) -> None:
        for command in self.child.handle(event, self.now):
            match command:
                case ports.Send():
                    frame = wire.encode(command.message)
                    self.story.append(f"> {describe(command.message)}")
                    self.sent_bytes["up"] += len(frame)
                    if self.connection is not None and self.connection.is_open_above:
                        self.connection.up.append(frame)
                case ports.WakeAt():
                    self.child_wake_at = command.boot_us
                case ports.Close():
                    self.above = command.above
                    connection = self.connection
                    self.end_child(command.code)
                    if connection is not None and not connection.up:
                        self.end_parent(connection)
                case cp.NoteLink():
                    self.story.append(f"child: link {command.state}")
                case cp.DeliverBlob():
                    self.arrived[command.blob] = self.arrived.get(command.blob, b"") + command.data
                    self.child_jobs.append(command)
                case _:
                    self.child_jobs.append(command)

    def give_parent(self, connection: Connection, event: pp.ParentEvent) -> None:
        if connection.parent is None:
            return
        for command in connection.parent.handle(event, self.now):
            match command:
                case ports.Send():
                    frame = wire.encode(command.message)
                    self.story.append(f"< {describe(command.message)}")
                    self.sent_bytes["down"] += len(frame)
                    if connection is self.connection:
                        connection.down.append(frame)
                case ports.WakeAt():
                    connection.wake_at = command.boot_us
                case ports.Close():
                    self.story.append(f"parent: closes ({command.code})")
                    self.end_parent(connection)
                case pp.ReplyCall():
                    self.replies.append(command)
                case _:
                    connection.jobs.append(command)

    def deliver_up(self, connection: Connection) -> None:
        message = wire.decode(connection.up.popleft())
        if isinstance(message, wire.Hello):
            self.admit(connection, wire.decode_claim(message.claim))
        else:
            self.give_parent(connection, ports.Received(message))

    def deliver_down(self) -> None:
        if self.connection is not None:
            self.give_child(ports.Received(wire.decode(self.connection.down.popleft())))

    def admit(self, connection: Connection, claim: wire.HelloClaim) -> None:
        if claim.session_epoch <= self.core.session_epoch:
            rejected = wire.Rejected("E-SESSION-OLD", "a later session was seen", True, self.core.session_epoch)
            self.story.append(f"< {describe(rejected)}")
            if connection is self.connection:
                connection.down.append(wire.encode(rejected))
            self.end_parent(connection)
            return
        self.core.session_epoch = claim.session_epoch
        for older in [each for each in self.connections if each.parent is not None]:
            self.story.append("parent: closes (replaced)")
            self.end_parent(older)
        connection.parent = ParentEnd(0)
        connection.session_epoch = claim.session_epoch
        self.give_parent(connection, pp.Admitted(claim, self.core.cursor, digest_facts(self.core.facts)))

    def do_child_job(self) -> None:
        """Perform the oldest thing that the child's end asked of its agent."""
        match self.child_jobs.popleft():
            case cp.ApplyDocument() as command:
                self.give_child(self.site.accept(command))
            case cp.ReadFacts():
                self.give_child(cp.FactsRead(dict(self.site.facts)))
            case cp.ReadOutbox() as command:
                events = tuple(event for event in self.site.outbox if event.sequence > command.after)[: command.limit]
                self.give_child(cp.OutboxRead(command.after, events))
            case cp.TrimOutbox() as command:
                self.site.trim(command.through)
            case cp.RaiseOutbox() as command:
                self.site.raise_numbers(command.floor)
            case cp.DeliverBlob() as command:
                self.give_child(cp.BlobTaken(command.blob, command.offset + len(command.data)))
            case cp.AnswerCall() if self.site.hangs:
                pass
            case cp.AnswerCall() as command:
                self.give_child(cp.CallAnswered(command.request.call, ok=True, body=b"done"))
            case _:
                pass

    def do_parent_job(self, connection: Connection) -> None:
        """Perform the oldest thing that a parent's end asked of its core."""
        match connection.jobs.popleft():
            case pp.DrawPatch() as command:
                self.give_parent(connection, self.core.draw(command.base_epoch, command.base_generation))
            case pp.RecordAnswer() as command:
                self.core.answers.append(command)
            case pp.IngestFacts() as command:
                self.give_parent(connection, self.core.ingest_facts(command))
            case pp.IngestEvents() as command:
                self.give_parent(connection, pp.EventsStored(self.core.ingest(command)))
            case pp.ReadObjects() as command:
                found = tuple(self.core.objects[name] for name in command.digests if name in self.core.objects)
                missing = tuple(name for name in command.digests if name not in self.core.objects)
                self.give_parent(connection, pp.ObjectsRead(found, missing))
            case pp.SizeBlob() as command:
                blob = self.blobs.get(command.blob)
                self.give_parent(connection, pp.BlobSized(command.blob, None if blob is None else len(blob)))
            case pp.ReadBlob() as command:
                data = self.blobs[command.blob][command.offset : command.offset + command.count]
                self.give_parent(connection, pp.BlobRead(command.blob, command.offset, data))
            case _:
                pass

    def ready_steps(self) -> list[tuple[str, Connection | None]]:
        """Everything that could happen next without time passing, in a stated order."""
        steps: list[tuple[str, Connection | None]] = []
        if self.child_jobs:
            steps.append(("child-job", None))
        for connection in self.connections:
            if connection.jobs:
                steps.append(("parent-job", connection))
            if connection.up:
                steps.append(("up", connection))
        if self.connection is not None and self.connection.down:
            steps.append(("down", None))
        return steps

    def step(self, choice: int = 0) -> bool:
        """Let one of the ready steps happen; False when there is none."""
        steps = self.ready_steps()
        if not steps:
            return False
        match steps[choice % len(steps)]:
            case "child-job", _:
                self.do_child_job()
            case "parent-job", Connection() as connection:
                self.do_parent_job(connection)
            case "up", Connection() as connection:
                self.deliver_up(connection)
            case _:
                self.deliver_down()
        return True

    def settle(self, steps_max: int = 10_000) -> None:
        """Let everything happen that needs no time."""
        for _ in range(steps_max):
            if not self.step():
                return
        raise AssertionError("the two ends never come to rest")

    def advance(self, us: int) -> None:
        """Let time pass, with the wake-ups that were asked for and what follows from them."""
        end = self.now + us
        self.settle()
        while True:
            dues = [(self.child_wake_at, None)] if self.child_wake_at is not None else []
            dues += [(each.wake_at, each) for each in self.connections if each.wake_at is not None]
            due = min((at for at, _ in dues if at is not None), default=end + 1)
            if due > end:
                break
            self.now = max(self.now, due)
            if self.child_wake_at == due:
                self.child_wake_at = None
                self.give_child(ports.Woke())
            for connection in [each for each in self.connections if each.wake_at == due]:
                connection.wake_at = None
                self.give_parent(connection, ports.Woke())
            self.settle()
        self.now = end

    def heal(self) -> None:
        """Faults stop: dial until a session stands, and give it time."""
        for _ in range(10):
            if self.child.state is not ChildState.UP:
                self.link()
            self.advance(400 * SECOND)
            if self.child.state is ChildState.UP:
                return


def describe(message: wire.Message) -> str:
    """One line for a person: name and what matters of it."""
    match message:
        case wire.Hello():
            claim = wire.decode_claim(message.claim)
            words = f"session={claim.session_epoch} document={claim.document_epoch}/{claim.document_generation}"
            words += f" events={claim.event_acknowledged}..{claim.event_last}"
        case wire.Welcome():
            words = f"events={message.event_acknowledged} {describe_patch(message.document)}"
        case wire.DocumentOffer():
            words = describe_patch(message.patch)
        case wire.DocumentAnswer():
            words = f"{message.epoch}/{message.generation} " + ("accepted" if message.accepted else message.code)
            words += " whole" if message.whole else ""
        case wire.Need():
            words = f"{len(message.digests)}"
        case wire.Objects():
            words = f"{len(message.objects)} missing={len(message.missing)}"
        case wire.FactsPatch():
            words = f"{message.number} {'whole ' if message.whole else ''}changed={sorted(message.changed)}"
            words += f" removed={list(message.removed)}"
        case wire.FactsAnswer():
            words = f"{message.number}" + (" again" if message.again else "")
        case wire.Events():
            words = f"{message.events[0].sequence}..{message.events[-1].sequence} dropped={message.dropped}"
        case wire.EventsAnswer():
            words = f"{message.through}"
        case wire.Rejected():
            words = message.code + (" fatal" if message.fatal else "")
            words += f" number={message.number}" if message.number else ""
        case wire.Beat():
            words = "want" if message.want else ""
        case wire.Busy():
            words = f"{message.retry_after_us // SECOND}s"
        case wire.BulkOpen() | wire.BulkMore():
            words = f"{message.blob[7:13]} {message.offset}"
        case wire.BulkData():
            words = f"{message.blob[7:13]} {message.offset}+{len(message.data)} of {message.total}"
        case wire.BulkEnd():
            words = f"{message.blob[7:13]} {message.code}"
        case wire.CallRequest():
            words = f"{message.call} {message.kind}"
        case wire.CallReply():
            words = f"{message.call} " + ("ok" if message.ok else message.code) + (" stream" if message.stream else "")
        case wire.StreamData():
            words = f"{message.call} channel={message.channel} {len(message.data)}{' end' if message.end else ''}"
        case wire.StreamWindow():
            words = f"{message.call} {message.credit}"
        case wire.StreamClose():
            words = f"{message.call} {message.reason}"
        case _:
            words = ""
    return f"{type(message).__name__} {words}".rstrip()


def describe_patch(patch: wire.DocumentPatch | None) -> str:
    if patch is None:
        return "document=current"
    head = open_head(patch.head)
    base = "whole" if patch.base_generation == 0 else f"on {patch.base_epoch}/{patch.base_generation}"
    return (
        f"document={head.epoch}/{head.generation} {base} changed={sorted(patch.bodies)} removed={list(patch.removed)}"
    )
