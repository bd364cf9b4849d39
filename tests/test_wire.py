import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry import wire


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
