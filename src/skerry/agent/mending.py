"""Looks at every record of the journal before anything reads it, and makes it whole or sets it aside (faults.md D3,
D5).

Rules: (1) a record that does not match its checksum, or that no release can read, is never used and never ends the
agent; (2) what has a second copy is taken from there; (3) a document with a damaged part is set aside whole, and its
predecessor stays; (4) what was found is told. Pages are SQLite's to check, when the file is opened.
"""

from typing import Any

import msgspec

from skerry.agent import journal, notes
from skerry.model.ids import UnitId
from skerry.safe.sqlite import Connection, record_checksum


def mend(connection: Connection) -> tuple[str, ...]:
    """Make damaged records whole or set them aside; return what was found, a sentence each."""
    found = notes.mend(connection, journal.NOTES)
    found += _mend_documents(connection)
    found += _mend_objects(connection)
    lost = _mend_outbox(connection)
    found += lost
    if found:
        counters = journal.read_counters(connection)
        (last,) = connection.execute("SELECT max(sequence) FROM outbox").fetchone() or (None,)
        journal.change_counters(
            connection, event_last=max(counters.event_last, last or 0), dropped=counters.dropped + len(lost)
        )
    return tuple(found)


def _mend_documents(connection: Connection) -> list[str]:
    found: list[str] = []
    bad: set[bytes] = set()
    rows = connection.execute(
        "SELECT CAST(slot AS BLOB), epoch, generation, head, verdict, checksum FROM document"
    ).fetchall()
    for slot, epoch, generation, head, verdict, checksum in rows:
        if not notes.is_sound(checksum, slot, head, verdict) or not _is_document(epoch, generation, head, verdict):
            notes.set_aside(connection, f"document/{slot!r}", (epoch, generation, head, verdict, checksum))
            bad.add(slot)
            found.append(f"the {slot.decode('ascii', 'replace')} document was damaged and is set aside")
    in_force = {slot: journal.VERDICT.decode(verdict)[0] for slot, _, _, _, verdict, _ in rows if slot not in bad}
    for slot, unit, body, checksum in connection.execute(
        "SELECT CAST(slot AS BLOB), CAST(unit AS BLOB), body, checksum FROM unit"
    ).fetchall():
        if slot in bad or notes.is_sound(checksum, slot + b"/" + unit, body):
            continue
        name = unit.decode("utf-8", "replace")
        notes.set_aside(connection, f"unit/{slot!r}/{unit!r}", (body, checksum))
        spare = in_force.get(slot, {}).get(UnitId(name))
        if spare is None:
            bad.add(slot)
            found.append(f"unit {name} of the {slot.decode('ascii', 'replace')} document was damaged: it is set aside")
            continue
        # A refused unit's former version would not fit: the document's own digest finds that out.
        connection.execute(
            "UPDATE unit SET body = ?, checksum = ? WHERE CAST(slot AS BLOB) = ? AND CAST(unit AS BLOB) = ?",
            (spare, record_checksum(slot + b"/" + unit, spare), slot, unit),
        )
        found.append(f"unit {name} was damaged and is taken from what is in force")
    for slot in sorted(bad):
        connection.execute("DELETE FROM document WHERE CAST(slot AS BLOB) = ?", (slot,))
        connection.execute("DELETE FROM unit WHERE CAST(slot AS BLOB) = ?", (slot,))
    return found


def _is_document(epoch: Any, generation: Any, head: bytes, verdict: bytes) -> bool:
    try:
        journal.ENVELOPE.decode(head)
        journal.VERDICT.decode(verdict)
    except msgspec.DecodeError:
        return False
    return isinstance(epoch, int) and isinstance(generation, int)


def _mend_objects(connection: Connection) -> list[str]:
    found: list[str] = []
    for digest, envelope, checksum in connection.execute(
        "SELECT CAST(digest AS BLOB), envelope, checksum FROM object"
    ).fetchall():
        if notes.is_sound(checksum, digest, envelope) and _is_readable(journal.ENVELOPE, envelope):
            continue
        notes.set_aside(connection, f"object/{digest!r}", (envelope, checksum))
        connection.execute("DELETE FROM object WHERE CAST(digest AS BLOB) = ?", (digest,))
        found.append(f"signed object {digest.decode('ascii', 'replace')} was damaged and is asked for again")
    return found


def _mend_outbox(connection: Connection) -> list[str]:
    found: list[str] = []
    for sequence, event, checksum in connection.execute("SELECT sequence, event, checksum FROM outbox").fetchall():
        if notes.is_sound(checksum, str(sequence).encode(), event) and _is_readable(journal.EVENT, event):
            continue
        notes.set_aside(connection, f"outbox/{sequence}", (event, checksum))
        connection.execute("DELETE FROM outbox WHERE sequence = ?", (sequence,))
        found.append(f"event {sequence} was damaged and is lost")
    return found


def _is_readable(decoder: "msgspec.msgpack.Decoder[Any]", content: bytes) -> bool:
    try:
        decoder.decode(content)
    except msgspec.DecodeError:
        return False
    return True
