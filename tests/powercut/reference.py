"""Any store of the product under the harness: its options, and store functions in the order in which they are called.

What is allowed after a cut is learned from the store itself: the same functions run on a database in memory, and after
each group all tables are remembered. A cut store must be in the state of the last acknowledged group or of the next.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from skerry.model.errors import Unavailable
from skerry.safe.db import Db, plain
from skerry.safe.paths import Directory
from skerry.safe.sqlite import Connection, Options, Origin, open_memory, open_sqlite

#: A store function with its arguments bound: takes the connection, may raise to undo itself.
Job = Callable[[Any], object]


def dump(connection: Connection) -> dict[str, list[Any]]:
    """Return every row of every table."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()]
    return {name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in sorted(names)}


class _Store:
    """An open store; until the first operation it may hold one more group than was acknowledged."""

    def __init__(self, db: Db[Any]) -> None:
        self.db = db
        self.opened = True


class StoreWorkload:
    """A store whose groups of jobs come from `make_groups`; they need not be safe to repeat."""

    def __init__(
        self,
        name: str,
        options: Options,
        make_groups: Callable[[random.Random], Sequence[Sequence[Job]]],
        wrap: Callable[[Connection], Any] = plain,
    ) -> None:
        self.name = name
        self._options = options
        self._make_groups = make_groups
        self._wrap = wrap
        self._reference: list[dict[str, list[Any]]] = []

    def operations(self, dice: random.Random) -> Sequence[Any]:
        groups = self._make_groups(dice)
        file = open_memory(self._options)
        connection = self._wrap(file.connection)
        self._reference = [dump(file.connection)]
        for group in groups:
            file.write_group([lambda job=job: job(connection) for job in group])
            self._reference.append(dump(file.connection))
        file.close()
        return list(enumerate(groups, 1))

    async def open(self, directory: Directory, vfs: str) -> Any:
        file = open_sqlite(directory, f"{self.name}.db", self._options, vfs=vfs)
        return _Store(Db(file, self._wrap, group_s=0, inline=True))

    async def perform(self, store: Any, operation: Any, acknowledge: Callable[[str], None]) -> None:
        number, group = operation
        if store.opened:
            store.opened = False
            if self._reference.index(await self.state(store)) >= number:
                # The cut came between the commit and the acknowledgement.
                return
        results = await asyncio.gather(*(store.db.run(job) for job in group), return_exceptions=True)
        for result in results:
            if isinstance(result, Unavailable):
                raise result
        acknowledge(str(number))

    async def problems(self, store: Any, operations: Sequence[Any], acknowledged: Sequence[str]) -> list[str]:
        found: list[str] = []
        file = store.db.file
        if file.origin not in (Origin.current, Origin.new):
            found.append(f"the file was bad: {file.origin.value}")
        rows = file.connection.execute("PRAGMA integrity_check").fetchall()
        if rows != [("ok",)]:
            found.append(f"integrity: {rows}")
        found += filter(None, [self._options.check_records(file.connection)])
        done = len(acknowledged)
        if await self.state(store) not in self._reference[done : done + 2]:
            found.append(f"the tables are neither those after {done} acknowledged groups nor those after one more")
        return found

    async def state(self, store: Any) -> Any:
        return dump(store.db.file.connection)

    async def close(self, store: Any) -> None:
        await store.db.close()
