"""Which datagram goes where: by address, by key and by session, and what goes nowhere."""

import hashlib

import pytest

from skerry.link.relay import INDEXES_MAX, SENDER_US, SENDERS_MAX, Address, Budget, PairRelay
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


def response(own: bytes, other: bytes, key: bytes = b"") -> bytes:
    body = b"\x02\x00\x00\x00" + own + other + bytes(48)
    secret = hashlib.blake2s(b"mac1----" + key).digest()
    return body + hashlib.blake2s(body, key=secret, digest_size=16).digest() + bytes(16)


def data(index: bytes, size: int = 64) -> bytes:
    return b"\x04\x00\x00\x00" + index + bytes(size)


def make_relay(own: int = 0, whole: int = 0) -> PairRelay:
    return PairRelay(PAIR, Budget(own), Budget(whole))


def talk(relay: PairRelay) -> None:
    """Both sides have begun."""
    relay.take(1, B, initiation(b"BBBB", KEY_A), 0)
    assert relay.take(0, A, initiation(b"AAAA", KEY_B), 0) == (B,)
    assert relay.take(1, B, response(b"bbbb", b"AAAA", KEY_A), 0) == (A,)


def test_a_session_goes_to_who_chose_its_index():
    relay = make_relay()
    talk(relay)
    later = ("192.0.2.2", 3333)
    relay.take(1, later, initiation(b"CCCC", KEY_A), 0)
    assert relay.take(0, A, data(b"bbbb"), 0) == (B,)
    assert relay.take(0, A, data(b"CCCC"), 0) == (later,)
    assert sorted(relay.take(0, A, data(b"????"), 0)) == [B, later]
    assert sorted(relay.take(0, A, initiation(b"NEXT", KEY_B), 0)) == [B, later]


def test_a_stranger_is_let_in_only_by_a_handshake_for_the_other_sides_key():
    relay = make_relay()
    talk(relay)
    for content in (data(b"bbbb"), response(b"xxxx", b"bbbb"), initiation(b"xxxx", KEY_A)):
        assert relay.take(0, STRANGER, content, 0) == ()
    assert relay.take(1, B, data(b"AAAA"), 0) == (A,)
    assert relay.take(0, STRANGER, initiation(b"xxxx", KEY_B), 0) == (B,)
    assert relay.take(0, STRANGER, data(b"bbbb"), 0) == (B,)
    assert relay.refused == 3


def test_who_comes_from_a_sites_own_address_is_heard_and_takes_nobodys_place():
    relay = make_relay()
    talk(relay)
    neighbours: list[Address] = [("192.0.2.2", port) for port in range(SENDERS_MAX + 3)]
    for each in neighbours:
        # What it says of an index is not believed: that index is the site's.
        relay.take(1, each, initiation(b"bbbb"), 1)
    assert relay.take(0, A, data(b"bbbb"), 2) == (B,)
    assert B in relay.take(0, A, initiation(b"NEXT", KEY_B), 2)
    assert len(relay.take(0, A, initiation(b"NEXT", KEY_B), 2)) == SENDERS_MAX


def test_where_all_have_shown_that_they_know_the_key_a_neighbour_finds_no_room():
    relay = make_relay()
    for port in range(SENDERS_MAX):
        relay.take(1, ("192.0.2.2", port), initiation(port.to_bytes(4, "big"), KEY_A), 0)
    assert relay.take(1, ("192.0.2.2", 99), data(b"AAAA"), 1) == ()
    assert relay.refused == 1
    # They have gone: there is room for whoever the site is now.
    relay.take(1, ("192.0.2.2", 99), data(b"AAAA"), SENDER_US)
    assert relay.take(0, A, data(b"????"), SENDER_US) == (("192.0.2.2", 99),)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(148), b"\x01\x00\x00\x00" + bytes(100), b"\x05" + bytes(60)])
def test_what_is_no_message_goes_nowhere(content: bytes):
    relay = make_relay()
    talk(relay)
    assert relay.take(0, A, content, 0) == ()


def test_who_was_quiet_for_long_has_gone():
    relay = make_relay()
    talk(relay)
    assert relay.take(0, A, data(b"bbbb"), SENDER_US) == ()
    assert relay.take(1, B, data(b"AAAA"), SENDER_US) == (A,)
    assert relay.take(0, A, data(b"bbbb"), SENDER_US) == (B,)


def test_senders_and_sessions_are_bounded():
    relay = make_relay()
    for port in range(SENDERS_MAX + 3):
        relay.take(1, ("192.0.2.2", port), initiation(port.to_bytes(4, "big"), KEY_A), port)
    targets = relay.take(0, A, initiation(b"AAAA", KEY_B), 10)
    assert sorted(port for _, port in targets) == list(range(3, SENDERS_MAX + 3))
    for number in range(INDEXES_MAX + 1):
        relay.take(0, A, initiation(number.to_bytes(4, "big"), KEY_B), 10)
    assert relay.take(1, ("192.0.2.2", 6), data((0).to_bytes(4, "big")), 10) == (A,)


@pytest.mark.parametrize(("own", "whole"), [(1_000_000, 0), (0, 1_000_000), (1_000_000, 5_000_000)])
def test_a_pair_sends_so_much_in_a_second_and_all_of_them_so_much(own: int, whole: int):
    relay, size, sent = make_relay(own, whole), 60_000, 0
    talk(relay)
    while relay.take(0, A, data(b"bbbb", size), 20):
        sent += size
    assert 900_000 < sent <= 1_000_000
    assert relay.crowded == 1
    assert relay.passed_bytes >= sent
    assert relay.take(0, A, data(b"bbbb", size), 1_000_020)


def test_pairs_share_what_the_relay_may_carry():
    whole = Budget(1_000)
    pairs = [PairRelay(PAIR, Budget(0), whole) for _ in range(2)]
    assert [len(pair.take(0, A, data(b"xxxx", 600), 0)) for pair in pairs] == [0, 0]
    assert [pair.crowded for pair in pairs] == [0, 1]
