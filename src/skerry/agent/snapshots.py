"""Keeps a second generation of the journal for the day one of its pages goes bad (faults.md §3.2, D5).

A snapshot is made an hour after the last one at the earliest, and only when something changed that nobody else could
give back: an idle box writes nothing. Events in the outbox are no reason; the parent has most of them.
"""

import contextlib
from collections.abc import Callable

from skerry.clock import Clock
from skerry.safe.db import Db
from skerry.safe.errors import StoreFull
from skerry.safe.sqlite import Connection

#: Soon after a start, for a box that has just joined; not at once, for one that starts again and again.
FIRST_US = 60_000_000
AGAIN_US = 3_600_000_000


async def keep_snapshots(db: Db[Connection], clock: Clock, read: Callable[[], object]) -> None:
    """Make snapshots for ever; ``read`` returns what is worth one when it differs from last time, None for nothing."""
    kept: object = None
    wait_us = FIRST_US
    while True:
        await clock.sleep_until(clock.boot_us() + wait_us)
        present = read()
        if present is None or present == kept:
            continue
        with contextlib.suppress(StoreFull):
            await db.snapshot()
            kept, wait_us = present, AGAIN_US
