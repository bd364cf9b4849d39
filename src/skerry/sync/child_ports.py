"""Events and commands of the child's end alone: what the agent tells it, and what it asks of the agent."""

from skerry.model.event import Event
from skerry.model.ids import CallId, Digest
from skerry.model.samples import Sample
from skerry.model.signed import Envelope
from skerry.sync.ports import CommonCommand, CommonEvent, Value
from skerry.wire import CallRequest, DocumentPatch, HelloClaim

# --- events ----------------------------------------------------------------------------------------------------------


class Linked(Value, frozen=True):
    """A connection stands and the claim is proved: the session may begin."""

    claim: HelloClaim
    #: The encoded claim that the proof is over.
    content: bytes
    proof: bytes


class Changed(Value, frozen=True):
    """Facts or outbox are not what they were."""


class Asked(Value, frozen=True):
    """A sign of life of the parent is wanted now."""


class FactsRead(Value, frozen=True):
    """Answer to ``ReadFacts``."""

    facts: dict[str, bytes]


class OutboxRead(Value, frozen=True):
    """Answer to ``ReadOutbox`` with the same ``after``; no events mean that there are none."""

    after: int
    events: tuple[Event, ...]


class Judged(Value, frozen=True):
    """Answer to ``ApplyDocument``: ``accepted``, ``refused``, ``missing`` (objects) or ``whole`` (base not held)."""

    state: str
    epoch: int = 0
    generation: int = 0
    code: str = ""
    reason: str = ""
    digests: tuple[Digest, ...] = ()


class SampleRead(Value, frozen=True):
    """Answer to ``ReadSample``; None when nothing could be seen."""

    sample: Sample | None


class CallAnswered(Value, frozen=True):
    """Answer to ``AnswerCall``."""

    call: CallId
    ok: bool
    body: bytes = b""
    code: str = ""
    reason: str = ""
    stream: bool = False


class BlobWanted(Value, frozen=True):
    """Somebody wants the bytes of a blob from ``offset`` on, over as many sessions as it takes."""

    blob: Digest
    offset: int


class BlobTaken(Value, frozen=True):
    """Everything up to ``offset`` has been taken."""

    blob: Digest
    offset: int


class BlobDropped(Value, frozen=True):
    """Nobody wants the blob any more."""

    blob: Digest


# --- commands --------------------------------------------------------------------------------------------------------


class NoteLink(Value, frozen=True):
    """Show the link's state locally."""

    state: str
    reason: str = ""


class NoteAnswer(Value, frozen=True):
    """The parent has given the sign of life that was wanted; the question was sent at this time."""

    asked_us: int


class KeepSiteRecord(Value, frozen=True):
    """Verify and keep a site record."""

    envelope: Envelope


class ApplyDocument(Value, frozen=True):
    """Verify and keep a document, whole or not at all."""

    patch: DocumentPatch
    objects: tuple[Envelope, ...] = ()


class ReadFacts(Value, frozen=True):
    """Read all present facts."""


class ReadSample(Value, frozen=True):
    """Look at what the node uses, once the call lane has room."""


class ReadOutbox(Value, frozen=True):
    """Read the next events above ``after``."""

    after: int
    limit: int


class TrimOutbox(Value, frozen=True):
    """The parent holds every event up to ``through``.

    With a ``mark`` only if the event of that number here has it: with another one this disk was set back (faults.md
    P8), and what is unsent is numbered above ``through`` as by ``RaiseOutbox``.
    """

    through: int
    mark: bytes = b""


class RaiseOutbox(Value, frozen=True):
    """The parent holds events that this site does not know it wrote: number the unsent ones above ``floor``."""

    floor: int


class AnswerCall(Value, frozen=True):
    """Answer a call of the parent."""

    request: CallRequest


class DeliverBlob(Value, frozen=True):
    """Hand bytes of a blob to who wants it; ``last`` when nothing follows them."""

    blob: Digest
    offset: int
    data: bytes
    last: bool


class FailBlob(Value, frozen=True):
    """The blob cannot be had."""

    blob: Digest
    code: str
    reason: str


ChildEvent = (
    CommonEvent
    | Linked
    | Changed
    | Asked
    | FactsRead
    | OutboxRead
    | SampleRead
    | Judged
    | CallAnswered
    | BlobWanted
    | BlobTaken
    | BlobDropped
)
ChildCommand = (
    CommonCommand
    | NoteLink
    | NoteAnswer
    | KeepSiteRecord
    | ApplyDocument
    | ReadFacts
    | ReadOutbox
    | ReadSample
    | TrimOutbox
    | RaiseOutbox
    | AnswerCall
    | DeliverBlob
    | FailBlob
)
