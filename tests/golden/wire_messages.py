"""One value of each message that crosses a link, with its recorded bytes in ``wire/``.

``python -m tests.golden.wire_messages`` writes the files of messages that have none. It never overwrites: bytes of a
release are what agents in the field send. A message that grows gets a second sample beside its first.
"""

import pathlib

from skerry import wire
from skerry.model.event import Event
from skerry.model.ids import CallId, CauseId, Digest, InstanceId, KeyId, NodeName, SiteName, UnitId, VolumeId
from skerry.model.samples import HostUse, InstanceUse, OutboxUse, Sample, VolumeUse
from skerry.model.signed import Envelope, PublicKey, Signature

FOLDER = pathlib.Path(__file__).parent / "wire"

_DIGEST = Digest("sha256:" + "ab" * 32)
_CALL = CallId("01JABCDEFGHJKMNPQRSTVWXYZ0")
_ENVELOPE = Envelope(
    "application/vnd.skerry.site.v1+json", b'{"site":"oslo"}', (Signature(KeyId("cd" * 20), b"s" * 64),)
)
_PATCH = wire.DocumentPatch(_ENVELOPE, 1, 17, {UnitId("assignment/a"): b"{}"}, (UnitId("assignment/b"),), (_ENVELOPE,))
_KEY = PublicKey(type="ed25519", key=b"k" * 32)

CLAIM = wire.HelloClaim(
    format=1,
    site=SiteName("oslo"),
    node=NodeName("oslo-1"),
    session_epoch=41,
    document_epoch=1,
    document_generation=17,
    facts_digest=b"f" * 32,
    event_last=1_204,
    event_acknowledged=1_190,
    clock_s=1_795_000_000,
    agent="0.1.0",
    features=("x",),
    root=1,
    link_class="mobile",
    site_record=2,
)

SAMPLES: dict[str, wire.Message] = {
    "hello": wire.Hello(wire.encode_claim(CLAIM), b"p" * 64),
    "join-request": wire.JoinRequest(SiteName("oslo"), NodeName("n1"), "abcd", _KEY, _KEY, b"p", b"c", b"b"),
    "join-answer": wire.JoinAnswer("joined", "", _ENVELOPE),
    "welcome": wire.Welcome(1, 1_204, b"f" * 32, 30_000_000, _PATCH, _ENVELOPE, 1_795_000_100),
    "busy": wire.Busy(5_000_000),
    "rejected": wire.Rejected("E-SESSION-OLD", "a later session was seen", True, 40),
    "beat": wire.Beat(True),
    "document-offer": wire.DocumentOffer(_PATCH, None),
    "document-answer": wire.DocumentAnswer(1, 18, False, "E-DISK-FULL", "no room", False),
    "need": wire.Need((_DIGEST,)),
    "objects": wire.Objects((_ENVELOPE,), (_DIGEST,)),
    "facts-patch": wire.FactsPatch(7, False, {"site": b"v"}, ("node/n1",), b"d" * 32),
    "facts-answer": wire.FactsAnswer(7, True),
    "events": wire.Events(
        (Event(sequence=9, time_us=5, type="a.b", klass="security", cause=CauseId("c"), data={"k": "v"}),), 2
    ),
    "events-answer": wire.EventsAnswer(9),
    "samples-ask": wire.SamplesAsk(900_000_000, 300_000_000),
    "samples": wire.Samples(
        Sample(
            HostUse(5_000_000, 1_250, 1 << 30, 7 << 30),
            (InstanceUse(InstanceId("default/pos/web/0"), 9_000, 1 << 20, 10, 20, 30, 40),),
            (VolumeUse(VolumeId("default/pos/data"), 1 << 20),),
        ),
        42_000,
    ),
    "samples-of-outbox": wire.Samples(
        Sample(
            HostUse(5_000_000, 1_250, 1 << 30, 7 << 30, 4 << 20, 90_000, 48_500),
            outbox=OutboxUse(12, 3_400),
            clock_ms=1_795_000_000_123,
        ),
    ),
    "call-request": wire.CallRequest(_CALL, "logs", b"body", 15_000_000),
    "call-reply": wire.CallReply(_CALL, False, b"", "E-BUSY", "too many", False),
    "stream-data": wire.StreamData(_CALL, 2, b"bytes", True, 3),
    "stream-window": wire.StreamWindow(_CALL, 65_536),
    "stream-close": wire.StreamClose(_CALL, "enough"),
    "bulk-open": wire.BulkOpen(_DIGEST, 16_384),
    "bulk-data": wire.BulkData(_DIGEST, 16_384, b"bytes", 100_000),
    "bulk-more": wire.BulkMore(_DIGEST, 32_768),
    "bulk-end": wire.BulkEnd(_DIGEST, "E-NOT-FOUND", "no such blob"),
    "part": wire.Part(1, b"bytes", True),
}


#: First samples of messages that have grown since: they are read as before, and written longer.
GROWN = frozenset(("samples", "samples-of-outbox"))


def read_golden(name: str) -> bytes:
    return (FOLDER / f"{name}.bin").read_bytes()


if __name__ == "__main__":
    for name, message in SAMPLES.items():
        path = FOLDER / f"{name}.bin"
        if not path.exists():
            path.write_bytes(wire.encode(message))
            print(f"{path.name}: new")
