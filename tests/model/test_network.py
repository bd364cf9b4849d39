import ipaddress

import pytest

from skerry.model.document import NetworkMember, NetworkPart
from skerry.model.ids import AppName, NetworkName, SiteName, TenantName
from skerry.model.network import PARTS_MAX, STRETCHED_V4, is_endpoint, network_prefix, part_ranges


def part(index: int, network: str = "mesh") -> NetworkPart:
    return NetworkPart(TenantName("alpha"), AppName("shop"), NetworkName(network), index)


def test_a_networks_prefix_is_a_local_one_of_its_own():
    prefix = network_prefix(TenantName("alpha"), AppName("shop"), NetworkName("mesh"))
    assert prefix.prefixlen == 48
    assert prefix.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    assert network_prefix(TenantName("alpha"), AppName("shop"), NetworkName("other")) != prefix


def test_each_part_has_ranges_that_no_other_has():
    indexes = (0, 1, 2, 255, 256, PARTS_MAX - 1)
    parts = [part_ranges(part(index)) for index in indexes]
    assert str(parts[0].v4) == "10.64.0.0/26"
    assert str(parts[1].v4) == "10.64.0.64/26"
    assert parts[-1].v4[-1] == STRETCHED_V4[-1]
    for one in parts:
        assert one.v4.subnet_of(STRETCHED_V4)
        assert one.v6.subnet_of(network_prefix(TenantName("alpha"), AppName("shop"), NetworkName("mesh")))
        assert not any(one.v4.overlaps(other.v4) or one.v6.overlaps(other.v6) for other in parts if other is not one)


def test_both_ends_compute_the_same_ranges():
    theirs = NetworkMember(TenantName("alpha"), AppName("shop"), NetworkName("mesh"), SiteName("bergen"), 7)
    assert part_ranges(theirs) == part_ranges(part(7))
    assert part_ranges(part(7, "other")).v6 != part_ranges(part(7)).v6


@pytest.mark.parametrize("index", [-1, PARTS_MAX])
def test_there_are_no_parts_beyond(index: int):
    with pytest.raises(ValueError, match="there is no part"):
        part_ranges(part(index))


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("192.0.2.1:51820", True),
        ("[2001:db8::1]:51820", True),
        ("2001:db8::1:51820", False),
        ("[192.0.2.1]:51820", False),
        ("192.0.2.1", False),
        ("192.0.2.1:65536", False),
        ("192.0.2.1:+1", False),
        ("192.0.2.1:١", False),
        ("192.0.2.1:\u00b2", False),
        ("host.example:1", False),
        ("224.0.0.1:1", False),
        ("", False),
    ],
)
def test_a_peer_is_looked_for_at_literal_addresses_only(text: str, good: bool):
    assert is_endpoint(text) is good
