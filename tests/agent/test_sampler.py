"""One look: whose each container is, what a silent runtime costs, and what goes along."""

from tests.clocks import ManualClock

from skerry.agent.sampler import Sampler
from skerry.drivers.base import ContainerStats
from skerry.model.ids import InstanceId, VolumeId
from skerry.model.limits import INTEGER_MAX, SAMPLE_INSTANCES_MAX, SAMPLE_VOLUMES_MAX
from skerry.model.observed import ContainerSeen
from skerry.model.samples import HostUse, OutboxUse

USE = HostUse(1, 2, 3, 4)
NONE = OutboxUse(0, 0)


class Runtime:
    def __init__(self, *stats: ContainerStats) -> None:
        self.stats = stats
        self.broken = False

    async def read_stats(self):
        return self.stats

    async def read_use(self):
        if self.broken:
            raise OSError("no /proc")
        return USE


def seen(container: str, number: int = 0) -> ContainerSeen:
    return ContainerSeen(
        container=container,
        instance=InstanceId(f"t/a/web/{number}"),
        tenant="t",
        app="a",
        service="web",
        ordinal=number,
        spec="",
        image_config="",
        state="running",
    )


def make(runtime: Runtime, clock: ManualClock | None = None) -> Sampler:
    return Sampler(clock or ManualClock(), runtime, runtime)  # type: ignore[arg-type]


async def test_only_containers_of_ours_are_told_of_and_numbers_stay_within_the_wires():
    runtime = Runtime(
        ContainerStats(container="c1", cpu_us=-5, memory_bytes=INTEGER_MAX + 7, read_bytes=9),
        ContainerStats(container="somebody's", cpu_us=1, memory_bytes=1),
    )
    sample = await make(runtime).read([seen("c1")], {}, NONE)
    assert sample is not None
    assert sample.host == USE
    assert [(use.instance, use.cpu_us, use.memory_bytes, use.read_bytes) for use in sample.instances] == [
        ("t/a/web/0", 0, INTEGER_MAX, 9)
    ]


async def test_of_two_containers_of_an_instance_the_one_that_worked_more_is_it():
    runtime = Runtime(
        ContainerStats(container="old", cpu_us=9, memory_bytes=1),
        ContainerStats(container="new", cpu_us=2, memory_bytes=2),
    )
    sample = await make(runtime).read([seen("old"), seen("new")], {}, NONE)
    assert sample is not None
    assert [use.cpu_us for use in sample.instances] == [9]


async def test_a_machine_that_cannot_be_read_costs_its_own_part_and_nothing_at_all_is_no_sample():
    runtime = Runtime(ContainerStats(container="c1", cpu_us=1, memory_bytes=1))
    runtime.broken = True
    sample = await make(runtime).read([seen("c1")], {}, NONE)
    assert sample is not None
    assert sample.host is None
    assert len(sample.instances) == 1
    assert await make(runtime).read([], {}, NONE) is None


async def test_a_sample_has_an_end_and_takes_along_what_others_measured():
    runtime = Runtime(*(ContainerStats(container=f"c{n}", cpu_us=1, memory_bytes=1) for n in range(300)))
    volumes = {VolumeId(f"t/a/v{n:03}"): n for n in reversed(range(300))}
    clock = ManualClock()
    sample = await make(runtime, clock).read([seen(f"c{n}", n) for n in range(300)], volumes, OutboxUse(3, 400))
    assert sample is not None
    assert len(sample.instances) == SAMPLE_INSTANCES_MAX
    assert [use.disk_bytes for use in sample.volumes] == list(range(SAMPLE_VOLUMES_MAX))
    assert sample.outbox == OutboxUse(3, 400)
    assert sample.clock_ms == clock.wall_us() // 1000
