"""Every message that crosses a link, the format version, encode and decode.

MessagePack by msgspec, arrays tagged by a short word, one frame = one message. Fields are only ever appended with
defaults: an older reader ignores what it does not know, a newer one fills what is missing. A message of an unknown tag
decodes to ``Unknown`` and is answered with ``Rejected``; every length was limited by the transport before decoding.
Authority (documents, revisions, secrets …) travels as DSSE envelopes inside; nothing else here carries any.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skerry.model.event import Event
from skerry.model.ids import CallId, Digest, InstanceId, NodeName, SiteName, UnitId
from skerry.model.limits import INTEGER_MAX, WINDOW_SIDE_MAX
from skerry.model.samples import Sample
from skerry.model.signed import CallVerb, Envelope, PublicKey, Window

#: What ``HelloClaim.features`` says of a child that understands ``SamplesAsk``: others are never sent one.
SAMPLES_FEATURE = "samples"

#: Channel of a stream on which the size of a terminal comes.
WINDOW_CHANNEL = 3

#: Raised when a message changes in a way that an older reader cannot skip.
FORMAT = 1

Purpose = Literal["heartbeat", "facts", "events", "document", "call", "logs", "image", "join", "samples"]
LinkClass = Literal["wired", "mobile", "satellite"]
CallKind = Literal[CallVerb, "nonce", "logs", "stats", "trace"]


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """Arrays on the wire: field names cost nothing, order is frozen."""


# --- before authentication -------------------------------------------------------------------------------------------


class HelloClaim(_Message, frozen=True):
    """What a device proof signs, together with the parent's nonce and certificate (trust.md §9)."""

    format: int
    site: SiteName
    node: NodeName
    session_epoch: int
    #: Epoch and generation of the document held; (0, 0) when none.
    document_epoch: int
    document_generation: int
    facts_digest: bytes
    #: Highest event sequence ever written at the site, and highest one it saw acknowledged.
    event_last: int
    event_acknowledged: int
    #: Wall clock of the child in seconds, for display.
    clock_s: int
    agent: str
    features: tuple[str, ...] = ()
    #: Number of the root held.
    root: int = 1
    link_class: LinkClass = "wired"
    #: Number of the site record held, so that an unchanged one is not sent again.
    site_record: int = 0


class Hello(_Message, frozen=True, tag="hi"):
    """First message of a child: the encoded claim and its device proof."""

    claim: bytes
    proof: bytes


class JoinRequest(_Message, frozen=True, tag="jr"):
    """First message of a box that has a join token and no site record yet (trust.md §8)."""

    site: SiteName
    node: NodeName
    token_id: str
    device: PublicKey
    sealing: PublicKey
    #: Device key's signature over the transcript.
    proof: bytes
    #: HMAC(Kcore, transcript): lets the core admit. HMAC(Kbind, transcript): lets only the signer vouch.
    mac_core: bytes
    mac_bind: bytes


class JoinAnswer(_Message, frozen=True, tag="ja"):
    """``pending``: asked of the signer, keep the connection; ``joined``: the site record follows as object."""

    state: Literal["pending", "joined", "refused"]
    reason: str = ""
    site_record: Envelope | None = None


# --- session ---------------------------------------------------------------------------------------------------------


class DocumentPatch(_Message, frozen=True):
    """A document as the difference to what the child holds; ``base_generation`` 0 means it is whole.

    ``bodies`` holds changed units whole; ``removed`` names units that are gone. ``objects`` are envelopes that the
    child is thought to lack; it asks for others by digest with ``Need``.
    """

    head: Envelope
    base_epoch: int
    base_generation: int
    bodies: dict[UnitId, bytes] = {}
    removed: tuple[UnitId, ...] = ()
    objects: tuple[Envelope, ...] = ()


class Carried(_Message, frozen=True, kw_only=True):
    """What a stick carries to a site where no link reaches it: its record, and its document whole with all objects."""

    format: int
    site_record: Envelope
    patch: DocumentPatch


class Welcome(_Message, frozen=True, tag="we"):
    """Answer to ``Hello``: what the parent has of the child, and the newest document when the child's is older."""

    format: int
    event_acknowledged: int
    facts_digest: bytes
    heartbeat_us: int
    document: DocumentPatch | None = None
    #: Newest site record when it is newer than what the child may hold.
    site_record: Envelope | None = None
    time_s: int = 0
    #: Mark of the event that the parent holds as ``event_acknowledged`` (``sync.outbox.mark_event``), given where the
    #: child may have another one of that number; empty when there is nothing to compare.
    event_mark: bytes = b""


class Busy(_Message, frozen=True, tag="bu"):
    """Come back later: admission control."""

    retry_after_us: int


class Rejected(_Message, frozen=True, tag="rj"):
    """The peer cannot go on with something; typed so that the other side shows it as such."""

    code: str
    detail: str
    fatal: bool = False
    #: With ``E-SESSION-OLD``: the session epoch that the next session must exceed; 0 when it does not matter.
    number: int = 0


class Beat(_Message, frozen=True, tag="hb"):
    """A heartbeat: any message counts as one, this is for when there is none. ``want`` asks for one back."""

    want: bool = False


class DocumentOffer(_Message, frozen=True, tag="do"):
    """The newest document, a newer site record, or both, pushed during a session."""

    patch: DocumentPatch | None
    site_record: Envelope | None = None


class DocumentAnswer(_Message, frozen=True, tag="da"):
    """The child holds this document durably, or refused it; ``whole`` asks for it without a base."""

    epoch: int
    generation: int
    accepted: bool
    code: str = ""
    reason: str = ""
    whole: bool = False


class Need(_Message, frozen=True, tag="ne"):
    """The child lacks these signed payloads, named by digest."""

    digests: tuple[Digest, ...]


class Objects(_Message, frozen=True, tag="ob"):
    """Signed objects asked for; ``missing`` names those that the parent does not have either."""

    objects: tuple[Envelope, ...] = ()
    missing: tuple[Digest, ...] = ()


class FactsPatch(_Message, frozen=True, tag="fa"):
    """Changed facts; ``whole`` replaces all. ``digest`` is of all facts after applying; a mismatch asks again."""

    number: int
    whole: bool
    changed: dict[str, bytes]
    removed: tuple[str, ...]
    digest: bytes


class FactsAnswer(_Message, frozen=True, tag="fk"):
    """The parent stored facts up to ``number``, or wants all of them again."""

    number: int
    again: bool = False


class Events(_Message, frozen=True, tag="ev"):
    """The next events in order; ``dropped`` counts those lost before ``first`` by the outbox's own limit."""

    events: tuple[Event, ...]
    dropped: int = 0


class EventsAnswer(_Message, frozen=True, tag="ek"):
    """Every event up to ``through`` is committed at the parent."""

    through: int


class SamplesAsk(_Message, frozen=True, tag="sq"):
    """Please send a sample of use every ``every_us``: always when ``span_us`` is 0, else only for so long from now.

    Only a child that names ``SAMPLES_FEATURE`` is asked, and it never sends one unasked. The pace is a wish: the class
    of the link and the child's own budget bound it (sync/samples.py).
    """

    every_us: int
    span_us: int = 0


class Samples(_Message, frozen=True, tag="sa"):
    """What the node uses; the newest is all that counts, so nobody answers it and a lost one is no loss."""

    sample: Sample
    #: Round trip of the last heartbeat that was answered, through every queue between; 0 while none was.
    rtt_us: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] = 0


# --- calls and streams -----------------------------------------------------------------------------------------------


class CallRequest(_Message, frozen=True, tag="cq"):
    """One request of the parent with a deadline; ``kind`` is its name, ``body`` its MessagePack or signed envelope.

    A kind of a later release is no error here: the child answers that it does not know it.
    """

    call: CallId
    kind: Annotated[str, Meta(max_length=32)]
    body: bytes
    deadline_us: int


class CallReply(_Message, frozen=True, tag="cr"):
    """The one reply; a stream may follow under the same id."""

    call: CallId
    ok: bool
    body: bytes = b""
    code: str = ""
    reason: str = ""
    #: A stream follows; it ends with ``StreamClose``.
    stream: bool = False


class StreamData(_Message, frozen=True, tag="sd"):
    """Bytes of a call's stream; ``channel`` 1 stdout, 2 stderr, 0 stdin; ``end`` closes the channel for good.

    Channel ``WINDOW_CHANNEL`` goes to a command with a terminal: each message is its new size (``encode_window``).
    """

    call: CallId
    channel: int
    data: bytes
    end: bool = False
    exit_code: int | None = None


class StreamWindow(_Message, frozen=True, tag="sw"):
    """The reader took ``credit`` bytes more; a sender never runs further ahead than granted."""

    call: CallId
    credit: int


class StreamClose(_Message, frozen=True, tag="sc"):
    """Either end gives the stream up."""

    call: CallId
    reason: str = ""


# --- bodies of calls -------------------------------------------------------------------------------------------------


class NonceAsk(_Message, frozen=True):
    """Body of call ``nonce``: the node draws 32 fresh bytes that exactly one signed call may name."""

    node: NodeName


class NonceReply(_Message, frozen=True):
    """Body of the reply to ``nonce``."""

    nonce: bytes


class LogsAsk(_Message, frozen=True):
    """Body of call ``logs``: the last ``tail`` lines of one instance's output, and what follows if asked.

    Reading logs needs a session only (trust.md §5). The body of calls ``exec`` and ``forward`` is a signed envelope of
    kind ``call``.
    """

    instance: InstanceId
    tail: int = 100
    follow: bool = False


# --- bulk ------------------------------------------------------------------------------------------------------------


class BulkOpen(_Message, frozen=True, tag="bo"):
    """The child wants the bytes of a blob from ``offset`` on; immutable, so a resumed stream continues exactly."""

    blob: Digest
    offset: int


class BulkData(_Message, frozen=True, tag="bd"):
    """Bytes of a blob at ``offset``; ``total`` is its whole size, known with the first chunk."""

    blob: Digest
    offset: int
    data: bytes
    total: int


class BulkMore(_Message, frozen=True, tag="bm"):
    """The child has taken everything up to ``offset``: the sender may run a window ahead of it."""

    blob: Digest
    offset: int


class BulkEnd(_Message, frozen=True, tag="be"):
    """The stream is over: finished, cancelled or refused with a reason."""

    blob: Digest
    code: str = ""
    reason: str = ""


class Part(_Message, frozen=True, tag="pt"):
    """A piece of a frame that is too long to go in one go; the pieces of one lane come in order, lanes interleave.

    So a heartbeat never waits behind a whole document, and a slow arrival is not taken for silence (sync/parts.py).
    """

    lane: int
    data: bytes
    last: bool


class Unknown(msgspec.Struct, frozen=True):
    """A frame with a tag of a later release; kept apart so that it can be refused by name."""

    tag: str


Message = (
    Hello
    | JoinRequest
    | JoinAnswer
    | Welcome
    | Busy
    | Rejected
    | Beat
    | DocumentOffer
    | DocumentAnswer
    | Need
    | Objects
    | FactsPatch
    | FactsAnswer
    | Events
    | EventsAnswer
    | SamplesAsk
    | Samples
    | CallRequest
    | CallReply
    | StreamData
    | StreamWindow
    | StreamClose
    | BulkOpen
    | BulkData
    | BulkMore
    | BulkEnd
    | Part
)

_Side = Annotated[int, Meta(ge=1, le=WINDOW_SIDE_MAX)]

_ENCODER = msgspec.msgpack.Encoder()
_WINDOW: msgspec.msgpack.Decoder[tuple[_Side, _Side]] = msgspec.msgpack.Decoder(tuple[_Side, _Side])
_DECODER: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_CLAIM: msgspec.msgpack.Decoder[HelloClaim] = msgspec.msgpack.Decoder(HelloClaim)
_CARRIED: msgspec.msgpack.Decoder[Carried] = msgspec.msgpack.Decoder(Carried)
_TAGS = frozenset(str(member.__struct_config__.tag) for member in Message.__args__)


class WireError(ValueError):
    """The frame is no message of any release: the connection is closed."""


def encode(message: Message) -> bytes:
    """Encode one message as one frame."""
    return _ENCODER.encode(message)


def decode(frame: bytes) -> Message | Unknown:
    """Decode one frame; raise ``WireError`` when it is garbage."""
    try:
        return _DECODER.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        tag = _peek_tag(frame)
        if tag is not None and tag not in _TAGS:
            return Unknown(tag)
        raise WireError(str(error)) from error


def encode_window(window: Window) -> bytes:
    """Encode the size of a terminal as the bytes of one message on ``WINDOW_CHANNEL``."""
    return _ENCODER.encode((window.columns, window.rows))


def decode_window(content: bytes) -> Window:
    """Decode the size of a terminal; raise ``WireError`` when it is none."""
    try:
        columns, rows = _WINDOW.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"the size of a terminal: {error}") from error
    return Window(columns=columns, rows=rows)


def encode_carried(carried: Carried) -> bytes:
    """Encode what a stick carries to a site."""
    return _ENCODER.encode(carried)


def decode_carried(content: bytes) -> Carried:
    """Decode what a stick brought; raise ``WireError`` when malformed. Nothing of it is verified yet."""
    try:
        return _CARRIED.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from error


def encode_claim(claim: HelloClaim) -> bytes:
    """Encode what a device proof signs; the receiver checks the proof over these bytes before decoding them."""
    return _ENCODER.encode(claim)


def decode_claim(content: bytes) -> HelloClaim:
    """Decode a claim whose proof held; raise ``WireError`` when malformed."""
    try:
        return _CLAIM.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from error


def _peek_tag(frame: bytes) -> str | None:
    try:
        whole = msgspec.msgpack.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(whole, list) and whole and isinstance(whole[0], str) and len(whole[0]) <= 16:  # pyright: ignore[reportUnknownArgumentType]
        return whole[0]
    return None
