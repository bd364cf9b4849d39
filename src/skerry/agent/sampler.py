"""One look at what the node and its instances use, put together from the drivers; little is kept between looks.

A runtime that does not answer costs the instances of this sample and no more: the next one says what it could not.
"""

from collections.abc import Iterable, Mapping

from skerry.clock import Clock
from skerry.drivers.base import Console, ContainerStats, Gauge
from skerry.model.ids import InstanceId, VolumeId
from skerry.model.limits import (
    INTEGER_MAX,
    SAMPLE_CHAINS_MAX,
    SAMPLE_DOORS_MAX,
    SAMPLE_INSTANCES_MAX,
    SAMPLE_VOLUMES_MAX,
)
from skerry.model.observed import ContainerSeen
from skerry.model.samples import (
    ChainUse,
    DoorUse,
    InstanceUse,
    NetworkUse,
    OutboxUse,
    PeerUse,
    Sample,
    UplinkUse,
    VolumeUse,
)


class Sampler:
    """Reads samples for the link session."""

    def __init__(self, clock: Clock, console: Console, gauge: Gauge | None) -> None:
        self._clock = clock
        self._console = console
        self._gauge = gauge

    async def read(
        self,
        containers: Iterable[ContainerSeen],
        volumes: Mapping[VolumeId, int],
        outbox: OutboxUse,
        chains: tuple[ChainUse, ...] = (),
        doors: tuple[DoorUse, ...] = (),
        networks: tuple[NetworkUse, ...] = (),
        peers: tuple[PeerUse, ...] = (),
        uplinks: tuple[UplinkUse, ...] = (),
    ) -> Sample | None:
        """Look; ``containers`` says whose each is, the others go along. None when nothing can be seen at all."""
        try:
            host = None if self._gauge is None else await self._gauge.read_use()
        except OSError:  # a /proc that cannot be read, a disk that is gone: other flows tell of that
            host = None
        owners = {seen.container: seen.instance for seen in containers}
        used: dict[InstanceId, InstanceUse] = {}
        for stats in await self._console.read_stats():
            if stats.container in owners:
                use = _read(owners[stats.container], stats)
                older = used.get(use.instance)
                # While an instance is replaced it has two containers: the one that works more is it.
                if older is None or older.cpu_us < use.cpu_us:
                    used[use.instance] = use
        if host is None and not used:
            return None
        return Sample(
            host,
            tuple(used[name] for name in sorted(used)[:SAMPLE_INSTANCES_MAX]),
            tuple(VolumeUse(name, volumes[name]) for name in sorted(volumes)[:SAMPLE_VOLUMES_MAX]),
            outbox,
            self._clock.wall_us() // 1_000,
            chains[:SAMPLE_CHAINS_MAX],
            doors[:SAMPLE_DOORS_MAX],
            networks=networks,
            peers=peers,
            uplinks=uplinks,
        )


def _read(instance: InstanceId, stats: ContainerStats) -> InstanceUse:
    numbers = (
        stats.cpu_us,
        stats.memory_bytes,
        stats.received_bytes,
        stats.sent_bytes,
        stats.read_bytes,
        stats.written_bytes,
    )
    return InstanceUse(instance, *(min(max(number, 0), INTEGER_MAX) for number in numbers))
