"""Documents for many sites at a time: one transaction for those that ask together, and each site's trouble its own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from tests.core.cores import Rig
from tests.store.stores import fresh_db

from skerry.core.desk import Drawn
from skerry.core.drawing import BATCH_MAX
from skerry.safe.db import Backing, Db
from skerry.safe.errors import StoreFull
from skerry.safe.sqlite import Outcome
from skerry.store.databases import keep_connection
from skerry.store.schema import DOCUMENTS

NAMES = ("bergen", "oslo", "rome")


class CountedBacking:
    """A store that counts its transactions, and has no room when it is told so."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self.groups: list[int] = []
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backing, name)

    def write_group(self, jobs: Sequence[Callable[[], Any]]) -> list[Outcome]:
        self.groups.append(len(jobs))
        if self.is_full:
            raise StoreFull("no room")
        return self._backing.write_group(jobs)


@pytest.fixture
async def backing():
    return CountedBacking(fresh_db().file)


@pytest.fixture
async def rig(backing):
    rig = await Rig(Db(backing, keep_connection, group_s=0, inline=True)).begin()
    for name in NAMES:
        await (await rig.add_site(name)).connect()
    await rig.apply("shop", 1)
    await rig.plan()
    backing.groups.clear()
    yield rig
    await rig.close()


def _head(drawn: Drawn) -> tuple[str, int]:
    head = msgspec.json.decode(drawn.patch.head.payload)
    return head["site"], head["generation"]


async def test_sites_that_ask_together_are_numbered_in_one_transaction(rig, backing):
    drawn = await asyncio.gather(*(rig.desk.draw_patch(name, 0, 0) for name in NAMES))
    assert [_head(each) for each in drawn] == [(name, 1) for name in NAMES]
    assert [each.known.record.site for each in drawn] == list(NAMES)
    assert backing.groups == [1]


async def test_asking_again_numbers_nothing_and_writes_nothing(rig, backing):
    await asyncio.gather(*(rig.desk.draw_patch(name, 0, 0) for name in NAMES))
    again = await asyncio.gather(*(rig.desk.draw_patch(name, 1, 1) for name in NAMES))
    assert [each.patch for each in again] == [None, None, None]
    assert backing.groups == [1]


async def test_two_asks_of_one_site_get_one_number_each_with_its_own_base(rig):
    await rig.desk.draw_patch("oslo", 0, 0)
    await rig.apply("shop", 2, working_dir="/2")
    await rig.plan()
    whole, difference = await asyncio.gather(rig.desk.draw_patch("oslo", 0, 0), rig.desk.draw_patch("oslo", 1, 1))
    assert _head(whole) == _head(difference) == ("oslo", 2)
    assert (whole.patch.base_generation, difference.patch.base_generation) == (0, 1)
    assert len(whole.patch.bodies) > len(difference.patch.bodies) == 1


async def test_more_than_fit_into_one_transaction_take_several(rig, backing):
    asks = [rig.desk.draw_patch(NAMES[number % 3], 0, 0) for number in range(BATCH_MAX + 5)]
    await rig.desk.draw_patch("oslo", 0, 0)
    drawn = await asyncio.gather(*asks)
    assert {_head(each) for each in drawn} == {(name, 1) for name in NAMES}
    assert backing.groups == [1, 1], "oslo alone, then those of the others; what is numbered is only read"


async def test_a_damaged_document_is_its_own_sites_trouble(rig):
    await asyncio.gather(*(rig.desk.draw_patch(name, 0, 0) for name in NAMES))
    spoil = update(DOCUMENTS).where(DOCUMENTS.c.site == "oslo").values(digests=b"\xc1")
    await rig.core.db.run(lambda connection: connection.execute(spoil).rowcount)
    await rig.apply("shop", 2, working_dir="/2")
    await rig.plan()
    found = await asyncio.gather(*(rig.desk.draw_patch(name, 1, 1) for name in NAMES), return_exceptions=True)
    assert isinstance(found[1], msgspec.DecodeError)
    assert [_head(each) for each in (found[0], found[2])] == [("bergen", 2), ("rome", 2)]


async def test_a_full_disk_is_told_to_all_and_is_not_tried_for_each(rig, backing):
    backing.is_full = True
    found = await asyncio.gather(*(rig.desk.draw_patch(name, 0, 0) for name in NAMES), return_exceptions=True)
    assert [type(each) for each in found] == [StoreFull] * 3
    assert backing.groups == [1]
    backing.is_full = False
    assert _head(await rig.desk.draw_patch("oslo", 0, 0)) == ("oslo", 1)


async def test_a_session_that_ends_while_it_waits_holds_nobody_up(rig):
    gone, stays = (asyncio.ensure_future(rig.desk.draw_patch(name, 0, 0)) for name in ("oslo", "rome"))
    await asyncio.sleep(0)
    gone.cancel()
    assert _head(await stays) == ("rome", 1)


async def test_a_site_that_is_unknown_is_told_so(rig):
    assert await rig.desk.draw_patch("nowhere", 0, 0) == Drawn(None, None)
