"""What ``wg`` says and is told: only the difference, and a place only where it is a new one."""

import base64

import msgspec
import pytest

from skerry.drivers.overlay.wireguard import (
    INTERFACES,
    PEERS_A_CALL,
    InterfaceSeen,
    PeerSeen,
    by_interface,
    interface_name,
    list_calls,
    matches,
    read_dump,
    write_key,
)
from skerry.model.ids import SiteName
from skerry.plan.actions import Tunnel
from skerry.plan.overlay import own_port

K1, K2 = b"1" * 32, b"2" * 32
OWN = b"o" * 32
WAY = Tunnel(1, False, SiteName("bergen"), K1, "192.0.2.7:51822", ("10.64.2.64/26", "fd00::/64"))
PEER = PeerSeen(frozenset(WAY.ranges), 0, "", 0, 0, 0)


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


DUMP = (
    f"{text(b's' * 32)}\t{text(OWN)}\t51822\toff\n"
    f"{text(K1)}\t(none)\t192.0.2.7:51822\t10.64.2.64/26,fd00::/64\t1700000000\t92\t404\t25\n"
    f"{text(K2)}\t(none)\t(none)\t(none)\t0\t0\t0\toff\n"
)


def test_a_dump_is_read_without_its_secrets():
    seen = read_dump(DUMP)
    assert (seen.public, seen.port) == (OWN, 51822)
    assert seen.peers[K1] == PeerSeen(frozenset(WAY.ranges), 25, "192.0.2.7:51822", 1_700_000_000, 92, 404)
    assert seen.peers[K2] == PeerSeen(frozenset(), 0, "", 0, 0, 0)
    assert text(b"s" * 32) not in repr(seen)
    assert read_dump("(none)\t(none)\t0\toff\n") == InterfaceSeen(b"", 0, {})


@pytest.mark.parametrize("bad", ["", "a\tb\n", DUMP + "x\ty\n"])
def test_what_is_no_dump_is_refused(bad: str):
    with pytest.raises(ValueError, match=r"."):
        read_dump(bad)


def test_interfaces_are_in_the_order_of_the_ports():
    for own in (1, 2, 3):
        for aside in (False, True):
            assert INTERFACES.index(interface_name(own, aside=aside)) == own_port(0, own, aside=aside)
    assert by_interface([WAY]) == {"skw2": {K1: WAY}}


def test_a_peer_that_is_as_wished_is_left_alone_wherever_it_moved_to():
    seen = InterfaceSeen(OWN, 51822, {K1: PEER})
    assert matches({K1: WAY}, seen, OWN, 51822)
    assert list_calls({K1: WAY}, seen, {K1: WAY.endpoint}) == []


@pytest.mark.parametrize(
    ("seen", "told", "words"),
    [
        (None, {}, ["endpoint", WAY.endpoint, "persistent-keepalive", "0", "allowed-ips", ",".join(WAY.ranges)]),
        # Gone with its link, so told again.
        (None, {K1: WAY.endpoint}, ["endpoint", WAY.endpoint]),
        (PEER, {K1: "192.0.2.8:1"}, ["endpoint", WAY.endpoint]),
        (msgspec.structs.replace(PEER, keepalive_s=25), {K1: WAY.endpoint}, ["persistent-keepalive", "0"]),
        (msgspec.structs.replace(PEER, ranges=frozenset()), {K1: WAY.endpoint}, ["allowed-ips", ",".join(WAY.ranges)]),
    ],
)
def test_of_a_peer_that_differs_it_is_set_what_differs(seen: PeerSeen | None, told: dict[bytes, str], words: list[str]):
    interface = InterfaceSeen(OWN, 51822, {K1: seen} if seen else {})
    ((said, keys),) = list_calls({K1: WAY}, interface, told)
    assert keys == [K1]
    assert said[:2] == ["peer", write_key(K1)]
    assert " ".join(words) in " ".join(said)
    assert ("endpoint" in said) == ("endpoint" in words)


def test_who_goes_goes_first_and_without_a_place_nothing_is_said_of_one():
    waiting = msgspec.structs.replace(WAY, key=K1, endpoint="")
    ((words, keys),) = list_calls({K1: waiting}, InterfaceSeen(OWN, 1, {K2: PEER}), {})
    assert words[:3] == ["peer", write_key(K2), "remove"]
    assert "endpoint" not in words
    assert keys == [K2, K1]


def test_a_peer_that_is_only_to_listen_again_is_made_anew_and_one_that_does_is_left_alone():
    listening = msgspec.structs.replace(WAY, endpoint="")
    seen = InterfaceSeen(OWN, 51822, {K1: PEER})
    ((words, keys),) = list_calls({K1: listening}, seen, {K1: WAY.endpoint})
    assert words[:5] == ["peer", write_key(K1), "remove", "peer", write_key(K1)]
    assert "endpoint" not in words
    assert set(keys) == {K1}
    assert list_calls({K1: listening}, seen, {K1: ""}) == []


def test_many_peers_take_several_calls():
    many = {bytes([number, 0]) * 16: WAY for number in range(PEERS_A_CALL + 1)}
    assert [len(keys) for _, keys in list_calls(many, InterfaceSeen(OWN, 1, {}), {})] == [PEERS_A_CALL, 1]


@pytest.mark.parametrize(
    ("public", "port", "wanted"),
    [(b"x" * 32, 51822, {K1: WAY}), (OWN, 1, {K1: WAY}), (OWN, 51822, {}), (OWN, 51822, {K1: WAY, K2: WAY})],
)
def test_any_difference_shows(public: bytes, port: int, wanted: dict[bytes, Tunnel]):
    assert not matches(wanted, InterfaceSeen(OWN, 51822, {K1: PEER}), public, port)
