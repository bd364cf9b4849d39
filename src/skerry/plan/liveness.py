"""Verdicts on sites that are not heard: computed from the age of the last word, never stored.

Rule: silence is judged by the parent's own boot-time clock and only over time in which the parent itself was well. A
core that was paused, or has just started, first listens for as long as it would wait for anybody.
"""

from typing import Literal

import msgspec

#: Heartbeats missed before a site counts as silent: two may be lost to one cut of a mobile link.
BEATS_MISSED_MAX = 3
#: Grace on top, in microseconds: a heartbeat queued behind the longest message part on a slow link.
GRACE_US = 10_000_000
#: The watch is told the time about once a second; a longer gap means that this machine or process stood still.
PULSE_GAP_US_MAX = 15_000_000

SiteLiveness = Literal["online", "silent", "unheard"]


class Watch(msgspec.Struct, frozen=True):
    """Since when the core has been listening without a gap, by its boot-time clock."""

    well_since_us: int
    pulse_us: int


def start_watch(now_us: int) -> Watch:
    """Begin to listen."""
    return Watch(well_since_us=now_us, pulse_us=now_us)


def pulse(watch: Watch, now_us: int) -> Watch:
    """Note that the core runs; after a gap it begins to listen anew."""
    stood_still = now_us - watch.pulse_us > PULSE_GAP_US_MAX
    return Watch(well_since_us=now_us if stood_still else watch.well_since_us, pulse_us=now_us)


def patience_us(heartbeat_us: int) -> int:
    """How long a site with this heartbeat may be quiet."""
    return heartbeat_us * BEATS_MISSED_MAX + GRACE_US


def judge(watch: Watch, heard_us: int | None, heartbeat_us: int, now_us: int) -> SiteLiveness:
    """Judge one site; ``heard_us`` is None when this core has not heard it since it was started."""
    patience = patience_us(heartbeat_us)
    listened_us = listen_us(watch, heard_us, now_us)
    if heard_us is None:
        return "silent" if now_us - watch.well_since_us > patience else "unheard"
    return "silent" if listened_us > patience else "online"


def listen_us(watch: Watch, heard_us: int | None, now_us: int) -> int:
    """Return for how long the core has listened to a site without a gap of its own since it last heard it."""
    return now_us - max(watch.well_since_us, heard_us or 0)
