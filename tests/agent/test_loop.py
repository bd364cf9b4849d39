"""The real loop, journal and image store on a fake machine and virtual time."""

import asyncio
import json

import msgspec
import pytest
from tests.agent.shelf import Shelf
from tests.plan import scenery

from skerry.agent import journal
from skerry.agent.loop import Reconciler
from skerry.agent.meter import ROUND_US, VolumeMeter
from skerry.agent.perform import Performer
from skerry.clock import SECOND_US, SeededMint, Tasks
from skerry.drivers.images import ImagesDriver
from skerry.model.app import HealthCheck, ImageRef, Mount, Restart
from skerry.model.facts import InstanceFact, VolumeFact, decode_fact
from skerry.model.ids import Digest, InstanceId, NodeName
from skerry.model.observed import Observation
from skerry.plan.actions import Action, Outcome, StopContainer
from skerry.plan.history import History
from skerry.plan.site_plan import HeldSite
from skerry.safe.db import Db, plain
from skerry.safe.errors import StoreFull
from skerry.safe.sqlite import Connection, open_memory
from skerry.sim.disk import MemoryDisk
from skerry.sim.loop import SimClock, SimLoop, run_virtual
from skerry.sim.machines import FakeDriver, FakeMachine


class TightDb(Db[Connection]):
    """A journal on a disk that can be full."""

    full = False

    async def run(self, job, *, soon: bool = False):
        if self.full:
            raise StoreFull("No room to write journal.db.")
        return await super().run(job, soon=soon)


class Site:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.clock = SimClock(loop)
        self.machine = FakeMachine(NodeName("n1"), SeededMint("machine"))
        self.shelf = Shelf()
        self.held: HeldSite | None = None
        self.tasks = Tasks()
        self.images = ImagesDriver(MemoryDisk().root, self.shelf)
        self.driver = FakeDriver(self.machine, self.clock, lambda image: sum(map(len, self.images.read_archive(image))))
        self.db = TightDb(open_memory(journal.OPTIONS), plain, group_s=0, inline=True)
        self.start()

    def start(self) -> None:
        kept = journal.read_all(self.db.file.connection).kept
        self.reconciler = Reconciler(
            clock=self.clock,
            db=self.db,
            performer=Performer((self.images, self.driver)),
            tasks=self.tasks,
            history=History(boot=self.machine.boot, kept=kept),
            read_held=lambda: self.held,
            meter=VolumeMeter(self.clock, self.tasks, self.driver),
            agent_version="test",
        )
        self.tasks.start("reconcile", self.reconciler.run())

    def size(self, volume: str) -> int:
        fact = decode_fact(self.reconciler.facts[f"volume/{volume}"])
        assert isinstance(fact, VolumeFact)
        return fact.size_bytes

    async def kill_and_restart(self) -> None:
        await self.tasks.stop()
        self.tasks = Tasks()
        self.start()

    async def settle(self, seconds: int = 120) -> None:
        for _ in range(seconds):
            self.reconciler.nudge()
            await self.clock.sleep_until(self.clock.boot_us() + SECOND_US)
            assert self.tasks.failed == []
            if self.held is not None and self.reconciler.plan.settled and self.reconciler.passes > 2:
                return
        raise AssertionError(f"not settled: {self.reconciler.plan}")

    def events(self) -> list[str]:
        return [event.type for event in journal.read_outbox(self.db.file.connection, 0, 10_000)]

    def wish(self, generation: int = 1, **services: ImageRef) -> None:
        app = scenery.revision(
            **{
                name: msgspec.structs.replace(
                    scenery.service(), image=image, healthcheck=HealthCheck(test=("CMD", "true"))
                )
                for name, image in services.items()
            }
        )
        held = scenery.hold(app, *(scenery.assign(app, name) for name in services))
        self.held = msgspec.structs.replace(held, generation=generation)


def virtually(test):
    def run() -> None:
        async def main() -> None:
            site = Site()
            try:
                await test(site)
            finally:
                await site.tasks.stop()
                await site.db.close()

        run_virtual(SeededMint("loop"), main())

    run.__name__ = test.__name__
    return run


@virtually
async def test_an_app_comes_up_and_its_facts_say_so(site: Site):
    site.wish(web=site.shelf.add_image("web:1"))
    await site.settle()
    assert site.machine.running() == ["default/shop/web/0"]
    fact = decode_fact(site.reconciler.facts["instance/default/shop/web/0"])
    assert isinstance(fact, InstanceFact)
    assert fact.phase == "ready"
    types = [event.type for event in journal.read_outbox(site.db.file.connection, 0, 100)]
    assert "instance.ready" in types


@virtually
async def test_a_fetch_that_is_cut_goes_on_where_it_was(site: Site):
    image = site.shelf.add_image("web:1")
    site.shelf.cut_after = 2000
    site.wish(web=image)
    for _ in range(20):
        await site.clock.sleep_until(site.clock.boot_us() + SECOND_US)
    assert site.machine.running() == []
    site.shelf.cut_after = None
    given = site.shelf.given
    await site.settle()
    assert site.machine.running() == ["default/shop/web/0"]
    assert site.shelf.given - given < 5000 - 1000


@virtually
async def test_an_agent_that_is_killed_restarts_nothing(site: Site):
    site.wish(web=site.shelf.add_image("web:1"), db=site.shelf.add_image("db:1"))
    await site.settle()
    story = list(site.machine.story)
    for _ in range(5):
        await site.kill_and_restart()
        await site.settle()
    assert site.machine.story == story


@virtually
async def test_a_wish_that_comes_while_the_machine_is_looked_at_is_the_one_planned_by(site: Site):
    one, two, three = (site.shelf.add_image(f"web:{number}") for number in (1, 2, 3))
    site.wish(web=one)
    await site.settle()
    look = site.driver.observe
    at_stop: list[set[str]] = []

    async def look_slowly() -> Observation:
        seen = await look()
        if site.held is not None and site.held.generation == 2 and len(site.machine.containers) == 2:
            site.wish(web=three, generation=3)  # the successor of the second wish is there, and not wanted any more
        return seen

    site.driver.observe = look_slowly
    perform = site.driver.perform

    async def perform_watched(action: Action) -> Outcome:
        if isinstance(action, StopContainer):
            at_stop.append({seen.image_config for seen in site.machine.containers.values()})
        return await perform(action)

    site.driver.perform = perform_watched
    site.wish(web=two, generation=2)
    await site.settle()
    assert at_stop
    assert three.config in at_stop[0]


@virtually
async def test_actions_that_fail_half_way_or_wholly_are_made_good(site: Site):
    site.machine.faults.fail = 0.3
    site.machine.faults.half = 0.3
    site.wish(web=site.shelf.add_image("web:1"), db=site.shelf.add_image("db:1"))
    await site.settle(900)
    assert site.machine.running() == ["default/shop/db/0", "default/shop/web/0"]
    assert len(site.machine.containers) == 2


@virtually
async def test_images_that_wait_for_the_link_never_hold_up_what_works_without_it(site: Site):
    web = site.shelf.add_image("web:1")
    site.wish(web=web)
    await site.settle()
    site.shelf.silent = True
    site.wish(web=web, **{f"more{number}": site.shelf.add_image(f"more:{number}") for number in range(6)})
    site.reconciler.nudge()
    await site.clock.sleep_until(site.clock.boot_us() + 5 * SECOND_US)
    site.machine.crash("default/shop/web/0")
    site.reconciler.nudge()
    await site.clock.sleep_until(site.clock.boot_us() + 5 * SECOND_US)
    assert site.machine.running() == ["default/shop/web/0"]


@virtually
async def test_a_dead_runtime_is_waited_for(site: Site):
    site.wish(web=site.shelf.add_image("web:1"))
    await site.settle()
    site.machine.faults.unavailable = True
    site.held = msgspec.structs.replace(site.held, units={})
    site.reconciler.nudge()
    await site.clock.sleep_until(site.clock.boot_us() + 60 * SECOND_US)
    assert site.reconciler.plan.actions == ()
    assert site.machine.running() == ["default/shop/web/0"]
    site.machine.faults.unavailable = False
    await site.settle()
    assert site.machine.running() == []


@virtually
async def test_a_poison_unit_is_left_out_and_the_others_go_on(site: Site):
    image = site.shelf.add_image("web:1")
    site.wish(web=image, db=image)
    held = site.held
    bad = dict(held.units)
    name = "assignment/default/shop/web/0"
    bad[name] = msgspec.structs.replace(bad[name], ordinal="zero")  # a bug in a later release could make such a value
    site.held = msgspec.structs.replace(held, units=bad)
    for _ in range(60):
        site.reconciler.nudge()
        await site.clock.sleep_until(site.clock.boot_us() + SECOND_US)
    assert site.tasks.failed == []
    assert site.machine.running() == ["default/shop/db/0"]
    assert f"unit/{name}" in site.reconciler.facts


def test_an_image_that_is_not_what_was_signed_never_starts():
    @virtually
    async def forged(site: Site):
        image = site.shelf.add_image("web:1")
        content = json.loads(site.shelf.blobs[image.digest])
        layer = Digest(content["layers"][0]["digest"])
        site.shelf.blobs[layer] = b"x" * len(site.shelf.blobs[layer])
        site.wish(web=image)
        for _ in range(30):
            await site.clock.sleep_until(site.clock.boot_us() + SECOND_US)
        assert site.machine.running() == []
        assert any("E-IMAGE" in wait.reason for wait in site.reconciler.plan.waits)

    forged()


@pytest.mark.parametrize("size", [0, 10**12])
def test_an_image_of_another_size_than_signed_is_refused(size: int):
    @virtually
    async def lied(site: Site):
        image = site.shelf.add_image("web:1")
        site.wish(web=msgspec.structs.replace(image, size_bytes=size))
        for _ in range(10):
            await site.clock.sleep_until(site.clock.boot_us() + SECOND_US)
        assert site.machine.running() == []

    lied()


def job_wish(site: Site, image: ImageRef, policy: str = "no") -> None:
    web = msgspec.structs.replace(scenery.service(), image=image, restart=Restart(policy=policy))
    app = scenery.revision(web=web)
    site.held = scenery.hold(app, scenery.assign(app, "web"))


@virtually
async def test_a_job_of_an_app_that_was_deleted_and_came_again_runs_again(site: Site):
    image = site.shelf.add_image("web:1")
    job_wish(site, image)
    await site.settle()
    site.machine.crash("default/shop/web/0", 0)
    await site.settle()
    units = site.held.units
    site.held = msgspec.structs.replace(site.held, units={})
    await site.settle()
    assert journal.read_all(site.db.file.connection).kept.ended == {}
    site.held = msgspec.structs.replace(site.held, units=units)
    await site.settle()
    assert site.machine.running() == ["default/shop/web/0"]


@virtually
async def test_a_full_disk_neither_ends_the_agent_nor_what_is_always_started(site: Site):
    image = site.shelf.add_image("web:1")
    job_wish(site, image, "always")
    await site.settle()
    site.db.full = True
    site.machine.crash("default/shop/web/0")
    site.reconciler.nudge()
    await site.clock.sleep_until(site.clock.boot_us() + 10 * SECOND_US)
    assert site.tasks.failed == []
    assert site.machine.running() == ["default/shop/web/0"]
    before = site.events()
    site.db.full = False
    site.reconciler.nudge()
    await site.clock.sleep_until(site.clock.boot_us() + 10 * SECOND_US)
    assert "instance.restarting" in site.events()[len(before) :]


@virtually
async def test_an_image_that_nothing_needs_any_more_is_not_fetched_on(site: Site):
    image = site.shelf.add_image("web:1")
    site.shelf.silent = True
    site.wish(web=image)
    await site.clock.sleep_until(site.clock.boot_us() + 5 * SECOND_US)
    fetching = f"action fetch/{image.digest}"
    assert fetching in {task.get_name() for task in asyncio.all_tasks()}
    site.held = msgspec.structs.replace(site.held, units={})
    await site.settle()
    assert fetching not in {task.get_name() for task in asyncio.all_tasks()}


@virtually
async def test_a_planner_that_breaks_on_no_single_unit_leaves_the_agent_up(site: Site):
    site.wish(web=site.shelf.add_image("web:1"))
    await site.settle()
    bad = msgspec.structs.replace(site.reconciler.history.kept, uid_ranges=None)
    site.reconciler.history = msgspec.structs.replace(site.reconciler.history, kept=bad)
    site.reconciler.nudge()
    await site.clock.sleep_until(site.clock.boot_us() + 5 * SECOND_US)
    assert site.tasks.failed == []
    assert [wait.subject for wait in site.reconciler.plan.waits] == ["planner"]
    assert site.machine.running() == ["default/shop/web/0"]


@virtually
async def test_a_new_process_tells_nothing_of_what_it_adopts(site: Site):
    site.wish(web=site.shelf.add_image("web:1"), db=site.shelf.add_image("db:1"))
    await site.settle()
    told = site.events()
    assert told.count("instance.ready") == 2
    for _ in range(3):
        await site.kill_and_restart()
        await site.settle()
    assert site.events() == told


@virtually
async def test_a_new_process_tells_of_what_ended_while_there_was_none(site: Site):
    site.wish(web=site.shelf.add_image("web:1"), db=site.shelf.add_image("db:1"))
    await site.settle()
    told = site.events()
    await site.tasks.stop()
    site.machine.crash(InstanceId("default/shop/web/0"), 1)
    await site.kill_and_restart()
    await site.settle()
    assert site.events()[len(told) :] == ["instance.restarting", "instance.starting", "instance.ready"]


@virtually
async def test_what_was_adopted_is_told_of_when_it_changes(site: Site):
    site.wish(web=site.shelf.add_image("web:1"))
    await site.settle()
    await site.kill_and_restart()
    await site.settle()
    told = site.events()
    site.machine.crash(InstanceId("default/shop/web/0"), 1)
    await site.settle()
    fresh = site.events()[len(told) :]
    assert "instance.restarting" in fresh
    assert fresh[-1] == "instance.ready"


@virtually
async def test_a_runtime_that_cannot_be_read_at_first_makes_no_news_of_what_runs(site: Site):
    site.wish(web=site.shelf.add_image("web:1"))
    await site.settle()
    told = site.events()
    site.machine.faults.unavailable = True
    await site.kill_and_restart()
    await site.clock.sleep_until(site.clock.boot_us() + 30 * SECOND_US)
    site.machine.faults.unavailable = False
    await site.settle()
    assert site.events() == told


@virtually
async def test_a_volume_that_grows_at_once_is_measured_soon_and_told_of(site: Site):
    image = site.shelf.add_image("db:1")
    mount = Mount(kind="volume", source="data", target="/data")
    app = scenery.revision(db=msgspec.structs.replace(scenery.service(), image=image, mounts=(mount,)))
    site.held = scenery.hold(app, scenery.assign(app, "db"))
    await site.settle()
    assert site.size("default/shop/data") == 0, "a few kilobytes are not told"
    site.machine.grown["default/shop/data"] = 200 << 20
    await site.clock.sleep_until(site.clock.boot_us() + ROUND_US + 60 * SECOND_US)
    assert 200 << 20 < site.size("default/shop/data") < 201 << 20
    assert "volume.grown" not in site.events()
    site.machine.grown["default/shop/data"] = 5 << 30
    await site.clock.sleep_until(site.clock.boot_us() + 150 * SECOND_US)
    assert site.size("default/shop/data") > 5 << 30
    assert site.events().count("volume.grown") == 1
    told = site.events()
    await site.kill_and_restart()
    await site.settle()
    assert site.size("default/shop/data") > 5 << 30
    assert site.events() == told, "what a new process measures first is no growth"
