"""The core killed between any two writes of its disk: what was acknowledged is there, and a retry ends as it should."""

import asyncio
import contextlib

import pytest
from tests.core.cores import Rig
from tests.store.chains import find_break

from skerry.core.refusals import Stale
from skerry.core.wishes import Expected
from skerry.model.asks import PageQuery
from skerry.safe.db import Db
from skerry.safe.sqlite import open_sqlite
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_operations import Note
from skerry.sim.vfs import mounted
from skerry.store.apsw_dialect import core_connection
from skerry.store.migrations import CORE_OPTIONS

NUMBERS = (1, 2, 3)


def _open(disk: MemoryDisk, vfs: str, seed: str) -> Rig:
    file = open_sqlite(disk.root, "core.db", CORE_OPTIONS, vfs=vfs)
    return Rig(Db(file, core_connection, group_s=0, inline=True), disk, seed)


async def _live(rig: Rig, disk: MemoryDisk) -> None:
    """A short life: a site, three revisions, plans, documents and events, each noted when it was acknowledged."""
    await rig.begin("default")
    site = await rig.add_site("oslo", tenants=("default",))
    await site.connect()
    for number in NUMBERS:
        await rig.apply("shop", number, working_dir=f"/{number}")
        disk.note(f"revision {number}")
        await rig.plan()
        await site.fetch()
        disk.note(f"generation {site.generation}")
        await site.send(number)
        disk.note(f"event {number}")


@pytest.fixture(scope="module")
def life() -> MemoryDisk:
    disk = MemoryDisk()

    async def live() -> None:
        with mounted(disk) as vfs:
            rig = _open(disk, vfs, "first")
            await _live(rig, disk)
            await rig.close()

    asyncio.run(live())
    return disk


@pytest.mark.parametrize("share", range(0, 100, 5))
async def test_a_core_killed_anywhere_keeps_what_it_acknowledged_and_finishes_what_it_did_not(life, share):
    count = len(life.operations) * share // 100
    told = [note.what for note in life.operations[:count] if isinstance(note, Note)]
    disk = life.after_kill(count)
    with mounted(disk) as vfs:
        rig = _open(disk, vfs, f"second {share}")
        await rig.core.load()
        if told:
            page = await rig.service.list_revisions(rig.admin, app="shop", query=PageQuery())
            known = {f"revision {each.number}" for each in page.items}
            assert {what for what in told if what.startswith("revision")} <= known
            detail = await rig.service.show_site(rig.operator, site="oslo")
            generations = [int(what.split()[1]) for what in told if what.startswith("generation")]
            assert detail.document.held >= max(generations, default=0)
            for chain in ("", "default"):
                assert await rig.core.db.read(lambda c, chain=chain: find_break(c, chain)) == 0
        await _finish(rig)
        await rig.close()


async def _finish(rig: Rig) -> None:
    """Ask for everything again, as clients whose answer was lost do; end where the uncut life ended."""
    await rig.begin("default")
    with contextlib.suppress(Stale):
        await rig.add_site("oslo", tenants=("default",))
    for number in NUMBERS:
        envelope = await rig.sign_app("shop", number, working_dir=f"/{number}")
        with contextlib.suppress(Stale):
            await rig.service.apply_app(rig.admin, app="shop", body=envelope, expect=Expected(number - 1))
    await rig.plan()
    page = await rig.service.list_revisions(rig.admin, app="shop", query=PageQuery())
    assert [each.number for each in page.items] == [3, 2, 1]
    patch = (await rig.desk.draw_patch("oslo", 0, 0)).patch
    assert patch is not None
    assert "assignment/default/shop/web/0" in patch.bodies
