"""The kept map is the map: whatever happens, it says what a fresh one would."""

import pytest
from tests.core.cores import Rig

from skerry.core.loops import Watcher
from skerry.core.mapping import SiteMaps
from skerry.core.wishes import Expected
from skerry.model.facts import SiteFact
from skerry.store.scope import PLATFORM, Scope

TENANT = Scope(tenant="default")


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def test_a_kept_map_follows_every_change(rig):
    maps = SiteMaps(rig.core)

    async def same() -> dict[str, tuple[str, bool]]:
        for scope in (PLATFORM, TENANT):
            assert await maps.read(scope) == await SiteMaps(rig.core).read(scope)
        return {point.site: (point.state, point.well) for point in await maps.read(TENANT)}

    oslo = await rig.add_site("oslo", latitude_udeg=1, longitude_udeg=2)
    await rig.add_site("theirs", tenants=("other",))
    assert await same() == {"oslo": ("joining", False)}
    await oslo.connect()
    await oslo.report_ready()
    assert await same() == {"oslo": ("online", True)}
    await rig.apply("shop")
    await rig.plan()
    assert await same() == {"oslo": ("online", False)}
    await oslo.fetch()
    await oslo.report_ready()
    assert await same() == {"oslo": ("online", True)}
    await oslo.report_ready("unhealthy")
    assert await same() == {"oslo": ("online", False)}
    await oslo.report_ready()
    await oslo.report(SiteFact(epoch=1, generation=1, settled=True, conditions={"disk-full": "it is"}))
    assert await same() == {"oslo": ("online", False)}
    bergen = await rig.add_site("bergen")
    assert list(await same()) == ["bergen", "oslo"]
    watcher = Watcher(rig.core)
    await watcher.turn()
    for _ in range(40):
        await rig.clock.advance(5_000_000)
        rig.desk.hear(bergen.name)
        await watcher.turn()
    assert (await same())["oslo"] == ("silent", False)
    await rig.service.remove_site(rig.operator, site="oslo", expect=Expected(1))
    assert await same() == {"bergen": ("joining", False)}


async def test_a_flood_and_many_scopes_cost_a_fresh_reading_and_nothing_else(rig):
    maps = SiteMaps(rig.core)
    await rig.add_site("oslo")
    first = await maps.read(PLATFORM)
    rig.core.changes.touch(*(f"site-{number}" for number in range(2_000)))
    assert await maps.read(PLATFORM) == first
    for number in range(40):
        assert await maps.read(Scope(tenant=f"tenant-{number}")) == ()
    assert len(maps._kept) == 16
    assert await maps.read(PLATFORM) == first
