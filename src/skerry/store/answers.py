"""Answers to changes that their senders named: that one was done, in its own transaction, and what was said then.

Kept for a day and to a number per tenant, whichever ends first; what is sealed in them is the business of core/once.py.
"""

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from skerry.model.ids import Digest
from skerry.store.schema import ANSWERS

_TRIM = delete(ANSWERS).where(ANSWERS.c.recorded_us < bindparam("oldest_us"))


class AnswerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was done under a key, and its sealed answer; empty while only that it was done is known."""

    request: Digest
    answer: bytes
    recorded_us: int


def find_answer(connection: Connection, tenant: str, name: str, oldest_us: int) -> AnswerRow | None:
    """Return what was done under a key since ``oldest_us``; None for a key that is free."""
    query = select(ANSWERS).where(ANSWERS.c.tenant == tenant, ANSWERS.c.name == name)
    row = connection.execute(query.where(ANSWERS.c.recorded_us >= oldest_us)).one_or_none()
    if row is None:
        return None
    return AnswerRow(request=Digest(row.request), answer=bytes(row.answer), recorded_us=row.recorded_us)


def record_done(connection: Connection, tenant: str, name: str, request: Digest, now_us: int, keep: int) -> None:
    """Note that a change is done under a free key, and forget the tenant's oldest beyond the newest ``keep``."""
    mine = ANSWERS.c.tenant == tenant
    connection.execute(delete(ANSWERS).where(mine, ANSWERS.c.name == name))
    connection.execute(
        insert(ANSWERS).values(tenant=tenant, name=name, request=request, answer=b"", recorded_us=now_us)
    )
    surplus = connection.execute(select(func.count()).select_from(ANSWERS).where(mine)).scalar_one() - keep
    if surplus > 0:
        oldest = select(ANSWERS.c.name).where(mine).order_by(ANSWERS.c.recorded_us, ANSWERS.c.name).limit(surplus)
        names = list(connection.execute(oldest).scalars())
        connection.execute(delete(ANSWERS).where(mine, ANSWERS.c.name.in_(names)))


def record_answer(connection: Connection, tenant: str, name: str, answer: bytes) -> None:
    """Keep what was answered to a change that is done."""
    where = ANSWERS.c.tenant == tenant, ANSWERS.c.name == name
    connection.execute(update(ANSWERS).where(*where).values(answer=answer))


def trim_answers(connection: Connection, oldest_us: int) -> None:
    """Forget what was done before a time."""
    connection.execute(_TRIM, {"oldest_us": oldest_us})
