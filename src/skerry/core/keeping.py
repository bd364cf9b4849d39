"""Looks after a core from outside its process: backup, restore, move to another database, doctor.

Rules: (1) a running SQLite core is asked over its socket, because nobody else may open its file; PostgreSQL is read at
one moment by a connection of our own; (2) what overwrites wants to be told so, and keeps what was there; (3) a copy is
proven before anybody is told of it. What a restored core then orders is for ``link_desk.py`` to say: nothing, until it
has learned from its sites.
"""

import contextlib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import msgspec

from skerry.clock import Clock
from skerry.core import doctor, local
from skerry.core.delivery import Delivery
from skerry.core.doctor import Check
from skerry.keys.file import keep_seed, read_seed
from skerry.model.errors import Invalid, Refused, SkerryError
from skerry.model.ids import Digest
from skerry.safe import sqlite_raw
from skerry.safe.blobs import BlobDirectory
from skerry.safe.db import Backing
from skerry.safe.errors import StoreLocked
from skerry.safe.files import disk_errors
from skerry.safe.paths import Lock, RealDirectory, entry
from skerry.store import Connection, backups, copying, databases
from skerry.store.apsw_dialect import core_connection
from skerry.store.backups import About
from skerry.store.databases import Place, SqlitePlace, keep_connection
from skerry.store.migrations import STEPS

T = TypeVar("T")

_GOOD_SERVER = Check("server", "good", "keeps what it commits")
#: What was in the place of a restored file before.
REPLACED = "replaced"


class BackedUp(msgspec.Struct, frozen=True):
    """A backup that was written and read back."""

    file: str
    about: About


class Restored(msgspec.Struct, frozen=True):
    """What is in place now, and where what was there before is kept; empty when there was nothing."""

    place: str
    rows: int
    kept: str = ""


class Moved(msgspec.Struct, frozen=True):
    """A core copied whole."""

    source: str
    target: str
    rows: int
    tables: int


class Diagnosis(msgspec.Struct, frozen=True):
    """All checks."""

    checks: list[Check]


class Keeper:
    """One core's data directory and database."""

    def __init__(self, data: Path, address: str, clock: Clock) -> None:
        self._data = data
        self._address = address
        self._place = databases.find_place(address, data)
        self._clock = clock

    # --- backup ------------------------------------------------------------------------------------------------------

    def back_up(self, file: Path) -> BackedUp:
        """Write a backup; the core may run. Raises ``Refused``, or what a disk or server says."""
        folder, name = _open_parent(file)
        seed = self._read_seed()
        if seed is None:
            raise Refused(
                "E-NO-CORE", f"There is no core in {self._data}: its delivery key is not there.", hint="skerry up"
            )
        about = self._read(lambda here: backups.write_backup(here, folder, name, seed, self._clock.wall_us()))
        return BackedUp(str(file), about)

    def _read(self, job: Callable[[Connection], T]) -> T:
        """Read one moment of the database, whether or not the core runs."""
        match self._place:
            case SqlitePlace(folder, name):
                if local.ask(self._data, "snapshot", dict[str, str]) is None:
                    with self._open(self._place) as backing:
                        return backing.read(lambda: job(keep_connection(backing.connection)))
                # Replaced by the next snapshot and never written to: an open one stays as it is.
                directory = RealDirectory.open_root(folder)
                with sqlite_raw.sqlite_errors("reading the snapshot"):
                    raw = sqlite_raw.connect_immutable(directory.path_of(f"{name}.snapshot"), vfs=None)
                try:
                    return job(core_connection(raw))
                finally:
                    raw.close(True)
            case _:
                from skerry.store.postgres import read_moment

                return read_moment(self._place.url, job)

    # --- restore -----------------------------------------------------------------------------------------------------

    def restore(self, file: Path, *, overwrite: bool) -> Restored:
        """Put a backup in the core's place; the core must not run.

        Raises ``StoreLocked`` when it does, ``Refused`` when something is there and ``overwrite`` is not said.
        """
        folder, name = _open_parent(file)
        with backups.open_backup(folder, name) as backup:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            keys = RealDirectory.open_root(self._data).enter("keys", create=True)
            known = self._read_seed()
            if known not in (None, backup.delivery_seed) and not overwrite:
                raise _would_overwrite("The delivery key here is another one than the backup's")
            match self._place:
                case SqlitePlace():
                    kept = self._replace_file(self._place, backup, overwrite)
                case _:
                    kept = self._replace_rows(self._place, backup, overwrite)
            if known != backup.delivery_seed:
                keep_seed(keys, "delivery.key", "ed25519", backup.delivery_seed)
            self._give_to_owner()
            return Restored(str(self._place), backup.about.rows, kept)

    def _replace_file(self, place: SqlitePlace, backup: backups.Backup, overwrite: bool) -> str:
        """Write a fresh file and let it take the place of what is there.

        Several names change, so a mark says so meanwhile; a core that finds it does not start.
        """
        directory, name = RealDirectory.open_root(place.folder), place.name
        lock = _lock(directory, name)
        try:
            mark = f"{name}.{databases.RESTORING}"
            files = (name, f"{name}-wal", f"{name}.snapshot", f"{name}.snapshot.prev")
            there = [each for each in files if directory.size(each) is not None]
            if there and not overwrite and directory.size(mark) is None:
                raise _would_overwrite(f"There is a core in {place}")
            fresh = backups.write_core_file(backup, directory, name)
            with disk_errors(name):
                if directory.size(mark) is None:
                    for each in there:
                        directory.remove(_kept_name(name, each))
                    directory.create(mark).close()
                    directory.sync()
                for each in there:
                    # After an interruption, what was set aside first is what was there before.
                    if directory.size(_kept_name(name, each)) is None:
                        directory.rename(each, _kept_name(name, each))
                    else:
                        directory.remove(each)
                directory.rename(fresh, name)
                directory.sync()
                directory.remove(mark)
                directory.sync()
            return f"{place}.{REPLACED}" if directory.size(f"{name}.{REPLACED}") is not None else ""
        finally:
            lock.release()

    def _replace_rows(self, place: Place, backup: backups.Backup, overwrite: bool) -> str:
        with self._open(place) as backing:
            if not overwrite and self._count(backing):
                raise _would_overwrite(f"There is a core in {place}")
            _write(backing, lambda connection: backups.restore_rows(backup, connection))
        return ""

    # --- another database --------------------------------------------------------------------------------------------

    def move(self, address: str) -> Moved:
        """Copy the core whole into another, empty database; neither may be in use. What is here stays as it is."""
        target = databases.find_place(address, self._data)
        if target == self._place:
            raise Invalid("E-DATABASE", f"{target} is the database that the core has already.")
        with self._open(self._place) as source, self._open(target) as into:
            if self._count(into):
                raise _would_overwrite(f"There is a core in {target}")
            sums = source.read(
                lambda: _write(
                    into, lambda connection: copying.copy_tables(keep_connection(source.connection), connection)
                )
            )
        self._give_to_owner()
        return Moved(str(self._place), str(target), sum(table.rows for table in sums.values()), len(sums))

    def _count(self, backing: Backing) -> int:
        return backing.read(lambda: copying.count_rows(keep_connection(backing.connection)))

    @contextlib.contextmanager
    def _open(self, place: Place) -> Generator[Backing]:
        """Open a database that no core has open."""
        try:
            backing = databases.open_backing(place, self._clock)
        except StoreLocked as error:
            error.hint = "Stop the core first: systemctl stop skerry-core, or skerry down."
            raise
        try:
            yield backing
        finally:
            backing.close()

    # --- doctor ------------------------------------------------------------------------------------------------------

    def diagnose(self) -> Diagnosis:
        """Look at everything that can be seen from here; never raises what is itself a finding."""
        found = local.ask(self._data, "doctor", Diagnosis)
        if found is not None:
            return Diagnosis([Check("core", "good", f"runs over {self._data}"), *found.checks])
        hint = "systemctl start skerry-core, or skerry up"
        stopped = Check("core", "warning", f"no core runs over {self._data}", hint)
        checks = [doctor.check_disk(self._data)] if self._data.is_dir() else []
        try:
            self._look(checks)
        except SkerryError as error:
            checks.append(Check("database", "bad", error.detail, error.hint or "skerry core restore FILE --overwrite"))
        return Diagnosis([stopped, *checks])

    def _judge(self, found: doctor.Findings) -> list[Check]:
        try:
            seed = self._read_seed()
        except SkerryError:
            seed = None
        absent = count_absent_blobs(RealDirectory.open_root(self._data), found.blobs)
        return doctor.judge_findings(found, None if seed is None else Delivery(seed), absent, self._clock.wall_us())

    def _look(self, checks: list[Check]) -> None:
        """Look at a database that no core serves, and change nothing in it."""

        def job(connection: Connection) -> list[Check]:
            return self._judge(doctor.read_findings(connection))

        match self._place:
            case SqlitePlace(folder, name):
                directory = RealDirectory.open_root(folder)
                if directory.size(name) is None:
                    checks.append(Check("database", "bad", f"there is no {self._place}", "skerry core restore FILE"))
                    return
                databases.refuse_half_restored(directory, name)
                if directory.size(f"{name}-wal"):
                    detail = "its log was not copied back: the core was killed, and its next start sees to it"
                    hint = "systemctl start skerry-core, or skerry up"
                    checks.append(Check("database", "unknown", detail, hint))
                    return
                with sqlite_raw.sqlite_errors(f"reading {name}"):
                    raw = sqlite_raw.connect_immutable(directory.path_of(name), vfs=None)
                    try:
                        number = sqlite_raw.read_schema_number(raw)
                        checks.append(doctor.judge_schema(number, len(STEPS)))
                        if number == len(STEPS):
                            checks += job(core_connection(raw))
                    finally:
                        raw.close(True)
            case _:
                from skerry.store.postgres import check_server, read_moment

                complaint, number = check_server(self._place.url)
                hint = "ask whoever keeps the database server"
                checks.append(Check("server", "bad", complaint, hint) if complaint else _GOOD_SERVER)
                checks.append(doctor.judge_schema(number, len(STEPS)))
                if number == len(STEPS):
                    checks += read_moment(self._place.url, job)

    def _read_seed(self) -> bytes | None:
        if not (self._data / "keys").is_dir():
            return None
        return read_seed(RealDirectory.open_root(self._data).enter("keys"), "delivery.key", "ed25519")

    def _give_to_owner(self) -> None:
        """Give what root has written to the core's own user."""
        if os.geteuid() != 0:
            return
        owner = self._data.stat()
        for folder in (self._data, self._data / "keys"):
            for path in (folder, *folder.iterdir()):
                if not path.is_symlink():
                    os.chown(path, owner.st_uid, owner.st_gid)


def count_absent_blobs(data: RealDirectory, digests: list[str]) -> int:
    """Say how many blobs that should be on the disk are not."""
    blobs = BlobDirectory(data.enter("blobs", create=True))
    return sum(blobs.size(Digest(digest)) is None for digest in digests)


def _write(backing: Backing, job: Callable[[Connection], T]) -> T:
    """Do one job, durably; its error is raised and has undone it."""
    (outcome,) = backing.write_group([lambda: job(keep_connection(backing.connection))])
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def _open_parent(file: Path) -> tuple[RealDirectory, str]:
    """Return the folder of a backup and its name there."""
    folder = file.absolute().parent
    if not folder.is_dir():
        raise Refused("E-BACKUP", f"There is no folder {folder}.", hint=f"mkdir {folder}")
    return RealDirectory.open_root(folder), entry(file.name)


def _lock(directory: RealDirectory, name: str) -> Lock:
    try:
        return directory.lock(f"{name}.lock")
    except StoreLocked as error:
        error.hint = "Stop the core first: systemctl stop skerry-core, or skerry down."
        raise


def _kept_name(name: str, each: str) -> str:
    return f"{name}.{REPLACED}{each.removeprefix(name)}"


def _would_overwrite(what: str) -> Refused:
    return Refused("E-OVERWRITE", f"{what}.", hint="Say --overwrite when it is to be replaced; it is kept beside.")
