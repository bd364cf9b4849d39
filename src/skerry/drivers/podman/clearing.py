"""podman's clearing up after a process of a container that has ended: whether somebody still does it.

Not the service does it, but a further podman that the ended process's conmon runs, and it comes when the machine has
time for it. It takes away what it finds made and not yet started, whoever made that (podman 4.3.1, ``Cleanup``): the
namespaces of the next start too. Their conmon then has all that cleared up again, so that on a busy machine each try
takes the next one with it. A conmon ends when its podman has; so nothing is made before they are gone.
"""

import asyncio
import itertools
from collections.abc import Iterable

from skerry.drivers.podman.hung import Process, list_processes

#: It takes half a second, and tens of them on a small box that starts all of its instances again.
CLEARED_S_MAX = 60.0
_LOOK_S = 0.05


async def wait_cleared(container: str, conmon: int) -> None:
    """Return when no conmon of ``container`` is left but ``conmon`` (0: none at all), or after ``CLEARED_S_MAX``."""
    for _ in range(int(CLEARED_S_MAX / _LOOK_S)):
        if not find_conmons(container, list_processes()) - {conmon}:
            return
        await asyncio.sleep(_LOOK_S)  # noqa: TID251 - a real process's end takes real time


def find_conmons(container: str, processes: Iterable[Process]) -> set[int]:
    """Return those that watch, or watched, a process of the container's own; none of commands inside it."""
    found: set[int] = set()
    for each in processes:
        words = each.command.split("\0")
        if words[0].rpartition("/")[2] == "conmon" and ("-u", container) in itertools.pairwise(words):
            found.add(each.pid)
    return found
