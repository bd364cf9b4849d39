"""What the operator grants of the node's own tree: devices that are there, and folders that may be bound.

Rules: (1) a path is walked component by component from the root and no link is followed, so that no instance which may
write one folder leads the next bind elsewhere; (2) what is kept is known by its inode, under whatever name it is met.
"""

import fnmatch
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from skerry.model.limits import DEVICES_TOLD_MAX

#: Entries of one folder below ``/dev`` that are looked at: a machine with every serial port there is has 700.
_ENTRIES_MAX = 4_096
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def find_devices(patterns: Iterable[str], root: str = "/") -> tuple[str, ...]:
    """Return the device nodes below ``root`` that patterns such as ``/dev/ttyUSB*`` mean, sorted and bounded."""
    found: set[str] = set()
    for pattern in sorted(set(patterns)):
        found.update(_match(root, pattern.lstrip("/").split("/"), DEVICES_TOLD_MAX - len(found)))
    return tuple(sorted(found))


def _match(root: str, steps: list[str], most: int) -> list[str]:
    places = [""]
    for position, step in enumerate(steps):
        is_last = position == len(steps) - 1
        found = ((place, name) for place in places for name in _names(root, place, step))
        places = [f"{place}/{name}" for place, name in found if _fits(root, place, name, is_last)]
        places = places[: most if is_last else _ENTRIES_MAX]
    return places


def _names(root: str, place: str, step: str) -> list[str]:
    if not any(sign in step for sign in "*?["):
        return [step]
    try:
        with os.scandir(root + place) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_ENTRIES_MAX), strict=False)]
    except OSError:
        return []
    return sorted(fnmatch.filter(names, step))


def _fits(root: str, place: str, name: str, is_last: bool) -> bool:
    try:
        mode = os.lstat(f"{root}{place}/{name}").st_mode
    except OSError:
        return False
    return (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) if is_last else stat.S_ISDIR(mode)


def find_bind_obstacle(path: str, kept: Iterable[Path]) -> str:
    """Return why a path of the node cannot be bound, empty when it can; ``kept`` are folders nobody is shown."""
    inner = {place for folder in kept if (place := _place_of(folder)) is not None}
    outer = {place for folder in kept for above in folder.parents if (place := _place_of(above)) is not None}
    descriptor = os.open("/", _LOOK | os.O_DIRECTORY)
    walked = ""
    try:
        for step in path.strip("/").split("/") if path != "/" else ():
            walked = f"{walked}/{step}"
            if step in ("", ".", ".."):
                return f"{path} is no plain path"
            try:
                below = os.open(step, _LOOK, dir_fd=descriptor)
            except OSError as error:
                return f"{walked} of the node cannot be bound: {error.strerror}"
            os.close(descriptor)
            descriptor = below
            status = os.fstat(descriptor)
            if stat.S_ISLNK(status.st_mode):
                return f"{walked} of the node is a link, and none is followed: name what it leads to"
            if (status.st_dev, status.st_ino) in inner:
                return f"{walked} of the node holds what is others'"
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) in outer:
            return f"{path} of the node has folders in it that hold what is others'"
    finally:
        os.close(descriptor)
    return ""


def _place_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
