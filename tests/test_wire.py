import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry import wire
from skerry.model.limits import WINDOW_SIDE_MAX
from skerry.model.signed import Window


@given(st.binary(max_size=80))
def test_no_frame_makes_the_reader_raise_anything_but_its_own_error(frame: bytes):
    for reader in (wire.decode, wire.decode_claim):
        try:
            reader(frame)
        except wire.WireError:
            continue


@pytest.mark.parametrize("frame", [b"\x92\xa2\xff\xff\x01", b"\x93\xa2jr\xa2\xff\xff\x01", b"\x91" * 5_000, b""])
def test_text_that_is_none_and_endless_nesting_are_garbage(frame: bytes):
    with pytest.raises(wire.WireError):
        wire.decode(frame)


def test_a_tag_of_a_later_release_is_told_apart_from_garbage():
    assert wire.decode(b"\x92\xa3new\x01") == wire.Unknown("new")
    assert wire.decode(wire.encode(wire.Busy(7))) == wire.Busy(7)


def test_the_size_of_a_terminal_comes_through():
    for size in (Window(columns=1, rows=1), Window(columns=WINDOW_SIDE_MAX, rows=50)):
        assert wire.decode_window(wire.encode_window(size)) == size


@pytest.mark.parametrize(
    "content", [b"", b"\xc1", b"\x92\x00\x18", b"\x91\x18", b"\x92\x18\xcd\x10\x01", b"\x92\xa1a\x18"]
)
def test_what_is_no_size_of_a_terminal_is_refused(content):
    with pytest.raises(wire.WireError, match="terminal"):
        wire.decode_window(content)
