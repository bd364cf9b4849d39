import msgspec
import pytest

from skerry.model.document import ImageHold, decode_unit, digest_bodies, digest_units, encode_unit, unit_id
from skerry.model.ids import UnitId, digest_of

UNIT = ImageHold(digest=digest_of(b"m"), config=digest_of(b"c"), size_bytes=1)


def test_a_unit_is_read_as_it_was_written():
    assert decode_unit(encode_unit(UNIT)) == UNIT
    assert unit_id(UNIT) == f"image/{UNIT.digest}"


@pytest.mark.parametrize(
    "body", [b"", b'{"kind":"\xff"}', b'{"kind":"image","digest":"\xed\xa0\x80"}', b'{"kind":"x"}']
)
def test_every_bad_body_raises_the_one_error(body: bytes):
    with pytest.raises(msgspec.DecodeError):
        decode_unit(body)


def test_the_digest_of_a_map_depends_on_its_names_and_bytes_and_not_on_its_order():
    bodies = {UnitId("b"): b"2", UnitId("a"): b"1"}
    turned = {UnitId("a"): b"1", UnitId("b"): b"2"}
    assert digest_units(digest_bodies(bodies)) == digest_units(digest_bodies(turned))
    assert digest_units(digest_bodies(bodies)) != digest_units(digest_bodies({UnitId("b"): b"1", UnitId("a"): b"2"}))
    assert digest_units({}) == digest_of(b"")
