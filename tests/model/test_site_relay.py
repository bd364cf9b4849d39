"""What an operator may sign of a site's relay."""

import pytest

from skerry.model.site_relay import SiteRelay, find_relay_flaw


@pytest.mark.parametrize(
    "relay",
    [
        SiteRelay(first=52_000, last=52_999),
        SiteRelay(first=1_024, last=65_535, address="2001:db8::1", pair_bps=0, bps=10**9),
    ],
)
def test_ports_and_a_place_where_others_find_them_are_a_relay(relay: SiteRelay):
    assert find_relay_flaw(relay) == ""


@pytest.mark.parametrize(
    ("relay", "word"),
    [
        (SiteRelay(first=1_023, last=2_000), "ports"),
        (SiteRelay(first=52_000, last=52_000), "ports"),
        (SiteRelay(first=52_000, last=65_536), "ports"),
        (SiteRelay(first=52_000, last=52_999, address="relay.example"), "address"),
        (SiteRelay(first=52_000, last=52_999, address="0.0.0.0"), "address"),
        (SiteRelay(first=52_000, last=52_999, address="fe80::1"), "address"),
        (SiteRelay(first=52_000, last=52_999, pair_bps=1), "pair-rate"),
        (SiteRelay(first=52_000, last=52_999, bps=-1), "rate"),
    ],
)
def test_what_is_wrong_is_named_by_its_word(relay: SiteRelay, word: str):
    assert find_relay_flaw(relay).startswith(f"{word}: ")
