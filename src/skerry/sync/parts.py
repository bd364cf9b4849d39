"""Long frames in parts: cut at the sender, put together at the receiver, each lane for itself.

Rules of this file: parts of one frame are consecutive within their lane; what is held unfinished is at most
FRAME_BYTES_MAX over all lanes, whatever the peer says. Bulk chunks are not cut: their size adapts to the link already.
"""

from skerry import wire
from skerry.model.limits import FRAME_BYTES_MAX, FRAME_PART_BYTES
from skerry.sync.lanes import Lane


class PartError(ValueError):
    """The peer's parts make no frame: the connection is closed."""


def is_cut(lane: Lane, size: int) -> bool:
    """Say whether a frame of ``size`` bytes goes in parts."""
    return lane is not Lane.IMAGE and size > FRAME_PART_BYTES


def cut_part(lane: Lane, frame: bytes, offset: int) -> tuple[bytes, int]:
    """Return the encoded part of ``frame`` that begins at ``offset``, and where the next one begins."""
    end = min(offset + FRAME_PART_BYTES, len(frame))
    return wire.encode(wire.Part(int(lane), frame[offset:end], end == len(frame))), end


class Assembler:
    """The receiver's side of one connection."""

    def __init__(self) -> None:
        self._unfinished: dict[int, bytearray] = {}

    def add(self, part: wire.Part) -> bytes | None:
        """Take one part; return the whole frame with its last one."""
        if not 0 <= part.lane <= max(Lane):
            raise PartError(f"there is no lane {part.lane}")
        if not part.data:
            raise PartError("an empty part")
        if sum(map(len, self._unfinished.values())) + len(part.data) > FRAME_BYTES_MAX:
            raise PartError(f"parts of more than {FRAME_BYTES_MAX} bytes")
        frame = self._unfinished.setdefault(part.lane, bytearray())
        frame += part.data
        if not part.last:
            return None
        del self._unfinished[part.lane]
        return bytes(frame)
