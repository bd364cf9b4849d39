"""Grants of network devices, and what a network at one needs."""

import pytest

from skerry.model.lan import Lan, find_grant_flaw, find_lan_flaw, find_lan_lack, granted_device, grants_place


@pytest.mark.parametrize(
    ("grant", "place", "covers"),
    [
        ("lan0", "lan0", True),
        ("lan*", "lan0", True),
        ("lan0", "lan0/7", False),
        ("lan0/7", "lan0", False),
        ("lan0/7", "lan0/7", True),
        ("lan?/5-9", "lan3/7", True),
        ("lan0/5-9", "lan0/10", False),
        ("lan0", "lan01", False),
        ("*", "eth0", True),
        ("", "lan0", False),
    ],
)
def test_a_device_and_each_vlan_on_it_are_granted_by_themselves(grant, place, covers):
    assert grants_place(grant, place) is covers


@pytest.mark.parametrize("text", ["", "lan0/", "lan0/0", "lan0/9-5", "lan0/4095", "a b", "/dev/net/tun", "x" * 17])
def test_what_names_no_device_is_no_grant(text):
    assert find_grant_flaw(text)


def test_grants_are_about_devices():
    assert [granted_device(each) for each in ("lan*", "lan0/5-9")] == ["lan*", "lan0"]
    assert not any(map(find_grant_flaw, ("lan*", "lan0/5-9", "enp0s31f6", "eth0.7")))


@pytest.mark.parametrize(
    "lan",
    [
        Lan(kind="vlan", parent="lan0"),
        Lan(kind="vlan", parent="lan0", id=4095),
        Lan(kind="macvlan", parent="lan0", id=7),
        Lan(kind="bridge", parent="sk0123456789ab"),
        Lan(kind="bridge", parent="skv0123456789ab"),
        Lan(kind="bridge", parent="../lan0"),
        Lan(kind="bridge", parent=""),
    ],
)
def test_what_is_no_part_of_a_network_is_refused(lan):
    assert find_lan_flaw(lan)


def test_only_kinds_that_the_kernel_has_fit():
    vlan = Lan(kind="vlan", parent="lan0", id=7)
    assert find_lan_lack(vlan, {"net.macvlan": "true"}) == "a kernel that has VLANs (802.1q)"
    assert find_lan_lack(vlan, {"net.vlan": "true"}) == ""
    assert find_lan_lack(Lan(kind="bridge", parent="lan0"), {}) == ""
