"""Small records: two copies, and what is said when a byte is flipped in one or both."""

import pytest

from skerry.agent import notes
from skerry.safe.errors import StoreFailed
from skerry.safe.sqlite import Options, open_memory
from skerry.trust.floors import Floor


def _tables(connection):
    for statement in notes.TABLES:
        connection.execute(statement)


TYPES = {"floor": Floor, "count": int}
COLUMNS = ("body", "checksum", "spare", "spare_checksum")


@pytest.fixture
def connection():
    file = open_memory(Options(migrations=(_tables,)))
    yield file.connection
    file.close()


def flip(connection, column: str, at: int = 3) -> None:
    (content,) = connection.execute(f"SELECT {column} FROM note").fetchone()
    broken = content[:at] + bytes((content[at] ^ 0x20,)) + content[at + 1 :]
    connection.execute(f"UPDATE note SET {column} = ?", (broken,))


def test_what_is_written_is_read(connection):
    notes.write(connection, "count", "a", 1)
    notes.write_all(connection, "count", {"a": 2, "b": 3})
    assert notes.read(connection, "count", int) == {"a": 2, "b": 3}
    assert notes.find(connection, "count", "b", int) == 3
    notes.forget(connection, "count", ("b", "c"))
    assert notes.find(connection, "count", "b", int) is None
    assert notes.mend(connection, TYPES) == []


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("at", range(8))
def test_a_flipped_byte_costs_nothing(connection, column: str, at: int):
    notes.write(connection, "floor", "app/t/a", Floor(7, "sha256:aa"))
    flip(connection, column, at)
    assert notes.find(connection, "floor", "app/t/a", Floor) == Floor(7, "sha256:aa"), "also before it is mended"
    assert notes.mend(connection, TYPES) == ["floor/app/t/a was damaged in one copy and is whole again"]
    assert notes.mend(connection, TYPES) == []
    assert notes.read(connection, "floor", Floor) == {"app/t/a": Floor(7, "sha256:aa")}


@pytest.mark.parametrize("key", ["name = 'app/t/b'", "kind = 'count'", "name = CAST(x'ff41' AS TEXT)"])
def test_a_damaged_key_is_found_again_by_what_is_below_it(connection, key: str):
    notes.write(connection, "floor", "app/t/a", Floor(7, "sha256:aa"))
    connection.execute(f"UPDATE note SET {key}")
    assert len(notes.mend(connection, TYPES)) == 1
    assert notes.read(connection, "floor", Floor) == {"app/t/a": Floor(7, "sha256:aa")}


def test_two_damaged_copies_are_set_aside_and_named_and_never_guessed(connection):
    notes.write(connection, "floor", "app/t/a", Floor(7, "sha256:aa"))
    flip(connection, "body")
    flip(connection, "spare", 5)
    with pytest.raises(StoreFailed):
        notes.read(connection, "floor", Floor)
    assert notes.mend(connection, TYPES) == ["floor/app/t/a was damaged in both copies and is lost"]
    assert notes.read(connection, "floor", Floor) == {}
    ((place, content),) = connection.execute("SELECT place, content FROM aside").fetchall()
    assert place == "floor/app/t/a"
    assert b"sha256:aa" in content


@pytest.mark.parametrize("value", [b"", 7, "text"])
def test_a_value_of_another_type_is_damage_too(connection, value: object):
    notes.write(connection, "count", "a", 1)
    connection.execute("UPDATE note SET body = ?, spare_checksum = ?", (value, value))
    assert len(notes.mend(connection, TYPES)) == 1


def test_what_no_release_can_read_is_damage_and_ends_no_agent(connection):
    notes.write(connection, "floor", "app/t/a", {"other": "shape"})
    notes.write(connection, "strange", "x", 1)
    assert len(notes.mend(connection, TYPES)) == 2
    assert notes.read(connection, "floor", Floor) == {}


def test_only_so_much_is_kept_aside(connection):
    for number in range(notes.ASIDE_MAX + 5):
        notes.set_aside(connection, f"p{number}", (b"x",))
    (count,) = connection.execute("SELECT count(*) FROM aside").fetchone()
    assert count == notes.ASIDE_MAX
