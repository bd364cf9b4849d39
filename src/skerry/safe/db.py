"""``Db``: runs synchronous store functions against one open store, acknowledging only what is durable (faults.md §3.2).

Rules: (1) writes that arrive within ``group_s`` share one transaction, each in a savepoint of its own; (2) a result is
handed out after the commit; (3) a failed write or sync ends the store: every caller now and later gets
``StoreFailed``, and ``on_failed`` ends the process. In the product one thread does the work; with ``inline`` the event
loop does it itself. Below is a ``Backing``: a SQLite file (``sqlite.py``) or PostgreSQL (``store/postgres.py``).
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from skerry.model.errors import Broken
from skerry.safe.errors import StoreAway, StoreFailed, StoreFull
from skerry.safe.sqlite import Connection, Origin, Outcome

C_co = TypeVar("C_co", covariant=True)
T = TypeVar("T")

#: How long the core collects writes before it commits: below what a person notices (faults.md §3.2).
CORE_GROUP_S = 0.05
#: The same at an agent, whose flash disk lives longer with fewer syncs.
AGENT_GROUP_S = 0.2
#: Jobs of one transaction; more wait for the next one, so that no caller waits for thousands of others.
GROUP_JOBS_MAX = 1_000
#: Jobs waiting in all; above it ``run`` waits for its turn before it queues.
WAITING_JOBS_MAX = 10_000


class Backing(Protocol):
    """An open, checked store with one connection, used by one thread at a time."""

    @property
    def name(self) -> str:
        """What the store is called in messages."""
        ...

    @property
    def origin(self) -> Origin:
        """Where its content comes from."""
        ...

    @property
    def schema_number(self) -> int:
        """How many steps of its schema it has seen."""
        ...

    @property
    def connection(self) -> Any:
        """The connection of now, for ``wrap``; another one after a server was away."""
        ...

    def write_group(self, jobs: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Run jobs in one transaction, durable on return; raises ``StoreFull``, ``StoreAway`` or ``StoreFailed``."""
        ...

    def read(self, job: Callable[[], Any]) -> Any:
        """Run a job that only reads; raises ``StoreAway`` or ``StoreFailed`` besides the job's own errors."""
        ...

    def checkpoint_when_due(self) -> None:
        """Do what is due after a commit; raises ``StoreFailed``."""
        ...

    def snapshot_steps(self) -> Generator[None]:
        """Make a checked snapshot in steps, where the store keeps its own."""
        ...

    def close(self) -> None:
        """Close in order."""
        ...

    def abandon(self) -> None:
        """End as a killed process does."""
        ...


class _Waiting(NamedTuple):
    job: Callable[[], Any]
    answer: asyncio.Future[Any]


def plain(connection: Connection) -> Connection:
    """Hand the plain connection to the jobs; the other choice is ``store.apsw_dialect.core_connection``."""
    return connection


class Db(Generic[C_co]):
    """One store and its jobs. All methods belong to one event loop."""

    def __init__(
        self,
        file: Backing,
        wrap: Callable[[Any], C_co],
        *,
        group_s: float,
        inline: bool = False,
        make_room: Callable[[], bool] = lambda: False,
        on_failed: Callable[[StoreFailed], None] = lambda _: None,
    ) -> None:
        """Take over ``file``.

        ``wrap`` makes what jobs get from the connection. ``make_room`` is called when the disk is full and returns
        whether it gave something up (``files.Reserve.release``); the group is then run once more, so jobs must not keep
        state of their own. ``on_failed`` is called once.
        """
        self._file = file
        self._wrap = wrap
        self._raw: Any = None
        self._wrapped: C_co | None = None
        self._group_s = group_s
        self._worker = None if inline else ThreadPoolExecutor(1, thread_name_prefix=f"db-{file.name}")
        self._make_room = make_room
        self._on_failed = on_failed
        self._waiting: list[_Waiting] = []
        self._due: asyncio.TimerHandle | asyncio.Handle | None = None
        self._writing = False
        self._room = asyncio.Semaphore(WAITING_JOBS_MAX)
        self._failure: StoreFailed | None = None
        self._snapshotting = asyncio.Lock()
        self._closed = False

    @property
    def file(self) -> Backing:
        """The store below, for its name and origin; its connection belongs to the jobs."""
        return self._file

    @property
    def failure(self) -> StoreFailed | None:
        """Why the store has failed, None while it has not."""
        return self._failure

    async def run(self, job: Callable[[C_co], T], *, soon: bool = False) -> T:
        """Run ``job(connection)`` as a write and return its result once that is durable.

        ``soon`` closes the group at once, for a caller that something outside waits for. An exception of ``job`` undoes
        ``job`` alone and is raised here. Raises ``StoreFull`` (undone, may be tried again), ``StoreAway`` or
        ``StoreFailed``. A caller that is cancelled does not know whether its job was done.
        """
        async with self._room:
            self._refuse_when_over()
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Any] = loop.create_future()
            self._waiting.append(_Waiting(lambda: job(self._connect()), answer))
            if soon or len(self._waiting) >= GROUP_JOBS_MAX:
                self._hurry(loop)
            elif self._due is None:
                self._due = (
                    loop.call_later(self._group_s, self._write) if self._group_s else loop.call_soon(self._write)
                )
            return cast("T", await answer)

    async def read(self, job: Callable[[C_co], T]) -> T:
        """Run ``job(connection)``, which only reads, between two groups: it sees what is durable and nothing else."""
        self._refuse_when_over()
        return cast("T", await self._work(lambda: self._file.read(lambda: job(self._connect()))))

    async def snapshot(self) -> None:
        """Make a checked snapshot; writes go on between its steps. Raises ``StoreFull`` or ``StoreFailed``."""
        async with self._snapshotting:
            steps = self._file.snapshot_steps()
            while await self._work(lambda: next(steps, "end")) != "end":
                pass

    async def close(self) -> None:
        """Write what waits, then close the file and end the thread."""
        self._closed = True
        while self._writing or self._waiting:
            self._write()
            # Passes through the worker behind the group, so that the answers of the group come first.
            await self._work(lambda: None)
        async with self._snapshotting:
            await self._work(self._file.close)
        if self._worker is not None:
            self._worker.shutdown()

    def abandon(self) -> None:
        """End as a killed process does: what waits is never done and nobody is told (simulation, ``inline`` only)."""
        self._closed = True
        self._waiting.clear()
        if self._due is not None:
            self._due.cancel()
        self._file.abandon()

    def _connect(self) -> C_co:
        """Return what jobs get, made anew when the store has another connection. Runs in the worker."""
        raw = self._file.connection
        if raw is not self._raw or self._wrapped is None:
            self._raw, self._wrapped = raw, self._wrap(raw)
        return self._wrapped

    def _refuse_when_over(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise Broken("E-STORE-CLOSED", f"{self._file.name} was closed while it was still in use.")

    def _hurry(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the present group at the next turn of the loop."""
        if self._due is not None:
            self._due.cancel()
        self._due = loop.call_soon(self._write)

    def _write(self) -> None:
        """Take the group that waits to the worker. While one is being written, the next one grows."""
        self._due = None
        if self._writing:
            return
        group = [each for each in self._waiting[:GROUP_JOBS_MAX] if not each.answer.cancelled()]
        del self._waiting[:GROUP_JOBS_MAX]
        if not group:
            return
        self._writing = True
        jobs = [each.job for each in group]
        if self._worker is None:
            self._written(group, *self._write_group(jobs))
            return
        loop = asyncio.get_running_loop()

        def deliver(done: "Future[tuple[list[Outcome], StoreFailed | None]]") -> None:
            loop.call_soon_threadsafe(self._written, group, *done.result())

        self._worker.submit(self._write_group, jobs).add_done_callback(deliver)

    def _write_group(self, jobs: list[Callable[[], Any]]) -> tuple[list[Outcome], StoreFailed | None]:
        """Write one group, a second time when room could be made. Runs in the worker."""
        try:
            try:
                outcomes = self._file.write_group(jobs)
            except StoreFull:
                if not self._make_room():
                    raise
                outcomes = self._file.write_group(jobs)
        except (StoreFull, StoreAway) as trouble:
            return [Outcome(None, trouble) for _ in jobs], None
        except StoreFailed as failure:
            return [Outcome(None, failure) for _ in jobs], failure
        # Those jobs are durable whatever becomes of the log now.
        try:
            self._file.checkpoint_when_due()
        except StoreFailed as failure:
            return outcomes, failure
        return outcomes, None

    def _written(self, group: list[_Waiting], outcomes: list[Outcome], failure: StoreFailed | None) -> None:
        """Hand out the results of a group, and see to the next one."""
        self._writing = False
        if failure is not None:
            self._fail(failure)
        for each, outcome in zip(group, outcomes, strict=True):
            if each.answer.done():
                continue
            if outcome.error is None:
                each.answer.set_result(outcome.value)
            else:
                each.answer.set_exception(outcome.error)
        if self._waiting and self._due is None:
            self._write()

    def _fail(self, failure: StoreFailed) -> None:
        if self._failure is not None:
            return
        self._failure = failure
        for each in self._waiting:
            if not each.answer.done():
                each.answer.set_exception(failure)
        self._waiting.clear()
        self._on_failed(failure)

    async def _work(self, work: Callable[[], T]) -> T:
        """Do ``work`` where all work on the file is done."""
        try:
            if self._worker is None:
                return work()
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except StoreFailed as failure:
            self._fail(failure)
            raise
