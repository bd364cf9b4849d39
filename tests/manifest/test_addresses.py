import pytest
from tests.manifest.texts import accept, refuse, wrap

from skerry.model.app import Address, NetworkPlan, Subnet

TOP = "networks: {lan: {ipam: {config: [{subnet: 172.20.0.0/16, gateway: 172.20.0.1, ip_range: 172.20.5.0/24}]}}}"


@pytest.mark.parametrize(
    ("network", "plan"),
    [
        ("{ipam: {config: [{subnet: 172.20.0.0/24}]}}", NetworkPlan(subnets=(Subnet(subnet="172.20.0.0/24"),))),
        (
            "{ipam: {driver: default, config: [{subnet: 10.1.2.3/16}]}}",
            NetworkPlan(subnets=(Subnet(subnet="10.1.0.0/16"),)),
        ),
        (
            "{ipam: {config: [{subnet: 10.1.0.0/16, gateway: 10.1.9.9, ip_range: 10.1.0.0/24}]}}",
            NetworkPlan(
                subnets=(Subnet(subnet="10.1.0.0/16", gateway="10.1.9.9", first="10.1.0.1", last="10.1.0.255"),)
            ),
        ),
        (
            "{ipam: {config: [{subnet: 10.1.0.0/16}, {subnet: 'fd00:1::/64'}]}}",
            NetworkPlan(subnets=(Subnet(subnet="10.1.0.0/16"), Subnet(subnet="fd00:1::/64")), ipv6=True),
        ),
        ("{enable_ipv6: true}", NetworkPlan(ipv6=True)),
        (
            "{driver_opts: {com.docker.network.driver.mtu: '1400', com.docker.network.bridge.name: br-x}}",
            NetworkPlan(mtu=1400),
        ),
    ],
)
def test_the_plan_of_a_network(network, plan):
    assert accept(wrap("networks: [lan]", f"networks: {{lan: {network}}}")).networks["lan"].plan == plan


def test_a_network_of_which_nothing_is_said_has_no_plan():
    assert not accept(wrap("", "networks: {default: {ipam: {driver: default}}}")).networks["default"].plan


@pytest.mark.parametrize(
    ("network", "found"),
    [
        ("{enable_ipv4: false}", "E-NOT-YET /networks/lan/enable_ipv4"),
        ("{ipam: {config: [{subnet: 8.8.8.0/24}]}}", "E-FIELD-REFUSED /networks/lan/ipam/config/0/subnet"),
        ("{ipam: {config: [{subnet: 10.0.0.0/31}]}}", "E-RANGE /networks/lan/ipam/config/0/subnet"),
        ("{ipam: {config: [{subnet: lan}]}}", "E-TYPE /networks/lan/ipam/config/0/subnet"),
        ("{ipam: {config: [{gateway: 10.0.0.1}]}}", "E-TYPE /networks/lan/ipam/config/0"),
        ("{ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.1.1}]}}", "E-RANGE /networks/lan/ipam/config/0/gateway"),
        ("{ipam: {config: [{subnet: 10.0.0.0/24, gateway: x}]}}", "E-TYPE /networks/lan/ipam/config/0/gateway"),
        (
            "{ipam: {config: [{subnet: 10.0.0.0/24, ip_range: 10.0.1.0/25}]}}",
            "E-RANGE /networks/lan/ipam/config/0/ip_range",
        ),
        (
            "{ipam: {config: [{subnet: 10.0.0.0/24, aux_addresses: {a: 10.0.0.9}}]}}",
            "E-FIELD-REFUSED /networks/lan/ipam/config/0/aux_addresses/a",
        ),
        (
            "{ipam: {config: [{subnet: 10.0.0.0/24, ip_range: 10.0.0.0/28, aux_addresses: {a: 10.0.0.9}}]}}",
            "E-FIELD-REFUSED /networks/lan/ipam/config/0/aux_addresses/a",
        ),
        (
            "{ipam: {config: [{subnet: 10.0.0.0/24, aux_addresses: {a: 10.0.1.9}}]}}",
            "E-RANGE /networks/lan/ipam/config/0/aux_addresses/a",
        ),
        (
            "{ipam: {config: [{subnet: 10.0.0.0/24, aux_addresses: {a: router}}]}}",
            "E-TYPE /networks/lan/ipam/config/0/aux_addresses/a",
        ),
        (
            "{driver_opts: {com.docker.network.driver.mtu: 5}}",
            "E-RANGE /networks/lan/driver_opts/com.docker.network.driver.mtu",
        ),
    ],
)
def test_what_no_network_can_be(network, found):
    assert refuse("networks: [lan]", top=f"networks: {{lan: {network}}}") == [found]


def test_addresses_of_a_service():
    fields = """
        networks:
          lan: {ipv4_address: 172.20.5.7, mac_address: 02-42-AC-11-00-03, interface_name: lan0}
          default:
        """
    further = accept(wrap(fields, TOP)).services["web"].further
    assert further.addresses == {"lan": Address(ipv4="172.20.5.7", mac="02:42:ac:11:00:03", device="lan0")}
    further = accept(wrap("mac_address: 02:42:ac:11:00:03")).services["web"].further
    assert further.addresses == {"default": Address(mac="02:42:ac:11:00:03")}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("networks: {lan: {ipv4_address: 172.21.0.7}}", "E-CONFLICT networks/lan"),
        ("networks: {lan: {ipv4_address: 'fd00::1'}}", "E-TYPE networks/lan/ipv4_address"),
        ("networks: {lan: {ipv6_address: 'fd00::1'}}", "E-CONFLICT networks/lan"),
        ("networks: {lan: {ipv4_address: x}}", "E-TYPE networks/lan/ipv4_address"),
        ("networks: {lan: {mac_address: 'ff:ff:ff:ff:ff:ff'}}", "E-TYPE networks/lan/mac_address"),
        ("networks: {lan: {interface_name: 'a b'}}", "E-TYPE networks/lan/interface_name"),
        ("networks: {lan: {ipv4_address: 172.20.5.7}}\nscale: 2", "E-CONFLICT networks/lan"),
        ("networks: [lan, default]\nmac_address: 02:42:ac:11:00:03", "E-CONFLICT mac_address"),
    ],
)
def test_addresses_that_nobody_can_have(fields, found):
    assert refuse(fields, top=TOP) == [found]


@pytest.mark.parametrize(
    ("networks", "found"),
    [
        ("a: , b: {priority: 0}", {}),
        ("a: , b: {priority: 5}", {"b": Address(device="eth0"), "a": Address(device="eth1")}),
        ("a: {priority: -1}, b: ", {"b": Address(device="eth0"), "a": Address(device="eth1")}),
        (
            "a: {priority: 1}, b: {priority: 2, interface_name: eth0}, default: {priority: 3}",
            {"default": Address(device="eth1"), "b": Address(device="eth0"), "a": Address(device="eth2")},
        ),
    ],
)
def test_networks_are_joined_in_the_order_of_their_priority(networks, found):
    further = accept(wrap(f"networks: {{{networks}}}", "networks: {a: , b: }")).services["web"].further
    assert (further.addresses if further else {}) == found


def test_the_address_of_the_service_is_for_the_network_that_comes_first():
    fields = "mac_address: 02:42:ac:11:00:03\nnetworks: {a: , b: {priority: 5}}"
    found = accept(wrap(fields, "networks: {a: , b: }")).services["web"].further.addresses
    assert found == {"b": Address(device="eth0", mac="02:42:ac:11:00:03"), "a": Address(device="eth1")}
    assert refuse(fields.replace("a: ,", "a: {priority: 5},"), top="networks: {a: , b: }") == ["E-CONFLICT mac_address"]


def test_an_address_outside_of_those_that_instances_get_is_kept_free():
    config = "{subnet: 10.0.0.0/24, ip_range: 10.0.0.128/25, aux_addresses: {router: 10.0.0.9}}"
    found = accept(wrap("networks: [lan]", f"networks: {{lan: {{ipam: {{config: [{config}]}}}}}}"))
    assert found.networks["lan"].plan.subnets == (Subnet(subnet="10.0.0.0/24", first="10.0.0.128", last="10.0.0.254"),)


def test_an_option_of_docker_names_the_device_too():
    option = "driver_opts: {com.docker.network.endpoint.ifname: lan0}"
    further = accept(wrap(f"networks: {{a: {{{option}}}}}", "networks: {a: }")).services["web"].further
    assert further.addresses == {"a": Address(device="lan0")}
    both = f"networks: {{a: {{interface_name: lan1, {option}}}}}"
    ifname = "networks/a/driver_opts/com.docker.network.endpoint.ifname"
    assert refuse(both, top="networks: {a: }") == [f"E-CONFLICT {ifname}"]
    assert refuse("networks: {a: {driver_opts: {b: c}}}", top="networks: {a: }") == [
        "E-FIELD-REFUSED networks/a/driver_opts/b"
    ]
