"""Which pairs of sites are relayed, and that they keep their ports."""

from collections.abc import Sequence

import msgspec
from tests.plan.test_stretching import stretch, view

from skerry.model.document import Peer, Unit, unit_id
from skerry.model.ids import SiteName, UnitId, digest_of
from skerry.model.relay import RelayOffer
from skerry.plan.relaying import choose_slots, is_behind, make_table
from skerry.plan.snapshot import SiteView

OFFER = RelayOffer("203.0.113.1", 52_000, 52_007)


def hidden(name: str, enrolment: int, seen_from: str = "198.51.100.1") -> SiteView:
    return msgspec.structs.replace(view(name, enrolment), seen_from=seen_from)


def relays(views: Sequence[SiteView], offer: RelayOffer | None = OFFER) -> dict[str, str]:
    units = stretch(views, relay=offer)
    return {f"{site} to {each.site}": each.relay for site in units for each in units[site] if isinstance(each, Peer)}


def test_a_site_is_behind_nat_where_its_link_comes_from_an_address_that_it_does_not_have():
    assert not is_behind(view("a", 1))
    assert is_behind(hidden("a", 1))
    (own,) = {each for fact in view("a", 1).overlays.values() for each in fact.addresses[:1]}
    assert not is_behind(hidden("a", 1, own))
    assert not is_behind(msgspec.structs.replace(hidden("a", 1), overlays={}))


def test_only_pairs_of_which_both_ends_are_behind_nat_are_relayed_and_each_side_has_a_port():
    found = relays([hidden("a", 1), hidden("b", 2, "198.51.100.2"), view("c", 3)])
    assert found["a to c"] == found["c to a"] == found["b to c"] == ""
    ports = sorted(int(found[way].removeprefix("203.0.113.1:")) for way in ("a to b", "b to a"))
    assert ports[1] == ports[0] + 1
    assert found["a to b"].endswith(str(ports[0]))
    assert relays([hidden("a", 1), hidden("b", 2)], None) == {"a to b": "", "b to a": ""}


def test_pairs_keep_their_slots_and_what_is_beyond_the_last_port_has_none():
    names = [SiteName(name) for name in "abcde"]
    pairs = [(names[0], other) for other in names[1:]]
    first = choose_slots(OFFER, pairs, {})
    assert sorted(first.values()) == [0, 1, 2, 3]
    more = [*pairs, (names[1], names[2])]
    assert len(choose_slots(OFFER, more, {})) == OFFER.pairs_max == 4
    units: dict[SiteName, dict[UnitId, Unit]] = {names[0]: {}}
    for (_, other), slot in first.items():
        unit = Peer(other, digest_of(b"record"), (), relay=OFFER.place(slot, 0))
        units[names[0]][unit_id(unit)] = unit
    assert choose_slots(OFFER, more, units) == first


def test_the_relay_is_told_of_both_sides_by_what_the_core_knows_of_them():
    views = [hidden("a", 1), hidden("b", 2, "198.51.100.2")]
    units = stretch(views, relay=OFFER)
    held = [msgspec.structs.replace(each, units={unit_id(one): one for one in units[each.site]}) for each in views]
    (pair,) = make_table(OFFER, held).pairs
    assert [side.site for side in pair.sides] == ["a", "b"]
    assert [side.port % 2 for side in pair.sides] == [0, 1]
    assert "198.51.100.1" in pair.sides[0].addresses
    assert make_table(OFFER, views).pairs == ()
