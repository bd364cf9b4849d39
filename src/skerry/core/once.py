"""Changes that are done once however often they are sent: an ``Idempotency-Key`` names one, and its answer is kept.

That it was done is recorded in the change's own transaction, so a crash cannot make it happen twice; the answer comes
right after. An answer may hold what is shown once, like a new token: it is sealed with a key that follows from the
presented credential and the sender's key, neither of which the core keeps. A refusal changes nothing and is not kept.
"""

import contextlib
import hashlib
from collections.abc import AsyncGenerator, Sequence

import msgspec

from skerry.clock import SECOND_US, Clock, ClockTimeout, Mint, Tasks
from skerry.core.bell import Bell
from skerry.core.refusals import Clash
from skerry.model.errors import Invalid
from skerry.model.ids import Digest, digest_of
from skerry.safe.db import Db
from skerry.store import Connection, answers
from skerry.trust.hkdf import hkdf_expand, hkdf_extract
from skerry.trust.seal import hpke_open, hpke_seal, sealing_public

#: How long an answer is kept (interfaces.md §2): a client that was off over night may still ask.
KEPT_US = 86_400 * SECOND_US
#: Answers kept of one tenant: a pipeline that changes something every nine seconds all day; 20 MB at 2 KB each.
KEPT_MAX = 10_000
#: Bytes of an answer that is kept: changes answer in a few lines.
ANSWER_BYTES_MAX = 64 * 1024
#: How long a repetition waits for the first one: half of what our clients wait for an answer.
WAIT_US = 30 * SECOND_US
#: Changes under way at once: beyond it a named change is refused, because its repetition could not be told apart.
_UNDER_WAY_MAX = 1_024
_INFO = b"skerry-answer-v1"
_SEED_BYTES = 32


class Once(msgspec.Struct, frozen=True, kw_only=True):
    """One named change: whose, under which name, what was asked, and the secret that opens its answer."""

    tenant: str
    name: str
    request: Digest
    seed: bytes


class KeptAnswer(msgspec.Struct, frozen=True):
    """What was answered: status, headers and body."""

    status: int
    headers: dict[str, str]
    content: bytes


def name_change(tenant: str, token_id: str, token: str, key: str, asked: Sequence[bytes]) -> Once:
    """Name a change by the credential and the sender's key; ``asked`` is all that makes the request this one."""
    material = b"\0".join((token.encode(), key.encode()))
    return Once(
        tenant=tenant,
        name=hashlib.sha256(f"{token_id}\0{key}".encode()).hexdigest(),
        request=digest_of(b"".join(len(part).to_bytes(8, "big") + part for part in asked)),
        seed=hkdf_expand(hkdf_extract(b"", material), _INFO, _SEED_BYTES),
    )


def record_once(connection: Connection, once: Once, now_us: int) -> None:
    """Note within the change's own transaction that it is done; raises ``Clash`` when another core was faster."""
    if answers.find_answer(connection, once.tenant, once.name, now_us - KEPT_US) is not None:
        raise _busy()
    answers.record_done(connection, once.tenant, once.name, once.request, now_us, KEPT_MAX)


class Repeats:
    """The named changes of one core. All methods belong to one event loop."""

    def __init__(self, db: Db[Connection], clock: Clock, tasks: Tasks, mint: Mint) -> None:
        self._db = db
        self._clock = clock
        self._tasks = tasks
        self._mint = mint
        self._under_way: dict[tuple[str, str], Bell] = {}

    @contextlib.asynccontextmanager
    async def hold(self, once: Once) -> AsyncGenerator[KeptAnswer | None]:
        """Be alone with a change and get its kept answer, if there is one; a repetition waits for the first.

        Raises ``Clash`` when the first takes too long or its answer was lost, ``Invalid`` when the key has been used
        for something else.
        """
        place = (once.tenant, once.name)
        try:
            async with ClockTimeout(self._clock, self._tasks, WAIT_US):
                while (bell := self._under_way.get(place)) is not None:
                    await bell.wait(0)
        except TimeoutError:
            raise _busy() from None
        if len(self._under_way) >= _UNDER_WAY_MAX:
            raise _busy()
        mine = self._under_way[place] = Bell()
        try:
            yield await self._find(once)
        finally:
            del self._under_way[place]
            mine.ring()

    async def keep(self, once: Once, answer: KeptAnswer) -> None:
        """Keep the answer to a change that was done; one that is too long is not kept, only that it was done."""
        content = msgspec.msgpack.encode(answer)
        if len(content) > ANSWER_BYTES_MAX:
            return
        sealed = hpke_seal(
            sealing_public(once.seed), _INFO, once.request.encode(), content, self._mint.draw(_SEED_BYTES)
        )

        def job(connection: Connection) -> None:
            answers.record_answer(connection, once.tenant, once.name, sealed)

        await self._db.run(job, soon=True)

    async def _find(self, once: Once) -> KeptAnswer | None:
        oldest_us = self._clock.wall_us() - KEPT_US
        row = await self._db.read(lambda connection: answers.find_answer(connection, once.tenant, once.name, oldest_us))
        if row is None:
            return None
        if row.request != once.request:
            detail = "This Idempotency-Key was used for another request in the last 24 hours."
            raise Invalid("E-KEY-REUSED", detail, hint="Draw a new key for each change.")
        content = hpke_open(once.seed, _INFO, once.request.encode(), row.answer) if row.answer else None
        if content is None:
            detail = "This change was done, and what was answered is not known any more."
            raise Clash("E-ANSWER-LOST", detail, hint="Look at what is there now; use a new key for a further change.")
        return msgspec.msgpack.decode(content, type=KeptAnswer)


def _busy() -> Clash:
    detail = "The same change, sent before under this Idempotency-Key, is still under way."
    return Clash("E-KEY-BUSY", detail, hint="Send it again in a moment.")
