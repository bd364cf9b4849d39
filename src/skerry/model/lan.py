"""Networks of the site itself that an app's network is a part of: a device of the node, or a VLAN on one.

Only an operator's own profile grants them, in its word ``interfaces``, each by itself: a grant of ``lan0`` is no grant
of the VLANs on it. What an instance sends there does not cross the node, so neither the node's firewall nor its name
server and translation of addresses have a part in it.
"""

import fnmatch
import re
from typing import Literal

import msgspec

from skerry.model.uplinks import find_link_flaw

LanKind = Literal["bridge", "vlan", "macvlan", "ipvlan"]
#: Kinds whose devices stand in an instance's own namespace, on the node's device and not at a bridge.
DIRECT: tuple[LanKind, ...] = ("macvlan", "ipvlan")
#: IEEE 802.1Q has 12 bits, and 0 and 4095 are no VLANs.
VLAN_ID_MAX = 4_094
#: Facts of a node whose kernel has such devices: ``true`` there, else not told. Any kernel with links has bridges.
LAN_FACTS: dict[LanKind, str] = {"vlan": "net.vlan", "macvlan": "net.macvlan", "ipvlan": "net.ipvlan"}
_WHAT: dict[LanKind, str] = {"vlan": "VLANs (802.1q)", "macvlan": "macvlan", "ipvlan": "ipvlan"}

_GRANT = re.compile(r"([A-Za-z0-9*?][A-Za-z0-9_.@*?-]{0,14})(?:/([0-9]{1,4})(?:-([0-9]{1,4}))?)?", re.ASCII)


class Lan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True):
    """What a network is a part of at each site."""

    kind: LanKind
    #: The node's device.
    parent: str
    #: Of the VLAN; 0 for none.
    id: int = 0

    @property
    def place(self) -> str:
        """The device, and the VLAN on it: what is granted, and what two networks can clash at."""
        return f"{self.parent}/{self.id}" if self.id else self.parent

    @property
    def is_direct(self) -> bool:
        """Whether instances have devices on the node's device, without a bridge."""
        return self.kind in DIRECT


def find_lan_flaw(lan: Lan) -> str:
    """Return what is wrong with a wish, empty when nothing is."""
    flaw = find_link_flaw(lan.parent)
    if flaw:
        return f"parent: {flaw}"
    if lan.kind == "vlan" and not 1 <= lan.id <= VLAN_ID_MAX:
        return f"id: a VLAN has a number from 1 to {VLAN_ID_MAX}"
    if lan.kind != "vlan" and lan.id:
        return f"id: kind {lan.kind} has none, kind vlan has"
    return ""


def find_lan_lack(lan: Lan, facts: dict[str, str]) -> str:
    """Say what a network needs of the kernel that a node of these facts lacks; empty where it lacks nothing."""
    fact = LAN_FACTS.get(lan.kind)
    return f"a kernel that has {_WHAT[lan.kind]}" if fact and facts.get(fact) != "true" else ""


def find_grant_flaw(text: str) -> str:
    """Return why a text grants no interface."""
    found = _GRANT.fullmatch(text)
    if found is None:
        return f"{text[:60]!r} is no network device: write lan0, or lan0/100-199 for VLANs on it"
    first, last = int(found[2] or 1), int(found[3] or found[2] or 1)
    return "" if 1 <= first <= last <= VLAN_ID_MAX else f"{text[:60]!r} has no VLANs: they are 1 to {VLAN_ID_MAX}"


def grants_place(grant: str, place: str) -> bool:
    """Say whether a grant covers a device, or a VLAN on one."""
    found = _GRANT.fullmatch(grant)
    device, _, number = place.partition("/")
    if found is None or not fnmatch.fnmatchcase(device, found[1]) or bool(number) != bool(found[2]):
        return False
    return not number or int(found[2]) <= int(number) <= int(found[3] or found[2])


def granted_device(grant: str) -> str:
    """Return the pattern of devices that a grant is about."""
    return grant.partition("/")[0]
