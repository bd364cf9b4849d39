"""The cursor of a site's outbox: which events the parent has, which are on their way, which come next.

Rules of this file: (1) one batch is on its way at a time, in order, of at most EVENTS_PER_BATCH_MAX events and
EVENT_BATCH_BYTES; (2) a batch has no gap inside, and a gap before it is counted in ``dropped``, so the parent can tell
a loss from a disorder; (3) an acknowledgement never reaches beyond what was sent, whatever the parent says.
"""

import hashlib
import itertools

import msgspec

from skerry.model.event import Event
from skerry.model.limits import EVENT_BATCH_BYTES, EVENT_BYTES_MAX, EVENTS_PER_BATCH_MAX
from skerry.wire import Events

#: Characters of a cut event's message that remain.
_MESSAGE_CHARACTERS = 1_000


def fit_event(event: Event) -> tuple[Event, int]:
    """Return the event as it can be sent and its encoded size; one that is too long loses data and most of its message.

    It keeps its number, type and class: an event that never fits would hold up all events behind it.
    """
    size = len(msgspec.msgpack.encode(event))
    if size <= EVENT_BYTES_MAX:
        return event, size
    cut = msgspec.structs.replace(
        event,
        subject=event.subject[:_MESSAGE_CHARACTERS],
        message=event.message[:_MESSAGE_CHARACTERS],
        data={"cut-bytes": str(size)},
    )
    return cut, len(msgspec.msgpack.encode(cut))


def mark_event(event: Event) -> bytes:
    """Name an event by what both ends have of it, in 8 bytes: two events of one number are told apart by it."""
    sent = fit_event(event)[0]
    said = (sent.sequence, sent.time_us, sent.type, sent.klass, sent.subject, sent.message)
    return hashlib.blake2b(msgspec.msgpack.encode(said), digest_size=8).digest()


class OutboxCursor:
    """The child's side of the flow, across sessions."""

    def __init__(self) -> None:
        #: Every event up to here is the parent's.
        self.acknowledged = 0
        self._sent: int = 0
        #: Events that were read and not sent.
        self._waiting: tuple[Event, ...] = ()
        self._is_stale = True
        self._is_reading = False

    @property
    def is_waiting(self) -> bool:
        """Say whether a batch is on its way."""
        return self._sent > self.acknowledged

    def begin(self, acknowledged: int) -> None:
        """Start a session whose parent has every event up to here, be it more or less than before."""
        self.acknowledged = self._sent = acknowledged
        self._waiting = ()
        self._is_stale = True

    def note_changed(self) -> None:
        """The outbox is not what it was."""
        self._is_stale = True

    def wants_read(self) -> bool:
        """Say whether the outbox should be read above ``acknowledged`` now."""
        return self._is_stale and not self._is_reading and not self.is_waiting and not self._waiting

    def start_reading(self) -> None:
        """A read begins."""
        self._is_stale, self._is_reading = False, True

    def take(self, after: int, events: tuple[Event, ...]) -> None:
        """Take what was read above ``after``; a read for a session whose parent had other events is done again."""
        self._is_reading = False
        if after == self.acknowledged:
            self._waiting = events
        else:
            self._is_stale = True

    def next_batch(self) -> Events | None:
        """Return the next batch; None when one is on its way or nothing waits."""
        if self.is_waiting or not self._waiting:
            return None
        batch: list[Event] = []
        size = 0
        for event in self._waiting[:EVENTS_PER_BATCH_MAX]:
            fitting, bytes_more = fit_event(event)
            size += bytes_more
            if batch and (size > EVENT_BATCH_BYTES or event.sequence != batch[-1].sequence + 1):
                break
            batch.append(fitting)
        self._waiting = self._waiting[len(batch) :]
        self._sent = batch[-1].sequence
        return Events(tuple(batch), batch[0].sequence - self.acknowledged - 1)

    def answer(self, through: int) -> bool:
        """Take the parent's acknowledgement; True when it covers more than before."""
        through = min(through, self._sent)
        if through <= self.acknowledged:
            return False
        if through < self._sent:
            # The parent took a part: what it left is read again.
            self._waiting = ()
        self.acknowledged = self._sent = through
        if not self._waiting:
            self._is_stale = True
        return True


def check_batch(message: Events) -> str:
    """Return what is wrong with a batch from a child, empty when nothing is."""
    events = message.events
    if not events or len(events) > EVENTS_PER_BATCH_MAX:
        return f"a batch has 1 to {EVENTS_PER_BATCH_MAX} events, not {len(events)}"
    if message.dropped < 0 or events[0].sequence < 1:
        return "event numbers begin at 1"
    if any(later.sequence != event.sequence + 1 for event, later in itertools.pairwise(events)):
        return "a batch has no gaps"
    return ""
