"""The dictionary is part of the wire: what was released stays, and both ends read each other with it."""

import hashlib

from skerry import wire
from skerry.link.compress import Compressor, Packing
from skerry.link.dictionary import link_compressor, read_dictionary
from skerry.model.event import Event
from skerry.model.limits import FRAME_BYTES_MAX

RELEASED = "01fd8f9b34a082982f41dc8dd3faf322af961fcd4e4dfd2ca3756d1486d97099"


def test_the_dictionary_of_a_release_never_changes():
    assert hashlib.sha256(read_dictionary()).hexdigest() == RELEASED


def test_a_frame_goes_through_and_is_smaller_than_without():
    event = Event(sequence=7, time_us=1_795_000_100_000_000, type="instance.started", subject="instance/default/a/b/0")
    frame = wire.encode(wire.Events((event,)))
    packed = link_compressor().pack(frame)
    assert packed[0] == Packing.ZSTD_DICTIONARY
    assert link_compressor().unpack(packed, FRAME_BYTES_MAX) == frame
    assert len(packed) < len(Compressor().pack(frame))


def test_what_was_packed_without_a_dictionary_is_read_too():
    frame = b"abc" * 100
    assert link_compressor().unpack(Compressor().pack(frame), FRAME_BYTES_MAX) == frame
