"""Bad networks, in one table: each is told by a stable code, where it stands, in one sentence, and nothing is read.

What only the planner or a node can see is told there: tests/core/test_places.py has ports and host names that somebody
else has, tests/plan/test_lans.py devices that are not there, tests/model/test_uplinks.py the operator's uplinks.
"""

import pytest
from tests.manifest.texts import accept, read, wrap

from skerry.manifest.values import Rejected

SUBNET = "/networks/lan/ipam/config/0/subnet"
MAC = "mac: '02:00:00:00:00:01'"


def at(config: str) -> str:
    """Write a network ``lan`` with one range."""
    return f"networks: {{lan: {{ipam: {{config: [{{{config}}}]}}}}}}"


def interface(words: str) -> str:
    return f"x-skerry: {{interfaces: {{a: {{network: lan, {words}}}}}}}"


def fixed(address: str) -> str:
    return f"networks: {{lan: {{ipv4_address: {address}}}}}"


def entrance(words: str) -> str:
    return f"x-skerry: {{entrance: {{{words}}}}}"


IN = "networks: [lan]"
RANGE = at("subnet: 10.1.0.0/24")
OVERLAY = "networks: {lan: {driver: overlay}}"
WITH_V6 = "networks: {lan: {enable_ipv6: true}}"
DEVICES = "/services/web/x-skerry/interfaces"
ENTRANCE = "/services/web/x-skerry/entrance"
LAN = "/services/web/networks/lan"

#: A name, what the service says, what the top level says, and the code, line and place of the complaint.
BAD = [
    ("all there is", IN, at("subnet: 0.0.0.0/0"), f"E-RANGE 5 {SUBNET}"),
    ("all of ten", IN, at("subnet: 10.0.0.0/8"), f"E-CONFLICT 5 {SUBNET}"),
    ("all local prefixes", IN, at("subnet: 'fd00::/8'"), f"E-CONFLICT 5 {SUBNET}"),
    ("all parts over sites", IN, at("subnet: 10.64.0.0/10"), f"E-CONFLICT 5 {SUBNET}"),
    ("all networks of a site", IN, at("subnet: 10.176.0.0/12"), f"E-CONFLICT 5 {SUBNET}"),
    ("a quarter of the parts", IN, at("subnet: 10.80.0.0/12"), f"E-CONFLICT 5 {SUBNET}"),
    ("the node itself", IN, at("subnet: 127.0.0.0/8"), f"E-FIELD-REFUSED 5 {SUBNET}"),
    ("the link", IN, at("subnet: 169.254.0.0/16"), f"E-FIELD-REFUSED 5 {SUBNET}"),
    ("groups", IN, at("subnet: 224.0.0.0/8"), f"E-FIELD-REFUSED 5 {SUBNET}"),
    (
        "a router without an address",
        IN,
        at("subnet: 10.1.0.0/24, gateway: 10.1.0.0"),
        "E-RANGE 5 /networks/lan/ipam/config/0/gateway",
    ),
    (
        "a router for all",
        IN,
        at("subnet: 10.1.0.0/24, gateway: 10.1.0.255"),
        "E-RANGE 5 /networks/lan/ipam/config/0/gateway",
    ),
    ("a network twice", IN, "networks:\n  lan: {}\n  lan: {}", "E-YAML 7 "),
    ("two spellings of a network", IN, "networks:\n  lan: {}\n  Lan: {}", "E-CONFLICT 7 /networks/Lan"),
    ("no such network", "networks: [nowhere]", "", "E-REFERENCE 4 /services/web/networks/0"),
    ("an interface twice", "x-skerry:\n  interfaces:\n    a: lan\n    a: default", "networks: {lan: }", "E-YAML 7 "),
    (
        "two in one network",
        "x-skerry: {interfaces: {a: lan, b: lan}}",
        "networks: {lan: }",
        f"E-CONFLICT 4 {DEVICES}/b",
    ),
    ("an interface to nowhere", "x-skerry: {interfaces: {a: nowhere}}", "", f"E-REFERENCE 4 {DEVICES}/a"),
    ("the own loop", "x-skerry: {interfaces: {lo: default}}", "", f"E-TYPE 4 {DEVICES}/lo"),
    (
        "a device twice",
        "networks: {lan: {interface_name: e0}, default: {interface_name: e0}}",
        "networks: {lan: }",
        "E-CONFLICT 4 /services/web/networks/default",
    ),
    (
        "an alias twice",
        "networks: {default: {aliases: [x, x]}}",
        "",
        "E-TYPE 4 /services/web/networks/default/aliases/1",
    ),
    (
        "packets above the network's",
        interface("mtu: 9000"),
        "networks: {lan: {x-skerry: {mtu: 1400}}}",
        f"E-CONFLICT 4 {DEVICES}/a",
    ),
    ("packets above the tunnel's", interface("mtu: 1500"), OVERLAY, f"E-CONFLICT 4 {DEVICES}/a"),
    ("packets below version 6's", interface("mtu: 1200"), WITH_V6, f"E-CONFLICT 4 {DEVICES}/a"),
    ("packets below it over sites", interface("mtu: 1200"), OVERLAY, f"E-CONFLICT 4 {DEVICES}/a"),
    (
        "a network below it",
        IN,
        "networks: {lan: {enable_ipv6: true, driver_opts: {mtu: 1200}}}",
        "E-RANGE 5 /networks/lan/driver_opts/mtu",
    ),
    (
        "one over sites below it",
        IN,
        "networks: {lan: {driver: overlay, driver_opts: {mtu: 1200}}}",
        "E-RANGE 5 /networks/lan/driver_opts/mtu",
    ),
    ("an address outside", fixed("10.2.0.9"), RANGE, f"E-CONFLICT 4 {LAN}"),
    ("an address of the fleet's", fixed("10.64.0.3"), OVERLAY, f"E-CONFLICT 4 {LAN}"),
    ("the router's", fixed("10.1.0.9"), at("subnet: 10.1.0.0/24, gateway: 10.1.0.9"), f"E-CONFLICT 4 {LAN}"),
    ("the router's that nobody wrote", fixed("10.1.0.1"), RANGE, f"E-CONFLICT 4 {LAN}"),
    ("the range's own", fixed("10.1.0.0"), RANGE, f"E-CONFLICT 4 {LAN}"),
    ("the one for all", fixed("10.1.0.255"), RANGE, f"E-CONFLICT 4 {LAN}"),
    ("a group's hardware address", "mac_address: '01:00:5e:00:00:01'", "", "E-TYPE 4 /services/web/mac_address"),
    ("no hardware address", "mac_address: '00:00:00:00:00:00'", "", "E-TYPE 4 /services/web/mac_address"),
    (
        "VLAN 0",
        IN,
        "networks: {lan: {x-skerry: {kind: vlan, parent: lan0, id: 0}}}",
        "E-TYPE 5 /networks/lan/x-skerry/id",
    ),
    (
        "VLAN 4095",
        IN,
        "networks: {lan: {x-skerry: {kind: vlan, parent: lan0, id: 4095}}}",
        "E-TYPE 5 /networks/lan/x-skerry/id",
    ),
    ("a host port for two", "ports: ['80:80', '80:81']", "", "E-CONFLICT 4 /services/web/ports/1"),
    ("port 70000", "ports: ['70000:80']", "", "E-RANGE 4 /services/web/ports/0"),
    ("an entrance without a port", entrance("host: a.example"), "", f"E-TYPE 4 {ENTRANCE}"),
    (
        "a certificate for any name",
        entrance("host: '*.example.org', tls: acme, port: 80"),
        "",
        f"E-TYPE 4 {ENTRANCE}/host",
    ),
    ("a certificate for an address", entrance("host: 192.0.2.1, tls: acme, port: 80"), "", f"E-TYPE 4 {ENTRANCE}/host"),
    (
        "and for one of version 6",
        entrance("host: '[2001:db8::1]', tls: acme, port: 80"),
        "",
        f"E-TYPE 4 {ENTRANCE}/host",
    ),
    (
        "more than any line",
        interface("bandwidth: 5000000Gbit/s"),
        "networks: {lan: }",
        f"E-RANGE 4 {DEVICES}/a/bandwidth",
    ),
    ("less than any line", interface("bandwidth: 0kbit/s"), "networks: {lan: }", f"E-RANGE 4 {DEVICES}/a/bandwidth"),
]


@pytest.mark.parametrize(("fields", "top", "found"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_network_is_told_where_it_stands_and_nothing_is_read(fields: str, top: str, found: str):
    rejected = read(wrap(fields, top))
    assert isinstance(rejected, Rejected)
    assert found in [f"{one.code} {one.line} {one.pointer}" for one in rejected.problems]
    assert all(one.detail and "\n" not in one.detail for one in rejected.problems)


@pytest.mark.parametrize(
    ("fields", "top"),
    [
        # Host bits are dropped, as engines do: people write the router's address with the range's length.
        (IN, at("subnet: 10.1.0.7/24")),
        # Files as they are found have such ranges; parts over sites are put elsewhere, and sites wait where they meet.
        (IN, at("subnet: 10.100.0.0/16")),
        (IN, at("subnet: 10.180.0.0/16")),
        (IN, at("subnet: 172.16.0.0/12")),
        (IN, at("subnet: 'fd12:3456:789a::/48'")),
        # Two services by one name take turns, as in Compose.
        ("networks: {default: {aliases: [api]}}", "networks: {default: }"),
        # Two networks are two wires.
        (
            f"x-skerry: {{interfaces: {{a: {{network: lan, {MAC}}}, b: {{network: default, {MAC}}}}}}}",
            "networks: {lan: }",
        ),
    ],
)
def test_what_looks_bad_and_is_not(fields: str, top: str):
    accept(wrap(fields, top))


def test_what_a_range_may_be_is_said_beside_what_it_may_not():
    rejected = read(wrap(IN, at("subnet: 10.0.0.0/8")))
    assert isinstance(rejected, Rejected)
    assert "/16 or narrower" in rejected.problems[0].hint
