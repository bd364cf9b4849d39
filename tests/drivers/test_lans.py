"""What is told ``ip`` for networks at devices of the node, and what is not."""

import pytest

from skerry.drivers.lans import NodeDevice, find_obstacle, vlan_name, write_direct, write_port
from skerry.model.ids import NetworkName
from skerry.model.lan import Lan
from skerry.plan.actions import Link

BRIDGE, VLAN = "sk0123456789ab", Lan(kind="vlan", parent="lan0", id=120)
PLAIN = {"lan0": NodeDevice(mtu=1500, up=True)}


def test_a_vlan_is_made_on_the_device_and_only_that_is_put_into_the_bridge():
    port = vlan_name(BRIDGE)
    lines = write_port(PLAIN, BRIDGE, VLAN)
    assert lines == [
        f"link add link lan0 name {port} type vlan id 120",
        f"link set dev {port} addrgenmode none",
        f"link set dev {port} master {BRIDGE}",
        f"link set dev {port} up",
    ]
    assert len(port) == 15
    # Half of it was there already.
    assert write_port({**PLAIN, port: NodeDevice()}, BRIDGE, VLAN) == lines[1:]


def test_a_device_that_is_down_is_switched_on_and_keeps_all_else():
    lines = write_port({"lan0": NodeDevice(mtu=1500)}, BRIDGE, Lan(kind="bridge", parent="lan0"))
    assert lines == ["link set dev lan0 up", f"link set dev lan0 master {BRIDGE}"]


@pytest.mark.parametrize(
    ("device", "lan", "mtu", "reason"),
    [
        (NodeDevice(mtu=1500), Lan(kind="bridge", parent="lan0"), 0, ""),
        (NodeDevice(mtu=1500, master=BRIDGE), Lan(kind="bridge", parent="lan0"), 1500, ""),
        (NodeDevice(mtu=1500, master="br0"), Lan(kind="bridge", parent="lan0"), 0, "lan0 is in br0 already"),
        (NodeDevice(mtu=1500, addresses=("192.0.2.9",)), Lan(kind="bridge", parent="lan0"), 0, "use kind: macvlan"),
        (NodeDevice(mtu=1500, addresses=("192.0.2.9",)), VLAN, 0, ""),
        (NodeDevice(mtu=1500), VLAN, 9000, "packets of 9000 bytes do not fit lan0, which takes 1500"),
        (NodeDevice(mtu=1500), Lan(kind="bridge", parent="lan1"), 0, "this node has no network device lan1"),
    ],
)
def test_why_a_network_cannot_be_at_its_device(device, lan, mtu, reason):
    found = find_obstacle({"lan0": device}, BRIDGE, lan, mtu)
    assert reason in found
    assert bool(found) == bool(reason)


def test_an_ipvlan_has_the_hardware_address_of_the_device():
    link = Link(network=NetworkName("lan"), device="wan0", mac="02:00:00:00:00:09", addresses=(), mtu=1400)
    words = [write_direct(Lan(kind=kind, parent="lan0"), link, "/ns") for kind in ("macvlan", "ipvlan")]
    assert words == [
        "link add link lan0 name wan0 mtu 1400 address 02:00:00:00:00:09 netns /ns type macvlan mode bridge",
        "link add link lan0 name wan0 mtu 1400 netns /ns type ipvlan mode l2",
    ]
