"""When a child looks at what it uses and says so.

Rules of this file:
1. Nothing unasked: a parent of an older release never asks.
2. At rest the pace is the parent's wish, but no quicker than the class of the link allows and than the bytes that
   samples may cost in an hour. Quicker only for a span that ends by itself, and never beyond the class's shortest time.
3. One look at a time, and nothing to catch up: what was not sent is not sent later.
"""

from skerry.model.limits import SAMPLES_QUICK_US_MAX
from skerry.sync.classes import SECOND_US, LinkPlan
from skerry.wire import SamplesAsk

#: A new session has better things to say first.
FIRST_US = 30 * SECOND_US
_HOUR_US = 3600 * SECOND_US
#: Headers around a small message, and the packet that acknowledges it, count like its bytes.
PACKETS_BYTES = 130


class SamplesSender:
    """The child's side of the flow, across sessions. Times are boot-time microseconds."""

    def __init__(self) -> None:
        self._plan: LinkPlan | None = None
        #: 0 until this session's parent asked.
        self._rest_us = 0
        self._quick_us = 0
        self._quick_until = 0
        self._from = 0
        self._sent_at: int | None = None
        self._sent_bytes = 0
        self._is_reading = False

    def begin(self, plan: LinkPlan) -> None:
        """Start a session, over which nobody asked for anything yet."""
        self._plan = plan
        self._rest_us = self._quick_us = self._quick_until = 0

    def ask(self, message: SamplesAsk, now: int) -> None:
        """Take a wish of the parent."""
        if self._plan is None:
            return
        every_us = max(message.every_us, self._plan.samples_us_min)
        if message.span_us > 0:
            self._quick_us = every_us
            self._quick_until = now + min(message.span_us, SAMPLES_QUICK_US_MAX)
        else:
            if not self._rest_us:
                # The parent may have forgotten what the last session told: once per session it is told again.
                self._from = now + FIRST_US
                if self._sent_at is not None:
                    self._from = max(self._from, self._sent_at + self._plan.samples_us_min)
            self._rest_us = every_us

    def due(self, now: int) -> int | None:
        """Return when to look next; None while nobody asked or a look is under way."""
        if self._plan is None or self._is_reading:
            return None
        found: list[int] = []
        if self._rest_us:
            budget_us = (self._sent_bytes + PACKETS_BYTES) * _HOUR_US // self._plan.samples_bytes_per_hour
            rest_us = max(self._rest_us, budget_us if self._sent_bytes else 0)
            found.append(self._from or (self._sent_at or now) + rest_us)
        if self._quick_us:
            quick = now if self._sent_at is None else max(now, self._sent_at + self._quick_us)
            if quick < self._quick_until:
                found.append(quick)
        return min(found, default=None)

    def start_reading(self) -> None:
        """A look begins."""
        self._is_reading = True

    def note_read(self, now: int, size: int) -> None:
        """The look is over and its message has ``size`` bytes; it counts also when nothing was seen or sent."""
        self._is_reading = False
        self._from = 0
        self._sent_at, self._sent_bytes = now, size
