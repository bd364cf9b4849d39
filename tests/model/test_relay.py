"""Where a relay is said to be, and its ports by slot and side."""

import pytest

from skerry.model.relay import PAIRS_MAX, RelayOffer, read_offer


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ("", None),
        ("203.0.113.1:52000-52999", RelayOffer("203.0.113.1", 52_000, 52_999)),
        ("[2001:db8::1]:1-2", RelayOffer("2001:db8::1", 1, 2)),
    ],
)
def test_an_address_and_a_range_of_ports_is_a_relay(text: str, offer: RelayOffer | None):
    assert read_offer(text) == offer


@pytest.mark.parametrize(
    "text", ["203.0.113.1", "203.0.113.1:5-5", "203.0.113.1:9-5", "relay:1-2", "1.2.3.4:1-70000", "x-y"]
)
def test_anything_else_is_refused(text: str):
    with pytest.raises(ValueError, match="is no relay"):
        read_offer(text)


@pytest.mark.parametrize("host", ["203.0.113.1", "2001:db8::1"])
def test_a_slot_is_known_by_its_place_again(host: str):
    offer = RelayOffer(host, 52_000, 52_999)
    assert {offer.place(3, side).rpartition(":")[2] for side in (0, 1)} == {"52006", "52007"}
    assert [offer.slot_of(offer.place(3, side)) for side in (0, 1)] == [3, 3]
    for other in ("203.0.113.9:52006", offer.place(500, 0), ""):
        assert offer.slot_of(other) is None


def test_there_are_no_more_pairs_than_a_process_has_sockets_for():
    assert RelayOffer("203.0.113.1", 1_000, 1_009).pairs_max == 5
    assert RelayOffer("203.0.113.1", 1, 65_535).pairs_max == PAIRS_MAX
