"""A blind relay of one pair of sites: which datagram goes where. No socket and no clock.

What it sees of WireGuard is what every router sees: the kind of a message and the index that the receiver chose for the
session (its white paper, section 5.4). It has no key, so it can read nothing, make nothing and change nothing unseen.
Rules:

1. A sender is learnt from an address that the site is known by, or from a handshake that names the other site's key.
2. A message goes to who chose its index; a handshake, and what is older than this process, to all of the other side.
3. What comes from nobody, is no message, or is more than the pair may send, goes nowhere.
"""

import hashlib
import hmac
from collections.abc import Iterator

from skerry.model.relay import RelayPair

Address = tuple[str, int]

#: Senders of one side: two interfaces for each of two keys. A further one takes the place of the quietest.
SENDERS_MAX = 4
#: A sender that was quiet for so long has gone: keepalives come every 25 s where a relay is used.
SENDER_US = 180_000_000
#: Sessions of one side that are known: each sender has three (previous, present, next).
INDEXES_MAX = 64
#: Bytes that a pair may send in a second, both ways together, and at once.
PAIR_BYTES_S = 4_000_000

#: Length of each kind of message; of a transport message the least.
_INITIATION, _RESPONSE, _COOKIE, _TRANSPORT = 1, 2, 3, 4
_LENGTHS = {_INITIATION: 148, _RESPONSE: 92, _COOKIE: 64}
_TRANSPORT_BYTES_MIN = 32
#: Bytes of an initiation that its first code is over; the code is behind them.
_MAC1_AT = 116
_MAC_BYTES = 16


class _Side:
    def __init__(self) -> None:
        #: Sender to when it was last heard.
        self.senders: dict[Address, int] = {}
        #: Index of a session to the sender that chose it.
        self.indexes: dict[bytes, Address] = {}


class PairRelay:
    """The relay of one pair."""

    def __init__(self, pair: RelayPair) -> None:
        self.pair = pair
        self._sides = (_Side(), _Side())
        self._left = PAIR_BYTES_S
        self._filled_us = 0
        #: Messages that went on, and those that did not.
        self.passed = 0
        self.dropped = 0

    def take(self, side: int, sender: Address, content: bytes, now_us: int) -> list[Address]:
        """Return to whom of the other side a datagram goes that came in at the port of ``side``."""
        kind = _read_kind(content)
        if not kind or not self._learn(side, sender, kind, content, now_us) or not self._afford(len(content), now_us):
            self.dropped += 1
            return []
        targets = list(self._choose(1 - side, kind, content, now_us))
        self.passed += bool(targets)
        return targets

    def _learn(self, number: int, sender: Address, kind: int, content: bytes, now_us: int) -> bool:
        side = self._sides[number]
        fresh = now_us - side.senders.get(sender, -SENDER_US) < SENDER_US
        known = sender[0] in self.pair.sides[number].addresses
        if not (fresh or known or (kind == _INITIATION and self._names_peer(number, content))):
            return False
        if sender not in side.senders and len(side.senders) >= SENDERS_MAX:
            del side.senders[min(side.senders, key=lambda each: side.senders[each])]
        side.senders[sender] = now_us
        if kind in (_INITIATION, _RESPONSE):
            side.indexes.pop(content[4:8], None)
            side.indexes[content[4:8]] = sender
            while len(side.indexes) > INDEXES_MAX:
                del side.indexes[next(iter(side.indexes))]
        return True

    def _names_peer(self, number: int, content: bytes) -> bool:
        """Say whether a handshake was made for a key of the other side: its first code is over that key."""
        at = _MAC1_AT
        for key in self.pair.sides[1 - number].keys:
            secret = hashlib.blake2s(b"mac1----" + key).digest()
            code = hashlib.blake2s(content[:at], key=secret, digest_size=_MAC_BYTES).digest()
            if hmac.compare_digest(code, content[at : at + _MAC_BYTES]):
                return True
        return False

    def _choose(self, number: int, kind: int, content: bytes, now_us: int) -> Iterator[Address]:
        side = self._sides[number]
        fresh = [sender for sender, at_us in side.senders.items() if now_us - at_us < SENDER_US]
        if kind != _INITIATION:
            index = content[8:12] if kind == _RESPONSE else content[4:8]
            chosen = side.indexes.get(index)
            if chosen in fresh:
                yield chosen
                return
        yield from fresh

    def _afford(self, size: int, now_us: int) -> bool:
        gained = (now_us - self._filled_us) * PAIR_BYTES_S // 1_000_000
        if gained > 0:
            self._left, self._filled_us = min(self._left + gained, PAIR_BYTES_S), now_us
        if size > self._left:
            return False
        self._left -= size
        return True


def _read_kind(content: bytes) -> int:
    """Return the kind of a message of WireGuard, 0 for anything else."""
    if len(content) < _TRANSPORT_BYTES_MIN or content[1:4] != b"\x00\x00\x00":
        return 0
    kind = content[0]
    if kind == _TRANSPORT:
        return kind
    return kind if _LENGTHS.get(kind) == len(content) else 0
