"""Audit: one hash chain per tenant and one for the operator (trust/chain.py).

A record is written in the transaction of what it records, so neither is ever there without the other.
"""

import msgspec
from sqlalchemy import Connection, insert, select

from skerry.model.ids import CauseId
from skerry.store.rows import named
from skerry.store.schema import AUDIT
from skerry.trust.chain import CHAIN_START, AuditRecord, chain_hash

_HEAD = select(AUDIT.c.seq, AUDIT.c.hash).where(named(AUDIT, "chain")).order_by(AUDIT.c.seq.desc()).limit(1)
_APPEND = insert(AUDIT)


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One link of a chain."""

    seq: int
    previous: bytes
    hash: bytes
    payload: bytes


def append_audit(
    connection: Connection,
    chain: str,
    *,
    time_us: int,
    actor: str,
    operation: str,
    subject: str,
    outcome: str,
    cause: CauseId,
) -> None:
    """Append a record to a chain: a tenant's name, or empty for the operator's."""
    head = connection.execute(_HEAD, {"of_chain": chain}).first()
    seq, previous = (1, CHAIN_START) if head is None else (head.seq + 1, head.hash)
    record = AuditRecord(
        seq=seq, time_us=time_us, actor=actor, operation=operation, object=subject, outcome=outcome, cause=cause
    )
    payload = msgspec.json.encode(record)
    link = {"chain": chain, "seq": seq, "previous": previous, "hash": chain_hash(previous, payload), "payload": payload}
    connection.execute(_APPEND, link)


def list_audit(connection: Connection, chain: str, after: int, limit: int) -> list[AuditRow]:
    """Return a chain's records above number ``after``, oldest first."""
    query = select(AUDIT).where(AUDIT.c.chain == chain, AUDIT.c.seq > after).order_by(AUDIT.c.seq).limit(limit)
    return [
        AuditRow(seq=row.seq, previous=row.previous, hash=row.hash, payload=row.payload)
        for row in connection.execute(query)
    ]
