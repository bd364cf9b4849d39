"""Database files of simulated machines: real SQLite in memory that outlives the processes which use it.

A power cut that tears files is the business of ``vfs.py`` and ``disk.py``; here a kill loses what was not committed,
no more and no less. ``copy`` is the backup from which a machine may be set back later.
"""

from typing import Any

from skerry.safe import sqlite_raw
from skerry.safe.sqlite import Options, Origin, SqliteFile


class _Opened(SqliteFile):
    """One process's hold on the file: letting go leaves the content."""

    def close(self) -> None:
        """Let go."""

    def abandon(self) -> None:
        """Let go as a killed process does; jobs run whole or not at all, so nothing is half written."""


class MemoryFile:
    """The file. ``open`` is what a process does at its start."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._raw: Any = _connect(options)
        self.open()

    @property
    def raw(self) -> Any:
        """The open file, for checkers that read it between two steps."""
        return self._raw

    def open(self) -> SqliteFile:
        """Open, with the schema up to date."""
        file = _Opened(self._raw, self._options, Origin.current, None)
        file.migrate()
        return file

    def copy(self) -> Any:
        """Return a copy of the content, as a backup."""
        target = _connect(self._options)
        _copy(self._raw, target)
        return target

    def restore(self, backup: Any) -> None:
        """Be as the backup was; only while no process has the file open."""
        self._raw.close(True)
        self._raw = _connect(self._options)
        _copy(backup, self._raw)

    def close(self) -> None:
        """The machine is scrapped."""
        self._raw.close(True)


def _connect(options: Options) -> Any:
    return sqlite_raw.connect(":memory:", synchronous=options.synchronous, vfs=None)


def _copy(source: Any, target: Any) -> None:
    with target.backup("main", source, "main") as backup:
        while not backup.done:
            backup.step(-1)
