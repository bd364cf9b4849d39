"""Documents for sites that ask: numbered, signed and written as differences, for many sites in one transaction.

Rules: (1) a document gets its number when its site asks (decision 0013), so sites that are away cost nothing; (2) a
number is committed before anybody sees it; (3) what cannot be drawn for one site is that site's trouble alone. Asks
that come while a batch is at the store are the next batch.
"""

import asyncio
import collections
from collections.abc import Sequence
from typing import NamedTuple, Self

from skerry.core.delivery import Delivery, list_lacking, make_patch
from skerry.core.desk import Drawn, KnownSite
from skerry.core.state import Core
from skerry.model.ids import SiteName
from skerry.safe.errors import StoreAway, StoreFailed, StoreFull
from skerry.store import Connection, documents, objects, sites
from skerry.store.documents import DocumentRow
from skerry.store.scope import PLATFORM

#: Sites of one batch: the store's other callers wait about 50 ms for it, and 10,000 sites are 50 commits to a disk.
BATCH_MAX = 200


class Ask(NamedTuple):
    """A site that asks for its document, and what it holds; base generation 0 is nothing."""

    site: SiteName
    base_epoch: int
    base_generation: int


class Drawings:
    """One core's draws. All methods belong to one event loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: collections.deque[tuple[Ask, asyncio.Future[Drawn]]] = collections.deque()
        self._is_drawing = False

    async def draw(self, ask: Ask) -> Drawn:
        """Return what the site is to hold, numbered first when the wish has changed; nothing to a learning site."""
        answer: asyncio.Future[Drawn] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, answer))
        if not self._is_drawing:
            self._is_drawing = True
            self._core.tasks.start("draw documents", self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
                asked = [(ask, answer) for ask, answer in batch if not answer.done()]
                found = await self._draw([ask for ask, _ in asked])
                for (_, answer), each in zip(asked, found, strict=True):
                    if answer.done():
                        continue  # its session has ended meanwhile
                    if isinstance(each, Exception):
                        answer.set_exception(each)
                    else:
                        answer.set_result(each)
        finally:
            self._is_drawing = False

    async def _draw(self, asks: Sequence[Ask]) -> Sequence[Drawn | Exception]:
        """Draw a batch, or each of it alone where one spoils it for the others."""
        try:
            return await self._try(asks)
        except (StoreAway, StoreFull, StoreFailed) as trouble:
            return [trouble] * len(asks)
        except Exception as error:
            if len(asks) == 1:
                return [error]
            return [one for ask in asks for one in await self._draw((ask,))]

    async def _try(self, asks: Sequence[Ask]) -> list[Drawn]:
        names = sorted({ask.site for ask in asks})
        delivery, time_s = self._core.delivery, self._core.clock.wall_us() // 1_000_000
        if await self._core.db.read(lambda connection: _wants_numbers(connection, names)):
            return await self._core.db.run(lambda c: _Batch(c, names).number(delivery, time_s).draw(asks), soon=True)
        return await self._core.db.read(lambda connection: _Batch(connection, names).draw(asks))


def _wants_numbers(connection: Connection, names: Sequence[SiteName]) -> bool:
    return any(state.pending and not state.learning for state in sites.read_states(connection, names).values())


class _Batch:
    """What some sites are and are to hold, read in one transaction."""

    def __init__(self, connection: Connection, names: Sequence[SiteName]) -> None:
        self._connection = connection
        rows = sites.list_named(connection, PLATFORM, names)
        self._known = {row.site: KnownSite(row.record, row.envelope) for row in rows}
        self._states = sites.read_states(connection, names)
        self._bodies = documents.read_bodies(connection, names)
        self._newest = documents.read_newest(connection, names)
        #: Documents that sites probably hold: those that were the newest until now.
        self._before = self._newest
        self._pending = {name for name, state in self._states.items() if state.pending}

    def number(self, delivery: Delivery, time_s: int) -> Self:
        """Give their next documents to those whose wish has changed."""
        numbered = {
            site: delivery.number(
                site,
                self._bodies[site],
                self._before.get(site),
                epoch=self._states[site].epoch,
                generation=self._states[site].generation + 1,
                time_s=time_s,
            )
            for site in sorted(self._pending)
            if site in self._known and not self._states[site].learning
        }
        documents.record_documents(self._connection, tuple(numbered.values()))
        self._newest = self._before | numbered
        self._pending -= numbered.keys()
        return self

    def draw(self, asks: Sequence[Ask]) -> list[Drawn]:
        """Answer each ask with the difference to its base."""
        found: list[tuple[DocumentRow, DocumentRow | None] | None] = [self._find(ask) for ask in asks]
        lacking = [
            list_lacking(pair[0], pair[1], fresh=not ask.base_generation) if pair else ()
            for ask, pair in zip(asks, found, strict=True)
        ]
        held = objects.read_objects(self._connection, {digest for each in lacking for digest in each})
        drawn: list[Drawn] = []
        for ask, pair, digests in zip(asks, found, lacking, strict=True):
            known, patch = self._known.get(ask.site), None
            if pair is not None:
                sent = {digest: held[digest] for digest in digests if digest in held}
                patch = make_patch(pair[0], pair[1], self._bodies[ask.site], sent)
            drawn.append(Drawn(patch, known))
        return drawn

    def _find(self, ask: Ask) -> tuple[DocumentRow, DocumentRow | None] | None:
        """Return the site's newest document and the one it builds on; None where there is nothing to send now."""
        row, state = self._newest.get(ask.site), self._states.get(ask.site)
        held = (ask.base_epoch, ask.base_generation)
        # A wish that has moved since the last numbering nudges the site again, and is drawn then.
        if row is None or state is None or state.learning or ask.site in self._pending:
            return None
        if held == (row.epoch, row.generation) or not row.digests.keys() <= self._bodies[ask.site].keys():
            return None
        before = self._before.get(ask.site)
        if before is not None and held == (before.epoch, before.generation):
            return row, before
        base = documents.find_document(self._connection, ask.site, *held) if ask.base_generation else None
        return row, base
