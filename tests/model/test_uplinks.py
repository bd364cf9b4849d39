"""What can be the way out of a site, and what such ways carry together."""

import msgspec
import pytest

from skerry.model.uplinks import (
    UPLINKS_MAX,
    Bandwidth,
    Uplink,
    find_bandwidth_flaw,
    find_uplink_flaw,
    find_uplinks_flaw,
    format_rate,
    sum_rates,
)

MBIT = 10**6


def test_an_uplink_is_written_by_its_words_and_says_only_what_is_said():
    uplink = Uplink(device="wwan0", kind="mobile", price_micro=1_500_000)
    assert msgspec.json.decode(msgspec.json.encode(uplink)) == {
        "device": "wwan0",
        "class": "mobile",
        "price-micro": 1_500_000,
    }
    assert msgspec.json.decode(msgspec.json.encode(uplink), type=Uplink) == uplink


@pytest.mark.parametrize(
    ("words", "flaw"),
    [
        ({"device": ""}, "device"),
        ({"device": "../x"}, "device"),
        ({"device": "a b"}, "device"),
        ({"device": "sixteenletters00"}, "device"),
        ({"device": "lo"}, "device"),
        ({"device": "skw0"}, "device"),
        ({"device": "sk0123456789ab"}, "device"),
        ({"device": "veth0"}, "device"),
        ({"price_micro": -1}, "price"),
        ({"budget_bytes": 1 << 61}, "budget"),
        ({"preference": 1001}, "preference"),
        ({"up_bps": 999}, "up"),
        ({"down_bps": 10**13}, "down"),
    ],
)
def test_the_flaw_of_an_uplink_begins_with_its_word(words, flaw):
    assert find_uplink_flaw(msgspec.structs.replace(Uplink(device="eth0"), **words)).startswith(f"{flaw}: ")


def test_two_uplinks_are_at_two_devices_and_there_are_few():
    assert not find_uplinks_flaw({"fibre": Uplink(device="eth0"), "spare": Uplink(device="wwan0")})
    flaw = find_uplinks_flaw({"fibre": Uplink(device="eth0"), "spare": Uplink(device="eth0")})
    assert flaw == "uplinks fibre and spare are both at eth0"
    many = {f"u{at}": Uplink(device=f"eth{at}") for at in range(UPLINKS_MAX + 1)}
    assert "at most 8" in find_uplinks_flaw(many)


def test_uplinks_carry_together_what_each_does_where_all_say_so():
    fibre, spare = Uplink(device="eth0", up_bps=10 * MBIT, down_bps=40 * MBIT), Uplink(device="wwan0", up_bps=MBIT)
    assert sum_rates({"fibre": fibre, "spare": spare}) == Bandwidth(up_bps=11 * MBIT)
    assert sum_rates({}) == Bandwidth()


def test_a_rate_is_written_as_in_manifests():
    shown = [format_rate(bps) for bps in (10 * MBIT, 1_500_000, 64_000, 2 * 10**9, 0)]
    assert shown == ["10 Mbit/s", "1.5 Mbit/s", "64 kbit/s", "2 Gbit/s", "0 bit/s"]


def test_what_an_instance_asks_for_is_a_rate_that_lines_have():
    assert not find_bandwidth_flaw(Bandwidth(up_bps=MBIT))
    assert find_bandwidth_flaw(Bandwidth(down_bps=1)).startswith("down: ")
