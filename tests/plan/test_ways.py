"""The places of a tunnel, the seconds in which the direct way is looked for, and what people are told of it."""

import pytest

from skerry.model.document import Peer, Through
from skerry.model.ids import SiteName, digest_of
from skerry.model.observed import TunnelSeen
from skerry.plan.ways import LOOK_EVERY_US, LOOK_US, LOST_S, TRY_US, Looking, choose_place, describe_way, is_relayed

CORE, THIRD = "203.0.113.1:4000", "192.0.2.9:53001"
PEER = Peer(SiteName("bergen"), digest_of(b"r"), (), ("192.0.2.7:51820",), CORE, (Through(SiteName("voss"), THIRD),))


def test_the_direct_way_is_looked_for_a_few_seconds_of_each_five_minutes():
    assert [Looking(at).is_on for at in (0, LOOK_US - 1, LOOK_US, LOOK_EVERY_US - 1, LOOK_EVERY_US)] == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert Looking(1).left_us == LOOK_US - 1
    assert Looking(LOOK_US).left_us == LOOK_EVERY_US - LOOK_US


def test_every_place_has_its_turn_within_as_many_looks_as_there_are_places():
    places = ["a", "b", "c", "d", "e"]
    turns = [turn * LOOK_EVERY_US + at for turn in range(3) for at in (0, TRY_US)]
    assert {Looking(at).choose(places) for at in turns} == set(places)
    assert Looking(0).choose([]) == ""


def test_without_a_place_there_is_none_to_choose():
    assert choose_place([], None, 0) == ""


@pytest.mark.parametrize(
    ("tunnel", "said"),
    [
        (None, "nothing is sent"),
        (TunnelSeen(own=1, key=b"k"), "nothing is sent"),
        (TunnelSeen(own=1, key=b"k", trying=True, silent_s=LOST_S), "is not heard"),
        (TunnelSeen(own=1, key=b"k", heard_s=5, place="192.0.2.7:51822"), "directly"),
        (TunnelSeen(own=1, key=b"k", heard_s=5, place=THIRD), "through voss"),
        (TunnelSeen(own=1, key=b"k", heard_s=5, told=CORE), "the relay of the core"),
    ],
)
def test_people_are_told_by_which_way_a_site_is_heard(tunnel: TunnelSeen | None, said: str):
    assert said in describe_way(PEER, tunnel)


def test_where_a_tunnel_is_counts_more_than_where_it_was_told_to_look():
    assert is_relayed(TunnelSeen(own=1, key=b"k", told="192.0.2.7:51822", place=CORE), PEER)
    assert not is_relayed(TunnelSeen(own=1, key=b"k", told=CORE, place="192.0.2.7:51822"), PEER)
