"""By which uplink a node dials its parent, what went over each this month, and whether bulk may. Pure.

The session (``agent/session.py``) dials, binds and remembers. What is counted is all that went over the device, as who
sells the line counts it. An uplink whose budget is spent comes after all others, and of one that is nearly so the rest
is for the link itself: images wait, where nothing else reaches the core, for another uplink or another month.

Only the node's own sockets are bound to a device; routes and other programs are left as they are. Where none of the
wished uplinks is at a device of this node, the node's own routes say where its packets go.
"""

import functools
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import msgspec

from skerry.model.observed import QueuesSeen
from skerry.model.uplinks import Uplink
from skerry.plan.history import Traffic

#: An uplink by which a dial has failed comes after the others for so long, and a better one is tried again so often.
RETRY_US = 60_000_000


#: From this share of a month's budget on, in percent, bulk waits.
BULK_PERCENT = 80
#: What a cut of the power may cost of the count: less is not worth a write to the disk.
_COUNT_BYTES = 10_000_000
_DAY_US = 24 * 3_600_000_000


class Ways(msgspec.Struct, frozen=True):
    """Devices to dial by, the best first, one empty where routes say it; ``name`` is of the wishes that they follow."""

    devices: tuple[str, ...] = ("",)
    name: str = ""


def list_ways(
    uplinks: Mapping[str, Uplink], links: Collection[str], name: str = "", used: Mapping[str, int] | None = None
) -> Ways:
    """Return the ways of wished uplinks; ``links`` are the node's devices, ``used`` this month's bytes by device."""
    here = sorted(
        (find_percent(each, used or {}) >= 100, each.preference, each.price_micro, uplink, each.device)
        for uplink, each in uplinks.items()
        if each.device in links
    )
    return Ways(tuple(device for *_, device in here) or ("",), name)


def order_ways(ways: Ways, failed: Mapping[str, int], now_us: int) -> tuple[str, ...]:
    """Return the devices in the order in which to try them; ``failed`` is when a dial by one failed last."""
    return tuple(sorted(ways.devices, key=lambda device: now_us < failed.get(device, -RETRY_US) + RETRY_US))


def find_percent(uplink: Uplink, used: Mapping[str, int]) -> int:
    """Return how much of its budget an uplink has spent, in percent; 0 for one without a budget."""
    return used.get(uplink.device, 0) * 100 // uplink.budget_bytes if uplink.budget_bytes else 0


def note_moved(kept: Traffic, moved: Mapping[str, int], devices: Collection[str], boot: str, month: str) -> Traffic:
    """Take in what the devices have counted since the boot; ``month`` is empty while nobody knows the time.

    What was counted before the first look at a device is not its month's. A count that went back is of a device that
    was made anew.
    """
    if not devices and not kept.used:
        return kept
    is_same_boot = kept.boot in (boot, "")
    used: dict[str, int] = {}
    for device in sorted(moved.keys() & set(devices)):
        mark = kept.marks.get(device, moved[device] if is_same_boot else 0)
        more = moved[device] - mark if is_same_boot and moved[device] >= mark else moved[device]
        begun = 0 if month and kept.month and month != kept.month else kept.used.get(device, 0)
        used[device] = begun + more
    marks = {device: moved[device] for device in used}
    return Traffic(month=month or kept.month, used=used, boot=boot, marks=marks)


def is_worth_writing(kept: Traffic, noted: Traffic) -> bool:
    """Say whether a count is to be journaled."""
    if (kept.month, kept.boot, kept.used.keys()) != (noted.month, noted.boot, noted.used.keys()):
        return True
    return any(abs(noted.used[device] - kept.used[device]) >= _COUNT_BYTES for device in noted.used)


def hold_bulk(uplinks: Mapping[str, Uplink], device: str, used: Mapping[str, int]) -> str:
    """Say why images wait while the link goes by ``device``; empty where they need not."""
    name = find_uplink(uplinks, device)
    percent = find_percent(uplinks[name], used) if name else 0
    return f"{percent} % of this month's budget of uplink {name} are spent" if percent >= BULK_PERCENT else ""


def name_month(trust_us: int) -> str:
    """Name the month of a time since 1970, in UTC; empty for 0."""
    return _name_month_of(trust_us // _DAY_US) if trust_us else ""


@functools.lru_cache(maxsize=8)  # it is asked for at each pass of a node
def _name_month_of(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_US / 1_000_000, UTC).strftime("%Y-%m")


def find_lacking(uplinks: Mapping[str, Uplink], seen: QueuesSeen | None) -> dict[str, str]:
    """Return the uplinks that are at no device of the node, each with its device; none while nobody can tell."""
    if seen is None or not seen.links:
        return {}
    return {name: each.device for name, each in uplinks.items() if each.device not in seen.links}


def find_uplink(uplinks: Mapping[str, Uplink], device: str) -> str:
    """Return the name of the uplink at a device; empty where there is none."""
    return next((name for name, each in sorted(uplinks.items()) if each.device == device), "")
