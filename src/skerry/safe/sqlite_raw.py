"""A SQLite file from below: connecting with the house's pragmas, checking pages, copying to a snapshot and back.

Rule: a copy is complete, checked and synced before it gets its name (faults.md §3.2, §3.3); a bad file is set aside,
never deleted. Neighbours: ``sqlite.py`` decides with these steps what to open.
"""

# APSW's stubs name a type of Python 3.12 (Buffer), which Python 3.11 does not know.
# pyright: reportUnknownMemberType=false

import contextlib
import urllib.parse
from collections.abc import Callable, Generator
from typing import Literal

import apsw

from skerry.model.errors import Broken
from skerry.safe.errors import StoreFailed, StoreFull
from skerry.safe.files import disk_errors
from skerry.safe.paths import Directory

#: SQLite below this version has a race that can corrupt a WAL file (faults.md §3.2).
SQLITE_VERSION_MIN = (3, 51, 3)
#: Bytes of WAL that stay on the disk once it has been copied into the file.
JOURNAL_BYTES_MAX = 8 * 1024 * 1024
#: Pages a snapshot copies per turn of the writer: 4 MiB, so that writers wait a moment, not for the whole file.
SNAPSHOT_PAGES = 1_000

#: Says what is wrong with an open file beyond its pages, or nothing.
Inspect = Callable[[apsw.Connection], str]

#: What concerns the disk and therefore everybody, not only the statement that met it.
DISK_ERRORS = (
    apsw.IOError,
    apsw.FullError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.NoMemError,
    apsw.CantOpenError,
)
_DAMAGE = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.FormatError,
    apsw.SQLError,
    apsw.ReadOnlyError,
    Broken,
    TypeError,
    ValueError,
)
_UNREADABLE = (apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS)


def find_cause(error: BaseException, kinds: tuple[type[apsw.Error], ...]) -> apsw.Error | None:
    """Return the APSW error of one of ``kinds`` behind ``error``, through whatever wrapped it."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, kinds):
            return link
        link = link.__cause__ or link.__context__
    return None


def _is_damage(error: Exception) -> bool:
    """Say whether ``error`` makes the file a bad one; a full or failing disk says nothing about the file.

    Damage has many words: a flipped header reads as an unknown format, as settings that do not take or as write
    protection, a flipped schema as bad SQL, a flipped record as text that is none or a value of another type.
    """
    if isinstance(error, apsw.IOError):
        return getattr(error, "extendedresult", 0) in _UNREADABLE
    return isinstance(error, _DAMAGE)


@contextlib.contextmanager
def sqlite_errors(what: str) -> Generator[None]:
    """Turn APSW's errors into ``StoreFull`` or ``StoreFailed``, naming ``what`` was done."""
    try:
        yield
    except apsw.FullError as error:
        raise StoreFull(f"No room: {what}.") from error
    except apsw.Error as error:
        raise StoreFailed(f"{what} failed: {error}") from error


def check_library() -> None:
    """Raise ``Broken`` when the library is too old or lacks what the house sets, before any file is judged by it."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SQLITE_VERSION_MIN:
        raise Broken("E-SQLITE-VERSION", f"SQLite {apsw.sqlite_lib_version()} can corrupt files; 3.51.3 cannot.")
    connect(":memory:", synchronous="FULL", vfs=None).close()


def connect(path: str, *, synchronous: Literal["FULL", "NORMAL"], vfs: str | None) -> apsw.Connection:
    """Connect for writing, with every pragma set and those that matter read back."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_NOFOLLOW
    raw = apsw.Connection(path, flags=flags, vfs=vfs)
    try:
        # Before the WAL: its index then lives in our memory, and no other process can come near the file.
        raw.pragma("locking_mode", "EXCLUSIVE")
        mode = raw.pragma("journal_mode", "WAL")
        raw.pragma("synchronous", synchronous)
        raw.pragma("foreign_keys", True)
        raw.pragma("trusted_schema", False)
        raw.pragma("cell_size_check", True)
        raw.pragma("journal_size_limit", JOURNAL_BYTES_MAX)
        # Sorting on flash would wear it, and a file outside the harness would not be seen by it.
        raw.pragma("temp_store", "MEMORY")
        for option in (apsw.SQLITE_DBCONFIG_DQS_DML, apsw.SQLITE_DBCONFIG_DQS_DDL):
            raw.config(option, 0)
        levels = {"FULL": 2, "NORMAL": 1}
        found = (mode, raw.pragma("synchronous"), raw.pragma("foreign_keys"), raw.pragma("trusted_schema"))
        if found != ("memory" if path == ":memory:" else "wal", levels[synchronous], 1, 0):
            raise Broken("E-SQLITE-PRAGMA", f"SQLite did not accept the house's settings: {found}.")
    except BaseException:
        close_untouched(raw)
        raise
    return raw


def connect_immutable(path: str, *, vfs: str | None) -> apsw.Connection:
    """Connect for reading to a file that nobody writes: no log, no lock."""
    uri = f"file:{urllib.parse.quote(path)}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_NOFOLLOW
    raw = apsw.Connection(uri, flags=flags, vfs=vfs)
    raw.pragma("trusted_schema", False)
    raw.pragma("cell_size_check", True)
    return raw


def connect_fresh(path: str, *, vfs: str | None = None) -> apsw.Connection:
    """Connect to a new file that is written once: synced by us when it is whole, thrown away when a cut comes first."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_NOFOLLOW
    raw = apsw.Connection(path, flags=flags, vfs=vfs)
    raw.pragma("journal_mode", "OFF")
    raw.pragma("synchronous", "OFF")
    return raw


def read_schema_number(raw: apsw.Connection) -> int:
    """Return how many steps of its schema a file has seen."""
    return int(raw.pragma("user_version"))


def close_untouched(raw: apsw.Connection) -> None:
    """Close without copying the WAL into the file: after a failure nothing more is written."""
    raw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    raw.close(True)


def complaint_about(raw: apsw.Connection, inspect: Inspect) -> str:
    """Say what is wrong with the pages or records of an open file, or nothing; raises only when it cannot tell."""
    try:
        verdict = str(raw.execute("PRAGMA quick_check(1)").get)
        return inspect(raw) if verdict == "ok" else verdict
    except Exception as error:
        if _is_damage(error):
            return str(error)
        raise


def open_if_good(
    directory: Directory, name: str, inspect: Inspect, *, synchronous: Literal["FULL", "NORMAL"], vfs: str | None
) -> apsw.Connection | None:
    """Open a file for writing when pages and records are good, None when they are not."""
    with sqlite_errors(f"opening {name}"):
        try:
            raw = connect(directory.path_of(name), synchronous=synchronous, vfs=vfs)
        except Exception as error:
            if _is_damage(error):
                return None
            raise
        try:
            if not complaint_about(raw, inspect):
                return raw
        except BaseException:
            close_untouched(raw)
            raise
        close_untouched(raw)
        return None


def complaint_about_snapshot(directory: Directory, name: str, inspect: Inspect, *, vfs: str | None) -> str:
    """Open and check a file that nobody writes; say what is wrong with it, or nothing. A snapshot counts only then."""
    if not directory.size(name):
        return "there is none"
    try:
        raw = connect_immutable(directory.path_of(name), vfs=vfs)
        try:
            return complaint_about(raw, inspect)
        finally:
            raw.close(True)
    except apsw.Error as error:
        return str(error)


def copy(
    source: apsw.Connection, directory: Directory, target: str, inspect: Inspect, *, vfs: str | None
) -> Generator[None, None, str]:
    """Copy ``source`` into a new, checked and synced file beside ``target``; return its name.

    Yields after every ``SNAPSHOT_PAGES`` pages; the source may be written in between through its own connection.
    Raises ``StoreFull`` or ``StoreFailed`` and leaves nothing behind.
    """
    fresh = f"{target}.new.1"
    try:
        with disk_errors(fresh):
            directory.remove(fresh)
        with sqlite_errors(f"copying to {fresh}"):
            into = connect_fresh(directory.path_of(fresh), vfs=vfs)
            try:
                with into.backup("main", source, "main") as backup:
                    while not backup.done:
                        backup.step(SNAPSHOT_PAGES)
                        yield
            finally:
                into.close(True)
        complaint = complaint_about_snapshot(directory, fresh, inspect, vfs=vfs)
        if complaint:
            raise StoreFailed(f"The copy {fresh} is not good: {complaint}.")
        with disk_errors(fresh):
            directory.sync_file(fresh)
    except BaseException:
        with contextlib.suppress(OSError):
            directory.remove(fresh)
        raise
    return fresh


def snapshot(
    source: apsw.Connection, directory: Directory, name: str, inspect: Inspect, *, vfs: str | None
) -> Generator[None]:
    """Make the newest snapshot of ``name`` and keep the one before; yields as ``copy`` does."""
    target = f"{name}.snapshot"
    fresh = yield from copy(source, directory, target, inspect, vfs=vfs)
    with disk_errors(target):
        if directory.size(target) is not None:
            directory.remove(f"{target}.prev")
            directory.link(target, f"{target}.prev")
        directory.rename(fresh, target)
        directory.sync()


def restore(directory: Directory, name: str, generation: str, inspect: Inspect, *, vfs: str | None) -> bool:
    """Put the snapshot ``generation`` in the place of ``name`` when it is good; what was there is set aside."""
    if complaint_about_snapshot(directory, generation, inspect, vfs=vfs):
        return False
    with sqlite_errors(f"reading {generation}"):
        source = connect_immutable(directory.path_of(generation), vfs=vfs)
    try:
        steps = copy(source, directory, name, inspect, vfs=vfs)
        fresh = run_to_end(steps)
    finally:
        source.close(True)
    set_aside(directory, name)
    with disk_errors(name):
        directory.rename(fresh, name)
        directory.sync()
    return True


def run_to_end(steps: Generator[None, None, str]) -> str:
    """Run ``steps`` to their end without a pause and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return str(end.value)


def set_aside(directory: Directory, name: str) -> None:
    """Rename a bad file and its log to ``name.bad``, for whoever wants to look; an older one there is replaced.

    The log goes first and for certain: beside a restored file it would be taken for that file's own.
    """
    with disk_errors(name):
        for suffix in ("-wal", "-journal", ""):
            if directory.size(f"{name}{suffix}") is not None:
                directory.rename(f"{name}{suffix}", f"{name}.bad{suffix}")
        directory.sync()
