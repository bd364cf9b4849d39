import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people

from skerry.model.app import AppRevision
from skerry.model.limits import INTEGER_MAX, PAYLOAD_BYTES_MAX
from skerry.model.signed import DocumentHead, SiteRecord
from skerry.trust.envelope import encode_payload
from skerry.trust.parse import parse_payload, read_json
from skerry.trust.verdict import Denied


def refuse(payload: bytes) -> str:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the callers look at the words
        read_json(payload)
    return str(refusal.value)


def test_what_was_encoded_is_read_as_it_was():
    for payload in (people.make_root(), people.make_record(), people.make_revision(3), people.make_tombstone(1)):
        assert parse_payload(encode_payload(payload), type(payload)) == payload
    secret = people.make_secret(1)
    assert parse_payload(encode_payload(secret), type(secret)) == secret


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a":1,"a":2}', "twice"),
        ('{"a":{"b":1,"b":1}}', "twice"),
        ('{"a":1,"\\u0061":2}', "twice"),
        ('{"a":1.0}', "not an integer"),
        ('{"a":1e2}', "not an integer"),
        ('{"a":NaN}', "not an integer"),
        ('{"a":Infinity}', "not an integer"),
        ('{"a":-Infinity}', "not an integer"),
        (f'{{"a":{INTEGER_MAX + 1}}}', "beyond"),
        (f'{{"a":{-INTEGER_MAX - 1}}}', "beyond"),
        ('{"a":' + "9" * 100_000 + "}", "beyond"),
        ('{"a":-0}', "beyond"),
        ('{"a":"\\ud800"}', "surrogates"),
        ('{"\\udc00":1}', "surrogates"),
        ('{"a":"\\ud800x\\udc00"}', "surrogates"),
        ('{"a":"' + "\\" * 999 + '"}', "Unterminated"),
        ('{"a":"b}', "Unterminated"),
        ('{"a":"\n"}', "control character"),
        ('{"a":' + "[" * 32 + "]" * 32 + "}", "nested"),
        ('{"a":1}x', "Extra data"),
        ("\ufeff{}", "BOM"),
        ("", "Expecting"),
        ("{" + ",".join(f'"k{n}":1' for n in range(10_001)) + "}", "more than 10000 keys"),
        ("{'a':1}", "Expecting"),
        ('{"a":01}', "delimiter"),
        ("// {}", "Expecting"),
    ],
)
def test_unclear_text_is_refused(text: str, reason: str):
    assert reason in refuse(text.encode())


def test_bytes_that_are_no_text_are_refused():
    for payload in (b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}', "{}".encode("utf-16")):
        refuse(payload)


def test_a_size_beyond_the_limit_is_refused_and_the_limit_itself_is_not():
    frame = len(b'{"a":""}')
    whole = b'{"a":"' + b"x" * (PAYLOAD_BYTES_MAX - frame) + b'"}'
    assert len(read_json(whole)["a"]) == PAYLOAD_BYTES_MAX - frame
    assert "at most" in refuse(whole + b" ")


def test_limits_lie_where_they_are_said_to_lie():
    inner = '{"a":' + "[" * 31 + "]" * 31 + "}"
    assert list(read_json(inner.encode())) == ["a"]
    assert read_json(f'{{"a":[{INTEGER_MAX},{-INTEGER_MAX}]}}'.encode()) == {"a": [INTEGER_MAX, -INTEGER_MAX]}
    assert read_json(b'{"a":"\\ud83d\\ude00 \\" : { ["}') == {"a": '\U0001f600 " : { ['}


@pytest.mark.parametrize("bomb", ['"', "[", "{", "\\", '\\"', '"\\', '""', "[]", "1,", '{"":', "\x00"])
def test_a_megabyte_of_anything_is_refused_in_linear_time(bomb: str):
    # Quadratic work over a mebibyte would take hours, so ending at all is the assertion.
    filler = (bomb * PAYLOAD_BYTES_MAX)[: PAYLOAD_BYTES_MAX - 10]
    refuse(filler.encode())
    refuse(b'{"a":' + filler.encode())


@given(st.binary(max_size=64))
def test_no_bytes_make_it_raise(payload: bytes):
    assert isinstance(parse_payload(payload, AppRevision), Denied)
    assert isinstance(parse_payload(b'{"a":' + payload + b"}", AppRevision), Denied)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=10,
    )
)
def test_all_clear_json_is_read_as_another_parser_reads_it(tree: object):
    text = msgspec.json.encode({"a": tree})
    assert read_json(text) == msgspec.json.decode(text) == {"a": tree}


def test_signed_structs_are_closed_and_strictly_typed():
    good = encode_payload(people.make_revision(1))
    for old, new in (
        (b'"number":1', b'"number":"1"'),
        (b'"number":1', b'"number":true'),
        (b'"number":1', b'"number":null'),
        (b'"profile":"default"', b'"profile":"default","privileged":true'),
        (b'"tenant":"alpha",', b""),
    ):
        assert old in good
        assert isinstance(parse_payload(good.replace(old, new, 1), AppRevision), Denied)


def test_one_kind_is_never_read_as_another():
    assert isinstance(parse_payload(encode_payload(people.make_record()), AppRevision), Denied)
    assert isinstance(parse_payload(encode_payload(people.make_revision(1)), SiteRecord), Denied)
    assert isinstance(parse_payload(encode_payload(people.make_tombstone(1)), DocumentHead), Denied)
