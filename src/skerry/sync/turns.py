"""Events taken one after the other: what comes up while one is handled waits for its turn.

Both sessions feed their end so. What an end wants done may at once yield another event (a queue that is full, a call
that is dropped), and an end must never be asked again in the middle of an answer.
"""

import collections
from collections.abc import Callable
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Turns(Generic[Event]):
    """Gives events to ``take``, never one within another."""

    def __init__(self, take: Callable[[Event], None]) -> None:
        self._take = take
        self._waiting: collections.deque[Event] = collections.deque()
        self._is_taking = False

    def feed(self, event: Event) -> None:
        """Take an event, and all that come of it; when one is being taken already, note it for after that."""
        self._waiting.append(event)
        if self._is_taking:
            return
        self._is_taking = True
        try:
            while self._waiting:
                self._take(self._waiting.popleft())
        finally:
            self._is_taking = False
