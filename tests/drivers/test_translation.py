"""Text of the table that translates addresses; that the kernel does what it says is tested end to end."""

import shutil
import subprocess

import pytest

from skerry.drivers.translation import build_translation
from skerry.model.ids import AppName, Digest, NetworkName, TenantName
from skerry.plan.actions import ApplyTranslation, OpenPort, WayOut

WAYS = (
    WayOut(TenantName("alpha"), AppName("shop"), NetworkName("default"), ("10.176.1.0/24", "fd00:1::/64")),
    WayOut(TenantName("alpha"), AppName("shop"), NetworkName("shut"), ("10.176.2.0/24",), True),
)
PORTS = (
    OpenPort("tcp", 8080, "", "10.176.1.2", 80),
    OpenPort("tcp", 8080, "", "fd00:1::2", 80),
    OpenPort("udp", 53, "192.0.2.1", "10.176.1.3", 53),
    OpenPort("sctp", 9, "127.0.0.1", "10.176.1.3", 9),
)
TABLE = build_translation(ApplyTranslation(networks=WAYS, ports=PORTS, digest=Digest(f"sha256:{'0' * 64}")))


def test_ports_lead_to_their_instances_in_each_family():
    for rule in (
        "meta nfproto ipv4 tcp dport 8080 dnat ip to 10.176.1.2:80",
        "meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00:1::2]:80",
        "ip daddr 192.0.2.1 udp dport 53 dnat ip to 10.176.1.3:53",
    ):
        assert f"    {rule}\n" in TABLE


def test_a_network_without_a_way_out_gets_none():
    assert "ip saddr 10.176.1.0/24 oifname != " in TABLE
    assert "ip saddr 10.176.2.0/24 oifname != " not in TABLE
    assert "ip saddr 10.176.2.0/24 ip daddr 10.176.2.0/24 ct status dnat masquerade" in TABLE


@pytest.mark.skipif(shutil.which("nft") is None, reason="there is no nft here")
def test_nft_takes_the_table():
    checked = subprocess.run(
        ["unshare", "--net", "nft", "-f", "-"], input=TABLE.encode(), capture_output=True, timeout=20, check=False
    )
    assert checked.returncode == 0, checked.stderr
