"""Which datagram goes where: by address, by key and by session, and what goes nowhere."""

import hashlib

import pytest

from skerry.link.relay import INDEXES_MAX, PAIR_BYTES_S, SENDER_US, SENDERS_MAX, PairRelay
from skerry.model.ids import SiteName
from skerry.model.relay import RelayPair, RelaySide

KEY_A, KEY_B = b"a" * 32, b"b" * 32
PAIR = RelayPair(
    (
        RelaySide(SiteName("a"), 5000, ("192.0.2.1",), (KEY_A,)),
        RelaySide(SiteName("b"), 5001, ("192.0.2.2",), (KEY_B,)),
    )
)
A, B, STRANGER = ("192.0.2.1", 1111), ("192.0.2.2", 2222), ("198.51.100.9", 9)


def initiation(index: bytes, key: bytes = b"") -> bytes:
    body = b"\x01\x00\x00\x00" + index + bytes(108)
    secret = hashlib.blake2s(b"mac1----" + key).digest()
    return body + hashlib.blake2s(body, key=secret, digest_size=16).digest() + bytes(16)


def response(own: bytes, other: bytes) -> bytes:
    return b"\x02\x00\x00\x00" + own + other + bytes(80)


def data(index: bytes, size: int = 64) -> bytes:
    return b"\x04\x00\x00\x00" + index + bytes(size)


def talk(relay: PairRelay) -> None:
    """Both sides have begun."""
    relay.take(1, B, initiation(b"BBBB"), 0)
    assert relay.take(0, A, initiation(b"AAAA"), 0) == [B]
    assert relay.take(1, B, response(b"bbbb", b"AAAA"), 0) == [A]


def test_a_session_goes_to_who_chose_its_index():
    relay = PairRelay(PAIR)
    talk(relay)
    later = ("192.0.2.2", 3333)
    relay.take(1, later, initiation(b"CCCC"), 0)
    assert relay.take(0, A, data(b"bbbb"), 0) == [B]
    assert relay.take(0, A, data(b"CCCC"), 0) == [later]
    assert sorted(relay.take(0, A, data(b"????"), 0)) == [B, later]
    assert sorted(relay.take(0, A, initiation(b"NEXT"), 0)) == [B, later]


def test_a_stranger_is_let_in_only_by_a_handshake_for_the_other_sides_key():
    relay = PairRelay(PAIR)
    talk(relay)
    for content in (data(b"bbbb"), response(b"xxxx", b"bbbb"), initiation(b"xxxx", KEY_A)):
        assert relay.take(0, STRANGER, content, 0) == []
    assert relay.take(1, B, data(b"AAAA"), 0) == [A]
    assert relay.take(0, STRANGER, initiation(b"xxxx", KEY_B), 0) == [B]
    assert relay.take(0, STRANGER, data(b"bbbb"), 0) == [B]
    assert relay.dropped == 3


@pytest.mark.parametrize("content", [b"", b"hello", bytes(148), b"\x01\x00\x00\x00" + bytes(100), b"\x05" + bytes(60)])
def test_what_is_no_message_goes_nowhere(content: bytes):
    relay = PairRelay(PAIR)
    talk(relay)
    assert relay.take(0, A, content, 0) == []


def test_who_was_quiet_for_long_has_gone():
    relay = PairRelay(PAIR)
    talk(relay)
    assert relay.take(0, A, data(b"bbbb"), SENDER_US) == []
    assert relay.take(1, B, data(b"AAAA"), SENDER_US) == [A]
    assert relay.take(0, A, data(b"bbbb"), SENDER_US) == [B]


def test_senders_sessions_and_bytes_are_bounded():
    relay = PairRelay(PAIR)
    for port in range(SENDERS_MAX + 3):
        relay.take(1, ("192.0.2.2", port), initiation(port.to_bytes(4, "big")), port)
    targets = relay.take(0, A, initiation(b"AAAA"), 10)
    assert sorted(port for _, port in targets) == list(range(3, SENDERS_MAX + 3))
    for number in range(INDEXES_MAX + 1):
        relay.take(0, A, initiation(number.to_bytes(4, "big")), 10)
    assert len(relay.take(1, ("192.0.2.2", 6), data((0).to_bytes(4, "big")), 10)) == 1
    size, sent = 60_000, 0
    while relay.take(0, A, data(b"xxxx", size), 20):
        sent += size
    assert PAIR_BYTES_S - 200_000 < sent <= PAIR_BYTES_S
    assert relay.take(0, A, data(b"xxxx", size), 1_000_020)
