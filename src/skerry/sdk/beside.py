"""Files and folders beside a manifest, as it names them: read from its own folder and from nowhere else.

Links are followed and then judged, so that somebody else's Compose file cannot carry a key of ours to the core. What is
read has the limits that the signed form has.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from skerry.manifest.values import FileRead, FolderRead, ReadFile, Unreadable
from skerry.model import limits

_OUTSIDE = Unreadable("leads out of the folder of the manifest")
#: Folders inside folders: deeper ones are no configuration.
_DEPTH_MAX = 16


def read_beside(folder: Path) -> ReadFile:
    """Return what reads files and folders named by a manifest: those below its folder."""
    top = folder.resolve()

    def read(path: str) -> FileRead | FolderRead | Unreadable:
        try:
            # Judged as it is opened: resolved first, so that neither dots nor links lead out.
            found = Path(os.path.join(top, path)).resolve()  # noqa: PTH118 - an absolute path is to win, and be refused
            if not found.is_relative_to(top):
                return _OUTSIDE
            return _read_folder(found, top) if found.is_dir() else _read_file(found, limits.INLINE_BYTES_MAX + 1)
        except FileNotFoundError:
            return Unreadable("does not exist", is_missing=True)
        except (OSError, ValueError) as error:
            return Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}")

    return read


def _read_file(path: Path, size: int) -> FileRead | Unreadable:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return Unreadable("is no file")
    with path.open("rb") as source:
        content = source.read(size)
    return FileRead(content, is_executable=bool(status.st_mode & stat.S_IXUSR))


def _read_folder(folder: Path, top: Path) -> FolderRead | Unreadable:
    """Read every file below a folder; one more than there may be is enough to be told that there are too many."""
    files: dict[str, FileRead] = {}
    left = limits.INLINE_BYTES_MAX + 1
    for name, path in _walk(folder, 0):
        found = path.resolve()
        if not found.is_relative_to(top):
            return Unreadable(f"holds {name[:80]}, which leads out of the folder of the manifest")
        read = _read_file(found, left)
        if isinstance(read, Unreadable):
            return Unreadable(f"holds {name[:80]}, which {read.reason}")
        files[name] = read
        left -= len(read.content)
        if left <= 0 or len(files) > limits.FOLDER_FILES_MAX:
            break
    return FolderRead(files)


def _walk(folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder with their paths in it, in order; links to folders are not gone into."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and depth < _DEPTH_MAX:
            yield from ((f"{path.name}/{name}", inner) for name, inner in _walk(path, depth + 1))
        else:
            yield path.name, path
