"""The second checker: it sees what clients, wires, disks and drivers saw, and nothing of the programs' insides.

Its input is the record of a run (``World.record``): tuples of virtual time, kind and plain words. Rule: nothing of
Skerry is imported here, so no mistake is shared with what is judged; frames are decoded by their positions on the wire
(docs/generated/wire.md). ``checkers.py`` asks the living world at each step; this one judges the whole run afterwards.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

#: One observation: virtual time in microseconds, its kind, and what that kind says.
Record = tuple[Any, ...]
#: Frames of these tags are read: hi, we, da, ev, ek.
TAGS = (b"hi", b"we", b"da", b"ev", b"ek")
SECOND_US = 1_000_000


def peek_tag(frame: bytes) -> bytes:
    """Return a frame's tag without decoding it; empty when it has none of two letters."""
    start = 3 if frame[:1] == b"\xdc" else 1
    return frame[start + 1 : start + 3] if frame[start : start + 1] == b"\xa2" else b""


class _Line:
    """What was seen of one app's line of numbers."""

    def __init__(self) -> None:
        #: Confirmed numbers, and when: each was promised to its owner.
        self.confirmed: dict[int, str] = {}
        self.newest_read = 0


class _Site:
    """What was seen of one site."""

    def __init__(self) -> None:
        self.session = 0
        self.document: tuple[int, int] = (0, 0)
        #: What was sent under each number since the disk was last set back, and what the core says it keeps.
        self.sent: dict[int, tuple[Any, ...]] = {}
        self.kept = 0
        #: What the disk saw written, by what it says, with the number it had last and whether it may never be dropped.
        self.written: dict[tuple[Any, ...], tuple[int, bool]] = {}
        #: Every number and event that the disk ever saw.
        self.ever: set[tuple[int, tuple[Any, ...]]] = set()
        self.dropped = 0
        self.flooded = False


class History:
    """Takes in one run in order; ``breaks`` are pairs of invariant and sentence."""

    def __init__(self) -> None:
        self.breaks: list[tuple[str, str]] = []
        self.lines: dict[tuple[str, str], _Line] = {}
        self.sites: dict[str, _Site] = {}
        #: Signed words by digest: time, tenant, app, images, volumes, grace.
        self.signed: dict[str, tuple[int, str, str, frozenset[str], frozenset[str], int]] = {}
        self.images: dict[tuple[str, str], set[str]] = {}
        self.core_restored = False

    def take(self, record: Record) -> None:
        """Take in one observation."""
        at_us, kind, *words = record
        getattr(self, f"take_{kind}")(at_us, *words)

    def complain(self, invariant: str, detail: str) -> None:
        """Note what the record cannot be explained by."""
        self.breaks.append((invariant, f"by the record alone: {detail}"))

    def _line(self, tenant: str, app: str) -> _Line:
        return self.lines.setdefault((tenant, app), _Line())

    def _site(self, site: str) -> _Site:
        return self.sites.setdefault(site, _Site())

    # --- what people did and were told -------------------------------------------------------------------------------

    def take_signed(
        self,
        at_us: int,
        tenant: str,
        app: str,
        digest: str,
        images: frozenset[str],
        volumes: frozenset[str],
        grace_us: int,
    ) -> None:
        """A tenant signed a revision or a tombstone."""
        self.signed.setdefault(digest, (at_us, tenant, app, images, volumes, grace_us))
        self.images.setdefault((tenant, app), set()).update(images)

    def take_confirmed(self, at_us: int, tenant: str, app: str, number: int, digest: str) -> None:
        """The core confirmed a number (I1): no other content may ever be confirmed as it."""
        line = self._line(tenant, app)
        if line.confirmed.setdefault(number, digest) != digest and not self.core_restored:
            self.complain("I1", f"two writes were confirmed as number {number} of {tenant}/{app}")

    def take_read(self, at_us: int, tenant: str, app: str, shown: tuple[tuple[int, str], ...]) -> None:
        """The core showed an app's numbers (I1): all that was confirmed, and no fewer than it showed before."""
        line, numbers = self._line(tenant, app), dict(shown)
        newest = max(numbers, default=0)
        if newest < line.newest_read:
            self.complain("I1", f"{tenant}/{app} was shown at number {line.newest_read} and later at {newest}")
        line.newest_read = newest
        for number, digest in line.confirmed.items():
            if numbers.get(number) != digest:
                self.complain("I1", f"number {number} of {tenant}/{app} was confirmed and is shown as another or not")

    def take_fault(self, at_us: int, kind: str, site: str) -> None:
        """Something happened after which a promise no longer holds in full."""
        if kind == "core-restored":
            # Its owners hand in again what it has lost; until then no promise about numbers and cursors.
            self.core_restored = True
            for line in self.lines.values():
                line.confirmed, line.newest_read = {}, 0
            for here in self.sites.values():
                here.kept, here.sent, here.written = 0, {}, {}
        elif kind == "site-set-back":
            here = self._site(site)
            here.session, here.document, here.sent = 0, (0, 0), {}
            # What the lost disk had written and nobody had heard of is gone with it.
            here.written = {said: each for said, each in here.written.items() if each[0] <= here.kept}
        elif kind == "flood":
            self._site(site).flooded = True

    # --- what the wires and disks saw --------------------------------------------------------------------------------

    def take_frame(self, at_us: int, site: str, upward: bool, frame: bytes) -> None:
        """A frame was put on a site's link."""
        tag, *fields = msgspec.msgpack.decode(frame)
        here = self._site(site)
        match tag:
            case "hi" if upward:
                claim = msgspec.msgpack.decode(fields[0])
                session, document = claim[3], (claim[4], claim[5])
                if session <= here.session:
                    self.complain("I8", f"{site} said hello as session {session} after {here.session}")
                here.session = session
                self._hold(site, here, document)
            case "we" if not upward:
                if fields[1] < here.kept:
                    self.complain("I2", f"{site} was told {here.kept} events are kept, and then {fields[1]}")
                here.kept = max(here.kept, fields[1])
            case "da" if upward:
                if fields[2]:
                    self._hold(site, here, (fields[0], fields[1]))
            case "ev" if upward:
                self._send(site, here, fields[0], fields[1])
            case "ek" if not upward:
                here.kept = max(here.kept, fields[0])
            case _:
                pass

    def _hold(self, site: str, here: _Site, document: tuple[int, int]) -> None:
        if document < here.document:
            self.complain("I3", f"{site} said that it holds {document} after {here.document}")
        here.document = max(here.document, document)

    def _send(self, site: str, here: _Site, events: list[dict[str, Any]], dropped: int) -> None:
        here.dropped += dropped
        for event in events:
            number, said = event["sequence"], _say(event)
            if here.sent.setdefault(number, said) != said:
                self.complain("I2", f"{site} sent two events as number {number}")

    def take_written(self, at_us: int, site: str, number: int, security: bool, said: tuple[Any, ...]) -> None:
        """A site's disk holds an event."""
        here = self._site(site)
        here.written[said] = (number, security)
        here.ever.add((number, said))

    # --- what drivers were told to do --------------------------------------------------------------------------------

    def take_deleted(self, at_us: int, site: str, tenant: str, app: str, volume: str, tombstone: str) -> None:
        """A volume is about to be deleted (I11): somebody signed that, of this app and volume, a whole grace ago."""
        signed = self.signed.get(tombstone)
        if signed is None or signed[1:3] != (tenant, app) or volume not in signed[4]:
            self.complain("I11", f"{site} deletes {tenant}/{app}/{volume}, which nobody signed")
        elif at_us < signed[0] + signed[5] - SECOND_US:
            self.complain("I11", f"{site} deletes {tenant}/{app}/{volume} within its grace")

    def take_started(self, at_us: int, site: str, tenant: str, app: str, image: str) -> None:
        """An instance is about to start (I5): its owner named that image."""
        if image not in self.images.get((tenant, app), ()):
            self.complain("I5", f"{site} starts {image} for {tenant}/{app}, whose owner never named it")

    # --- what is left ------------------------------------------------------------------------------------------------

    def take_log(self, at_us: int, site: str, rows: tuple[tuple[int, int, tuple[Any, ...]], ...]) -> None:
        """The core's log of one site at the end: rows of id, number and what the event says (I2)."""
        here = self._site(site)
        numbers = [number for _, number, _ in sorted(rows)]
        if numbers != sorted(set(numbers)):
            self.complain("I2", f"{site}: the log has events twice or out of order: {numbers[:30]}")
        by_number = {number: said for _, number, said in rows}
        kept = sum(number <= here.kept for number in here.sent)
        wrong = [number for number, said in here.sent.items() if number <= here.kept and by_number.get(number) != said]
        if wrong:
            self.complain("I2", f"{site}: of {kept} events sent and kept, {wrong[:10]} are not in the log as they were")
        said = set(by_number.values())
        lost = [each for words, each in here.written.items() if words not in said and each[0] <= here.kept]
        if any(security for _, security in lost) or (len(lost) > here.dropped and not here.flooded):
            self.complain("I2", f"{site}: {len(lost)} events were written and kept, and are not in the log")
        strange = [number for _, number, words in rows if (number, words) not in here.ever]
        if strange:
            self.complain("I34", f"{site}: the log has events {strange[:10]}, which it never wrote")


def _say(event: dict[str, Any]) -> tuple[Any, ...]:
    """What an event says without its number."""
    return event["time_us"], event["type"], event.get("subject", ""), event.get("message", "")


def judge(record: Iterable[Record]) -> list[tuple[str, str]]:
    """Judge one run; return what is broken, the first of each sentence."""
    history = History()
    for each in record:
        history.take(each)
    return list(dict.fromkeys(history.breaks))
