"""How much disk each volume takes: measured seldom, in turns, beside everything else; the last sizes stand meanwhile.

The loop's passes drive it, so it works without a link and costs no timer of its own. A round begins a quarter of an
hour after the last one, or sooner when there is a new volume, and when the disk has lost room at once: then something
grew, and people ask what it was.
"""

from skerry.clock import SECOND_US, Clock, Tasks
from skerry.drivers.base import VolumeGauge
from skerry.model.ids import VolumeId
from skerry.model.limits import MEASURED_ENTRIES_MAX

#: Between the beginnings of two rounds.
ROUND_US = 900 * SECOND_US
#: Between two rounds that have such a reason, and how much room the disk has to lose since the last one.
HASTY_US = 60 * SECOND_US
LOST_BYTES = 1 << 30
#: Between two turns of a round, so that the services have the disk for most of the time.
PAUSE_US = 2 * SECOND_US


class VolumeMeter:
    """Keeps the sizes of one node's volumes."""

    def __init__(self, clock: Clock, tasks: Tasks, gauge: VolumeGauge | None) -> None:
        self._clock = clock
        self._tasks = tasks
        self._gauge = gauge
        self._is_measuring = False
        self._begun_us: int | None = None
        self._free_bytes = 0
        #: Volumes that the last round could not measure: no reason to hurry.
        self._left_out: frozenset[VolumeId] = frozenset()
        #: Bytes by volume as the last finished measuring of each had them.
        self.sizes: dict[VolumeId, int] = {}

    def consider(self, free_bytes: int, volumes: frozenset[VolumeId]) -> None:
        """Begin a round if one is due; ``free_bytes`` is the room that the disk has now, ``volumes`` what is there."""
        if self._gauge is None or self._is_measuring:
            return
        now_us = self._clock.boot_us()
        if self._begun_us is not None:
            fresh = volumes - self.sizes.keys() - self._left_out
            pause_us = HASTY_US if fresh or self._free_bytes - free_bytes >= LOST_BYTES else ROUND_US
            if now_us < self._begun_us + pause_us:
                return
        self._begun_us, self._free_bytes, self._is_measuring = now_us, free_bytes, True
        self._tasks.start("measure volumes", self._measure(self._gauge, volumes))

    async def _measure(self, gauge: VolumeGauge, volumes: frozenset[VolumeId]) -> None:
        found: dict[VolumeId, int] = {}
        try:
            while True:
                turn = await gauge.measure(MEASURED_ENTRIES_MAX)
                found.update(turn.sizes)
                self.sizes.update(turn.sizes)
                if turn.ended:
                    break
                await self._clock.sleep_until(self._clock.boot_us() + PAUSE_US)
            self.sizes, self._left_out = found, volumes - found.keys()
        finally:
            self._is_measuring = False
