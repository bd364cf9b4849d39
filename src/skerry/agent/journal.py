"""A site's own durable memory: documents, signed objects, floors, what a node must remember, and the outbox.

One SQLite file at full durability (faults.md §3). Functions are synchronous, ``(connection, ...)``, and run through
``Db.run``; what returns from there is on the disk. Floors, epochs and counters are written in the same transaction as
what they guard. Each record carries a checksum of its bytes. Signed bytes are kept as they came and verified again when
the journal is read, so a damaged or altered file can lose wishes but not invent any.
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model import limits
from skerry.model.event import Event, EventClass
from skerry.model.ids import CauseId, Digest, InstanceId, NodeName, SiteName, TenantName, UnitId, digest_of
from skerry.model.signed import Envelope
from skerry.plan.history import Ended, Kept, Started
from skerry.safe.sqlite import Connection, Options, record_checksum
from skerry.trust.floors import Floor

_ENVELOPE = msgspec.msgpack.Decoder(Envelope)
_EVENT = msgspec.msgpack.Decoder(Event)
_VERDICT = msgspec.msgpack.Decoder(tuple[dict[UnitId, bytes], dict[UnitId, tuple[str, str]]])


class Identity(msgspec.Struct, frozen=True):
    """Who this node is, and the authority pinned when it joined."""

    site: SiteName
    node: NodeName
    root: Envelope
    record: Envelope


class StoredDocument(msgspec.Struct, frozen=True):
    """A document as it was accepted: its signed head and the exact bytes of its units."""

    epoch: int
    generation: int
    head: Envelope
    bodies: dict[UnitId, bytes]
    #: Units in force since then: its good ones, and for refused ones their former version.
    in_force: dict[UnitId, bytes] = {}
    #: Units that were refused when it was accepted: unit to (code, reason).
    refused: dict[UnitId, tuple[str, str]] = {}


class Counters(msgspec.Struct, frozen=True):
    """Numbers that only grow."""

    session_epoch: int = 0
    event_last: int = 0
    event_acknowledged: int = 0
    #: Events of class ``event`` that the outbox's limit has cost so far.
    dropped: int = 0
    time_floor_s: int = 0


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the journal holds, read once at start."""

    identity: Identity | None
    counters: Counters
    document: StoredDocument | None
    previous: StoredDocument | None
    objects: dict[Digest, Envelope]
    floors: dict[str, Floor]
    kept: Kept


def _first_schema(connection: Connection) -> None:
    for statement in (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE document (slot TEXT PRIMARY KEY, epoch INTEGER NOT NULL, generation INTEGER NOT NULL,"
        " head BLOB NOT NULL, verdict BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE unit (slot TEXT NOT NULL, unit TEXT NOT NULL, body BLOB NOT NULL, checksum BLOB NOT NULL,"
        " PRIMARY KEY (slot, unit)) WITHOUT ROWID",
        "CREATE TABLE object (digest TEXT PRIMARY KEY, envelope BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE floor (line TEXT PRIMARY KEY, number INTEGER NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE uid_range (tenant TEXT PRIMARY KEY, start INTEGER NOT NULL UNIQUE) WITHOUT ROWID",
        "CREATE TABLE started (instance TEXT PRIMARY KEY, spec TEXT NOT NULL, boot TEXT NOT NULL,"
        " before_us INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE ended (instance TEXT PRIMARY KEY, spec TEXT NOT NULL, exit_code INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE tombstone (digest TEXT PRIMARY KEY, accepted_us INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE outbox (sequence INTEGER PRIMARY KEY, class TEXT NOT NULL, event BLOB NOT NULL,"
        " checksum BLOB NOT NULL)",
        "CREATE INDEX outbox_class ON outbox (class, sequence)",
    ):
        connection.execute(statement)


def _check_records(connection: Connection) -> str:
    """Say which record is not what was written; empty when all are."""
    for table, key, value in (
        ("meta", "name", "value"),
        ("unit", "slot || '/' || unit", "body"),
        ("object", "digest", "envelope"),
        ("outbox", "sequence", "event"),
    ):
        for name, content, checksum in connection.execute(f"SELECT {key}, {value}, checksum FROM {table}"):
            if record_checksum(str(name).encode(), content) != checksum:
                return f"record {name} of {table} does not match its checksum"
    for slot, head, verdict, checksum in connection.execute("SELECT slot, head, verdict, checksum FROM document"):
        if record_checksum(slot.encode(), head, verdict) != checksum:
            return f"the {slot} document does not match its checksum"
    return ""


OPTIONS = Options(migrations=(_first_schema,), check_records=_check_records)


# --- reading ---------------------------------------------------------------------------------------------------------


def read_all(connection: Connection) -> Remembered:
    """Read the whole journal."""
    identity = _read_meta(connection, "identity")
    counters = _read_meta(connection, "counters")
    started = connection.execute("SELECT instance, spec, boot, before_us FROM started")
    ended = connection.execute("SELECT instance, spec, exit_code FROM ended")
    return Remembered(
        identity=None if identity is None else msgspec.msgpack.decode(identity, type=Identity),
        counters=Counters() if counters is None else msgspec.msgpack.decode(counters, type=Counters),
        document=_read_document(connection, "current"),
        previous=_read_document(connection, "previous"),
        objects={
            Digest(digest): _ENVELOPE.decode(envelope)
            for digest, envelope in connection.execute("SELECT digest, envelope FROM object")
        },
        floors={
            line: Floor(number, Digest(digest))
            for line, number, digest in connection.execute("SELECT line, number, digest FROM floor")
        },
        kept=Kept(
            uid_ranges={TenantName(t): start for t, start in connection.execute("SELECT tenant, start FROM uid_range")},
            started={InstanceId(name): Started(Digest(spec), boot, before) for name, spec, boot, before in started},
            ended={InstanceId(name): Ended(Digest(spec), code) for name, spec, code in ended},
            tombstones={
                Digest(digest): accepted
                for digest, accepted in connection.execute("SELECT digest, accepted_us FROM tombstone")
            },
        ),
    )


def read_outbox(connection: Connection, after: int, limit: int) -> tuple[Event, ...]:
    """Return the next events above ``after``, oldest first."""
    rows = connection.execute("SELECT event FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, limit))
    return tuple(_EVENT.decode(event) for (event,) in rows)


def read_newest(connection: Connection, limit: int) -> tuple[Event, ...]:
    """Return the newest events that wait for the parent, oldest first."""
    rows = connection.execute("SELECT event FROM outbox ORDER BY sequence DESC LIMIT ?", (limit,)).fetchall()
    return tuple(_EVENT.decode(event) for (event,) in reversed(rows))


def count_outbox(connection: Connection) -> int:
    """Return how many events wait for the parent."""
    (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone() or (0,)
    return int(count)


# --- writing ---------------------------------------------------------------------------------------------------------


def record_identity(connection: Connection, identity: Identity, floors: Mapping[str, Floor]) -> None:
    """Record who this node is, or its newer site record, with the floors that go with it."""
    _write_meta(connection, "identity", msgspec.msgpack.encode(identity))
    _raise_floors(connection, floors)


def record_document(
    connection: Connection,
    document: StoredDocument,
    objects: Mapping[Digest, Envelope],
    floors: Mapping[str, Floor],
    tombstones: Mapping[Digest, int],
    time_floor_s: int,
) -> None:
    """Make ``document`` the current one and keep its predecessor; objects, floors and tombstones go with it.

    ``tombstones`` are those accepted now for the first time: digest to trust time in microseconds.
    """
    connection.execute("DELETE FROM document WHERE slot = 'previous'")
    connection.execute("DELETE FROM unit WHERE slot = 'previous'")
    before = _read_document(connection, "current")
    if before is not None:
        _insert_document(connection, "previous", before)
    connection.execute("DELETE FROM document WHERE slot = 'current'")
    connection.execute("DELETE FROM unit WHERE slot = 'current'")
    _insert_document(connection, "current", document)
    for digest, envelope in objects.items():
        content = msgspec.msgpack.encode(envelope)
        connection.execute(
            "INSERT OR IGNORE INTO object (digest, envelope, checksum) VALUES (?, ?, ?)",
            (digest, content, record_checksum(digest.encode(), content)),
        )
    _raise_floors(connection, floors)
    for digest, accepted_us in tombstones.items():
        connection.execute("INSERT OR IGNORE INTO tombstone (digest, accepted_us) VALUES (?, ?)", (digest, accepted_us))
    _change_counters(connection, time_floor_s=time_floor_s)


def drop_objects(connection: Connection, needed: Iterable[Digest]) -> None:
    """Forget signed objects that neither the current nor the previous document names."""
    keep = set(needed)
    for (digest,) in connection.execute("SELECT digest FROM object").fetchall():
        if digest not in keep:
            connection.execute("DELETE FROM object WHERE digest = ?", (digest,))


def begin_session(connection: Connection, above: int = 0) -> Counters:
    """Raise the session epoch by one, beyond ``above`` too, and return the counters with it."""
    counters = _read_counters(connection)
    return _change_counters(connection, session_epoch=max(counters.session_epoch, above) + 1)


def record_uid_ranges(connection: Connection, ranges: Mapping[TenantName, int]) -> None:
    """Record ranges given to tenants now for the first time; a range is never given twice."""
    for tenant, start in ranges.items():
        connection.execute("INSERT INTO uid_range (tenant, start) VALUES (?, ?)", (tenant, start))


def record_started(connection: Connection, instance: InstanceId, started: Started) -> None:
    """Record that an instance is about to be started in this boot; an earlier end is void."""
    connection.execute(
        "INSERT OR REPLACE INTO started (instance, spec, boot, before_us) VALUES (?, ?, ?, ?)",
        (instance, started.spec, started.boot, started.before_us),
    )
    connection.execute("DELETE FROM ended WHERE instance = ?", (instance,))


def record_ended(connection: Connection, ended: Mapping[InstanceId, Ended]) -> None:
    """Record instances that ended by themselves and are not to be started again."""
    for instance, end in ended.items():
        connection.execute(
            "INSERT OR REPLACE INTO ended (instance, spec, exit_code) VALUES (?, ?, ?)",
            (instance, end.spec, end.exit_code),
        )


def forget_starts(connection: Connection, instances: Iterable[InstanceId]) -> None:
    """Forget the starts of instances that are stopped by order: their end is not their own."""
    connection.executemany("DELETE FROM started WHERE instance = ?", [(instance,) for instance in sorted(instances)])


def forget_instances(connection: Connection, present: Iterable[InstanceId]) -> None:
    """Forget starts and ends of instances that are neither wanted nor seen any more."""
    keep = set(present)
    for table in ("started", "ended"):
        for (instance,) in connection.execute(f"SELECT instance FROM {table}").fetchall():
            if instance not in keep:
                connection.execute(f"DELETE FROM {table} WHERE instance = ?", (instance,))


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event before it has its sequence number."""

    time_us: int
    type: str
    klass: EventClass = "event"
    subject: str = ""
    tenant: str = ""
    cause: CauseId = CauseId("")
    message: str = ""
    data: dict[str, str] = {}


def append_events(connection: Connection, drafts: Iterable[Draft]) -> int:
    """Put events into the outbox; return the highest sequence. Beyond the limit the oldest ordinary ones go."""
    counters = _read_counters(connection)
    last, dropped = counters.event_last, counters.dropped
    for draft in drafts:
        last += 1
        event = Event(
            sequence=last,
            time_us=draft.time_us,
            type=draft.type,
            klass=draft.klass,
            subject=draft.subject,
            tenant=draft.tenant,
            cause=draft.cause,
            message=draft.message,
            data=draft.data,
        )
        content = msgspec.msgpack.encode(event)
        connection.execute(
            "INSERT INTO outbox (sequence, class, event, checksum) VALUES (?, ?, ?, ?)",
            (last, event.klass, content, record_checksum(str(last).encode(), content)),
        )
    excess = count_outbox(connection) - limits.OUTBOX_EVENTS_MAX
    if excess > 0:
        connection.execute(
            "DELETE FROM outbox WHERE sequence IN"
            " (SELECT sequence FROM outbox WHERE class = 'event' ORDER BY sequence LIMIT ?)",
            (excess,),
        )
        dropped += connection.changes()
    _change_counters(connection, event_last=last, dropped=dropped)
    return last


def trim_outbox(connection: Connection, through: int) -> None:
    """The parent has committed every event up to ``through``: they need not be kept."""
    counters = _read_counters(connection)
    if counters.event_acknowledged < through <= counters.event_last:
        _change_counters(connection, event_acknowledged=through)
        connection.execute("DELETE FROM outbox WHERE sequence <= ?", (through,))


def raise_outbox(connection: Connection, floor: int, notice: Draft) -> None:
    """The parent holds events up to ``floor``, more than were ever written here: this disk was set back (faults.md P8).

    What was not yet acknowledged gets fresh numbers above ``floor``, so no number means two things; ``notice`` follows.
    """
    waiting = read_outbox(connection, 0, limits.OUTBOX_EVENTS_MAX * 2)
    connection.execute("DELETE FROM outbox")
    _change_counters(connection, event_last=floor, event_acknowledged=floor)
    drafts = [
        Draft(
            time_us=event.time_us,
            type=event.type,
            klass=event.klass,
            subject=event.subject,
            tenant=event.tenant,
            cause=event.cause,
            message=event.message,
            data=event.data,
        )
        for event in waiting
    ]
    append_events(connection, [*drafts, notice])


# --- inside ----------------------------------------------------------------------------------------------------------


def _read_meta(connection: Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _write_meta(connection: Connection, name: str, value: bytes) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value, checksum) VALUES (?, ?, ?)",
        (name, value, record_checksum(name.encode(), value)),
    )


def _read_counters(connection: Connection) -> Counters:
    value = _read_meta(connection, "counters")
    return Counters() if value is None else msgspec.msgpack.decode(value, type=Counters)


def _change_counters(connection: Connection, **changes: int) -> Counters:
    """Write counters; the time floor and the numbers only rise."""
    before = _read_counters(connection)
    for name in ("session_epoch", "event_last", "event_acknowledged", "time_floor_s"):
        if name in changes:
            changes[name] = max(changes[name], getattr(before, name))
    after = msgspec.structs.replace(before, **changes)
    if after != before:
        _write_meta(connection, "counters", msgspec.msgpack.encode(after))
    return after


def _read_document(connection: Connection, slot: str) -> StoredDocument | None:
    row = connection.execute("SELECT epoch, generation, head, verdict FROM document WHERE slot = ?", (slot,)).fetchone()
    if row is None:
        return None
    bodies = connection.execute("SELECT unit, body FROM unit WHERE slot = ?", (slot,))
    in_force, refused = _VERDICT.decode(row[3])
    return StoredDocument(
        row[0], row[1], _ENVELOPE.decode(row[2]), {UnitId(name): body for name, body in bodies}, in_force, refused
    )


def _insert_document(connection: Connection, slot: str, document: StoredDocument) -> None:
    head = msgspec.msgpack.encode(document.head)
    verdict = msgspec.msgpack.encode((document.in_force, document.refused))
    connection.execute(
        "INSERT INTO document (slot, epoch, generation, head, verdict, checksum) VALUES (?, ?, ?, ?, ?, ?)",
        (
            slot,
            document.epoch,
            document.generation,
            head,
            verdict,
            record_checksum(slot.encode(), head, verdict),
        ),
    )
    connection.executemany(
        "INSERT INTO unit (slot, unit, body, checksum) VALUES (?, ?, ?, ?)",
        [
            (slot, name, body, record_checksum(f"{slot}/{name}".encode(), body))
            for name, body in document.bodies.items()
        ],
    )


def _raise_floors(connection: Connection, floors: Mapping[str, Floor]) -> None:
    for line, floor in floors.items():
        connection.execute(
            "INSERT INTO floor (line, number, digest) VALUES (?, ?, ?) ON CONFLICT (line) DO UPDATE"
            " SET number = excluded.number, digest = excluded.digest WHERE excluded.number >= floor.number",
            (line, floor.number, floor.digest),
        )


def object_digest(envelope: Envelope) -> Digest:
    """Signed objects are named by the digest of their payload."""
    return digest_of(envelope.payload)
