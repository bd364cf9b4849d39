"""Facts: a map from resource key to encoded value, whose newest state goes up as a patch against what the parent has.

Rules of this file:
1. The digest of a map is the SHA-256 over its sorted lines ``key SP hex(SHA-256(value)) LF``, for both ends.
2. One patch is on its way at a time, at most one per pace. What changes meanwhile is in the next one, once.
3. The child never guesses what the parent has: a digest that it knows names a base, any other one means all again.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from skerry.model.limits import FACTS_MAX, FACTS_PATCH_BYTES
from skerry.wire import FactsPatch

#: Longest pause before facts that a parent could not make sense of are sent to it again.
_RETRY_US_MAX = 300 * 1_000_000


def digest_value(value: bytes) -> bytes:
    """Digest one value."""
    return hashlib.sha256(value).digest()


def digest_facts(facts: Mapping[str, bytes]) -> bytes:
    """Digest a whole map of encoded facts."""
    return digest_lines({key: digest_value(value) for key, value in facts.items()})


def digest_lines(digests: Mapping[str, bytes]) -> bytes:
    """Digest a whole map whose values are known by their digests, as the store of a parent knows them."""
    whole = hashlib.sha256()
    for key in sorted(digests):
        whole.update(f"{key} {digests[key].hex()}\n".encode())
    return whole.digest()


class FactsMismatch(msgspec.Struct, frozen=True):
    """A patch that cannot be applied; all facts are needed again."""

    reason: str


def apply_facts(held: Mapping[str, bytes], patch: FactsPatch) -> dict[str, bytes] | FactsMismatch:
    """Return the map that ``patch`` makes of ``held``, or why it makes none."""
    facts = {} if patch.whole else dict(held)
    for key in patch.removed:
        facts.pop(key, None)
    facts.update(patch.changed)
    if len(facts) > FACTS_MAX:
        return FactsMismatch(f"more than {FACTS_MAX} facts")
    if digest_facts(facts) != patch.digest:
        return FactsMismatch("the digest of all facts differs")
    return facts


class _Flight(msgspec.Struct, frozen=True):
    number: int
    #: What the parent has, by digest, once it stored the patch.
    after: dict[str, bytes]


class FactsSender:
    """The child's side of the flow, across sessions. Times are boot-time microseconds."""

    def __init__(self) -> None:
        self._pace_us = 0
        #: They may have changed since the last read; a read is open; none begins before this time.
        self._is_stale = True
        self._is_reading = False
        self._read_from = 0
        self._present: dict[str, bytes] = {}
        self._digests: dict[str, bytes] = {}
        #: What the parent has, by digest of each value; None when that is not known.
        self._base: dict[str, bytes] | None = None
        #: While the base is not known: the digest of what the parent has.
        self._parent_digest = b""
        self._flight: _Flight | None = None
        self._has_more = False
        self._number = 0
        #: How often in a row the parent wanted all again.
        self._refusals = 0

    @property
    def is_waiting(self) -> bool:
        """Say whether a patch is on its way."""
        return self._flight is not None

    def begin(self, parent_digest: bytes, now: int, pace_us: int) -> None:
        """Start a session whose parent has facts of this digest: those of the base, of a lost answer, or others."""
        candidates = (self._base, self._flight.after if self._flight else None)
        self._base = next(
            (known for known in candidates if known is not None and digest_lines(known) == parent_digest), None
        )
        self._parent_digest = parent_digest
        self._flight = None
        self._pace_us = pace_us
        self._is_stale = True
        self._read_from = now
        self._refusals = 0

    def note_changed(self) -> None:
        """The facts are not what they were."""
        self._is_stale = True

    def read_due(self) -> int | None:
        """Return when to read the facts next; None while nothing changed or an answer is awaited."""
        return self._read_from if self._is_stale and not self._is_reading and self._flight is None else None

    def start_reading(self) -> None:
        """A read begins."""
        self._is_stale, self._is_reading = False, True

    def learn(self, facts: Mapping[str, bytes]) -> None:
        """Take the present facts: the read is done."""
        self._is_reading = False
        digests = self._digests
        self._digests = {
            # Comparing is cheaper than hashing, and most values are as they were.
            key: digests[key] if self._present.get(key) == value else digest_value(value)
            for key, value in facts.items()
        }
        self._present = dict(facts)

    def next_patch(self, now: int) -> FactsPatch | None:
        """Return what the parent lacks, as much as one patch may hold; None when it lacks nothing."""
        if self._flight is not None:
            return None
        if self._base is None and self._parent_digest == digest_lines(self._digests):
            self._base = dict(self._digests)
        if self._base == self._digests:
            return None
        base = self._base or {}
        after = dict(base)
        removed = tuple(sorted(base.keys() - self._digests.keys()))
        for key in removed:
            del after[key]
        changed: dict[str, bytes] = {}
        size = 0
        self._has_more = False
        for key in sorted(self._digests):
            if base.get(key) != self._digests[key]:
                size += len(key) + len(self._present[key])
                if changed and size > FACTS_PATCH_BYTES:
                    self._has_more = True
                    break
                changed[key] = self._present[key]
                after[key] = self._digests[key]
        self._number += 1
        self._flight = _Flight(self._number, after)
        self._read_from = now + self._pace_us
        return FactsPatch(self._number, self._base is None, changed, removed, digest_lines(after))

    def answer(self, number: int, now: int, *, again: bool) -> None:
        """Take the parent's answer; one that answers nothing is nothing."""
        if self._flight is None or number != self._flight.number:
            return
        self._base = None if again else self._flight.after
        self._parent_digest = b""
        self._flight = None
        self._refusals = self._refusals + 1 if again else 0
        self._is_stale = self._is_stale or again or self._has_more
        if self._refusals > 1:
            # It was sent all and still does not agree: asking for the same at once would go on for ever.
            self._read_from = now + min(self._pace_us << min(2 * self._refusals, 16), _RETRY_US_MAX)
