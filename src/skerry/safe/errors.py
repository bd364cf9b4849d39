"""What may go wrong between us and a disk, in the tree of ``model/errors.py``.

Unavailable
├── StoreFailed   a write or sync failed: nothing more is acknowledged, the process ends with EXIT_STORE_FAILED
├── StoreFull     no room: undone as a whole, may be tried again
├── StoreAway     the database server does not answer now: may be tried again
└── StoreLocked   another process holds the file
Refused
├── UnsafeName    a name from outside that may not reach a file system
├── UnsafeArchive an archive that breaks a rule or a limit
├── TooLarge      more bytes than the reader allows
└── SchemaTooNew  the file was written by a newer version of Skerry

What the disk says in between (OSError) is turned into these by whoever writes.
"""

from skerry.model.errors import Refused, Unavailable

#: Exit code of a process whose store failed; the supervisor starts it again (faults.md §3.4).
EXIT_STORE_FAILED = 74


class StoreFailed(Unavailable):
    """A write or sync failed, so the kernel's view of the file proves nothing any more (faults.md §3.4)."""

    def __init__(self, what: str) -> None:
        super().__init__("E-STORE-FAILED", what, hint="Look at the disk; Skerry restarts and verifies its files.")


class StoreFull(Unavailable):
    """There is no room on the disk; the write was undone as a whole."""

    def __init__(self, what: str) -> None:
        super().__init__("E-DISK-FULL", what, hint="Remove unused images, or give the disk more room.")


class StoreAway(Unavailable):
    """The database server does not answer, or cannot serve this now; what was asked was undone unless it says more."""

    def __init__(self, what: str) -> None:
        super().__init__("E-STORE-AWAY", what, hint="Try again in a moment; sites go on meanwhile.")


class StoreLocked(Unavailable):
    """Another process has the file open."""

    def __init__(self, name: str) -> None:
        super().__init__("E-STORE-LOCKED", f"{name} is in use by another process.", hint="Stop that process first.")


class UnsafeName(Refused):
    """A name from outside that is neither a name nor an id nor a digest."""

    def __init__(self, name: str) -> None:
        super().__init__("E-NAME", f"{name[:80]!r} is not a name that may reach a file system.")


class UnsafeArchive(Refused):
    """An archive that breaks a rule or a limit."""

    def __init__(self, what: str) -> None:
        super().__init__("E-ARCHIVE", what)


class TooLarge(Refused):
    """More bytes than the reader allows."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__("E-TOO-LARGE", f"{what} is larger than {limit} bytes.")


class SchemaTooNew(Refused):
    """The file was written by a newer version of Skerry."""

    def __init__(self, name: str, found: int, known: int) -> None:
        super().__init__(
            "E-SCHEMA-NEWER",
            f"{name} has schema {found}, this version of Skerry knows {known}.",
            hint="Run the newer version, or restore the snapshot made before the upgrade.",
        )
