"""How much disk a tree of somebody else's takes, told entry by entry.

Whoever owns the tree goes on working in it and may be hostile: no link is followed, no folder is held in memory whole,
and folders within folders have an end. Nothing is opened but folders.
"""

import os
import stat
from collections.abc import Generator

#: Folders within folders that are entered: each takes two descriptors, and what a tenant builds may have no end.
DEPTH_MAX = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Unit of ``st_blocks``, whatever the file system's own blocks are (stat(2)).
_BLOCK_BYTES = 512


def walk_sizes(path: str) -> Generator[int]:
    """Give the bytes of disk of the folder ``path`` and of each entry below it; ``OSError`` if it cannot be read.

    A file with several names counts once for each; what vanishes meanwhile counts for nothing.
    """
    folder = os.open(path, _FOLDER)
    try:
        yield _BLOCK_BYTES * os.fstat(folder).st_blocks
        yield from _walk(folder, 1)
    finally:
        os.close(folder)


def _walk(folder: int, depth: int) -> Generator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield _BLOCK_BYTES * seen.st_blocks
            if not stat.S_ISDIR(seen.st_mode) or depth == DEPTH_MAX:
                continue
            try:
                below = os.open(entry.name, _FOLDER, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone, or another thing by now
            try:
                yield from _walk(below, depth + 1)
            finally:
                os.close(below)
