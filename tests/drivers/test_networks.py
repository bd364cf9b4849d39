"""The firewall table as text: what it must say, word for word."""

import msgspec
import pytest

from skerry.drivers.base import bridge_name, is_ours
from skerry.drivers.networks import build_table
from skerry.plan.actions import ApplyRules, AppRules
from skerry.plan.networks import rules_digest

SHOP = AppRules("alpha", "shop", "default", False)
VAULT = AppRules("beta", "vault", "inner", True)
SHOP_BRIDGE = bridge_name("alpha", "shop", "default")
VAULT_BRIDGE = bridge_name("beta", "vault", "inner")


def table(*networks: AppRules, refused: tuple[str, ...] = ()) -> str:
    return build_table(ApplyRules(networks=networks, digest=rules_digest(networks)), refused)


def test_a_node_without_networks_lets_nothing_out_of_tunnels_and_does_nothing_else():
    digits = rules_digest(()).removeprefix("sha256:")
    assert (
        table()
        == f"""table inet skerry {{}}
delete table inet skerry
table inet skerry {{
  chain made_from_{digits} {{ }}
  chain into_tunnels {{
    drop
  }}
  chain from_tunnels {{
    drop
  }}
  chain tunnels_to_node {{
    drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname "skw*" jump from_tunnels
    oifname "skw*" jump into_tunnels
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname "skw*" jump tunnels_to_node
  }}
}}
"""
    )


def test_two_tenants_are_kept_apart_from_each_other_the_node_and_the_metadata_address():
    digits = rules_digest((SHOP, VAULT)).removeprefix("sha256:")
    one, two = sorted((SHOP_BRIDGE, VAULT_BRIDGE))
    ours = f'{{ "{one}", "{two}" }}'
    assert (
        table(SHOP, VAULT, refused=("192.0.2.0/24",))
        == f"""table inet skerry {{}}
delete table inet skerry
table inet skerry {{
  chain made_from_{digits} {{ }}
  chain into_tunnels {{
    drop
  }}
  chain from_tunnels {{
    drop
  }}
  chain tunnels_to_node {{
    drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname {ours} tcp flags syn tcp option maxseg size set rt mtu
    oifname {ours} tcp flags syn tcp option maxseg size set rt mtu
    iifname "skw*" jump from_tunnels
    oifname "skw*" jump into_tunnels
    ct state established,related accept
    iifname {ours} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    iifname {ours} ip daddr {{ 169.254.0.0/16, 192.0.2.0/24 }} drop
    iifname {ours} ip6 daddr {{ fe80::/10 }} drop
    oifname {ours} meta mark {{ 1397424131, 1397424144-1397489663 }} accept
    iifname {ours} oifname != {ours} meta mark 1397424130 accept
    iifname {ours} fib saddr . iif oif 0 drop
    iifname "{one}" oifname "{one}" accept
    iifname "{two}" oifname "{two}" accept
    iifname {ours} oifname {ours} drop
    iifname "{VAULT_BRIDGE}" drop
    oifname {ours} ct status dnat accept
    oifname {ours} drop
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname "skw*" jump tunnels_to_node
    ct state established,related accept
    iifname {ours} fib daddr . iif type local udp dport 53 accept
    iifname {ours} fib daddr . iif type local tcp dport 53 accept
    iifname {ours} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
    iifname {ours} drop
  }}
}}
"""
    )


def test_a_network_over_sites_passes_between_its_bridge_and_its_members_and_nowhere_else():
    near, far = ("10.64.0.0/26", "fd00:1::/64"), ("10.64.0.64/26", "fd00:2::/64", "10.64.0.128/26")
    mesh = AppRules("alpha", "shop", "mesh", True, near, far)
    bridge, text = bridge_name("alpha", "shop", "mesh"), table(SHOP, mesh)
    for rule in (
        f'    iifname "{bridge}" ip saddr {{ 10.64.0.0/26 }} ip daddr {{ 10.64.0.64/26, 10.64.0.128/26 }} accept',
        f'    iifname "{bridge}" ip6 saddr {{ fd00:1::/64 }} ip6 daddr {{ fd00:2::/64 }} accept',
        f'    oifname "{bridge}" ip saddr {{ 10.64.0.64/26, 10.64.0.128/26 }} ip daddr {{ 10.64.0.0/26 }} accept',
        "    ip saddr { 10.64.0.64/26, 10.64.0.128/26 } ip daddr { 10.64.0.1 } udp dport 53 accept",
        "    ip6 saddr { fd00:2::/64 } ip6 daddr { fd00:1::1 } icmpv6 type echo-request accept",
        '    oifname "skw*" snat ip to ip saddr',
    ):
        assert rule in text.splitlines(), text
    forward = text[text.index("chain forward") :]
    order = [
        "jump from_tunnels",
        "jump into_tunnels",
        "ct status dnat accept",
        "ip daddr 10.64.0.0/10 drop",
        "ct state established,related",
        "fib saddr",
    ]
    assert sorted(order, key=forward.index) == order
    assert f'    iifname "{bridge}" drop' in forward


def test_what_the_entrance_leads_to_another_site_passes_at_its_ports_and_nothing_else():
    near, far = ("10.64.0.0/26", "fd00:1::/64"), ("10.64.0.64/26", "fd00:2::/64")
    mesh = AppRules("alpha", "shop", "mesh", False, near, far)
    text = table(mesh, msgspec.structs.replace(mesh, network="other", doors=(53, 5353)))
    bridges = sorted(bridge_name("alpha", "shop", name) for name in ("mesh", "other"))
    ours = "{ " + ", ".join(f'"{each}"' for each in bridges) + " }"
    lines = map(str.strip, text.splitlines())
    assert [
        each for each in lines if each.startswith((f"iifname != {ours} ct status", f"oifname != {ours} ct dir"))
    ] == [
        f"iifname != {ours} ct status dnat ip daddr {{ 10.64.0.64/26 }} udp dport {{ 53, 5353 }} accept",
        f"iifname != {ours} ct status dnat ip6 daddr {{ fd00:2::/64 }} udp dport {{ 53, 5353 }} accept",
        f"oifname != {ours} ct direction reply ct status dnat ip saddr {{ 10.64.0.64/26 }} accept",
        f"oifname != {ours} ct direction reply ct status dnat ip6 saddr {{ fd00:2::/64 }} accept",
    ]
    assert "ct direction" not in table(mesh)


def test_a_network_over_sites_without_other_members_leaks_nothing():
    text = table(AppRules("alpha", "shop", "mesh", False, ("10.64.0.0/26",)))
    assert "ip daddr 10.64.0.0/10 drop" in text
    assert "own_addresses" not in text


def test_a_bridge_at_a_device_of_the_node_passes_frames_and_reaches_nothing_of_the_node():
    text = table(SHOP, AppRules("alpha", "shop", "lan", True, lan=True))
    bridge = bridge_name("alpha", "shop", "lan")
    forward, _, after = text[text.index("chain forward") :].partition("chain input")
    lines = [line.strip() for line in forward.splitlines() if bridge in line]
    assert lines == [
        f'iifname "{bridge}" oifname "{bridge}" accept',
        f'iifname {{ "{bridge}" }} drop',
        f'oifname {{ "{bridge}" }} drop',
    ]
    assert [line.strip() for line in after.splitlines() if bridge in line] == [f'iifname {{ "{bridge}" }} drop']


def test_what_a_table_is_made_from_is_in_its_name():
    assert rules_digest((SHOP,)) != rules_digest((AppRules("alpha", "shop", "default", True),))
    assert len(SHOP_BRIDGE) < 16


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.176.0.2", True),
        ("10.191.255.254", True),
        ("10.192.0.1", False),
        ("10.80.0.2", False),
        ("192.168.1.1", False),
        ("x", False),
    ],
)
def test_only_port_rules_into_our_own_pool_are_touched(address: str, expected: bool):
    assert is_ours(address) is expected
