"""``interfaces``: devices of a service by name, in place of Compose's networks."""

import pytest
from tests.manifest.texts import accept, refuse, service, wrap

from skerry.model.app import Address, Network, NetworkPlan, Subnet

TOP = "networks: {inside: {ipam: {config: [{subnet: 10.7.0.0/24, gateway: 10.7.0.1}]}}, outside: {}}"


def interfaces(words):
    return f"x-skerry: {{interfaces: {{{words}}}}}"


def test_the_first_way_out_is_the_first_that_is_named():
    found = service(interfaces("wan: uplink, lan: inside, dmz: {network: outside, mtu: 1400}"), top=TOP)
    assert found.networks == {"uplink": (), "inside": (), "outside": ()}
    assert found.further.addresses == {
        "uplink": Address(device="wan", way=3),
        "inside": Address(device="lan", way=2),
        "outside": Address(device="dmz", way=1, mtu=1400),
    }


def test_uplink_brings_the_network_that_leads_out():
    manifest = accept(wrap(interfaces("wan: uplink"), TOP))
    assert manifest.networks["uplink"] == Network()
    assert manifest.networks["inside"].plan == NetworkPlan(subnets=(Subnet(subnet="10.7.0.0/24", gateway="10.7.0.1"),))


def test_addresses_rates_and_sizes_are_those_of_one_device():
    words = (
        "lan: {network: inside, address: [10.7.0.9], mac: 02-00-00-00-00-09, mtu: 1300,"
        " bandwidth: {up: 1Mbit/s, down: 2Mbit/s}}"
    )
    address = service(interfaces(words), top=TOP).further.addresses["inside"]
    assert address == Address(
        ipv4="10.7.0.9", mac="02:00:00:00:00:09", device="lan", mtu=1300, up_bps=10**6, down_bps=2 * 10**6
    )
    both = service(interfaces("lan: {network: inside, bandwidth: 3Mbit/s}"), top=TOP).further.addresses["inside"]
    assert (both.up_bps, both.down_bps) == (3 * 10**6, 3 * 10**6)


LAN = "x-skerry/interfaces/lan"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("lan: nowhere", f"E-REFERENCE {LAN}"),
        ("lan: {address: 10.7.0.9}", f"E-TYPE {LAN}"),
        ("lan: inside, man: inside", "E-CONFLICT x-skerry/interfaces/man"),
        ("lan: {network: inside, address: [10.7.0.9, 10.7.0.8]}", f"E-CONFLICT {LAN}/address/1"),
        ("lan: {network: inside, address: 10.8.0.9}", f"E-CONFLICT {LAN}"),
        ("lan: {network: inside, address: 10.7.0.1}", f"E-CONFLICT {LAN}"),
        ("lan: {network: inside, address: nine}", f"E-TYPE {LAN}/address"),
        ("lan: {network: inside, mac: 01:00:00:00:00:01}", f"E-TYPE {LAN}/mac"),
        ("lan: {network: inside, bandwidth: 0kbit/s}", f"E-RANGE {LAN}/bandwidth"),
        ("lan: {network: inside, mtu: 100}", f"E-TYPE {LAN}/mtu"),
        ("lan: {network: inside, model: sriov}", f"E-NOT-YET {LAN}/model"),
        ("a-name-that-is-too-long: inside", "E-TYPE x-skerry/interfaces/a-name-that-is-too-long"),
        ("lo: inside", "E-TYPE x-skerry/interfaces/lo"),
        ("", "E-TYPE x-skerry/interfaces"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(words, found):
    assert found in refuse(interfaces(words), top=TOP)


def test_a_size_that_its_network_does_not_take_is_refused():
    top = "networks: {inside: {x-skerry: {mtu: 1400}}}"
    assert refuse(interfaces("lan: {network: inside, mtu: 1500}"), top=top) == [f"E-CONFLICT {LAN}"]


@pytest.mark.parametrize("field", ["networks: [inside]", "network_mode: none", "mac_address: 02:00:00:00:00:01"])
def test_compose_does_not_say_the_same_beside_it(field):
    assert refuse(f"{interfaces('lan: inside')}\n{field}", top=TOP) == [f"E-CONFLICT {field.partition(':')[0]}"]


def test_a_network_called_uplink_is_not_mistaken_for_the_way_out():
    assert refuse(interfaces("wan: uplink"), top="networks: {uplink: {}}") == ["E-CONFLICT x-skerry/interfaces/wan"]


def test_two_services_with_one_address_are_told_at_the_second():
    top = TOP.replace("networks:", "  db: {image: x, networks: {inside: {ipv4_address: 10.7.0.9}}}\nnetworks:")
    assert refuse(interfaces("lan: {network: inside, address: 10.7.0.9}"), top=top) == [
        "E-CONFLICT /services/db/networks/inside"
    ]
