"""Blobs: both ends of a stream against each other, over any link, with cuts; and peers that break the rules."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.model.ids import Digest, digest_of
from skerry.model.limits import BULK_CHUNK_BYTES, BULK_CHUNK_BYTES_MIN, BULK_STREAMS_MAX, BULK_WINDOW_CHUNKS
from skerry.sync.bulk import BulkReceiver, BulkSender
from skerry.sync.child_ports import BlobWanted, DeliverBlob, FailBlob
from skerry.sync.parent_ports import BlobRead, BlobSized, ReadBlob, SizeBlob
from skerry.sync.ports import Close, Send
from skerry.wire import BulkData, BulkEnd, BulkMore, BulkOpen

A, B, C = (Digest("sha256:" + letter * 64) for letter in "abc")


class Pair:
    """A receiver and a sender with the parent's blobs; time stands still between their messages unless told."""

    def __init__(self, blobs: dict[Digest, bytes], round_trip_us: int = 0) -> None:
        self.blobs = blobs
        self.receiver, self.sender = BulkReceiver(), BulkSender()
        self.arrived: dict[Digest, bytearray] = {}
        self.sent = 0
        self.now = 0
        self.round_trip_us = round_trip_us
        self.in_flight_max = 0

    def link(self) -> None:
        self.sender = BulkSender()
        self.up = list(self.receiver.begin())

    def want(self, blob: Digest, offset: int = 0) -> None:
        self.arrived[blob] = bytearray(self.blobs[blob][:offset])
        self.up += self.receiver.want(BlobWanted(blob, offset))

    def run(self, chunks_max: int = 1_000_000) -> None:
        """Pass messages until nothing moves or so many chunks have gone."""
        commands: list[object] = []
        chunks = 0
        while self.up and chunks < chunks_max:
            self.now += self.round_trip_us
            batch, self.up = self.up, []
            for send in batch:
                match send.message:
                    case BulkOpen() as message:
                        commands += self.sender.open(message)
                    case BulkMore() as message:
                        commands += self.sender.more(message, self.now)
                    case BulkEnd() as message:
                        self.sender.drop(message.blob)
            flight = 0
            while commands:
                match commands.pop(0):
                    case SizeBlob() as ask:
                        size = len(self.blobs[ask.blob]) if ask.blob in self.blobs else None
                        commands += self.sender.size(BlobSized(ask.blob, size))
                    case ReadBlob() as ask:
                        data = self.blobs[ask.blob][ask.offset : ask.offset + ask.count]
                        commands += self.sender.send(BlobRead(ask.blob, ask.offset, data), self.now)
                    case Send(message=BulkData() as message):
                        chunks += 1
                        self.sent += len(message.data)
                        flight += len(message.data)
                        for command in self.receiver.receive(message):
                            assert isinstance(command, DeliverBlob)
                            self.arrived[message.blob] += command.data
                            self.up += self.receiver.take(message.blob, message.offset + len(message.data))
            self.in_flight_max = max(self.in_flight_max, flight)


@given(st.integers(1, 3_000_000), st.floats(0, 1), st.lists(st.integers(1, 12), max_size=6))
def test_a_blob_arrives_whole_from_any_offset_over_any_cuts(size: int, share: float, cuts: list[int]):
    content = bytes(itertools.islice(itertools.cycle(range(251)), size))
    offset = int(size * share)
    pair = Pair({A: content})
    pair.link()
    pair.want(A, offset)
    for chunks in cuts:
        pair.run(chunks)
        pair.receiver.end()
        pair.link()
    pair.run()
    assert bytes(pair.arrived[A]) == content
    assert pair.up == []


def test_what_arrived_before_a_cut_is_not_sent_again():
    pair = Pair({A: bytes(1_000_000)})
    pair.link()
    pair.want(A)
    for _ in range(20):
        pair.run(3)
        pair.receiver.end()
        pair.link()
    pair.run()
    assert len(pair.arrived[A]) == pair.sent == 1_000_000


def test_a_blob_that_is_there_already_ends_with_an_empty_chunk():
    pair = Pair({A: b"abc"})
    pair.link()
    pair.want(A, 3)
    pair.run()
    assert bytes(pair.arrived[A]) == b"abc"
    assert list(pair.receiver.begin()) == [], "and is not asked for again"


def test_an_empty_blob_is_a_blob():
    pair = Pair({A: b""})
    pair.link()
    pair.want(A)
    pair.run()
    assert list(pair.receiver.begin()) == []


@pytest.mark.parametrize(
    ("round_trip_us", "low", "high"),
    [
        (600_000, 20 * BULK_CHUNK_BYTES, BULK_WINDOW_CHUNKS * BULK_CHUNK_BYTES),  # a fast link far away: a full pipe
        (3_000_000, BULK_CHUNK_BYTES_MIN, BULK_CHUNK_BYTES_MIN),  # neither quick nor slow: it stays small
        (9_000_000, BULK_CHUNK_BYTES_MIN, BULK_CHUNK_BYTES_MIN),
    ],
)
def test_the_window_follows_the_link(round_trip_us: int, low: int, high: int):
    pair = Pair({A: bytes(6_000_000)}, round_trip_us)
    pair.link()
    pair.want(A)
    pair.run(150)
    assert low <= pair.in_flight_max <= high


def test_a_few_blobs_at_once_in_the_order_in_which_they_were_wanted():
    receiver = BulkReceiver()
    assert list(receiver.want(BlobWanted(A, 0))) == [], "the link is down"
    list(receiver.want(BlobWanted(B, 0)))
    list(receiver.want(BlobWanted(C, 5)))
    assert [send.message for send in receiver.begin()] == [BulkOpen(A, 0), BulkOpen(B, 0)]
    assert [send.message for send in receiver.drop(A)] == [
        BulkEnd(A, "E-CANCELLED", "nobody wants it any more"),
        BulkOpen(C, 5),
    ]


def test_a_refusal_reaches_who_wanted_it_and_makes_room():
    receiver = BulkReceiver()
    for blob in (A, B, C):
        list(receiver.want(BlobWanted(blob, 0)))
    list(receiver.begin())
    assert list(receiver.finish(BulkEnd(A, "E-NOT-FOUND", "no such blob"))) == [
        FailBlob(A, "E-NOT-FOUND", "no such blob"),
        Send(BulkOpen(C, 0)),
    ]
    assert list(receiver.finish(BulkEnd(A, "E-NOT-FOUND"))) == []


@pytest.mark.parametrize(
    "chunks",
    [
        [BulkData(A, 5, b"abc", 100)],  # not where the last one ended
        [BulkData(A, 0, b"", 100)],  # nothing, and not the end
        [BulkData(A, 0, b"abc", 2)],  # beyond the end
        [BulkData(A, 0, b"abc", 100), BulkData(A, 3, b"abc", 101)],  # another size
        [BulkData(A, n * 65_536, bytes(65_536), 1 << 40) for n in range(BULK_WINDOW_CHUNKS + 1)],  # never waits
    ],
)
def test_a_parent_that_breaks_the_rules_is_left(chunks: list[BulkData]):
    receiver = BulkReceiver()
    list(receiver.want(BlobWanted(A, 0)))
    list(receiver.begin())
    commands = [command for chunk in chunks for command in receiver.receive(chunk)]
    assert isinstance(commands[-1], Close)


def test_chunks_of_what_nobody_wants_are_nothing():
    assert list(BulkReceiver().receive(BulkData(A, 0, b"abc", 3))) == []


def test_a_child_that_breaks_the_rules():
    sender = BulkSender()
    assert list(sender.open(BulkOpen(A, 0))) == [SizeBlob(A)]
    busy = [*sender.open(BulkOpen(A, 0)), *sender.open(BulkOpen(B, -1))]
    for number in range(BULK_STREAMS_MAX):
        busy += sender.open(BulkOpen(digest_of(bytes([number])), 0))
    assert [command.message.code for command in busy if isinstance(command, Send)] == ["E-BUSY"] * 3  # pyright: ignore[reportAttributeAccessIssue]
    assert list(sender.size(BlobSized(A, 100))) == [ReadBlob(A, 0, 100)]
    assert [type(command) for command in sender.more(BulkMore(A, 1), 0)] == [Close]


@pytest.mark.parametrize(("size", "offset", "code"), [(None, 0, "E-NOT-FOUND"), (10, 11, "E-NOT-FOUND")])
def test_what_cannot_be_given_is_refused(size: int | None, offset: int, code: str):
    sender = BulkSender()
    list(sender.open(BulkOpen(A, offset)))
    (command,) = sender.size(BlobSized(A, size))
    assert isinstance(command, Send)
    assert isinstance(command.message, BulkEnd)
    assert command.message.code == code


def test_a_blob_that_shrank_on_the_parents_disk_ends_its_stream():
    sender = BulkSender()
    list(sender.open(BulkOpen(A, 0)))
    list(sender.size(BlobSized(A, 100)))
    (command,) = sender.send(BlobRead(A, 0, b""), 0)
    assert command == Send(BulkEnd(A, "E-BLOB", "the blob ends before its size"))
    assert list(sender.send(BlobRead(A, 0, b"late"), 0)) == []


def test_the_window_shrinks_when_the_link_slows_down():
    pair = Pair({A: bytes(40_000_000)}, 600_000)
    pair.link()
    pair.want(A)
    pair.run(200)
    assert pair.in_flight_max > 1_000_000
    pair.round_trip_us = 9_000_000
    pair.run(100)
    pair.in_flight_max = 0
    pair.run(10)
    assert pair.in_flight_max <= 2 * BULK_CHUNK_BYTES_MIN
