"""When a journal gets a second generation, and that it saves a box whose journal goes bad from joining again."""

import asyncio

from skerry.agent import journal
from skerry.agent.snapshots import AGAIN_US, FIRST_US, keep_snapshots
from skerry.clock import SeededMint, Tasks
from skerry.model.signed import Envelope
from skerry.safe.db import Db, plain
from skerry.safe.paths import RealDirectory
from skerry.safe.sqlite import Origin, open_memory, open_sqlite
from skerry.sim.loop import SimClock, SimLoop, run_virtual

IDENTITY = journal.Identity("oslo", "n1", Envelope("root", b"root", ()), Envelope("site", b"record", ()))


class CountingDb(Db):
    made = 0

    async def snapshot(self) -> None:
        self.made += 1


def test_a_snapshot_is_made_when_something_changed_and_once_an_hour_at_most():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        clock, tasks = SimClock(loop), Tasks()
        db = CountingDb(open_memory(journal.OPTIONS), plain, group_s=0, inline=True)
        present: object = None
        tasks.start("snapshots", keep_snapshots(db, clock, lambda: present))

        async def wait(us: int) -> int:
            await clock.sleep_until(clock.boot_us() + us + 1)
            return db.made

        assert await wait(10 * FIRST_US) == 0, "nothing to lose yet"
        present = 1
        assert await wait(FIRST_US) == 1
        present = 2
        assert await wait(AGAIN_US - 2 * FIRST_US) == 1
        assert await wait(2 * FIRST_US) == 2
        assert await wait(100 * AGAIN_US) == 2, "an idle box writes nothing"
        await tasks.stop()
        await db.close()

    run_virtual(SeededMint("snapshots"), main())


def test_a_journal_with_a_bad_page_comes_back_from_its_snapshot(tmp_path):
    directory = RealDirectory.open_root(tmp_path)
    file = open_sqlite(directory, "journal.db", journal.OPTIONS)
    file.write_group([lambda: journal.record_identity(file.connection, IDENTITY, {})])
    for _ in file.snapshot_steps():
        pass
    file.close()
    content = bytearray((tmp_path / "journal.db").read_bytes())
    content[100:4096] = b"\xff" * 3996
    (tmp_path / "journal.db").write_bytes(content)
    again = open_sqlite(directory, "journal.db", journal.OPTIONS)
    assert again.origin is Origin.snapshot
    assert journal.read_all(again.connection).identity == IDENTITY
    again.close()
