"""Which pairs of sites are relayed, and that they keep their ports."""

from collections.abc import Sequence

import msgspec
import pytest
from tests.plan.test_stretching import stretch, view

from skerry.model.document import Peer, RelayDuty, Unit, unit_id
from skerry.model.ids import SiteName, UnitId, digest_of
from skerry.model.network import RELAYS_MAX
from skerry.model.relay import RelayOffer
from skerry.model.site_relay import SiteRelay
from skerry.plan.relaying import choose_relays, choose_slots, is_behind, make_table
from skerry.plan.snapshot import FleetSnapshot, SiteView

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


# --- third sites ------------------------------------------------------------------------------------------------------


def lend(name: str, enrolment: int, **words: object) -> SiteView:
    """A site whose record lets it relay for two pairs, and whose link comes from its own address."""
    plain = view(name, enrolment)
    record = msgspec.structs.replace(plain.record, relay=SiteRelay(first=53_000, last=53_003))
    return msgspec.structs.replace(plain, record=record, seen_from=f"192.0.2.{enrolment}", **words)


def deafen(found: SiteView, *sites: str) -> SiteView:
    overlays = {
        node: msgspec.structs.replace(fact, unheard=tuple(map(SiteName, sites)))
        for node, fact in found.overlays.items()
    }
    return msgspec.structs.replace(found, overlays=overlays)


def keep(views: Sequence[SiteView], units: dict[SiteName, list[Unit]]) -> list[SiteView]:
    return [
        msgspec.structs.replace(each, units={unit_id(one): one for one in units.get(each.site, [])}) for each in views
    ]


def through(units: dict[SiteName, list[Unit]], here: str, there: str) -> dict[str, str]:
    """Where one site finds another one at third sites."""
    peers = (each for each in units[SiteName(here)] if isinstance(each, Peer) and each.site == there)
    return {one.site: one.place for each in peers for one in each.through or ()}


def duties(units: dict[SiteName, list[Unit]], site: str) -> list[tuple[str, str]]:
    found = (each for each in units.get(SiteName(site), []) if isinstance(each, RelayDuty))
    return [(each.ends[0].site, each.ends[1].site) for each in found]


PAIR = [hidden("a", 1), hidden("b", 2, "198.51.100.2")]


def test_a_third_site_relays_where_its_record_lets_it_and_the_core_s_relay_comes_after_it():
    units = stretch([*PAIR, lend("c", 3)], relay=OFFER)
    assert duties(units, "c") == [("a", "b")]
    ports = [int(through(units, *ends)["c"].removeprefix("192.0.2.3:")) for ends in (("a", "b"), ("b", "a"))]
    assert ports == [53_000 + ports[0] % 4, ports[0] + 1]
    peer = next(each for each in units[SiteName("a")] if isinstance(each, Peer) and each.site == "b")
    assert peer.relays == (through(units, "a", "b")["c"], peer.relay)
    assert through(units, "a", "c") == {}
    (duty,) = (each for each in units[SiteName("c")] if isinstance(each, RelayDuty))
    assert [end.record for end in duty.ends] == [each.record_digest for each in PAIR]
    assert [end.addresses[0] for end in duty.ends] == ["198.51.100.1", "198.51.100.2"]
    assert through(stretch([*PAIR, view("c", 3)]), "a", "b") == {}


@pytest.mark.parametrize(
    ("words", "relays"),
    [
        ({}, True),
        ({"silent": True}, False),
        ({"cordon": "drain"}, False),
        ({"seen_from": ""}, False),
        ({"seen_from": "198.51.100.3"}, False),
        ({"seen_from": "2001:db8::3"}, False),
    ],
    ids=["open", "silent", "kept free", "nobody knows where", "behind NAT", "of the other family"],
)
def test_a_third_site_that_nobody_finds_is_none(words: dict[str, object], relays: bool):
    third = msgspec.structs.replace(lend("c", 3), **words)
    assert bool(through(stretch([*PAIR, third]), "a", "b")) is relays


def test_where_the_operator_says_how_a_site_is_reached_it_may_sit_behind_nat_and_have_no_network():
    third = lend("c", 3, overlays={})
    assert through(stretch([*PAIR, third], without=("c",)), "a", "b") == {}
    relay = SiteRelay(first=53_000, last=53_003, address="203.0.113.9")
    third = msgspec.structs.replace(third, record=msgspec.structs.replace(third.record, relay=relay))
    units = stretch([*PAIR, third], without=("c",))
    assert through(units, "a", "b")["c"].startswith("203.0.113.9:")
    assert duties(units, "c") == [("a", "b")]


def test_who_is_not_heard_directly_is_relayed_and_not_by_a_site_that_one_end_does_not_hear():
    apart = [deafen(view("a", 1), "b", "c"), view("b", 2)]
    units = stretch([*apart, lend("c", 3), lend("d", 4)])
    assert set(through(units, "a", "b")) == {"d"}
    assert through(units, "b", "d") == {}
    # The pair of a and c needs one as well, and c is no third site of its own pair.
    assert set(through(units, "a", "c")) == {"d"}


def test_a_pair_keeps_its_relays_when_it_hears_itself_again_and_when_the_third_site_is_silent():
    views = [deafen(view("a", 1), "b"), view("b", 2), lend("c", 3)]
    first = stretch(views)
    views = keep([view("a", 1), view("b", 2), lend("c", 3, silent=True), lend("d", 4)], first)
    again = stretch(views)
    assert through(again, "a", "b")["c"] == through(first, "a", "b")["c"]
    # Another one comes first, for the silent one may be gone.
    assert list(through(again, "a", "b")) == ["d", "c"]


def test_pairs_are_shared_out_and_have_two_third_sites_at_most():
    names = "efgh"
    hiding = [hidden(name, at + 10, f"198.51.100.{at + 10}") for at, name in enumerate(names)]
    units = stretch([*hiding, lend("a", 1), lend("b", 2), lend("c", 3)])
    pairs = [(one, other) for one in names for other in names if one < other]
    assert {site: len(duties(units, site)) for site in "abc"} == {"a": 2, "b": 2, "c": 2}
    assert all(len(through(units, *pair)) <= RELAYS_MAX for pair in pairs)
    kept = stretch(keep([*hiding, lend("a", 1), lend("b", 2), lend("c", 3)], units))
    assert kept == units


def test_every_pair_that_has_a_relay_or_lacks_one_is_told_why():
    views = [*PAIR, deafen(view("d", 4), "a")]
    peers = {each.site: {other.site: other for other in views if other is not each} for each in views}
    snapshot = FleetSnapshot(sites=tuple(views), relay=RelayOffer("203.0.113.1", 52_000, 52_001))
    reasons = choose_relays(snapshot, peers).reasons
    a, b, d = map(SiteName, "abd")
    assert reasons == {
        (a, b): "both sit behind NAT",
        (a, d): "d does not hear a directly, and no relay has room for it",
    }
