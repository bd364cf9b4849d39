"""DNS messages as asking for addresses needs them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.drivers.names.messages import NO_SUCH_NAME, read_answer, write_question

QUESTION = write_question(7, "web.own.skerry", "A")


def answer(*records: bytes, flags: int = 0x8180, number: int = 7) -> bytes:
    asked = QUESTION[12:-11]
    return struct.pack(">HHHHHH", number, flags, 1, len(records), 0, 0) + asked + b"".join(records)


def record(data: bytes, kind: int = 1) -> bytes:
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 2, len(data)) + data


def test_addresses_are_read_whatever_else_stands_there():
    read = read_answer(
        answer(record(b"\x03www\x00", 5), record(b"\x0a\x40\x00\x05"), record(b"\x0a\x40\x00\x06")), QUESTION
    )
    assert read is not None
    assert (read.number, read.code, read.addresses) == (7, 0, ("10.64.0.5", "10.64.0.6"))


def test_a_code_is_told():
    read = read_answer(answer(flags=0x8183), QUESTION)
    assert read is not None
    assert read.code == NO_SUCH_NAME


@pytest.mark.parametrize(
    "message",
    [
        b"",
        QUESTION,
        answer(number=8),
        answer(flags=0x8380),
        answer()[:20],
        answer(record(b"\x0a\x40\x00\x05"))[:-6],
        answer().replace(b"web", b"wib"),
    ],
)
def test_what_is_no_answer_to_it_is_none(message: bytes):
    assert read_answer(message, QUESTION) is None


@given(st.binary(max_size=200))
def test_no_message_breaks_the_reader(tail: bytes):
    read_answer(tail, QUESTION)
    read_answer(answer() + tail, QUESTION)
    read_answer(struct.pack(">HHHHHH", 7, 0x8180, 1, 9, 0, 0) + QUESTION[12:-11] + tail, QUESTION)


@pytest.mark.parametrize("name", ["", "a..b", "w" * 64, ".".join(["w" * 60] * 5)])
def test_what_is_no_name_is_not_asked_for(name: str):
    with pytest.raises(ValueError, match="no name"):
        write_question(1, name, "A")
