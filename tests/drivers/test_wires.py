"""What the kernel says of bridges and links, and the text that guards a link."""

import json
import shutil
import subprocess

import msgspec
import pytest

from skerry.drivers.wires import build_guards, end_name, network_alias, read_wires
from skerry.model.app import NetworkPlan, Subnet
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.lan import Lan
from skerry.plan.actions import CreateNetwork, Link

CONTAINER = "c" * 64
LINK = Link(
    network=NetworkName("default"),
    device="eth0",
    mac="02:00:00:00:00:09",
    addresses=("10.176.1.2/24", "fd00:1::2/64"),
    gateways=("10.176.1.1", "fd00:1::1"),
)
NETWORK = CreateNetwork(
    tenant=TenantName("alpha"),
    app=AppName("shop"),
    name=NetworkName("default"),
    internal=True,
    plan=NetworkPlan(mtu=1400),
    ranges=(Subnet(subnet="10.176.1.0/24", gateway="10.176.1.1"),),
)


def device(name: str, alias: str = "", *held: tuple[str, int], sent: int = 0) -> dict[str, object]:
    return {
        "ifname": name,
        **({"ifalias": alias} if alias else {}),
        "addr_info": [{"local": each, "prefixlen": size, "scope": "global"} for each, size in held],
        "stats64": {"rx": {"bytes": sent}, "tx": {"bytes": 7}},
    }


def test_a_bridge_tells_whose_it_is():
    seen = read_wires(json.dumps([device("sk1", network_alias(NETWORK), ("10.176.1.1", 24))]).encode())
    (network,) = seen.networks
    assert (network.tenant, network.app, network.name, network.internal) == ("alpha", "shop", "default", True)
    assert network.plan == NETWORK.plan_name
    assert network.ranges == NETWORK.ranges
    assert seen.ranges == (("sk1", "10.176.1.0/24"),)


def test_the_longest_names_fit_into_what_the_kernel_keeps():
    long = {"tenant": TenantName("t" * 63), "app": AppName("a" * 63), "name": NetworkName("n" * 63)}
    action = CreateNetwork(**long, internal=True, names=True, plan=NETWORK.plan)
    assert len(network_alias(action)) < 256
    addresses = ["255.255.255.255/32", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"]
    assert len(",".join(["skerry", CONTAINER, "n" * 63, LINK.mac, *addresses])) < 256


def test_links_tell_of_their_container_and_count_for_it():
    alias = f"skerry,{CONTAINER},default,02:00:00:00:00:09,10.176.1.2/24,fd00:1::2/64"
    lan = f"skerry,{CONTAINER},lan,02:00:00:00:00:0a,10.176.2.2/24"
    seen = read_wires(json.dumps([device("skv1", alias, sent=5), device("skv2", lan, sent=4)]).encode())
    wired = seen.links[CONTAINER]
    assert wired.addresses == {"default": ("10.176.1.2", "fd00:1::2"), "lan": ("10.176.2.2",)}
    assert wired.macs == {"default": "02:00:00:00:00:09", "lan": "02:00:00:00:00:0a"}
    assert (wired.received_bytes, wired.sent_bytes) == (14, 9)


def test_a_bridge_at_a_device_of_the_node_is_torn_without_its_port():
    plan = NetworkPlan(lan=Lan(kind="bridge", parent="lan0"))
    bridge = device("sk1", network_alias(msgspec.structs.replace(NETWORK, plan=plan, ranges=())))
    link = {**device("skv1", f"skerry,{CONTAINER},default,02:00:00:00:00:09"), "master": "sk1"}
    (torn,) = read_wires(json.dumps([bridge, link]).encode()).networks
    assert (torn.lan, torn.internal, torn.torn, torn.ranges) == (True, True, True, ())
    port = {**device("lan0"), "master": "sk1", "mtu": 1500, "flags": ["UP"]}
    seen = read_wires(json.dumps([bridge, link, port]).encode())
    assert [each.torn for each in seen.networks] == [False]
    assert (seen.devices["lan0"].master, seen.devices["lan0"].up) == ("sk1", True)


def test_a_link_without_an_address_of_ours_is_bound_to_its_hardware_address_alone():
    text = build_guards(CONTAINER, (msgspec.structs.replace(LINK, addresses=(), gateways=(), up_bps=8_000_000),))
    assert [line.partition(f"{end_name(CONTAINER, 'default')} ")[2] for line in text.splitlines()[4:]] == [
        "ether saddr != 02:00:00:00:00:09 drop",
        "limit rate over 1000000 bytes/second burst 65536 bytes drop",
        "accept",
    ]


def test_a_device_in_an_instances_own_network_has_no_guard():
    direct = msgspec.structs.replace(LINK, lan=Lan(kind="macvlan", parent="lan0"))
    assert build_guards(CONTAINER, (direct,)) == "add table netdev skerry_guards\n"


@pytest.mark.parametrize("alias", ["", "uplink", "skerry,short,default", "skerry,a/b,,,", "other,a/b/c,,open,"])
def test_devices_of_others_are_nobodys(alias: str):
    seen = read_wires(json.dumps([device("eth0", alias, ("192.0.2.1", 24))]).encode())
    assert (seen.networks, seen.links, seen.reason) == ((), {}, "")


def test_what_cannot_be_read_is_not_taken_for_absent():
    assert read_wires(b"").reason


def test_a_link_is_bound_to_what_it_was_given():
    text = build_guards(CONTAINER, (LINK,))
    chain = f"netdev skerry_guards {end_name(CONTAINER, 'default')}"
    assert f"add rule {chain} ether saddr != 02:00:00:00:00:09 drop\n" in text
    assert f"add rule {chain} meta protocol ip ip saddr {{ 10.176.1.2 }} accept\n" in text
    # The address that the kernel makes of the hardware address (RFC 4291 appendix A).
    assert "ip6 saddr { ::, fd00:1::2, fe80::ff:fe00:9 } accept" in text
    assert "policy drop" in text


@pytest.mark.skipif(shutil.which("nft") is None, reason="there is no nft here")
def test_nft_takes_the_guards_twice():
    end = end_name(CONTAINER, "default")
    script = f"ip link add name {end} type veth peer name p && nft -f - <<X\n{build_guards(CONTAINER, (LINK,))}X\n"
    again = f"nft -f - <<X\n{build_guards(CONTAINER, (LINK,))}X\n"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script + again], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
