import msgspec
import pytest

from skerry.agent import journal
from skerry.model import limits
from skerry.model.ids import UnitId, digest_of
from skerry.model.signed import Envelope, Signature
from skerry.plan.history import Deleting, Ended, Grace, Kept, Started
from skerry.safe.sqlite import Options, open_memory
from skerry.sync.outbox import OutboxCursor
from skerry.trust.floors import Floor
from skerry.wire import Events

EARLY, LATE = Grace(0, "boot-1", 5), Grace(0, "boot-1", 9)


def envelope(text: str) -> Envelope:
    return Envelope("application/vnd.skerry.document.v1+json", text.encode(), (Signature("00" * 20, b"s" * 64),))


def document(generation: int, **bodies: bytes) -> journal.StoredDocument:
    return journal.StoredDocument(
        1,
        generation,
        envelope(f"head {generation}"),
        {UnitId(name): body for name, body in bodies.items()},
        {UnitId(name): body for name, body in bodies.items()},
        {UnitId("assignment/x"): ("E-KEY", "nobody signed it")},
    )


@pytest.fixture
def connection():
    file = open_memory(journal.OPTIONS)
    file.connection.execute("BEGIN")
    yield file.connection
    assert journal.OPTIONS.check_records(file.connection) == ""
    file.connection.execute("COMMIT")
    file.close()


def draft(message: str, klass: str = "event") -> journal.Draft:
    return journal.Draft(time_us=1, type="test", klass=klass, message=message)


def test_a_document_is_kept_with_its_predecessor(connection):
    one, two, three = document(1, a=b"1"), document(2, a=b"2", b=b"2"), document(3)
    revision = envelope("revision")
    digest = digest_of(revision.payload)
    journal.record_document(connection, one, {digest: revision}, {"app/t/a": Floor(7, digest)}, {digest: EARLY}, 100)
    journal.record_document(connection, two, {}, {}, {digest: LATE}, 90)
    held = journal.read_all(connection)
    assert (held.document, held.previous) == (two, one)
    assert held.objects == {digest: revision}
    assert held.kept.tombstones == {digest: EARLY}, "the first acceptance counts"
    assert held.counters.time_floor_s == 100, "the time floor never falls"
    journal.record_document(connection, three, {}, {}, {}, 110)
    held = journal.read_all(connection)
    assert (held.document, held.previous) == (three, two)
    journal.drop_objects(connection, ())
    assert journal.read_all(connection).objects == {}


def test_floors_only_rise(connection):
    low, high = digest_of(b"low"), digest_of(b"high")
    for number, digest in ((5, high), (3, low)):
        journal.record_document(connection, document(1), {}, {"app/t/a": Floor(number, digest)}, {}, 0)
    assert journal.read_all(connection).floors == {"app/t/a": Floor(5, high)}


def test_events_keep_their_order_and_numbers_are_never_reused(connection):
    journal.append_events(connection, [draft("one"), draft("two")])
    journal.trim_outbox(connection, 2)
    assert journal.count_outbox(connection) == 0
    assert journal.append_events(connection, [draft("three")]) == 3
    assert [event.message for event in journal.read_outbox(connection, 0, 10)] == ["three"]


def test_a_disk_older_than_its_history_goes_on_above_it(connection):
    journal.append_events(connection, [draft("one"), draft("two")])
    journal.trim_outbox(connection, 1)
    journal.raise_outbox(connection, 50, draft("set back", "security"))
    left = journal.read_outbox(connection, 0, 10)
    assert [(event.sequence, event.message) for event in left] == [(51, "two"), (52, "set back")]


def test_a_disk_that_went_on_alone_beyond_its_history_misses_no_number(connection):
    journal.append_events(connection, [draft(str(number)) for number in range(1, 7)])
    journal.trim_outbox(connection, 1)
    for _ in range(2):  # a session may end before it is done, and the next one asks again
        journal.raise_outbox(connection, 3, draft("set back", "security"))
        left = journal.read_outbox(connection, 0, 10)
        told = [(4, "2"), (5, "3"), (6, "4"), (7, "5"), (8, "6"), (9, "set back")]
        assert [(event.sequence, event.message) for event in left] == told
        counters = journal.read_counters(connection)
        assert (counters.event_acknowledged, counters.event_last, counters.dropped) == (3, 9, 0)
    cursor = OutboxCursor()
    cursor.begin(3)
    cursor.take(3, left)
    batch = cursor.next_batch()
    assert batch is not None
    assert batch == Events(left, dropped=0), "the parent is not told of losses that there were not"


def test_a_disk_that_went_on_alone_still_tells_what_its_limit_has_cost(connection, monkeypatch):
    monkeypatch.setattr(limits, "OUTBOX_EVENTS_MAX", 4)
    journal.append_events(connection, [draft("theft", "security"), *(draft(str(number)) for number in range(2, 9))])
    assert [event.sequence for event in journal.read_outbox(connection, 0, 10)] == [1, 6, 7, 8]
    journal.raise_outbox(connection, 3, draft("set back", "security"))
    left = journal.read_outbox(connection, 0, 10)
    told = [(4, "theft"), (10, "7"), (11, "8"), (12, "set back")]
    assert [(event.sequence, event.message) for event in left] == told
    counters = journal.read_counters(connection)
    assert counters.event_last - counters.event_acknowledged - len(left) == counters.dropped == 5


def test_the_outbox_drops_by_class_counts_and_never_drops_security(connection, monkeypatch):
    monkeypatch.setattr(limits, "OUTBOX_EVENTS_MAX", 10)
    journal.append_events(connection, [draft("theft", "security") for _ in range(8)])
    journal.append_events(connection, [draft(str(number)) for number in range(6)])
    left = journal.read_outbox(connection, 0, 100)
    assert [event.klass for event in left].count("security") == 8
    assert [event.message for event in left if event.klass == "event"] == ["4", "5"]
    assert journal.read_all(connection).counters.dropped == 4


def test_what_a_node_must_remember_is_kept(connection):
    spec = digest_of(b"spec")
    journal.record_uid_ranges(connection, {"default": 200_000})
    journal.record_started(connection, "default/a/b/0", Started(spec, "boot-1"))
    journal.record_changes(connection, journal.Changes(ended={"default/a/b/0": Ended(spec, 3)}))
    kept = journal.read_all(connection).kept
    assert kept.uid_ranges == {"default": 200_000}
    assert kept.started == {"default/a/b/0": Started(spec, "boot-1")}
    assert kept.ended == {"default/a/b/0": Ended(spec, 3)}
    journal.record_started(connection, "default/a/b/0", Started(spec, "boot-2"))
    assert journal.read_all(connection).kept.ended == {}, "a new start makes an earlier end void"
    journal.record_changes(connection, journal.Changes(gone=frozenset(("default/a/b/0",))))
    assert journal.read_all(connection).kept.started == {}


def test_a_uid_range_is_never_given_twice(connection):
    journal.record_uid_ranges(connection, {"default": 200_000})
    with pytest.raises(Exception, match="UNIQUE"):
        journal.record_uid_ranges(connection, {"rival": 200_000})


def test_session_epochs_grow(connection):
    assert [journal.begin_session(connection).session_epoch for _ in range(3)] == [1, 2, 3]


def test_changes_are_kept_as_they_are_applied_in_memory(connection):
    spec, stone = digest_of(b"spec"), digest_of(b"stone")
    before = journal.Changes(
        uid_ranges={"default": 200_000},
        ended={"a": Ended(spec, 3), "b": Ended(spec, 0)},
        graces={stone: EARLY},
        volumes={"default/a/data": 1, "default/a/gone": 2},
    )
    after = journal.Changes(gone=frozenset(("a",)), graces={stone: LATE}, forget_volumes=frozenset(("default/a/gone",)))
    kept = Kept()
    for changes in (before, after):
        journal.record_changes(connection, changes)
        kept = journal.apply_changes(kept, changes)
    assert journal.read_all(connection).kept == kept
    assert kept.volumes == {"default/a/data": 1}
    assert kept.ended == {"b": Ended(spec, 0)}


DELETING = Deleting(tenant="t", app="a", name="data", tombstone=digest_of(b"stone"))


def test_a_deletion_is_told_once_with_the_note_that_it_was_begun(connection):
    journal.record_changes(connection, journal.Changes(volumes={"t/a/data": 1}))
    journal.begin_deletion(connection, "t/a/data", DELETING)
    for _ in range(2):
        journal.end_deletions(connection, {"t/a/data": draft("deleted", "security")})
    assert [event.message for event in journal.read_outbox(connection, 0, 10)] == ["deleted"]
    kept = journal.read_all(connection).kept
    assert (kept.deleting, kept.volumes) == ({}, {})


def test_a_deletion_that_is_given_up_is_told_by_nobody(connection):
    journal.record_changes(connection, journal.Changes(volumes={"t/a/data": 1}))
    journal.begin_deletion(connection, "t/a/data", DELETING)
    journal.end_deletions(connection, {"t/a/data": None})
    assert journal.count_outbox(connection) == 0
    kept = journal.read_all(connection).kept
    assert (kept.deleting, kept.volumes) == ({}, {"t/a/data": 1})


def test_what_an_older_release_wrote_is_taken_over():
    spec, digest = digest_of(b"spec"), digest_of(b"floor")
    file = open_memory(Options(migrations=journal.OPTIONS.migrations[:1]))
    old = file.connection
    counters = msgspec.msgpack.encode(journal.Counters(session_epoch=4, event_last=9))
    old.execute("INSERT INTO meta VALUES ('counters', ?, x'00')", (counters,))
    old.execute("INSERT INTO floor VALUES ('app/t/a', 7, ?)", (digest,))
    old.execute("INSERT INTO uid_range VALUES ('t', 200000)")
    old.execute("INSERT INTO started VALUES ('t/a/b/0', ?, 'boot-1', 5)", (spec,))
    old.execute("INSERT INTO ended VALUES ('t/a/c/0', ?, 3)", (spec,))
    old.execute("INSERT INTO tombstone VALUES (?, 17)", (digest,))
    journal.OPTIONS.migrations[1](old)
    held = journal.read_all(old)
    assert (held.counters.session_epoch, held.counters.event_last) == (4, 9)
    assert held.floors == {"app/t/a": Floor(7, digest)}
    assert held.kept == Kept(
        uid_ranges={"t": 200_000},
        started={"t/a/b/0": Started(spec, "boot-1", 5)},
        ended={"t/a/c/0": Ended(spec, 3)},
        tombstones={digest: Grace(0, "", 0)},
    )
    file.close()


def test_a_journal_that_does_not_know_whose_it_is_is_a_bad_one(connection):
    journal.record_identity(connection, journal.Identity("oslo", "n1", envelope("root"), envelope("record")), {})
    connection.execute("UPDATE note SET body = x'00'")
    assert journal.OPTIONS.check_records(connection) == "", "the other copy says it"
    connection.execute("UPDATE note SET spare = x'00'")
    assert journal.OPTIONS.check_records(connection) != ""
    connection.execute("DELETE FROM note")
