"""What of an app's network is at a device of the node: a bridge with that device or a VLAN on it, or devices on it.

Commands for ``ip``, and why some are not given. The node's device keeps its addresses and routes in every case: one
that has any is not put into a bridge, where they would no longer be used, and for kind macvlan nothing of it changes.
Neighbour: ``wires.py`` runs the commands and reads what there is.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from skerry.model.lan import Lan
from skerry.plan.actions import Link

#: Devices of VLANs that we made are called so, and the outer ends of instances' links.
VLAN_PREFIX = "skl"
END_PREFIX = "skv"
_MODES = {"macvlan": "macvlan mode bridge", "ipvlan": "ipvlan mode l2"}


class NodeDevice(msgspec.Struct, frozen=True):
    """What matters of one device of the node."""

    mtu: int = 0
    #: The bridge that it is a port of.
    master: str = ""
    up: bool = False
    #: Its addresses beyond the link.
    addresses: tuple[str, ...] = ()


def vlan_name(bridge: str) -> str:
    """Name the VLAN's device of a bridge: the kernel allows 15 characters."""
    return VLAN_PREFIX + hashlib.sha256(bridge.encode()).hexdigest()[:12]


def find_obstacle(devices: Mapping[str, NodeDevice], bridge: str, lan: Lan, mtu: int) -> str:
    """Say why a network cannot be at its device; empty where it can."""
    parent = devices.get(lan.parent)
    if parent is None:
        return f"this node has no network device {lan.parent}"
    if mtu > parent.mtu:
        return f"packets of {mtu} bytes do not fit {lan.parent}, which takes {parent.mtu}"
    if lan.kind != "bridge":
        return ""
    if parent.master not in ("", bridge):
        return f"{lan.parent} is in {parent.master} already"
    if parent.addresses:
        what = (
            f"{lan.parent} has addresses of its own ({parent.addresses[0]}), and in a bridge the node would lose them"
        )
        return f"{what}: use kind: macvlan, which leaves them alone"
    return ""


def write_port(devices: Mapping[str, NodeDevice], bridge: str, lan: Lan) -> list[str]:
    """Return what makes a device, or a VLAN on it, a port of a bridge; run again it changes nothing."""
    lines = [] if devices[lan.parent].up else [f"link set dev {lan.parent} up"]
    if lan.kind == "bridge":
        return [*lines, f"link set dev {lan.parent} master {bridge}"]
    port = vlan_name(bridge)
    if port not in devices:
        lines.append(f"link add link {lan.parent} name {port} type vlan id {lan.id}")
    return [
        *lines,
        f"link set dev {port} addrgenmode none",
        f"link set dev {port} master {bridge}",
        f"link set dev {port} up",
    ]


def write_direct(lan: Lan, link: Link, namespace: str) -> str:
    """Return what makes an instance's device on the node's device, in its own namespace at once."""
    mtu = f"mtu {link.mtu} " if link.mtu else ""
    # An ipvlan has the hardware address of the device that it is on.
    mac = f"address {link.mac} " if lan.kind == "macvlan" else ""
    return f"link add link {lan.parent} name {link.device} {mtu}{mac}netns {namespace} type {_MODES[lan.kind]}"
