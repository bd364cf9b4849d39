import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people

from skerry.trust.keys import device_message
from skerry.trust.proof import proof_message, sign_proof, verify_proof

NONCE, SERVER = b"n" * 32, b"s" * 32
BYTES_32 = st.binary(min_size=32, max_size=32)


@given(BYTES_32, BYTES_32, st.binary(max_size=64))
def test_a_proof_holds_for_what_it_was_made_for(nonce: bytes, server: bytes, claim: bytes):
    proof = sign_proof(people.DEVICE, nonce, server, claim)
    assert verify_proof(people.DEVICE.public, nonce, server, claim, proof)


@given(BYTES_32, BYTES_32, st.binary(max_size=64))
def test_a_proof_holds_for_nothing_else(nonce: bytes, server: bytes, claim: bytes):
    proof = sign_proof(people.DEVICE, NONCE, SERVER, b"claim")
    if (nonce, server, claim) != (NONCE, SERVER, b"claim"):
        assert not verify_proof(people.DEVICE.public, nonce, server, claim, proof)
    assert not verify_proof(people.key("another device").public, NONCE, SERVER, b"claim", proof)


def test_a_proof_made_for_joining_or_without_a_purpose_is_none():
    message = proof_message(NONCE, SERVER, b"claim")
    for signed in (device_message("join", message), message):
        assert not verify_proof(people.DEVICE.public, NONCE, SERVER, b"claim", people.DEVICE.sign(signed))


def test_bytes_cannot_move_between_the_parts():
    with pytest.raises(ValueError, match="32 bytes"):
        proof_message(NONCE + b"s", SERVER[1:], b"claim")
    with pytest.raises(ValueError, match="32 bytes"):
        proof_message(NONCE, b"", b"claim")
