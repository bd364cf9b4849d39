"""How many bytes of a link went into what: a value that the session counts up with each frame it sends or receives.

The transport sees opaque frames, so whoever knows a frame's purpose says it. Budgets and ``skerry site show`` read it.
"""

import msgspec

from skerry.wire import Purpose


class Count(msgspec.Struct, frozen=True):
    """Frames and their bytes on the wire, after compression."""

    frames: int = 0
    bytes: int = 0

    def plus(self, size: int) -> "Count":
        """Return the count with one more frame of ``size`` bytes."""
        return Count(self.frames + 1, self.bytes + size)


class Meter(msgspec.Struct, frozen=True):
    """What a link carried, per purpose and direction, since some beginning that the owner knows."""

    sent: dict[Purpose, Count] = {}
    received: dict[Purpose, Count] = {}

    def count_sent(self, purpose: Purpose, size: int) -> "Meter":
        """Return the meter after one frame of ``size`` bytes was sent for ``purpose``."""
        return Meter(_plus(self.sent, purpose, size), self.received)

    def count_received(self, purpose: Purpose, size: int) -> "Meter":
        """Return the meter after one frame of ``size`` bytes was received for ``purpose``."""
        return Meter(self.sent, _plus(self.received, purpose, size))

    @property
    def bytes(self) -> int:
        """Bytes of both directions in all."""
        return sum(count.bytes for counts in (self.sent, self.received) for count in counts.values())


def _plus(counts: dict[Purpose, Count], purpose: Purpose, size: int) -> dict[Purpose, Count]:
    return {**counts, purpose: counts.get(purpose, Count()).plus(size)}
