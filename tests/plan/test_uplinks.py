"""By which uplink a node dials."""

from skerry.model.uplinks import Uplink
from skerry.plan.uplinks import RETRY_US, Ways, find_uplink, list_ways, order_ways

UPLINKS = {
    "sky": Uplink(device="sat0", kind="satellite", price_micro=5_000_000, preference=50),
    "modem": Uplink(device="wwan0", kind="mobile", price_micro=1_000_000, preference=50),
    "fibre": Uplink(device="eth0"),
}
ALL = ("eth0", "wwan0", "sat0", "lan0")


def test_the_preferred_comes_first_and_among_equals_the_cheaper():
    assert list_ways(UPLINKS, ALL, "n") == Ways(("wwan0", "sat0", "eth0"), "n")


def test_what_is_not_here_is_no_way_and_without_any_the_routes_say_it():
    assert list_ways(UPLINKS, ("eth0",)).devices == ("eth0",)
    assert list_ways(UPLINKS, ("lan0",)).devices == ("",)
    assert list_ways({}, ALL).devices == ("",)


def test_what_failed_comes_last_for_a_while():
    ways, now_us = Ways(("wwan0", "sat0", "eth0")), 10**9
    assert order_ways(ways, {}, now_us) == ways.devices
    assert order_ways(ways, {"wwan0": now_us - 1}, now_us) == ("sat0", "eth0", "wwan0")
    assert order_ways(ways, dict.fromkeys(ways.devices, now_us), now_us) == ways.devices
    assert order_ways(ways, {"wwan0": now_us - RETRY_US}, now_us) == ways.devices
    assert order_ways(ways, {}, 0) == ways.devices


def test_an_uplink_is_found_by_its_device():
    assert (find_uplink(UPLINKS, "sat0"), find_uplink(UPLINKS, "lan0"), find_uplink({}, "")) == ("sky", "", "")
