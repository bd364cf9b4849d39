"""How long each end of a simulated link heard nothing of the other: the truth, of which the programs know their part.

Frames count when they arrive at the machine, in whatever state the process there is; who compares leaves room for that.
What comes late, over a connection that this end has given up, is heard by nobody and does not count.
"""

from collections import deque

from skerry.clock import SECOND_US
from skerry.model.ids import SiteName

#: Shorter pauses are nobody's silence, and only the last of the longer ones are asked for.
_GAP_US_MIN = 20 * SECOND_US
_GAPS_MAX = 50


class Silence:
    """Gaps between frames, by site and way; ``upward`` frames are what the core hears."""

    def __init__(self) -> None:
        self._last_us: dict[tuple[SiteName, bool], int] = {}
        self._gaps: dict[tuple[SiteName, bool], deque[tuple[int, int]]] = {}

    def note(self, site: SiteName, upward: bool, now_us: int) -> None:
        """A frame arrives."""
        last_us = self._last_us.get((site, upward), 0)
        self._last_us[site, upward] = now_us
        if now_us - last_us >= _GAP_US_MIN:
            self._gaps.setdefault((site, upward), deque(maxlen=_GAPS_MAX)).append((last_us, now_us))

    def lasts_us(self, site: SiteName, upward: bool, now_us: int) -> int:
        """How long the present silence lasts."""
        return now_us - self._last_us.get((site, upward), 0)

    def longest_us(self, site: SiteName, upward: bool, since_us: int, now_us: int) -> int:
        """The longest silence that lasted into the time since ``since_us``."""
        gaps = [end - start for start, end in self._gaps.get((site, upward), ()) if end >= since_us]
        return max([*gaps, self.lasts_us(site, upward, now_us)])
