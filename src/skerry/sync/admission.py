"""Who may open a session now, and when the others are to come back: a token bucket with reservations.

Rules of this file: (1) sessions are admitted at most at ``rate`` per second after a burst; (2) who is sent away has a
time of its own, one slot behind the last one given, and at that time is admitted whoever else is at the door, so nobody
starves: with n waiting the last one waits n / rate, twice the median; (3) a place not used is forgotten after a while.
"""

import collections

SECOND_US = 1_000_000
#: How long after its time a reserved place is kept: a child on a bad link is late.
_RESERVED_US = 60 * SECOND_US


class Admission:
    """The door of one parent. ``name`` is what the child claims to be; a false name gains nobody a second place."""

    def __init__(self, rate_per_s: int, burst: int, places_max: int) -> None:
        self._slot_us = SECOND_US // rate_per_s
        self._burst_us = burst * self._slot_us
        self._places_max = places_max
        #: When the next free slot begins; behind now by at most the burst.
        self._next_us = 0
        #: Name to the time of its place, in the order of these times.
        self._places: collections.OrderedDict[str, int] = collections.OrderedDict()

    def ask(self, name: str, now_us: int) -> int:
        """Return 0 when ``name`` may come in now, else the microseconds after which it may."""
        self._forget(now_us)
        place_us = self._places.get(name)
        if place_us is not None:
            if place_us > now_us:
                return place_us - now_us
            del self._places[name]
            return 0
        slot_us = max(self._next_us, now_us - self._burst_us)
        if slot_us <= now_us:
            self._next_us = slot_us + self._slot_us
            return 0
        if len(self._places) >= self._places_max:
            # Too many to remember: this one tries its luck behind them all.
            return slot_us - now_us
        self._places[name] = slot_us
        self._next_us = slot_us + self._slot_us
        return slot_us - now_us

    def _forget(self, now_us: int) -> None:
        while self._places:
            name, place_us = next(iter(self._places.items()))
            if place_us + _RESERVED_US > now_us:
                return
            del self._places[name]
