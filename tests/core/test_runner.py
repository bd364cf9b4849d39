"""The runner wakes loops by bell and timer, and outlives their failures."""

import pytest
from tests.clocks import settle
from tests.core.cores import Rig

from skerry.core.runner import Runner
from skerry.model.asks import SiteQuery


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def test_a_wish_is_planned_without_being_asked_for(rig):
    Runner(rig.core).start()
    await settle()
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    await settle()
    await site.fetch()
    assert "assignment/default/shop/web/0" in site.units


async def test_silence_is_found_by_the_timer_alone(rig):
    Runner(rig.core).start()
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.clock.advance(200_000_000)
    page = await rig.service.list_sites(rig.operator, query=SiteQuery())
    assert page.items[0].state == "silent"
    detail = await rig.service.show_site(rig.operator, site="oslo")
    assert detail.events[-1].type == "dev.skerry.site.silent.v1"


class Troubled:
    """A database whose reads fail for a while."""

    def __init__(self, db) -> None:
        self._db = db
        self.troubles = 3

    async def read(self, job):
        if self.troubles:
            self.troubles -= 1
            raise RuntimeError("bug")
        return await self._db.read(job)

    async def run(self, job, *, soon=False):
        return await self._db.run(job, soon=soon)


async def test_a_loop_that_fails_is_tried_again_after_a_pause(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    real = rig.core.db
    rig.core.db = Troubled(real)
    Runner(rig.core).start()
    await settle()
    assert rig.core.planned == 0
    await rig.clock.advance(20_000_000)
    rig.core.db = real
    assert rig.core.planned > 0
    assert rig.tasks.failed == []
