"""Options of a file system in memory, as ``tmpfs`` and volumes write them: ``size=64m,mode=1750,exec``."""

import re

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.model.profile import grants_mount_option

#: Permission bits where nothing is said.
MODE = 0o1777

_MODE = re.compile(r"0?[0-7]{1,4}", re.ASCII)
#: Options that every tmpfs at a site has.
_IDLE = ("rw", "nosuid", "nodev", "async", "relatime", "defaults")


def read_tmpfs_options(reading: Reading, place: Place, text: str) -> tuple[int, tuple[str, ...]]:
    """Return the bytes and the other options of a tmpfs, from ``size=64m,mode=1750,exec``."""
    size = 0
    found: list[str] = []
    for option in filter(None, text.split(",")):
        word, _, value = option.partition("=")
        if word == "size":
            size = reading.size_of(place, value)
        elif word == "mode" and _MODE.fullmatch(value):
            found += [f"mode={int(value, 8):o}"] if int(value, 8) != MODE else []
        elif grants_mount_option("tmpfs", option):
            found.append(option)
        elif option not in _IDLE:
            reading.findings.not_yet(place, f'the option "{option[:40]}" of a tmpfs')
    return size, tuple(sorted(found))
