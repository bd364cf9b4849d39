"""When an end must speak, must ask, and may believe that the other one is gone.

Rules of this file:
1. It does not know which end it serves, but for one bit: the end that ``leads`` speaks up when it said nothing for an
   interval; the other one only answers. So an idle link carries one question and one answer per interval: three
   packets, 220 bytes with all headers, 26.4 kB an hour at 30 s and 0.9 kB at 900 s (link/channel.py sees to three).
2. Anything heard is a sign of life. Silence of two intervals ends a session at both ends (faults.md N7); while an
   answer is outstanding it is asked for sooner.
3. An end that slept (paused, suspended, starved) judges nobody for the time it slept.
4. Heartbeats without a word while an answer is outstanding are no progress: after STALL_US the session ends.
"""

import enum

SECOND_US = 1_000_000

#: With an answer outstanding, silence is asked about after this long, whatever the interval.
ASK_US = 20 * SECOND_US
#: A question that is not answered within this time is the end of a session: retransmissions on the worst link
#: (2 s round trip, 20 % loss) behind a full buffer (8 s) take half of it.
ANSWER_US = 60 * SECOND_US
#: Nothing that a peer owes takes so long.
STALL_US = 900 * SECOND_US


class Sign(enum.Enum):
    """What is due now."""

    NOTHING = "nothing"
    #: Send ``Beat(want=True)``.
    ASK = "ask"
    #: The other end is gone.
    SILENT = "silent"
    #: It lives and does not do its part.
    STALLED = "stalled"


class Pulse:
    """Times of one session, all in boot-time microseconds of this end."""

    def __init__(self, *, leads: bool) -> None:
        self._leads = leads
        #: Time between the last question that was answered and its answer; 0 while none was in this session.
        self.rtt_us = 0
        self.begin(0, SECOND_US)

    def begin(self, now: int, interval_us: int) -> None:
        """Start a session with this heartbeat interval; both ends have just spoken."""
        self._interval_us = interval_us
        self.rtt_us = 0
        self._sent = now
        self._heard = now
        self._progress = now
        self._asked: int | None = None
        self._due: int | None = None

    def note_sent(self, now: int, *, word: bool) -> None:
        """Something was queued for the peer; ``word`` when it was more than a heartbeat."""
        self._sent = now
        if word:
            self._progress = now

    def note_heard(self, now: int, *, word: bool) -> None:
        """Something arrived; ``word`` when it was more than a heartbeat."""
        self._heard = now
        if self._asked is not None and not word:
            self.rtt_us = max(now - self._asked, 0)
        self._asked = None
        if word:
            self._progress = now

    def judge(self, now: int, *, waiting: bool) -> Sign:
        """Say what is due; ``waiting`` while the peer owes an answer."""
        self._forgive(now)
        if not waiting:
            self._progress = now
        if now >= self._silent_at():
            return Sign.SILENT
        if now >= self._progress + STALL_US:
            return Sign.STALLED
        if self._asked is None and now >= self._ask_at(waiting):
            self._asked = now
            return Sign.ASK
        return Sign.NOTHING

    def next_due(self, *, waiting: bool) -> int:
        """Return when to judge again."""
        due = self._silent_at()
        if self._asked is None:
            due = min(due, self._ask_at(waiting))
        if waiting:
            due = min(due, self._progress + STALL_US)
        self._due = due
        return due

    def _ask_at(self, waiting: bool) -> int:
        interval = self._interval_us
        # The leading end's own silence is the question; the other end asks only when that question is late.
        at = min(self._sent, self._heard) + interval if self._leads else self._heard + interval * 3 // 2
        if waiting:
            at = min(at, max(self._heard, self._sent) + ASK_US)
        return at

    def _silent_at(self) -> int:
        at = self._heard + 2 * self._interval_us
        return at if self._asked is None else min(at, self._asked + ANSWER_US)

    def _forgive(self, now: int) -> None:
        late_us = now - self._due if self._due is not None else 0
        if late_us > self._interval_us // 2:
            self._heard += late_us
            self._progress += late_us
            if self._asked is not None:
                self._asked += late_us
        self._due = None
