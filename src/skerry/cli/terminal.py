"""The person's terminal, lent to a command far away: raw while it runs, its size told, given back at any end.

Rules of this file: (1) the terminal is given back before anything is said about how it ended; (2) a signal that would
end this process ends it by an exception, so that rule 1 holds for it too; (3) a handler only notes: who reads the
keyboard also sends the size.
"""

import contextlib
import os
import select
import shutil
import signal
import termios
import tty
from collections.abc import Generator, Iterator
from types import FrameType

from skerry.model.limits import WINDOW_SIDE_MAX
from skerry.model.signed import Window

#: Signals that end a process and leave its terminal as it is.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def read_window(output: int) -> Window:
    """Return the size of the terminal at a file descriptor, 80 by 24 where it does not say."""
    try:
        size = os.get_terminal_size(output)
    except OSError:
        size = shutil.get_terminal_size()
    columns, rows = (min(side, WINDOW_SIDE_MAX) for side in size)
    return Window(columns=columns or 80, rows=rows or 24)


class Keyboard:
    """What is typed at a terminal, byte for byte, and its new sizes in between."""

    def __init__(self, keys: int, screen: int, piece_bytes: int) -> None:
        self._keys = keys
        self._screen = screen
        self._piece_bytes = piece_bytes
        self._resized, self._note = os.pipe()
        os.set_blocking(self._note, False)

    def note_resize(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGWINCH. A pipe that is full holds notes enough."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._note, b".")

    def read(self, *, with_keys: bool) -> Iterator[bytes | Window]:
        """Give what happens until the keyboard ends; without keys only sizes, for ever."""
        waiting = [self._resized, *([self._keys] if with_keys else [])]
        while True:
            ready, _, _ = select.select(waiting, [], [])
            if self._resized in ready:
                os.read(self._resized, 64)
                yield read_window(self._screen)
            if self._keys in ready:
                data = os.read(self._keys, self._piece_bytes)
                if not data:
                    return
                yield data


@contextlib.contextmanager
def borrow_terminal(keys: int, screen: int, piece_bytes: int, *, raw: bool) -> Generator[Keyboard]:
    """Lend the terminal; ``raw`` sends every key away, Ctrl-C among them, and shows none."""
    keyboard = Keyboard(keys, screen, piece_bytes)
    before = termios.tcgetattr(keys)
    handlers = {number: signal.signal(number, _end) for number in _ENDING}
    handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, keyboard.note_resize)
    try:
        if raw:
            tty.setraw(keys)
        yield keyboard
    finally:
        # Not after what is still to be written: a stopped screen would keep the terminal raw.
        termios.tcsetattr(keys, termios.TCSANOW, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
