"""By which uplink a node dials its parent. Pure: the session (``agent/session.py``) dials, binds and remembers.

Only the node's own sockets are bound to a device; routes and other programs are left as they are. Where none of the
wished uplinks is at a device of this node, the node's own routes say where its packets go.
"""

from collections.abc import Collection, Mapping

import msgspec

from skerry.model.uplinks import Uplink

#: An uplink by which a dial has failed comes after the others for so long, and a better one is tried again so often.
RETRY_US = 60_000_000


class Ways(msgspec.Struct, frozen=True):
    """Devices to dial by, the best first, one empty where routes say it; ``name`` is of the wishes that they follow."""

    devices: tuple[str, ...] = ("",)
    name: str = ""


def list_ways(uplinks: Mapping[str, Uplink], links: Collection[str], name: str = "") -> Ways:
    """Return the ways of wished uplinks; ``links`` are the devices that the node has."""
    here = sorted(
        (each.preference, each.price_micro, uplink, each.device)
        for uplink, each in uplinks.items()
        if each.device in links
    )
    return Ways(tuple(device for *_, device in here) or ("",), name)


def order_ways(ways: Ways, failed: Mapping[str, int], now_us: int) -> tuple[str, ...]:
    """Return the devices in the order in which to try them; ``failed`` is when a dial by one failed last."""
    return tuple(sorted(ways.devices, key=lambda device: now_us < failed.get(device, -RETRY_US) + RETRY_US))


def find_uplink(uplinks: Mapping[str, Uplink], device: str) -> str:
    """Return the name of the uplink at a device; empty where there is none."""
    return next((name for name, each in sorted(uplinks.items()) if each.device == device), "")
