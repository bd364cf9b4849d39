"""Events and commands of the parent's end alone: what the core tells it, and what it asks of the core."""

from skerry.model.event import Event
from skerry.model.ids import CallId, Digest
from skerry.model.samples import Sample
from skerry.model.signed import Envelope
from skerry.sync.ports import CommonCommand, CommonEvent, Value
from skerry.wire import CallKind, DocumentPatch, FactsPatch, HelloClaim

# --- events ----------------------------------------------------------------------------------------------------------


class Admitted(Value, frozen=True):
    """The child's proof held and its session was recorded."""

    claim: HelloClaim
    event_acknowledged: int
    facts_digest: bytes
    event_mark: bytes = b""


class PatchDrawn(Value, frozen=True):
    """Answer to ``DrawPatch``: the newest document unless it is the base, and the newest site record."""

    patch: DocumentPatch | None
    #: Epoch and generation that ``patch`` leads to; unused without one.
    epoch: int = 0
    generation: int = 0
    site_record: Envelope | None = None
    record_number: int = 0


class Nudged(Value, frozen=True):
    """The site's document or record may have changed."""


class FactsStored(Value, frozen=True):
    """Answer to ``IngestFacts``; not ``ok`` means that the digests differ and all facts are needed."""

    number: int
    ok: bool


class EventsStored(Value, frozen=True):
    """Answer to ``IngestEvents``: the highest sequence committed without a gap."""

    through: int


class ObjectsRead(Value, frozen=True):
    """Answer to ``ReadObjects``."""

    objects: tuple[Envelope, ...]
    missing: tuple[Digest, ...] = ()


class BlobSized(Value, frozen=True):
    """Answer to ``SizeBlob``; None for a blob that this site may not have."""

    blob: Digest
    size: int | None


class BlobRead(Value, frozen=True):
    """Answer to ``ReadBlob``."""

    blob: Digest
    offset: int
    data: bytes


class CallWanted(Value, frozen=True):
    """Somebody calls the site; ``allowed_us`` is the time until the first answer."""

    call: CallId
    kind: CallKind
    body: bytes
    allowed_us: int


class SamplesWanted(Value, frozen=True):
    """Somebody watches: samples of use are wished for this often, for so long from now."""

    every_us: int
    span_us: int


class CallDropped(Value, frozen=True):
    """The caller has gone."""

    call: CallId
    reason: str = ""


# --- commands --------------------------------------------------------------------------------------------------------


class DrawPatch(Value, frozen=True):
    """Draw the newest document as a difference to this base."""

    base_epoch: int
    base_generation: int


class RecordAnswer(Value, frozen=True):
    """The site holds, or refused, a document."""

    epoch: int
    generation: int
    accepted: bool
    code: str = ""
    reason: str = ""


class IngestFacts(Value, frozen=True):
    """Store changed facts."""

    patch: FactsPatch


class IngestEvents(Value, frozen=True):
    """Store events."""

    events: tuple[Event, ...]
    dropped: int


class TakeSample(Value, frozen=True):
    """Keep what the site uses."""

    sample: Sample
    rtt_us: int


class ReadObjects(Value, frozen=True):
    """Read signed objects, once the document lane has room."""

    digests: tuple[Digest, ...]


class SizeBlob(Value, frozen=True):
    """Say how long a blob is that this site wants."""

    blob: Digest


class ReadBlob(Value, frozen=True):
    """Read bytes of a blob, once the image lane has room."""

    blob: Digest
    offset: int
    count: int


class ReplyCall(Value, frozen=True):
    """Tell the caller what came of its call."""

    call: CallId
    ok: bool
    body: bytes = b""
    code: str = ""
    reason: str = ""
    stream: bool = False


ParentEvent = (
    CommonEvent
    | Admitted
    | PatchDrawn
    | Nudged
    | FactsStored
    | EventsStored
    | ObjectsRead
    | BlobSized
    | BlobRead
    | CallWanted
    | CallDropped
    | SamplesWanted
)
ParentCommand = (
    CommonCommand
    | DrawPatch
    | RecordAnswer
    | IngestFacts
    | IngestEvents
    | TakeSample
    | ReadObjects
    | SizeBlob
    | ReadBlob
    | ReplyCall
)
