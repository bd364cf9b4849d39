"""What only computes leaves the event loop to others: counted in turns and jobs, never in time."""

import asyncio
import threading

import pytest
from tests.core.cores import Rig

from skerry.clock import unhurried
from skerry.core import loops
from skerry.core.beside import Beside
from skerry.core.loops import nudge_all
from skerry.model.asks import MetricsQuery, PlanManifest, WhyQuery
from skerry.model.errors import Unavailable
from skerry.model.limits import BESIDE_JOBS_MAX

#: A bound for a test that would hang otherwise; nothing is measured.
PATIENCE_S = 30


@pytest.fixture
def beside():
    made = Beside()
    yield made
    made.close()


class CountedBeside(Beside):
    """Counts what was handed over."""

    def __init__(self) -> None:
        super().__init__(inline=True)
        self.jobs = 0

    async def work(self, job):
        self.jobs += 1
        return await super().work(job)


async def test_the_loop_goes_on_while_a_job_is_under_way(beside):
    opened = threading.Event()
    job = asyncio.ensure_future(beside.work(lambda: opened.wait(PATIENCE_S)))
    for _ in range(5):
        await asyncio.sleep(0)
    opened.set()
    assert await job, "the job has ended because the loop could open the gate"


async def test_a_jobs_error_is_its_callers(beside):
    with pytest.raises(ZeroDivisionError):
        await beside.work(lambda: 1 // 0)
    assert await beside.work(lambda: 2) == 2


async def test_what_waits_has_a_limit(beside):
    opened = threading.Event()
    waiting = [asyncio.ensure_future(beside.work(lambda: opened.wait(PATIENCE_S))) for _ in range(BESIDE_JOBS_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="wait already"):
        await beside.work(lambda: None)
    opened.set()
    assert all(await asyncio.gather(*waiting))
    assert await beside.work(lambda: 3) == 3


async def test_plans_texts_and_reasons_are_worked_out_beside_the_loop():
    rig = await Rig().begin()
    await rig.add_site("oslo")
    await rig.push_image("web:1")
    rig.core.beside = counted = CountedBeside()
    await rig.plan()
    assert counted.jobs == 1, "the fleet's plan"
    text = "name: shop\nservices:\n  web:\n    image: web:1\n"
    assert (await rig.service.plan_manifest(rig.admin, body=PlanManifest(text=text))).plan is not None
    assert counted.jobs == 3, "the text is read, and its plan made"
    await rig.apply("shop", 1)
    await rig.plan()
    counted.jobs = 0
    await rig.service.explain_app(rig.admin, app="shop", query=WhyQuery(site="oslo"))
    await rig.service.read_metrics(rig.operator, query=MetricsQuery())
    assert counted.jobs == 2
    await rig.close()


class Turns:
    """Counts the turns of the loop that somebody else gets."""

    def __init__(self) -> None:
        self.count = 0
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)

    def stop(self) -> None:
        self._task.cancel()


async def test_a_long_row_lets_others_have_a_turn_after_each_few():
    turns = Turns()
    seen = [(item, turns.count) async for item in unhurried(range(100), 10)]
    turns.stop()
    assert [item for item, _ in seen] == list(range(100))
    assert max(sum(count == at for _, count in seen) for _, at in seen) == 10
    assert turns.count == 9


async def test_nudging_a_whole_fleet_takes_many_turns():
    rig = await Rig().begin()

    class Nudged:
        names: list[str] = []  # noqa: RUF012 - one of its kind

        def nudge(self, site):
            self.names.append(site)

    rig.core.sites = Nudged()
    turns = Turns()
    names = [f"s{number}" for number in range(10 * loops.NUDGES_MAX)]
    await nudge_all(rig.core, names)
    turns.stop()
    assert rig.core.sites.names == names
    assert turns.count == 9
    await rig.close()
