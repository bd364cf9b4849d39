"""The frames of one connection that wait to be sent: lanes by priority, each bounded.

Rules of this file: ``pop`` gives the next piece of the lowest lane that has any, so a heartbeat goes between two parts
of a document; a lane above LANE_BYTES_MAX has no room, which is when its producers wait; a lane above
LANE_BYTES_BROKEN is a peer that asks and never reads.
"""

import collections

import msgspec

from skerry.model.limits import LANE_BYTES_BROKEN, LANE_BYTES_MAX
from skerry.sync.lanes import Lane
from skerry.sync.parts import cut_part, is_cut
from skerry.wire import Purpose


class Piece(msgspec.Struct, frozen=True):
    """What goes onto the connection next: a frame, or a part of one."""

    lane: Lane
    purpose: Purpose
    frame: bytes


class Outgoing:
    """The queue. One is made per connection."""

    def __init__(self) -> None:
        # Made when first needed and thrown away when empty: most of 10,000 sessions have nothing to say.
        self._lanes: dict[Lane, collections.deque[tuple[Purpose, bytes]]] = {}
        self._waiting_bytes = [0] * len(Lane)
        #: How much of the first frame of a lane has gone.
        self._gone_bytes = [0] * len(Lane)

    def push(self, lane: Lane, purpose: Purpose, frame: bytes) -> bool:
        """Queue a frame; False when the lane is beyond all patience, and then nothing was queued."""
        if self._waiting_bytes[lane] + len(frame) > LANE_BYTES_BROKEN:
            return False
        self._lanes.setdefault(lane, collections.deque()).append((purpose, frame))
        self._waiting_bytes[lane] += len(frame)
        return True

    def pop(self) -> Piece | None:
        """Take the next piece; None when nothing waits."""
        if not self._lanes:
            return None
        lane = min(self._lanes)
        queue = self._lanes[lane]
        purpose, frame = queue[0]
        piece, end = frame, len(frame)
        if is_cut(lane, len(frame)):
            piece, end = cut_part(lane, frame, self._gone_bytes[lane])
        self._waiting_bytes[lane] -= end - self._gone_bytes[lane]
        self._gone_bytes[lane] = end
        if end == len(frame):
            queue.popleft()
            self._gone_bytes[lane] = 0
            if not queue:
                del self._lanes[lane]
        return Piece(lane, purpose, piece)

    def has_room(self, lane: Lane) -> bool:
        """Say whether a producer of this lane may go on."""
        return self._waiting_bytes[lane] < LANE_BYTES_MAX

    def is_empty(self, lane: Lane) -> bool:
        """Say whether nothing of this lane waits."""
        return lane not in self._lanes

    def waiting_bytes(self) -> int:
        """Return the bytes that wait in all lanes."""
        return sum(self._waiting_bytes)
