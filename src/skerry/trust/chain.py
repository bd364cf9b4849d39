"""The audit's hash chain: what ties a record to all before it, and whether a chain that was handed over is whole.

    hash = SHA-256("skerry-audit-v1", 0x00, previous hash, payload bytes)

Whoever keeps the chain could make all of it anew, so a check is worth as much as the hash that somebody noted elsewhere
before. Neighbours: ``store/audit.py`` writes chains, ``cli/audit.py`` checks them without a core.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from skerry.model.answers import AuditEntry
from skerry.model.ids import CauseId

#: What the first record of a chain stands on.
CHAIN_START = bytes(32)
_DOMAIN = b"skerry-audit-v1\x00"


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: the payload of one record, as compact JSON."""

    seq: int
    time_us: int
    actor: str
    operation: str
    #: What it was done to: a name, and the digest of a signed object where there is one.
    object: str
    outcome: str
    cause: CauseId


class ChainHead(msgspec.Struct, frozen=True):
    """How far a chain was followed: the number of its last record and that one's hash. The start is number 0."""

    seq: int = 0
    hash: bytes = CHAIN_START


class ChainBreak(msgspec.Struct, frozen=True):
    """The first record that does not belong where it stands, and why."""

    seq: int
    reason: str


def chain_hash(previous: bytes, payload: bytes) -> bytes:
    """Return the hash that ties ``payload`` to everything before it."""
    return hashlib.sha256(_DOMAIN + previous + payload).digest()


def follow_chain(entries: Iterable[AuditEntry], known: ChainHead | None = None) -> ChainHead | ChainBreak:
    """Follow a chain from its start; return its head, or the first break.

    ``known`` is a head that was noted earlier: the chain must go through it, so that nothing before it was made anew
    and nothing after it was cut off below it.
    """
    head = ChainHead()
    for entry in entries:
        reason = _find_flaw(head, entry)
        if not reason and known is not None and entry.seq == known.seq and entry.hash != known.hash:
            reason = "its hash is not the one that was noted: the chain was made anew"
        if reason:
            return ChainBreak(entry.seq, reason)
        head = ChainHead(entry.seq, entry.hash)
    if known is not None and head.seq < known.seq:
        return ChainBreak(head.seq + 1, f"it is missing: the chain once went to record {known.seq}")
    return head


def _find_flaw(head: ChainHead, entry: AuditEntry) -> str:
    if entry.seq != head.seq + 1:
        return f"record {head.seq + 1} should stand here"
    if entry.previous != head.hash:
        return "it does not stand on the record before it"
    if entry.hash != chain_hash(head.hash, entry.payload):
        return "its hash is not that of its content"
    try:
        record = msgspec.json.decode(entry.payload, type=AuditRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "its content cannot be read"
    # What a listing shows stands beside the payload, and only the payload is in the chain.
    if any(getattr(record, name) != getattr(entry, name) for name in record.__struct_fields__):
        return "what is shown of it is not what it says"
    return ""
