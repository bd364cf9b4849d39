"""A small store on `safe.db.Db`, for the harness: items with checksums, and a counter that guards their number.

It also shows how the real stores plug in: open as the product does, acknowledge when `run` has returned, and know from
the acknowledgements which states are allowed.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from skerry.safe.db import Db, plain
from skerry.safe.paths import Directory
from skerry.safe.sqlite import Connection, Options, Origin, open_sqlite, record_checksum
from skerry.safe.sqlite_raw import complaint_about_snapshot


class Put(msgspec.Struct, frozen=True):
    item: str
    body: bytes


class Change(msgspec.Struct, frozen=True):
    item: str
    body: bytes


class Drop(msgspec.Struct, frozen=True):
    item: str


class Fail(msgspec.Struct, frozen=True):
    """Writes an item and then fails: nothing of it may be seen, whatever shares its transaction."""

    item: str


class Snapshot(msgspec.Struct, frozen=True):
    pass


Job = Put | Change | Drop | Fail


class Group(msgspec.Struct, frozen=True):
    """Jobs that arrive together and share one transaction."""

    number: int
    jobs: tuple[Job, ...]

    def name(self, index: int) -> str:
        return f"{self.number}/{index}"


Operation = Group | Snapshot


def _create(connection: Connection) -> None:
    connection.execute("CREATE TABLE item (id TEXT PRIMARY KEY, body BLOB NOT NULL, checksum BLOB NOT NULL)")


def _count(connection: Connection) -> None:
    connection.execute("CREATE TABLE total (items INTEGER NOT NULL)")
    connection.execute("INSERT INTO total VALUES (0)")


def _check_records(connection: Connection) -> str:
    for item, body, checksum in connection.execute("SELECT id, body, checksum FROM item"):
        if record_checksum(item.encode(), body) != checksum:
            return f"item {item} does not match its checksum"
    return ""


def _perform(connection: Connection, job: Job) -> None:
    match job:
        case Put(item, body):
            row = (item, body, record_checksum(item.encode(), body))
            connection.execute("INSERT INTO item VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
            connection.execute("UPDATE total SET items = items + ?", (connection.changes(),))
        case Change(item, body):
            checksum = record_checksum(item.encode(), body)
            connection.execute("UPDATE item SET body = ?, checksum = ? WHERE id = ?", (body, checksum, item))
        case Drop(item):
            connection.execute("DELETE FROM item WHERE id = ?", (item,))
            connection.execute("UPDATE total SET items = items - ?", (connection.changes(),))
        case Fail(item):
            connection.execute("INSERT INTO item VALUES (?, x'00', x'00')", (item,))
            raise ValueError(item)


def _fold(items: dict[str, bytes], operation: Operation) -> dict[str, bytes]:
    """Return what is there after `operation`, worked out without SQL."""
    after = dict(items)
    for job in operation.jobs if isinstance(operation, Group) else ():
        match job:
            case Put(item, body):
                after.setdefault(item, body)
            case Change(item, body) if item in after:
                after[item] = body
            case Drop(item):
                after.pop(item, None)
            case _:
                pass
    return after


class Store(NamedTuple):
    db: Db[Connection]
    directory: Directory
    vfs: str


class SampleWorkload:
    """The sample store; the arguments plant the mistakes that the harness must find."""

    def __init__(
        self,
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        acknowledge_early: bool = False,
        through: Callable[[Directory], Directory] = lambda directory: directory,
    ) -> None:
        self.name = "sample"
        self._options = Options(
            migrations=(_create, _count),
            synchronous=synchronous,
            check_records=_check_records,
            # Small, so that many cuts fall into copying the log.
            wal_pages_max=25,
        )
        self._acknowledge_early = acknowledge_early
        self._through = through

    def operations(self, dice: random.Random) -> Sequence[Operation]:
        operations: list[Operation] = []
        items: dict[str, bytes] = {}
        for number in range(40):
            if dice.random() < 0.06:
                operations.append(Snapshot())
                continue
            jobs: list[Job] = []
            for job in range(dice.choice((1, 1, 1, 2, 3, 6))):
                old = dice.choice(sorted(items) or ["none"])
                body = dice.randbytes(dice.choice((0, 20, 300, 700, 3000, 9000)))
                fresh = f"item-{number}-{job}"
                chance = dice.random()
                if chance < 0.5:
                    jobs.append(Put(fresh, body))
                elif chance < 0.75:
                    jobs.append(Change(old, body))
                elif chance < 0.9:
                    jobs.append(Drop(old))
                else:
                    jobs.append(Fail(fresh))
            operations.append(Group(number, tuple(jobs)))
            items = _fold(items, operations[-1])
        return operations

    async def open(self, directory: Directory, vfs: str) -> Store:
        file = open_sqlite(self._through(directory), "store.db", self._options, vfs=vfs)
        return Store(Db(file, plain, group_s=0, inline=True), directory, vfs)

    async def perform(self, store: Store, operation: Operation, acknowledge: Callable[[str], None]) -> None:
        if isinstance(operation, Snapshot):
            await store.db.snapshot()
            return

        async def run(index: int, job: Job) -> None:
            if self._acknowledge_early:
                acknowledge(operation.name(index))
            try:
                await store.db.run(lambda connection: _perform(connection, job))
            except ValueError:
                return
            if not self._acknowledge_early:
                acknowledge(operation.name(index))

        await asyncio.gather(*(run(index, job) for index, job in enumerate(operation.jobs)))

    async def problems(self, store: Store, operations: Sequence[Operation], acknowledged: Sequence[str]) -> list[str]:
        found: list[str] = []
        if store.db.file.origin not in (Origin.current, Origin.new):
            found.append(f"the file was bad: {store.db.file.origin.value}")
        verdict = await store.db.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchall())
        if verdict != [("ok",)]:
            found.append(f"integrity: {verdict}")
        for name in ("store.db.snapshot", "store.db.snapshot.prev"):
            if store.directory.size(name) is not None:
                found += filter(None, [complaint_about_snapshot(store.directory, name, lambda _: "", vfs=store.vfs)])
        found += filter(None, [await store.db.read(_check_records)])
        ((total,),) = await store.db.read(lambda connection: connection.execute("SELECT items FROM total").fetchall())
        items: dict[str, bytes] = await self.state(store)
        if total != len(items):
            found.append(f"the counter says {total}, there are {len(items)} items")
        if items not in self._allowed(operations, set(acknowledged)):
            found.append(f"acknowledged work is lost, half done or doubled: {len(acknowledged)} were acknowledged")
        return found

    def _allowed(self, operations: Sequence[Operation], acknowledged: set[str]) -> list[dict[str, bytes]]:
        """Return the states the store may be in: all acknowledged groups, and the next one wholly or not at all."""
        items: dict[str, bytes] = {}
        allowed = [items]
        for operation in operations:
            after = _fold(items, operation)
            names = (
                {operation.name(index) for index in range(len(operation.jobs))}
                if isinstance(operation, Group)
                else set()
            )
            if names & acknowledged:
                allowed = [after]
            elif after != items:
                # The first group without an acknowledgement. One of failing jobs only changes nothing.
                return [*allowed, after]
            items = after
        return allowed

    async def state(self, store: Store) -> Any:
        rows = await store.db.read(lambda connection: connection.execute("SELECT id, body FROM item").fetchall())
        assert len(rows) == len({item for item, _ in rows}), "an item is there twice"
        return dict(rows)

    async def close(self, store: Store) -> None:
        await store.db.close()
