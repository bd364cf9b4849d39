"""The firewall table as text: what it must say, word for word."""

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


def test_a_node_without_networks_has_a_table_that_does_nothing():
    digits = rules_digest(()).removeprefix("sha256:")
    assert (
        table()
        == f"""table inet skerry {{}}
delete table inet skerry
table inet skerry {{
  chain made_from_{digits} {{ }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
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
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    ct state established,related accept
    iifname {ours} ip daddr {{ 169.254.0.0/16, 192.0.2.0/24 }} drop
    iifname {ours} ip6 daddr {{ fe80::/10 }} drop
    iifname "{one}" oifname "{one}" accept
    iifname "{two}" oifname "{two}" accept
    iifname {ours} oifname {ours} drop
    iifname "{VAULT_BRIDGE}" drop
    oifname {ours} ct status dnat accept
    oifname {ours} drop
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    ct state established,related accept
    iifname {ours} udp dport 53 accept
    iifname {ours} tcp dport 53 accept
    iifname {ours} drop
  }}
}}
"""
    )


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
