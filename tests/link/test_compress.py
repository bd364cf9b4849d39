import contextlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from skerry.link.compress import BadPacking, Compressor, Packing

SAMPLES = [b'["hb","site-%d","running",%d,"sha256:%064x"]' % (number, number * 7, number) for number in range(2000)]
DICTIONARY = zstandard.train_dictionary(2048, SAMPLES, dict_id=1).as_bytes()


@given(st.one_of(st.binary(max_size=2000), st.integers(0, 20_000).map(bytes)), st.booleans())
def test_what_was_packed_unpacks_and_is_at_most_a_byte_longer(frame: bytes, trained: bool):
    compressor = Compressor(DICTIONARY if trained else None)
    packed = compressor.pack(frame)
    assert len(packed) <= len(frame) + 1
    assert compressor.unpack(packed, len(frame)) == frame


def test_a_dictionary_makes_small_alike_frames_smaller():
    frame = b'["hb","site-77777","running",77,"sha256:%064x"]' % 77777
    plain, trained = Compressor().pack(frame), Compressor(DICTIONARY).pack(frame)
    assert trained[0] == Packing.ZSTD_DICTIONARY
    assert len(trained) < len(plain) * 0.6


def test_with_and_without_a_dictionary_only_the_dictionary_is_missed():
    repetitive = b"abc" * 100
    assert Compressor(DICTIONARY).unpack(Compressor().pack(repetitive), 1000) == repetitive
    with pytest.raises(BadPacking, match="unknown packing 02"):
        Compressor().unpack(Compressor(DICTIONARY).pack(repetitive), 1000)


def test_another_dictionary_is_noticed():
    other = zstandard.train_dictionary(2048, [sample[::-1] for sample in SAMPLES], dict_id=2).as_bytes()
    with pytest.raises(BadPacking):
        Compressor(other).unpack(Compressor(DICTIONARY).pack(b"abc" * 100), 1000)


def test_a_bomb_is_refused_by_its_own_announcement():
    bomb = Compressor().pack(bytes(50_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(BadPacking, match="50000000 bytes unpacked"):
        Compressor().unpack(bomb, 4_000_000)


def test_a_bomb_that_does_not_announce_its_size_is_refused():
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False
    )
    bomb = zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(50_000_000))
    with pytest.raises(BadPacking, match="bytes unpacked"):
        Compressor().unpack(bytes((Packing.ZSTD,)) + bomb, 4_000_000)


def test_a_bomb_that_lies_about_its_size_is_refused():
    honest = Compressor().pack(bytes(100_000))
    at = honest.index((100_000).to_bytes(4, "little"))  # where the header announces it
    lying = honest[:at] + (100).to_bytes(4, "little") + honest[at + 4 :]
    with pytest.raises(BadPacking):
        Compressor().unpack(lying, 1000)


@pytest.mark.parametrize("packed", [b"", b"\x03abc", b"\xff", b"\x01", b"\x01garbage", b"\x00" + bytes(101)])
def test_what_does_not_unpack_is_refused(packed: bytes):
    with pytest.raises(BadPacking):
        Compressor(DICTIONARY).unpack(packed, 100)


@given(st.binary(max_size=200))
def test_any_bytes_unpack_within_the_limit_or_are_refused(packed: bytes):
    with contextlib.suppress(BadPacking):
        assert len(Compressor(DICTIONARY).unpack(packed, 150)) <= 150


def test_trailing_bytes_are_refused():
    packed = Compressor().pack(b"abc" * 100)
    with pytest.raises(BadPacking):
        Compressor().unpack(packed + b"x", 1000)
