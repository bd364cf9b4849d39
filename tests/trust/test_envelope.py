import base64

import msgspec
import pytest
from tests.trust import people

from skerry.model.ids import KeyId
from skerry.model.limits import PAYLOAD_BYTES_MAX
from skerry.model.signed import KINDS, Envelope, PublicKey, Signature
from skerry.trust.envelope import (
    check_form,
    decode_envelope_json,
    decode_envelope_msgpack,
    encode_envelope_json,
    encode_envelope_msgpack,
    encode_payload,
    kind_of,
    pre_authentication,
    sign_payload,
    type_of,
)
from skerry.trust.keys import SigningKey, verify_signature
from skerry.trust.verdict import Denied

# secure-systems-lab/dsse testvectors/vectors.json: type, payload (base64), pre-authentication encoding (hex), signature
# by key A (the first key of RFC 8032) in base64.
IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ=="
STATEMENT_HEX = "7b225f74797065223a2268747470733a2f2f696e2d746f746f2e696f2f53746174656d656e742f7631227d"
DSSE = {
    "single-signature": (
        IN_TOTO,
        STATEMENT,
        "445353457631203238206170706c69636174696f6e2f766e642e696e2d746f746f2b6a736f6e20343320" + STATEMENT_HEX,
        "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA==",
    ),
    "non-ascii-payload-type": (
        "application/vnd.exämple+json",
        STATEMENT,
        "445353457631203239206170706c69636174696f6e2f766e642e6578c3a46d706c652b6a736f6e20343320" + STATEMENT_HEX,
        "xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw==",
    ),
    "empty-payload": (
        IN_TOTO,
        "",
        "445353457631203238206170706c69636174696f6e2f766e642e696e2d746f746f2b6a736f6e203020",
        "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg==",
    ),
    "empty-payload-type": (
        "",
        STATEMENT,
        "445353457631203020203433" + "20" + STATEMENT_HEX,
        "iC3q/+3Rm0+lpAJRueDmDh15PnwCfxKmS0NAfKsbv+zgulXQC/WM9trc+j1XEqlwDIg/vf/uNfebeD6sxInrDg==",
    ),
}
KEY_A = SigningKey.from_seed(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))


@pytest.mark.parametrize("name", DSSE)
def test_signed_bytes_are_those_of_dsse(name: str):
    type_text, payload, encoded, signature = DSSE[name]
    message = pre_authentication(type_text, base64.b64decode(payload))
    assert message.hex() == encoded
    assert base64.b64encode(KEY_A.sign(message)).decode() == signature
    assert verify_signature(KEY_A.public, message, base64.b64decode(signature))


def test_the_example_of_the_dsse_protocol():
    message = pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert message == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_every_kind_has_a_type_of_its_own_and_no_other_text_is_one():
    assert len({type_of(kind) for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert kind_of(Envelope(type_of(kind), b"", ())) == kind
    for text in (
        "application/vnd.skerry.revision.v2+json",
        "application/vnd.skerry.revision.v01+json",
        "application/vnd.skerry.Revision.v1+json",
        "application/vnd.skerry.revision.v1+json ",
        "application/vnd.skerry.voucher.v1+json",
        "",
    ):
        refusal = kind_of(Envelope(text, b"", ()))
        assert isinstance(refusal, Denied)
        assert refusal.code == "E-KIND"


def test_a_payload_is_encoded_the_same_way_whatever_the_order_of_its_maps():
    record = people.make_record(labels={"b": "2", "a": "1"})
    turned = people.make_record(labels={"a": "1", "b": "2"})
    assert encode_payload(record) == encode_payload(turned)
    assert b'"key-class":"file"' in encode_payload(record)


def test_envelopes_survive_both_encodings_byte_for_byte():
    envelope = people.sign("site", people.make_record(), people.REGISTRAR, people.ROOT)
    assert decode_envelope_json(encode_envelope_json(envelope)) == envelope
    assert decode_envelope_msgpack(encode_envelope_msgpack(envelope)) == envelope
    assert encode_envelope_json(envelope) == msgspec.json.encode(envelope)


def test_base64_has_one_text_per_value():
    text = encode_envelope_json(people.revise(1)).decode()
    assert text.endswith('=="]]}')
    # The last letter before the padding carries four bits that mean nothing: each must be zero.
    letter = text[-7]
    loose = text[:-7] + chr(ord(letter) + 1) + text[-6:]
    refusal = decode_envelope_json(loose.encode())
    assert isinstance(refusal, Denied)
    assert "loose bits" in refusal.reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":"t","payload":"","signatures":[],"more":1}',
        b'{"type":"t","payload":"","signatures":[["k"]]}',
        b'{"type":"t","payload":"?","signatures":[["' + b"0" * 40 + b'",""]]}',
        b'{"type":"t","payload":"","signatures":[["' + b"0" * 40 + b'","AA=="]]}',
        b'{"type":"t","payload":"","signatures":[]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_envelope_is_refused(content: bytes):
    assert isinstance(decode_envelope_json(content), Denied)
    assert isinstance(decode_envelope_msgpack(content), Denied)


def test_limits_are_checked_before_anything_costly():
    key = KeyId("0" * 40)
    signature = Signature(key, bytes(64))
    assert check_form(Envelope("t", bytes(PAYLOAD_BYTES_MAX), (signature,) * 8)) is None
    for envelope, code in (
        (Envelope("t", bytes(PAYLOAD_BYTES_MAX + 1), (signature,)), "E-SIZE"),
        (Envelope("t", b"", (signature,) * 9), "E-FORM"),
        (Envelope("t", b"", (Signature(key, bytes(65)),)), "E-FORM"),
        (Envelope("t", b"", (Signature(KeyId("0" * 39), bytes(64)),)), "E-FORM"),
        (Envelope("t", b"", (Signature(KeyId("G" * 40), bytes(64)),)), "E-FORM"),
    ):
        refusal = check_form(envelope)
        assert refusal is not None
        assert refusal.code == code
    assert isinstance(decode_envelope_json(b" " * (PAYLOAD_BYTES_MAX * 2)), Denied)
    assert isinstance(decode_envelope_msgpack(bytes(PAYLOAD_BYTES_MAX * 2)), Denied)


def test_nothing_is_signed_that_every_site_would_refuse():
    with pytest.raises(ValueError, match="at most"):
        sign_payload("revision", bytes(PAYLOAD_BYTES_MAX + 1), [KEY_A])
    with pytest.raises(ValueError, match="signatures"):
        sign_payload("revision", b"{}", [])
    with pytest.raises(ValueError, match="signatures"):
        sign_payload("revision", b"{}", [KEY_A] * 9)


def test_public_keys_in_payloads_are_base64():
    public = PublicKey(type="ed25519", key=b"\x00\x01")
    assert encode_payload(public) == b'{"type":"ed25519","key":"AAE="}'
