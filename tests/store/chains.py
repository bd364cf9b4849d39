"""Checks an audit chain from outside, as a tenant would."""

from skerry.store import Connection
from skerry.store.audit import list_audit
from skerry.trust.chain import CHAIN_START, chain_hash


def find_break(connection: Connection, chain: str, page: int = 1000) -> int:
    """Return the number of the first record that does not stand on the one before it; 0 when all do."""
    previous, seq = CHAIN_START, 0
    while rows := list_audit(connection, chain, seq, page):
        for row in rows:
            if row.seq != seq + 1 or row.previous != previous or row.hash != chain_hash(previous, row.payload):
                return row.seq
            previous, seq = row.hash, row.seq
    return 0
