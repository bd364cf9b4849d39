"""Addresses of networks and of instances."""

import ipaddress

import pytest

from skerry.model.app import Address, NetworkPlan, Subnet
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.plan.addresses import Lease, NoAddress, choose_mac, choose_ranges, choose_subnet

NAMES = (TenantName("alpha"), AppName("shop"), NetworkName("default"))


def test_a_network_without_a_plan_keeps_its_range_while_that_is_free():
    first = choose_subnet(*NAMES, ())
    assert choose_subnet(*NAMES, ()) == first
    other = choose_subnet(*NAMES, (first,))
    assert other != first
    # A wider range of somebody else is in the way too.
    assert ipaddress.ip_network(choose_subnet(*NAMES, ("10.176.0.0/13",))).subnet_of(
        ipaddress.ip_network("10.184.0.0/13")
    )


def test_no_range_is_left():
    with pytest.raises(NoAddress, match="4096"):
        choose_subnet(*NAMES, ("10.176.0.0/12",))


def test_both_families_have_the_node_in_them():
    ranges = choose_ranges(*NAMES, NetworkPlan(ipv6=True), ())
    assert ["." in each.subnet for each in ranges] == [True, False]
    assert ranges[0].gateway == ranges[0].subnet.replace(".0/24", ".1")
    assert ranges[1].subnet.endswith("::/64")
    assert ranges[1].gateway == ranges[1].subnet.removesuffix("/64") + "1"


def test_a_plan_is_taken_as_it_is():
    plan = NetworkPlan(subnets=(Subnet(subnet="172.29.7.0/24", gateway="172.29.7.9"),))
    assert choose_ranges(*NAMES, plan, ()) == plan.subnets


def lease(first: str = "", last: str = "", taken: tuple[str, ...] = ()) -> Lease:
    subnet = Subnet(subnet="172.29.7.0/29", gateway="172.29.7.1", first=first, last=last)
    return Lease((subnet,), NetworkPlan(subnets=(subnet,)), set(taken))


def test_the_lowest_free_address_is_given_once():
    free = lease(taken=("172.29.7.3",))
    assert [free.take(Address())[0] for _ in range(4)] == [f"172.29.7.{last}/29" for last in (2, 4, 5, 6)]
    with pytest.raises(NoAddress, match="no address of 172"):
        free.take(Address())


def test_addresses_come_from_the_part_that_is_for_them():
    assert lease("172.29.7.4", "172.29.7.4").take(Address()) == ("172.29.7.4/29",)


def test_a_fixed_address_is_given_as_it_is_and_must_lie_in_a_range():
    assert lease("172.29.7.4", "172.29.7.4").take(Address(ipv4="172.29.7.6")) == ("172.29.7.6/29",)
    with pytest.raises(NoAddress, match="none of its ranges"):
        lease().take(Address(ipv4="192.0.2.1"))


def test_a_hardware_address_is_local_and_stays():
    assert choose_mac("skabc", "10.0.0.2") == choose_mac("skabc", "10.0.0.2")
    assert choose_mac("skabc", "10.0.0.2") != choose_mac("skabc", "10.0.0.3")
    assert choose_mac("skabc", "10.0.0.2").startswith("02:")


def test_a_range_that_meets_only_an_end_of_the_pool_leaves_the_rest_free():
    """Those of the other family and those outside are in nobody's way."""
    whole = ("10.176.0.0/13", "10.184.0.0/14", "10.188.0.0/15", "10.190.0.0/16")
    strangers = ("fd00::/8", "192.168.0.0/16", "10.0.0.0/9")
    left = choose_subnet(*NAMES, (*whole, *strangers, *(f"10.191.{each}.128/25" for each in range(1, 256))))
    assert left == "10.191.0.0/24"
    with pytest.raises(NoAddress, match="4096"):
        choose_subnet(*NAMES, ("10.0.0.0/8",))
