"""Damage in each part of the journal: what is saved, what is set aside, what is said."""

import msgspec
import pytest
from tests.agent.test_journal import document, draft, envelope

from skerry.agent import journal
from skerry.agent.mending import mend
from skerry.model.ids import UnitId, digest_of
from skerry.plan.history import Grace
from skerry.safe.sqlite import open_memory
from skerry.trust.floors import Floor

OBJECT = envelope("revision")
NAME = digest_of(OBJECT.payload)


@pytest.fixture
def connection():
    file = open_memory(journal.OPTIONS)
    file.connection.execute("BEGIN")
    fill(file.connection)
    yield file.connection
    file.connection.execute("COMMIT")
    file.close()


def fill(connection) -> None:
    identity = journal.Identity("oslo", "n1", envelope("root"), envelope("record"))
    journal.record_identity(connection, identity, {"root": Floor(1, NAME)})
    for generation in (1, 2):
        journal.record_document(
            connection,
            document(generation, a=b"unit a", b=b"unit b"),
            {NAME: OBJECT},
            {"app/t/a": Floor(generation, NAME)},
            {NAME: Grace(0, "boot", 1)},
            100 + generation,
        )
    journal.append_events(connection, [draft("one"), draft("two"), draft("three", "security")])


def test_a_sound_journal_is_left_as_it_is(connection):
    before = journal.read_all(connection)
    assert mend(connection) == ()
    assert journal.read_all(connection) == before


@pytest.mark.parametrize("column", ["head", "verdict", "checksum"])
def test_a_damaged_document_is_set_aside_and_its_predecessor_stays(connection, column: str):
    connection.execute(f"UPDATE document SET {column} = x'c1' WHERE slot = 'current'")
    assert mend(connection) == ("the current document was damaged and is set aside",)
    held = journal.read_all(connection)
    assert held.document is None
    assert held.previous == document(1, a=b"unit a", b=b"unit b")
    assert mend(connection) == ()


def test_a_damaged_unit_is_taken_from_what_is_in_force(connection):
    connection.execute("UPDATE unit SET body = x'00' WHERE slot = 'current' AND unit = 'a'")
    assert mend(connection) == ("unit a was damaged and is taken from what is in force",)
    assert journal.read_all(connection).document == document(2, a=b"unit a", b=b"unit b")


def test_a_damaged_unit_that_was_refused_takes_its_document_along(connection):
    connection.execute("DELETE FROM unit WHERE slot = 'current' AND unit = 'b'")
    connection.execute("INSERT INTO unit VALUES ('current', 'x', x'00', x'00')")
    assert mend(connection) == ("unit x of the current document was damaged: it is set aside",)
    held = journal.read_all(connection)
    assert held.document is None
    assert held.previous is not None


def test_a_damaged_object_is_set_aside_to_be_asked_for(connection):
    connection.execute("UPDATE object SET envelope = x'00'")
    assert mend(connection) == (f"signed object {NAME} was damaged and is asked for again",)
    assert journal.read_all(connection).objects == {}


def test_a_damaged_event_is_counted_as_lost_and_the_others_go_out(connection):
    connection.execute("UPDATE outbox SET event = ? WHERE sequence = 2", (msgspec.msgpack.encode("forged"),))
    assert mend(connection) == ("event 2 was damaged and is lost",)
    assert [event.message for event in journal.read_outbox(connection, 0, 10)] == ["one", "three"]
    assert journal.read_counters(connection).dropped == 1


def test_lost_counters_begin_above_every_event_that_is_still_here(connection):
    connection.execute("UPDATE note SET body = x'00', spare = x'00' WHERE kind = 'counters'")
    assert mend(connection) == ("counters/ was damaged in both copies and is lost",)
    assert journal.append_events(connection, [draft("four")]) == 4


def test_every_small_record_survives_a_flipped_byte(connection):
    before = journal.read_all(connection)
    rows = connection.execute("SELECT kind, name FROM note").fetchall()
    assert {kind for kind, _ in rows} == {"identity", "counters", "floor", "tombstone"}
    connection.execute("UPDATE note SET body = x'00ff'")
    assert len(mend(connection)) == len(rows)
    assert journal.read_all(connection) == before


@pytest.mark.parametrize("table", ["note", "document", "unit", "object", "outbox"])
def test_whatever_a_table_holds_no_start_is_ended_by_it(connection, table: str):
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()]
    keys = {row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall() if row[5]}
    for column in columns:
        if column not in keys and column != "class":
            connection.execute(f"UPDATE {table} SET {column} = 'text'")
    assert mend(connection) != ()
    assert mend(connection) == ()
    held = journal.read_all(connection)
    assert held.document is None or held.document.bodies.keys() <= {UnitId("a"), UnitId("b")}


def test_names_that_are_no_text_are_found_too(connection):
    for table, column in (("object", "digest"), ("unit", "unit"), ("document", "slot"), ("note", "name")):
        where = f"{column} = (SELECT max({column}) FROM {table})" + (" AND slot = 'current'" if table == "unit" else "")
        connection.execute(f"UPDATE {table} SET {column} = CAST(x'fffe' AS TEXT) WHERE {where}")
    assert mend(connection) != ()
    assert mend(connection) == ()
    journal.read_all(connection)
