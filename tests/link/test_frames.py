import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode as LibraryOpcode

from skerry.link.frames import (
    CloseCode,
    Frame,
    FrameError,
    FrameReader,
    Opcode,
    decode_close,
    encode_close,
    encode_frame,
)

MASK = b"\x01\x02\x03\x04"
payloads = st.one_of(st.binary(max_size=300), st.integers(0, 70_000).map(bytes))


def feed_in_pieces(reader: FrameReader, data: bytes, cuts: list[int]) -> list[Frame]:
    frames: list[Frame] = []
    at = 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        frames += list(reader.feed(memoryview(data[at:end])))
        at = end
    return frames


@given(st.lists(payloads, max_size=5), st.booleans(), st.lists(st.integers(0, 2**31), max_size=12))
def test_what_was_encoded_is_read_however_it_arrives(messages: list[bytes], masked: bool, cuts: list[int]):
    data = b"".join(encode_frame(Opcode.BINARY, message, MASK if masked else b"") for message in messages)
    frames = feed_in_pieces(FrameReader(masked=masked, limit=100_000), data, cuts)
    assert frames == [Frame(Opcode.BINARY, message) for message in messages]


@given(payloads, st.booleans())
def test_another_implementation_writes_the_same(payload: bytes, masked: bool):
    theirs = LibraryFrame(LibraryOpcode.BINARY, payload).serialize(mask=masked)
    if masked:  # the library draws its own mask
        assert list(FrameReader(masked=True, limit=100_000).feed(memoryview(theirs))) == [Frame(Opcode.BINARY, payload)]
    else:
        assert encode_frame(Opcode.BINARY, payload) == theirs


@given(payloads, st.lists(st.integers(0, 70_000), max_size=4), st.lists(st.integers(0, 2**31), max_size=6))
def test_fragments_become_one_message_and_control_frames_may_come_between(
    payload: bytes, borders: list[int], cuts: list[int]
):
    parts: list[bytes] = []
    at = 0
    for border in [*sorted(border % (len(payload) + 1) for border in borders), len(payload)]:
        parts.append(payload[at:border])
        at = border
    data = b""
    for index, part in enumerate(parts):
        opcode = LibraryOpcode.BINARY if index == 0 else LibraryOpcode.CONT
        data += LibraryFrame(opcode, part, fin=index == len(parts) - 1).serialize(mask=False)
        if index < len(parts) - 1:
            data += encode_frame(Opcode.PING, b"alive?")
    frames = feed_in_pieces(FrameReader(masked=False, limit=100_000), data, cuts)
    assert frames[-1] == Frame(Opcode.BINARY, payload)
    assert frames[:-1] == [Frame(Opcode.PING, b"alive?")] * (len(parts) - 1)


@given(st.binary(max_size=200), st.lists(st.integers(0, 2**31), max_size=4), st.booleans())
def test_any_bytes_end_in_frames_or_one_typed_error(data: bytes, cuts: list[int], masked: bool):
    frames: list[Frame] = []
    with contextlib.suppress(FrameError):
        frames = feed_in_pieces(FrameReader(masked=masked, limit=100), data, cuts)
    assert sum(len(frame.payload) for frame in frames) <= len(data)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\x82\xff" + (2**63).to_bytes(8, "big"), CloseCode.TOO_BIG),  # 8 EiB announced, ten bytes sent
        (b"\x82\xfe\x00\x65", CloseCode.TOO_BIG),  # 101 of 100
        (b"\x81\x80", CloseCode.UNSUPPORTED),  # text
        (b"\x82\x01", CloseCode.PROTOCOL_ERROR),  # a client that does not mask
        (b"\xc2\x80", CloseCode.PROTOCOL_ERROR),  # a reserved bit: compression nobody agreed on
        (b"\x80\x80", CloseCode.PROTOCOL_ERROR),  # a continuation of nothing
        (b"\x83\x80", CloseCode.UNSUPPORTED),
        (b"\x8b\x80", CloseCode.PROTOCOL_ERROR),
        (b"\x09\x80", CloseCode.PROTOCOL_ERROR),  # a fragmented ping
        (b"\x89\xfe\x00\x7e", CloseCode.PROTOCOL_ERROR),  # a long ping
    ],
)
def test_a_bad_head_is_refused_before_its_payload_comes(head: bytes, code: CloseCode):
    with pytest.raises(FrameError) as caught:
        list(FrameReader(masked=True, limit=100).feed(memoryview(head)))
    assert caught.value.code == code


def test_fragments_count_together_against_the_limit():
    reader = FrameReader(masked=False, limit=100)
    list(reader.feed(memoryview(LibraryFrame(LibraryOpcode.BINARY, bytes(60), fin=False).serialize(mask=False))))
    with pytest.raises(FrameError) as caught:
        list(reader.feed(memoryview(LibraryFrame(LibraryOpcode.CONT, bytes(41)).serialize(mask=False))))
    assert caught.value.code == CloseCode.TOO_BIG


def test_a_new_message_inside_a_fragmented_one_is_refused():
    reader = FrameReader(masked=False, limit=100)
    list(reader.feed(memoryview(LibraryFrame(LibraryOpcode.BINARY, b"a", fin=False).serialize(mask=False))))
    with pytest.raises(FrameError):
        list(reader.feed(memoryview(encode_frame(Opcode.BINARY, b"b"))))


def test_a_raised_limit_holds_for_the_next_frame():
    reader = FrameReader(masked=False, limit=100)
    list(reader.feed(memoryview(encode_frame(Opcode.BINARY, bytes(100)))))
    reader.limit = 1000
    frame = Frame(Opcode.BINARY, bytes(1000))
    assert list(reader.feed(memoryview(encode_frame(frame.opcode, frame.payload)))) == [frame]


@given(st.sampled_from([1000, 1001, 1009, 3000, 4999]), st.text(max_size=100))
def test_a_goodbye_says_what_it_said(code: int, reason: str):
    payload = encode_close(code, reason)
    assert len(payload) <= 125
    read_code, read_reason = decode_close(payload)
    assert read_code == code
    assert reason.startswith(read_reason)


@pytest.mark.parametrize("payload", [b"\x03", b"\x00\x00", b"\x03\xed", b"\x03\xe8\xff", b"\x13\x88"])
def test_a_malformed_goodbye_is_refused(payload: bytes):
    with pytest.raises(FrameError):
        decode_close(payload)


def test_a_goodbye_may_say_nothing():
    assert decode_close(b"") == (1005, "")
