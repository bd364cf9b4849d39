"""How much room each volume takes: as the kernel counts it where it does, else by walking its tree a turn at a time."""

from collections.abc import Callable, Generator

import msgspec

from skerry.drivers.base import Measured
from skerry.drivers.volumes import btrfs
from skerry.model.ids import VolumeId
from skerry.safe.trees import walk_sizes


class DataPlace(msgspec.Struct, frozen=True):
    """Where the data of a volume are."""

    volume: VolumeId
    path: str


class Measuring:
    """Rounds over all volumes; only one turn runs at a time."""

    def __init__(self, list_data: Callable[[], list[DataPlace]]) -> None:
        self._list_data = list_data
        self._round: Generator[tuple[VolumeId, int] | None] | None = None

    def go_on(self, entries_max: int) -> Measured:
        """Look at so many entries more; a volume that cannot be read is left out."""
        if self._round is None:
            self._round = _walk_volumes(self._list_data())
        sizes: dict[VolumeId, int] = {}
        for _ in range(entries_max):
            try:
                step = next(self._round)
            except StopIteration:
                self._round = None
                return Measured(sizes, True)
            if step is not None:
                sizes[step[0]] = step[1]
        return Measured(sizes, False)


def _walk_volumes(data: list[DataPlace]) -> Generator[tuple[VolumeId, int] | None]:
    """Give None for each entry that was looked at, and each volume with its size when its end was reached."""
    for place in data:
        size = 0
        try:
            group = btrfs.read_group(place.path)
            if group is not None:
                yield place.volume, group.referenced
                continue
            for entry in walk_sizes(place.path):
                size += entry
                yield None
        except OSError:
            continue
        yield place.volume, size
