"""Streams of calls: credit both ways, (event) -> commands."""

from skerry.model.ids import CallId
from skerry.model.limits import STREAM_CHUNK_BYTES, STREAM_WINDOW_BYTES
from skerry.sync.ports import (
    Close,
    DeliverStream,
    EndStream,
    ReadStream,
    Send,
    StreamFinished,
    StreamRead,
    StreamTaken,
)
from skerry.sync.streams import Streams
from skerry.wire import StreamClose, StreamData, StreamWindow

C = CallId("c")


def opened() -> Streams:
    streams = Streams()
    assert list(streams.open(C)) == [ReadStream(C, STREAM_CHUNK_BYTES)]
    return streams


def test_a_piece_read_is_sent_and_the_next_is_read():
    assert list(opened().read(StreamRead(C, 2, b"err", True, 3))) == [
        Send(StreamData(C, 2, b"err", True, 3)),
        ReadStream(C, STREAM_CHUNK_BYTES),
    ]


def test_a_source_is_read_to_the_end_of_its_credit_and_no_further():
    streams, sent = opened(), 0
    commands: list[object] = [ReadStream(C, STREAM_CHUNK_BYTES)]
    while isinstance(commands[-1], ReadStream):
        count = commands[-1].count
        commands = list(streams.read(StreamRead(C, 1, bytes(count))))
        sent += count
    assert sent == STREAM_WINDOW_BYTES
    assert list(streams.grant(StreamWindow(C, 100))) == [ReadStream(C, 100)]
    assert list(streams.grant(StreamWindow(C, 100))) == [], "one read is open at a time"


def test_credit_is_given_back_in_pieces():
    streams = opened()
    assert list(streams.take(StreamTaken(C, STREAM_WINDOW_BYTES // 4 - 1))) == []
    assert list(streams.take(StreamTaken(C, 1))) == [Send(StreamWindow(C, STREAM_WINDOW_BYTES // 4))]
    assert list(streams.take(StreamTaken(C, 1))) == []


def test_a_peer_that_runs_ahead_or_grants_too_much_is_left():
    streams = opened()
    assert list(streams.receive(StreamData(C, 0, bytes(STREAM_WINDOW_BYTES)))) == [
        DeliverStream(C, 0, bytes(STREAM_WINDOW_BYTES))
    ]
    assert [type(command) for command in streams.receive(StreamData(C, 0, b"x"))] == [Close]
    assert [type(command) for command in opened().grant(StreamWindow(C, 1))] == [Close]
    assert [type(command) for command in opened().grant(StreamWindow(C, -1))] == [Close]


def test_either_end_closes_once():
    streams = opened()
    assert list(streams.finish(StreamFinished(C, "gone"))) == [Send(StreamClose(C, "gone")), EndStream(C, "gone")]
    assert list(streams.close(C, "again")) == []
    assert list(streams.end(StreamClose(C))) == []
    streams = opened()
    assert list(streams.end(StreamClose(C, "theirs"))) == [EndStream(C, "theirs")]
    assert len(streams) == 0


def test_what_comes_for_a_stream_that_is_over_is_nothing():
    streams = Streams()
    assert list(streams.receive(StreamData(C, 1, b"x"))) == []
    assert list(streams.read(StreamRead(C, 1, b"x"))) == []
    assert list(streams.take(StreamTaken(C, 1))) == []
    assert list(streams.grant(StreamWindow(C, 1))) == []


def test_a_cut_ends_them_all():
    streams = opened()
    list(streams.open(CallId("d")))
    assert list(streams.cut("down")) == [EndStream(C, "down"), EndStream(CallId("d"), "down")]
    assert len(streams) == 0
