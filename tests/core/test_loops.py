"""The loops: they settle, tell what changed once, and go on after failures."""

import msgspec
import pytest
from tests.core.cores import GIB, Rig, key, sign

from skerry.core import loops
from skerry.core.loops import Keeper, Planner, Watcher, flush_bytes
from skerry.model.app import Sites
from skerry.model.asks import PageQuery
from skerry.model.ids import SiteName, digest_of
from skerry.store import events, fleet
from skerry.store.events import EventFilter
from skerry.store.scope import Scope


class Nudges:
    def __init__(self) -> None:
        self.sites: list[str] = []

    def ask_samples(self, site: SiteName, every_us: int, span_us: int) -> None:
        pass

    def nudge(self, site: SiteName) -> None:
        self.sites.append(site)


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    rig.core.sites = rig.nudges = Nudges()
    yield rig
    await rig.close()


async def _types(rig, prefix: str = "", scope: Scope | None = None) -> list[str]:
    scope = scope or Scope(platform=True)
    chosen = EventFilter(kind=prefix)
    found = await rig.core.db.read(lambda c: events.list_events(c, scope, 0, 1000, chosen))
    return [f"{logged.event.type} {logged.event.subject}" for logged in found]


async def test_planning_again_writes_nothing(rig):
    await rig.add_site("oslo")
    await rig.apply("shop", 1)
    await rig.plan()
    before = await rig.core.db.read(events.newest_event_id)
    rig.nudges.sites.clear()
    await rig.plan()
    await Planner(rig.core).turn()
    assert await rig.core.db.read(events.newest_event_id) == before
    assert rig.nudges.sites == []


async def test_only_sites_whose_units_changed_are_nudged(rig):
    for name in ("oslo", "rome"):
        await rig.add_site(name)
    rig.nudges.sites.clear()
    await rig.apply("shop", 1, sites=Sites(names=("rome",)))
    await rig.plan()
    assert rig.nudges.sites == ["rome"]


class OvertakingDb:
    """Hands every job on; before the first write after a read it does something else."""

    def __init__(self, db, meanwhile) -> None:
        self._db = db
        self._meanwhile = meanwhile
        self.reads = 0

    async def read(self, job):
        self.reads += 1
        return await self._db.read(job)

    async def run(self, job, *, soon=False):
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return await self._db.run(job, soon=soon)


async def test_a_plan_that_a_new_wish_overtook_is_not_recorded(rig):
    await rig.add_site("oslo")
    await rig.apply("shop", 1)
    second = await rig.sign_app("shop", 2, working_dir="/two")
    real = rig.core.db

    async def overtake():
        rig.core.db = real
        await rig.apply("shop", 2, envelope=second)
        rig.core.db = between

    rig.core.db = between = OvertakingDb(real, overtake)
    await rig.plan()
    rig.core.db = real
    assert between.reads == 2, "it read and planned again"
    snapshot = await rig.core.db.read(lambda c: fleet.load_snapshot(c, frozenset(), 0))
    revisions = {unit.revision for unit in snapshot.sites[0].units.values() if hasattr(unit, "revision")}
    assert revisions == {digest_of(second.payload)}


async def test_what_has_no_place_is_told_once(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await site.report_ready()
    made = rig.revision("shop", 1, image=await rig.push_image())
    service = made.services["web"]
    big = msgspec.structs.replace(service.reservations, memory_bytes=100 * GIB)
    made = msgspec.structs.replace(made, services={"web": msgspec.structs.replace(service, reservations=big)})
    await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    for _ in range(2):
        await rig.plan()
    assert await _types(rig, "placement.", Scope(tenant="default")) == ["placement.refused app/shop"]
    summary = (await rig.service.list_apps(rig.admin, query=PageQuery())).items[0]
    assert (summary.wanted, summary.refused) == (0, 1)


async def test_silence_and_return_are_told_once_each_also_over_a_restart(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    watcher = Watcher(rig.core)
    for _ in range(40):
        await rig.clock.advance(loops.WATCH_US)
        await watcher.turn()
    assert await _types(rig, "site.silent") == ["site.silent site/oslo"]
    again = Watcher(rig.core)
    await again.turn()
    assert await _types(rig, "site.silent") == ["site.silent site/oslo"]
    await site.connect()
    await again.turn()
    assert await _types(rig, "site.heard") == ["site.heard site/oslo"]


async def test_a_core_that_stood_still_accuses_nobody(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    watcher = Watcher(rig.core)
    await watcher.turn()
    await rig.clock.advance(3600 * 1_000_000)
    await watcher.turn()
    assert await _types(rig, "site.silent") == []


async def test_publishing_nudges_who_lags_and_leaves_who_refused_alone(rig):
    lagging, refusing, current = [await rig.add_site(name) for name in ("a", "b", "c")]
    for site in (lagging, refusing, current):
        await site.connect()
    await rig.apply("shop", 1)
    await rig.plan()
    await current.fetch()
    await rig.desk.draw_patch(refusing.name, 0, 0)
    await rig.desk.record_answer(refusing.name, 1, 1, accepted=False, code="E-X", reason="no")
    rig.nudges.sites.clear()
    await loops.publish(rig.core)
    assert rig.nudges.sites == ["a"]
    await rig.apply("shop", 2, working_dir="/two")
    await rig.plan()
    rig.nudges.sites.clear()
    await loops.publish(rig.core)
    assert rig.nudges.sites == ["a", "b", "c"]


async def test_link_bytes_are_added_up_and_kept(rig):
    site = await rig.add_site("oslo")
    for _ in range(2):
        await rig.desk.count_bytes(site.name, {"heartbeat": 5}, {"facts": 7})
    await flush_bytes(rig.core)
    await rig.desk.count_bytes(site.name, {"heartbeat": 1}, {})
    await Keeper(rig.core).turn()
    detail = await rig.service.show_site(rig.operator, site="oslo")
    assert [(each.purpose, each.sent, each.received) for each in detail.link_bytes] == [
        ("facts", 0, 14),
        ("heartbeat", 11, 0),
    ]
