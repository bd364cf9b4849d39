"""Tells the supervisor how this process is: ready, alive, stopping, and one line of status (systemd's notify protocol).

Rule: a notice that cannot be delivered never harms the work; without a supervisor the address is empty and every notice
goes nowhere. The address and the watchdog's interval are values: `settings` reads them. Neighbours: `app` sends READY
and STOPPING, packaging/systemd/ holds the units that listen.
"""

import socket
from collections.abc import Callable

from skerry.clock import Clock

READY = "READY=1"
ALIVE = "WATCHDOG=1"
STOPPING = "STOPPING=1"

#: A status line longer than this is cut: it is for `systemctl status`, and a datagram has a limit of its own.
STATUS_CHARACTERS_MAX = 200
#: Notices per watchdog interval: one may be lost or late without a restart.
NOTICES_PER_INTERVAL = 3


def format_status(text: str) -> str:
    """Return the state line for `systemctl status`; line ends would start another state and become spaces."""
    return "STATUS=" + " ".join(text.split())[:STATUS_CHARACTERS_MAX]


def notify(address: str, *states: str) -> bool:
    """Send `states` in one datagram to the Unix socket at `address` (`@` starts an abstract name).

    Returns whether it was sent; never blocks and never raises for a supervisor that is absent, busy or gone.
    """
    if not address:
        return False
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as door:
            door.sendto("\n".join(states).encode(), name)
    except OSError:
        return False
    return True


async def keep_watchdog(address: str, interval_us: int, clock: Clock, is_well: Callable[[], bool]) -> None:
    """Say ALIVE for as long as `is_well()` holds, often enough for a watchdog of `interval_us`; 0 means none is set.

    When the work is not well the notices stop and the supervisor restarts the process; containers are not its children.
    """
    if not address or interval_us <= 0:
        return
    while True:
        if is_well():
            notify(address, ALIVE)
        await clock.sleep_until(clock.boot_us() + interval_us // NOTICES_PER_INTERVAL)
