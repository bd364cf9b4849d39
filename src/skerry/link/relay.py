"""A blind relay of one pair of sites: which datagram goes where. No socket and no clock.

What it sees of WireGuard is what every router sees: the kind of a message and the index that the receiver chose for the
session (its white paper, section 5.4). It has no key, so it can read nothing, make nothing and change nothing unseen.
Rules:

1. A sender is learnt from a handshake that names the other site's key, or from an address that the site is known by.
2. Who only comes from such an address, as others behind the same NAT do, takes nobody's place and chooses no index.
3. A message goes to who chose its index; a handshake, and what is older than this process, to all of the other side.
4. What comes from nobody, is no message, or is more than the pair may send, goes nowhere.
"""

import hashlib
import hmac

import msgspec

from skerry.model.relay import RelayPair

Address = tuple[str, int]

#: Senders of one side: two interfaces for each of two keys. A further one takes the place of the quietest.
SENDERS_MAX = 4
#: A sender that was quiet for so long has gone: keepalives come every 25 s where a relay is used.
SENDER_US = 180_000_000
#: Sessions of one side that are known: each sender has three (previous, present, next).
INDEXES_MAX = 64
#: Length of each kind of message; of a transport message the least.
_INITIATION, _RESPONSE, _COOKIE, _TRANSPORT = 1, 2, 3, 4
_LENGTHS = {_INITIATION: 148, _RESPONSE: 92, _COOKIE: 64}
_TRANSPORT_BYTES_MIN = 32
#: Bytes of each kind of handshake that its first code is over; the code is behind them.
_MAC1_AT = {_INITIATION: 116, _RESPONSE: 60}
_MAC_BYTES = 16


class Budget:
    """Bytes that may go on in a second, and at once; 0 for no limit."""

    def __init__(self, bytes_s: int) -> None:
        self.bytes_s = bytes_s
        self._left = bytes_s
        self._filled_us = 0

    def afford(self, size: int, now_us: int) -> bool:
        """Take so many bytes from it; False, and nothing is taken, where there are not so many."""
        if not self.bytes_s:
            return True
        gained = (now_us - self._filled_us) * self.bytes_s // 1_000_000
        if gained > 0:
            self._left, self._filled_us = min(self._left + gained, self.bytes_s), now_us
        if size > self._left:
            return False
        self._left -= size
        return True


class _Sender(msgspec.Struct):
    heard_us: int
    #: It knew the key of the other side.
    proven: bool


class _Side:
    def __init__(self) -> None:
        self.senders: dict[Address, _Sender] = {}
        #: Index of a session to the sender that chose it.
        self.indexes: dict[bytes, Address] = {}


class PairRelay:
    """The relay of one pair."""

    def __init__(self, pair: RelayPair, own: Budget, whole: Budget) -> None:
        """``own`` is what this pair may send, ``whole`` what all pairs of the relay may."""
        self.pair = pair
        self.own = own
        self._whole = whole
        self._sides = (_Side(), _Side())
        #: Bytes that went on, and messages that did not: for want of a right sender or form, and for want of room.
        self.passed_bytes = 0
        self.refused = 0
        self.crowded = 0

    def take(self, side: int, sender: Address, content: bytes, now_us: int) -> tuple[Address, ...]:
        """Return to whom of the other side a datagram goes that came in at the port of ``side``."""
        kind = _read_kind(content)
        if not kind or not self._learn(side, sender, kind, content, now_us):
            self.refused += 1
            return ()
        size = len(content)
        if not (self.own.afford(size, now_us) and self._whole.afford(size, now_us)):
            self.crowded += 1
            return ()
        targets = self._choose(1 - side, kind, content, now_us)
        if targets:
            self.passed_bytes += size
        return targets

    def _learn(self, number: int, sender: Address, kind: int, content: bytes, now_us: int) -> bool:
        side = self._sides[number]
        known = side.senders.get(sender)
        if kind in _MAC1_AT and self._names_peer(number, kind, content):
            if known is None and len(side.senders) >= SENDERS_MAX:
                del side.senders[min(side.senders, key=lambda each: _rank(side.senders[each]))]
            side.senders[sender] = _Sender(now_us, proven=True)
            side.indexes.pop(content[4:8], None)
            side.indexes[content[4:8]] = sender
            while len(side.indexes) > INDEXES_MAX:
                del side.indexes[next(iter(side.indexes))]
            return True
        if known is not None and now_us - known.heard_us < SENDER_US:
            known.heard_us = now_us
            return True
        if sender[0] not in self.pair.sides[number].addresses:
            return False
        if known is None and len(side.senders) >= SENDERS_MAX:
            worst = min(side.senders, key=lambda each: _rank(side.senders[each]))
            if side.senders[worst].proven and now_us - side.senders[worst].heard_us < SENDER_US:
                return False
            del side.senders[worst]
        side.senders[sender] = _Sender(now_us, proven=False)
        return True

    def _names_peer(self, number: int, kind: int, content: bytes) -> bool:
        """Say whether a handshake was made for a key of the other side: its first code is over that key."""
        at = _MAC1_AT[kind]
        for key in self.pair.sides[1 - number].keys:
            secret = hashlib.blake2s(b"mac1----" + key).digest()
            code = hashlib.blake2s(content[:at], key=secret, digest_size=_MAC_BYTES).digest()
            if hmac.compare_digest(code, content[at : at + _MAC_BYTES]):
                return True
        return False

    def _choose(self, number: int, kind: int, content: bytes, now_us: int) -> tuple[Address, ...]:
        side = self._sides[number]
        if kind != _INITIATION:
            chosen = side.indexes.get(content[8:12] if kind == _RESPONSE else content[4:8])
            sender = side.senders.get(chosen) if chosen is not None else None
            if chosen is not None and sender is not None and now_us - sender.heard_us < SENDER_US:
                return (chosen,)
        return tuple(each for each, sender in side.senders.items() if now_us - sender.heard_us < SENDER_US)


def _rank(sender: _Sender) -> tuple[bool, int]:
    """Order senders by who has to make room first."""
    return sender.proven, sender.heard_us


def _read_kind(content: bytes) -> int:
    """Return the kind of a message of WireGuard, 0 for anything else."""
    if len(content) < _TRANSPORT_BYTES_MIN or content[1:4] != b"\x00\x00\x00":
        return 0
    kind = content[0]
    if kind == _TRANSPORT:
        return kind
    return kind if _LENGTHS.get(kind) == len(content) else 0
