"""Networks of the top level: those of each site, and those over all sites of the app."""

import pytest
from tests.manifest.test_load import COMPOSE, OVERLAY, load
from tests.manifest.texts import accept, refuse, wrap

from skerry.manifest.values import Manifest
from skerry.model.app import Network, NetworkWords
from skerry.model.grants import Profile
from skerry.model.ids import TenantName
from skerry.model.lan import Lan

STRETCHED = NetworkWords(kind="overlay", scope="app")


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("{}", None),
        ("{driver: bridge}", None),
        ("{x-skerry: {kind: bridge, scope: site}}", None),
        ("{driver: overlay}", STRETCHED),
        ("{x-skerry: {kind: overlay}}", STRETCHED),
        ("{x-skerry: {kind: overlay, scope: app}}", STRETCHED),
        ("{driver: overlay, x-skerry: {kind: bridge}}", None),
    ],
)
def test_a_network_is_one_of_each_site_or_one_over_all(network: str, words: NetworkWords | None):
    found = accept(wrap("networks: [lan]", f"networks: {{lan: {network}}}")).networks["lan"]
    assert found == (Network(words=words) if words else Network())
    assert found.stretched == (words is not None)


@pytest.mark.parametrize(
    ("network", "found"),
    [
        ("{x-skerry: {kind: vlan, id: 7}}", "E-TYPE /networks/lan/x-skerry/kind"),
        ("{x-skerry: {kind: vlan, parent: lan0}}", "E-TYPE /networks/lan/x-skerry/kind"),
        ("{x-skerry: {kind: vlan, parent: lan0, id: 4095}}", "E-TYPE /networks/lan/x-skerry/id"),
        ("{x-skerry: {kind: macvlan, parent: lan0, id: 7}}", "E-TYPE /networks/lan/x-skerry/id"),
        ("{x-skerry: {kind: macvlan, parent: podman0}}", "E-TYPE /networks/lan/x-skerry/parent"),
        ("{x-skerry: {kind: overlay, parent: lan0}}", "E-CONFLICT /networks/lan/x-skerry/parent"),
        ("{x-skerry: {id: 7}}", "E-CONFLICT /networks/lan/x-skerry/id"),
        ("{x-skerry: {kind: macvlan, parent: lan0}}", "E-FIELD-REFUSED /networks/lan/x-skerry/parent"),
        (
            "{driver: macvlan, driver_opts: {parent: lan0, macvlan_mode: vepa}}",
            "E-FIELD-REFUSED /networks/lan/driver_opts/macvlan_mode",
        ),
        ("{driver: bridge, driver_opts: {parent: lan0}}", "E-FIELD-REFUSED /networks/lan/driver_opts/parent"),
        ("{x-skerry: {mtu: 500}}", "E-TYPE /networks/lan/x-skerry/mtu"),
        ("{enable_ipv6: true, x-skerry: {mtu: 1200}}", "E-RANGE /networks/lan/x-skerry/mtu"),
        ("{driver_opts: {mtu: 1400}, x-skerry: {mtu: 1500}}", "E-CONFLICT /networks/lan/x-skerry/mtu"),
        ("{x-skerry: {kind: sriov}}", "E-NOT-YET /networks/lan/x-skerry/kind"),
        ("{driver: macvlan}", "E-TYPE /networks/lan/driver"),
        ("{x-skerry: {scope: app}}", "E-CONFLICT /networks/lan/x-skerry/scope"),
        ("{x-skerry: {kind: overlay, scope: site}}", "E-CONFLICT /networks/lan/x-skerry/scope"),
        ("{driver: overlay, ipam: {config: [{subnet: 10.1.0.0/16}]}}", "E-CONFLICT /networks/lan/ipam"),
        ("{x-skerry: {kind: overlays}}", "E-TYPE /networks/lan/x-skerry/kind"),
    ],
)
def test_what_does_not_fit_together_is_refused_where_it_stands(network: str, found: str):
    assert found in refuse("networks: [lan]", top=f"networks: {{lan: {network}}}")


def ranges(*subnets: str) -> str:
    return f"{{ipam: {{config: [{', '.join(f'{{subnet: {each}}}' for each in subnets)}]}}}}"


@pytest.mark.parametrize(
    ("lan", "other", "found"),
    [
        (ranges("10.1.0.0/24", "10.1.0.128/25"), "{}", ["E-CONFLICT /networks/lan/ipam/config/1/subnet"]),
        (ranges("10.1.0.0/24"), ranges("10.1.0.0/24"), ["E-CONFLICT /networks/other/ipam/config/0/subnet"]),
        (ranges("10.1.2.0/24"), ranges("10.1.0.0/16"), ["E-CONFLICT /networks/other/ipam/config/0/subnet"]),
        (
            ranges("fd00:1::/64"),
            ranges("10.1.0.0/16", "fd00:1::/48"),
            ["E-CONFLICT /networks/other/ipam/config/1/subnet"],
        ),
    ],
)
def test_ranges_that_meet_within_an_app_are_refused_where_the_later_one_stands(lan: str, other: str, found: list[str]):
    assert refuse("networks: [lan, other]", top=f"networks: {{lan: {lan}, other: {other}}}") == found


def test_ranges_side_by_side_and_those_of_the_site_itself_are_no_conflict():
    lan, other = ranges("10.1.0.0/24", "fd00:1::/64"), ranges("10.1.1.0/24", "fd00:2::/64")
    accept(wrap("networks: [lan, other]", f"networks: {{lan: {lan}, other: {other}}}"))


GRANTS = {"lans": (Profile(tenants=(TenantName("default"),), interfaces=("lan*", "lan0/100-199")),)}


@pytest.mark.parametrize(
    ("network", "lan"),
    [
        ("{x-skerry: {kind: vlan, id: 120, parent: lan0}}", Lan(kind="vlan", parent="lan0", id=120)),
        ("{x-skerry: {kind: macvlan, parent: lan1}}", Lan(kind="macvlan", parent="lan1")),
        ("{x-skerry: {kind: bridge, parent: lan1}}", Lan(kind="bridge", parent="lan1")),
        ("{driver: macvlan, driver_opts: {parent: lan1}}", Lan(kind="macvlan", parent="lan1")),
        ("{driver: ipvlan, driver_opts: {parent: lan1, ipvlan_mode: l2}}", Lan(kind="ipvlan", parent="lan1")),
    ],
)
def test_a_network_of_the_site_is_what_a_profile_grants(network: str, lan: Lan):
    text = wrap("networks: [lan]", f"networks: {{lan: {network}}}\nx-skerry: {{profile: lans}}")
    plan = accept(text, grants=GRANTS).networks["lan"].plan
    assert plan
    assert plan.lan == lan


@pytest.mark.parametrize(
    "words", ["kind: vlan, id: 200, parent: lan0", "kind: vlan, id: 120, parent: lan1", "kind: macvlan, parent: eth0"]
)
def test_each_device_and_each_vlan_is_granted_by_itself(words: str):
    top = f"networks: {{lan: {{x-skerry: {{{words}}}}}}}\nx-skerry: {{profile: lans}}"
    assert refuse("networks: [lan]", top=top, grants=GRANTS) == ["E-FIELD-REFUSED /networks/lan/x-skerry/parent"]


def test_no_chain_begins_at_a_network_whose_packets_do_not_cross_the_node():
    top = """
        networks: {lan: {x-skerry: {kind: macvlan, parent: lan1}}}
        x-skerry:
          profile: lans
          chain: [{name: out, from: "network:lan", through: [web], to: uplink}]
    """
    assert "E-NOT-YET /x-skerry/chain/0/from" in refuse("networks: [lan, default]", top=top, grants=GRANTS)


def test_a_packet_size_is_kept_and_one_that_no_tunnel_takes_is_told():
    plan = accept(wrap("networks: [lan]", "networks: {lan: {x-skerry: {mtu: 1400}}}")).networks["lan"].plan
    assert plan
    assert plan.mtu == 1400
    manifest = accept(wrap("networks: [lan]", "networks: {lan: {x-skerry: {kind: overlay, mtu: 9000}}}"))
    (note,) = [each for each in manifest.report if each.pointer == "/networks/lan/x-skerry/mtu"]
    assert "1420" in note.detail


def test_an_overlay_says_it_of_a_network_of_an_untouched_file():
    compose = COMPOSE.replace(b"services:", b"networks: {default: {}}\nservices:")
    manifest = load(("o.yaml", OVERLAY + b"networks: {default: {kind: overlay}}\n"), ("compose.yaml", compose))
    assert isinstance(manifest, Manifest), manifest
    assert manifest.networks["default"].stretched
