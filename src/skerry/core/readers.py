"""Who follows events and changes: how many may, and what becomes of a reader that does not keep up.

A stream is pulled by its connection: nothing is read ahead, so a slow reader costs memory of one page and a place.
One that takes long for an item is told so and has to come back, which resumes by the id of the last event; one that
takes nothing at all is cut off, because nothing can be told to it.
"""

import asyncio

from skerry.clock import SECOND_US, Alarm, Clock, Tasks
from skerry.model.errors import Refused, Unavailable
from skerry.model.limits import READER_SLOW_US_MAX, READER_STALL_US_MAX, STREAMS_MAX, STREAMS_PER_TOKEN_MAX


class TooMany(Refused):
    """The token has as many streams open as it may."""

    status = 429


class Readers:
    """The places of one core. All methods belong to one event loop."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._places: dict[Reader, str] = {}

    @property
    def count(self) -> int:
        """Streams that are open."""
        return len(self._places)

    def admit(self, token_id: str) -> "Reader":
        """Give a reader a place; raises ``TooMany`` for its token, or ``Unavailable`` when the core has none left."""
        if sum(each == token_id for each in self._places.values()) >= STREAMS_PER_TOKEN_MAX:
            detail = f"This token has {STREAMS_PER_TOKEN_MAX} streams open already."
            raise TooMany("E-STREAMS", detail, hint="Close one, or use another token for another program.")
        if len(self._places) >= STREAMS_MAX:
            raise Unavailable("E-STREAMS", f"{STREAMS_MAX} streams are open already.", hint="Ask again in a minute.")
        reader = Reader(self, self._clock, self._tasks)
        self._places[reader] = token_id
        return reader

    def forget(self, reader: "Reader") -> None:
        """Free a reader's place; idempotent."""
        self._places.pop(reader, None)


class Reader:
    """One stream's other end. Its time runs from the moment an item is given until the next one is asked for."""

    def __init__(self, readers: Readers, clock: Clock, tasks: Tasks) -> None:
        self._readers = readers
        self._clock = clock
        self._alarm = Alarm(clock, tasks, "reader of a stream", self._cut)
        self._task: asyncio.Task[object] | None = None
        self._given_us: int | None = None
        self.give()

    def begin(self) -> None:
        """The stream is sent from now on, by the task that calls this."""
        self._task = asyncio.current_task()
        self.give()

    def give(self) -> None:
        """An item goes out now."""
        self._given_us = self._clock.boot_us()
        self._alarm.set(self._given_us + READER_STALL_US_MAX)

    def take(self) -> None:
        """The item has gone out; raises ``Unavailable`` when that took the reader too long."""
        given_us, self._given_us = self._given_us, None
        if given_us is not None and self._clock.boot_us() - given_us > READER_SLOW_US_MAX:
            detail = f"One item took longer than {READER_SLOW_US_MAX // SECOND_US} s to be read."
            raise Unavailable("E-READER-SLOW", detail, hint="Follow again after the last event that was read.")

    def leave(self) -> None:
        """The stream has ended; idempotent."""
        self._alarm.stop()
        self._readers.forget(self)

    def _cut(self) -> None:
        """End a stream that nobody reads, or that was never sent: its connection goes with its task."""
        if self._given_us is None:
            return  # there is nothing to read just now
        self._readers.forget(self)
        if self._task is not None:
            self._task.cancel()
