"""The ways by which a site reaches the rest of the world, as its operator signs them, and what an instance may use.

An uplink stands in the registrar's record of its site, so a core can neither invent one nor send traffic over a dear
one. A ``Bandwidth`` is a service's wish inside its tenant's signed revision. Rates are bits per second, as lines are
sold. Neighbours: ``plan/uplinks.py`` chooses among uplinks, ``plan/queues.py`` shares one.
"""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

UplinkClass = Literal["wired", "mobile", "satellite"]
CLASSES: tuple[UplinkClass, ...] = ("wired", "mobile", "satellite")
#: Uplinks of one site: more than any box has sockets and modems for.
UPLINKS_MAX = 8
#: Slower than any modem that Linux speaks to; what is below is a mistake in the unit.
RATE_BPS_MIN = 1_000
#: A terabit a second: faster than any port that is sold.
RATE_BPS_MAX = 10**12
PREFERENCE_MAX = 1_000
#: Of the operator's unit for each gigabyte, in millionths: a million of the unit.
_PRICE_MICRO_MAX = 10**12
#: An exbibyte a month.
_BUDGET_BYTES_MAX = 2**60
#: What the kernel takes as a name (``IFNAMSIZ`` 16 with its zero byte), and programs as one word.
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}", re.ASCII)
#: Links that Skerry makes itself are no way out of a site: bridges, tunnels, and the halves of instances' links.
_OWN_DEVICE = re.compile(r"sk[lv]?[0-9a-f]{12}|skw.*|veth.*|podman[0-9]+|lo", re.ASCII)


class _Signed(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True
):
    pass


class Uplink(_Signed, frozen=True, kw_only=True):
    """One way out of a site. 0 means that nothing is stated, and with it nothing is limited."""

    #: The network device of the node that it is at.
    device: str
    kind: UplinkClass = msgspec.field(name="class", default="wired")
    #: What a gigabyte (10^9 bytes) costs, in millionths of the operator's unit; 0 where bytes cost nothing.
    price_micro: int = 0
    #: Bytes a month, both ways together, after which it is used only where no other way is.
    budget_bytes: int = 0
    #: What it carries, in bits per second.
    up_bps: int = 0
    down_bps: int = 0
    #: Among uplinks that reach the core the lowest is used.
    preference: int = 100


class Bandwidth(_Signed, frozen=True, kw_only=True):
    """What one instance may use of the uplinks of its site, in bits per second; 0 is not stated.

    ``up`` is what it sends. It is reserved where the instance is placed, and a cap where it runs.
    """

    up_bps: int = 0
    down_bps: int = 0


#: What a service has that says nothing.
NO_BANDWIDTH = Bandwidth()


def find_uplinks_flaw(uplinks: Mapping[str, Uplink]) -> str:
    """Return what is wrong with the uplinks of a site, empty when nothing is. Names are the caller's to check."""
    if len(uplinks) > UPLINKS_MAX:
        return f"a site has at most {UPLINKS_MAX} uplinks"
    devices: dict[str, str] = {}
    for name, uplink in sorted(uplinks.items()):
        flaw = find_uplink_flaw(uplink)
        if flaw:
            return f"uplink {name[:80]}: {flaw}"
        if uplink.device in devices:
            return f"uplinks {devices[uplink.device]} and {name[:80]} are both at {uplink.device}"
        devices[uplink.device] = name[:80]
    return ""


def find_uplink_flaw(uplink: Uplink) -> str:
    """Return what is wrong with one uplink, empty when nothing is."""
    flaw = find_link_flaw(uplink.device)
    if flaw:
        return f"device: {flaw}"
    amounts = (
        ("price", uplink.price_micro, 0, _PRICE_MICRO_MAX),
        ("budget", uplink.budget_bytes, 0, _BUDGET_BYTES_MAX),
        ("preference", uplink.preference, 0, PREFERENCE_MAX),
    )
    for word, amount, low, high in amounts:
        if not low <= amount <= high:
            return f"{word}: {amount} is not within {low} and {high}"
    return _find_rate_flaw(uplink.up_bps, uplink.down_bps)


def find_link_flaw(device: str) -> str:
    """Return why a text names no device of a node that leads out of the site, empty when it may be one."""
    if _DEVICE.fullmatch(device) is None:
        return f"{device[:40]!r} is no name of a network device"
    return f"{device} leads to instances, not out of the site" if _OWN_DEVICE.fullmatch(device) else ""


def find_bandwidth_flaw(bandwidth: Bandwidth) -> str:
    """Return what is wrong with what an instance asks for, empty when nothing is."""
    return _find_rate_flaw(bandwidth.up_bps, bandwidth.down_bps)


def sum_rates(uplinks: Mapping[str, Uplink]) -> Bandwidth:
    """Return what a site's uplinks carry together; 0 for a direction where one of them does not say."""
    ups, downs = ([getattr(each, field) for each in uplinks.values()] for field in ("up_bps", "down_bps"))
    return Bandwidth(up_bps=sum(ups) if all(ups) else 0, down_bps=sum(downs) if all(downs) else 0)


def format_rate(bps: int) -> str:
    """Write a rate as manifests have it, rounded down to what is still exact to three figures."""
    for unit, size in (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if bps >= size:
            return f"{bps / size:.3g} {unit}" if bps % size else f"{bps // size} {unit}"
    return f"{bps} bit/s"


def _find_rate_flaw(up_bps: int, down_bps: int) -> str:
    for word, bps in (("up", up_bps), ("down", down_bps)):
        if bps and not RATE_BPS_MIN <= bps <= RATE_BPS_MAX:
            return f"{word}: {bps} bit/s is not within {format_rate(RATE_BPS_MIN)} and {format_rate(RATE_BPS_MAX)}"
    return ""
