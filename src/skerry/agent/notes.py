"""Small durable records of a node, each written twice: who it is, floors, counters, ranges, starts, ends, graces.

Nobody else has them, so a flipped byte must not cost one. Both copies lie in one row, each with a checksum over its
kind, its name and its value; a copy that does not match is replaced by the other. ``mend`` looks at every row and sets
aside what neither copy can give; ``read`` and ``find`` check again. Neighbour: ``journal.py`` has the large records.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from skerry.safe.errors import StoreFailed
from skerry.safe.sqlite import Connection, record_checksum

T = TypeVar("T")

#: Damaged records that are kept for whoever wants to look; the oldest go first.
ASIDE_MAX = 100

TABLES = (
    "CREATE TABLE note (kind TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, checksum BLOB NOT NULL,"
    " spare BLOB NOT NULL, spare_checksum BLOB NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID",
    "CREATE TABLE aside (number INTEGER PRIMARY KEY, place TEXT NOT NULL, content BLOB NOT NULL)",
)


def write(connection: Connection, kind: str, name: str, value: Any) -> None:
    """Write a record, or the next version of it."""
    body = msgspec.msgpack.encode((name, value))
    checksum = record_checksum(kind.encode(), body)
    connection.execute(
        "INSERT OR REPLACE INTO note (kind, name, body, checksum, spare, spare_checksum) VALUES (?, ?, ?, ?, ?, ?)",
        (kind, name, body, checksum, body, checksum),
    )


def write_all(connection: Connection, kind: str, values: Mapping[Any, Any]) -> None:
    """Write records by their names."""
    for name, value in values.items():
        write(connection, kind, name, value)


def forget(connection: Connection, kind: str, names: Iterable[str]) -> None:
    """Remove records; those that are not there are no matter."""
    connection.executemany("DELETE FROM note WHERE kind = ? AND name = ?", [(kind, name) for name in sorted(names)])


def read(connection: Connection, kind: str, of: type[T]) -> dict[str, T]:
    """Return all records of a kind; raises ``StoreFailed`` when one is damaged since the last ``mend``."""
    rows = connection.execute(
        "SELECT name, body, checksum, spare, spare_checksum FROM note WHERE kind = ? ORDER BY name", (kind,)
    )
    return {name: _choose(kind, name, copies, of) for name, *copies in rows}


def find(connection: Connection, kind: str, name: str, of: type[T]) -> T | None:
    """Return one record, None when there is none; raises ``StoreFailed`` as ``read`` does."""
    row = connection.execute(
        "SELECT body, checksum, spare, spare_checksum FROM note WHERE kind = ? AND name = ?", (kind, name)
    ).fetchone()
    return None if row is None else _choose(kind, name, row, of)


def _choose(kind: str, name: str, copies: Iterable[Any], of: type[T]) -> T:
    body, checksum, spare, spare_checksum = copies
    for content, mark in ((body, checksum), (spare, spare_checksum)):
        if is_sound(mark, kind.encode(), content):
            with contextlib.suppress(msgspec.DecodeError):
                return msgspec.msgpack.decode(content, type=tuple[str, of])[1]
    # Not guessed: the process ends, starts again and mends what it can.
    raise StoreFailed(f"The journal's record {kind}/{name} is damaged.")


def is_sound(checksum: Any, *parts: Any) -> bool:
    """Say whether ``checksum`` is that of ``parts``; a flipped byte may have changed a value's very type."""
    return all(isinstance(part, bytes) for part in parts) and record_checksum(*parts) == checksum


def mend(connection: Connection, types: Mapping[str, Any]) -> list[str]:
    """Make every record whole again, or set it aside; return what was found, a sentence for each record.

    ``types`` says what is kept under each kind.
    """
    found: list[str] = []
    # As bytes: a flipped byte in a name may leave no text.
    rows = connection.execute(
        "SELECT CAST(kind AS BLOB), CAST(name AS BLOB), body, checksum, spare, spare_checksum FROM note"
    ).fetchall()
    for kind, name, *copies in rows:
        place = f"{_text(kind)}/{_text(name)}"
        good = _recover(((copies[0], copies[1]), (copies[2], copies[3])), types)
        if good is not None and (good[0].encode(), good[1].encode()) == (kind, name) and copies[:2] == copies[2:]:
            continue
        set_aside(connection, place, tuple(copies))
        # By what is there: a damaged key is not where the index would look for it.
        where = "CAST(kind AS BLOB) = ? AND CAST(name AS BLOB) = ?"
        connection.execute(f"DELETE FROM note WHERE {where}", (kind, name))
        if good is None:
            found.append(f"{place} was damaged in both copies and is lost")
            continue
        checksum = record_checksum(good[0].encode(), good[2])
        connection.execute(
            "INSERT OR IGNORE INTO note (kind, name, body, checksum, spare, spare_checksum) VALUES (?, ?, ?, ?, ?, ?)",
            (good[0], good[1], good[2], checksum, good[2], checksum),
        )
        found.append(f"{good[0]}/{good[1]} was damaged in one copy and is whole again")
    return found


def _recover(copies: Iterable[tuple[Any, Any]], types: Mapping[str, Any]) -> tuple[str, str, bytes] | None:
    """Return kind, name and body as a sound copy has them; the row's own key may be what was damaged.

    What no release wrote is as bad as a flipped byte: it must not end each start of the agent.
    """
    for content, mark in copies:
        for kind, of in types.items():
            if is_sound(mark, kind.encode(), content):
                try:
                    return kind, msgspec.msgpack.decode(content, type=tuple[str, of])[0], content
                except msgspec.DecodeError:
                    continue
    return None


def set_aside(connection: Connection, place: str, content: tuple[Any, ...]) -> None:
    """Keep a damaged record for whoever wants to look; nothing reads it again."""
    connection.execute("INSERT INTO aside (place, content) VALUES (?, ?)", (place, repr(content).encode()))
    connection.execute("DELETE FROM aside WHERE number <= (SELECT max(number) FROM aside) - ?", (ASIDE_MAX,))


def _text(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
