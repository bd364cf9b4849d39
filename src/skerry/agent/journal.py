"""A site's own durable memory: documents, signed objects, floors, what a node must remember, and the outbox.

One SQLite file at full durability (faults.md §3). Functions are synchronous, ``(connection, ...)``, and run through
``Db.run``; what returns from there is on the disk. Floors, epochs and counters are written in the same transaction as
what they guard. Each record carries a checksum of its bytes, and small ones are written twice (``notes.py``).
``mending.mend`` comes before ``read_all`` at each start. Signed bytes are kept as they came and verified again when the
journal is read, so a damaged or altered file can lose wishes but not invent any.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from skerry.agent import notes
from skerry.model import limits
from skerry.model.event import Event, EventClass
from skerry.model.ids import CauseId, Digest, InstanceId, NodeName, SiteName, TenantName, UnitId, VolumeId
from skerry.model.signed import Envelope
from skerry.plan.gate import Judged
from skerry.plan.history import (
    AppId,
    Confirming,
    Contact,
    Deleting,
    Ended,
    Grace,
    Kept,
    Reach,
    Restoring,
    Said,
    Snapped,
    Started,
    Traffic,
)
from skerry.safe.sqlite import Connection, Options, record_checksum
from skerry.trust.floors import Floor

ENVELOPE = msgspec.msgpack.Decoder(Envelope)
EVENT = msgspec.msgpack.Decoder(Event)
VERDICT = msgspec.msgpack.Decoder(tuple[dict[UnitId, bytes], dict[UnitId, tuple[str, str]]])


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


def _second_schema(connection: Connection) -> None:
    """Small records get a checksum and a second copy."""
    for statement in notes.TABLES:
        connection.execute(statement)
    for name, value in connection.execute("SELECT name, value FROM meta").fetchall():
        of = NOTES[name]
        notes.write(connection, name, "", msgspec.msgpack.decode(value, type=of))
    for line, number, digest in connection.execute("SELECT line, number, digest FROM floor").fetchall():
        notes.write(connection, "floor", line, Floor(number, Digest(digest)))
    for tenant, start in connection.execute("SELECT tenant, start FROM uid_range").fetchall():
        notes.write(connection, "uid-range", tenant, start)
    for name, spec, boot, before in connection.execute(
        "SELECT instance, spec, boot, before_us FROM started"
    ).fetchall():
        notes.write(connection, "started", name, Started(Digest(spec), boot, before))
    for name, spec, code in connection.execute("SELECT instance, spec, exit_code FROM ended").fetchall():
        notes.write(connection, "ended", name, Ended(Digest(spec), code))
    for (digest,) in connection.execute("SELECT digest FROM tombstone").fetchall():
        # When it was accepted was written by a clock that the core could move: its grace begins anew.
        notes.write(connection, "tombstone", digest, Grace(0, "", 0))
    for table in ("meta", "floor", "uid_range", "started", "ended", "tombstone"):
        connection.execute(f"DROP TABLE {table}")


#: What is kept twice: kind to type.
NOTES: dict[str, Any] = {
    "identity": Identity,
    "counters": Counters,
    "floor": Floor,
    "uid-range": int,
    "started": Started,
    "ended": Ended,
    "tombstone": Grace,
    "volume": int,
    "deleting": Deleting,
    "judged": Judged,
    "contact": Contact,
    "confirming": Confirming,
    "reach": Reach,
    "traffic": Traffic,
    "said": Said,
    "snapped": Snapped,
    "restoring": Restoring,
}


def _check_records(connection: Connection) -> str:
    """Say what makes the whole file a bad one: an identity that neither copy can give. ``mend`` sees to the rest."""
    for _, *copies in connection.execute(
        "SELECT name, body, checksum, spare, spare_checksum FROM note WHERE kind = 'identity'"
    ):
        pairs = ((copies[1], copies[0]), (copies[3], copies[2]))
        if not any(notes.is_sound(checksum, b"identity", body) for checksum, body in pairs):
            return "nothing says any more who this node is"
    return ""


OPTIONS = Options(migrations=(_first_schema, _second_schema), check_records=_check_records)


# --- reading ---------------------------------------------------------------------------------------------------------


def read_all(connection: Connection) -> Remembered:
    """Read the whole journal."""
    return Remembered(
        identity=notes.find(connection, "identity", "", Identity),
        counters=read_counters(connection),
        document=_read_document(connection, "current"),
        previous=_read_document(connection, "previous"),
        objects={
            Digest(digest): ENVELOPE.decode(envelope)
            for digest, envelope in connection.execute("SELECT digest, envelope FROM object")
        },
        floors=notes.read(connection, "floor", Floor),
        kept=Kept(
            uid_ranges={TenantName(name): start for name, start in notes.read(connection, "uid-range", int).items()},
            started={InstanceId(name): start for name, start in notes.read(connection, "started", Started).items()},
            ended={InstanceId(name): end for name, end in notes.read(connection, "ended", Ended).items()},
            tombstones={Digest(name): grace for name, grace in notes.read(connection, "tombstone", Grace).items()},
            volumes={VolumeId(name): born for name, born in notes.read(connection, "volume", int).items()},
            deleting={VolumeId(name): each for name, each in notes.read(connection, "deleting", Deleting).items()},
            judged={AppId(name): each for name, each in notes.read(connection, "judged", Judged).items()},
            contact=notes.find(connection, "contact", "", Contact) or Contact(),
            confirming=notes.find(connection, "confirming", "", Confirming) or Confirming(),
            reach={AppId(name): each for name, each in notes.read(connection, "reach", Reach).items()},
            traffic=notes.find(connection, "traffic", "", Traffic) or Traffic(),
            said={InstanceId(name): each for name, each in notes.read(connection, "said", Said).items()},
            snapped={VolumeId(name): each for name, each in notes.read(connection, "snapped", Snapped).items()},
            restoring={VolumeId(name): each for name, each in notes.read(connection, "restoring", Restoring).items()},
        ),
    )


def read_outbox(connection: Connection, after: int, limit: int) -> tuple[Event, ...]:
    """Return the next events above ``after``, oldest first."""
    rows = connection.execute("SELECT event FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, limit))
    return tuple(EVENT.decode(event) for (event,) in rows)


def read_newest(connection: Connection, limit: int) -> tuple[Event, ...]:
    """Return the newest events that wait for the parent, oldest first."""
    rows = connection.execute("SELECT event FROM outbox ORDER BY sequence DESC LIMIT ?", (limit,)).fetchall()
    return tuple(EVENT.decode(event) for (event,) in reversed(rows))


def count_outbox(connection: Connection) -> int:
    """Return how many events wait for the parent."""
    (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone() or (0,)
    return int(count)


def measure_outbox(connection: Connection) -> tuple[int, int]:
    """Return how many events wait for the parent, and their bytes."""
    row = connection.execute("SELECT count(*), coalesce(sum(length(event)), 0) FROM outbox").fetchone() or (0, 0)
    return int(row[0]), int(row[1])


# --- writing ---------------------------------------------------------------------------------------------------------


def record_identity(connection: Connection, identity: Identity, floors: Mapping[str, Floor]) -> None:
    """Record who this node is, or its newer site record, with the floors that go with it."""
    notes.write(connection, "identity", "", identity)
    raise_floors(connection, floors)


def record_document(
    connection: Connection,
    document: StoredDocument,
    objects: Mapping[Digest, Envelope],
    floors: Mapping[str, Floor],
    tombstones: Mapping[Digest, Grace],
    time_floor_s: int,
    before: StoredDocument | None = None,
) -> None:
    """Make ``document`` the current one and keep its predecessor; objects, floors and tombstones go with it.

    ``tombstones`` are those that it names; one that was accepted before keeps what has passed of its grace. ``before``
    is what was in force until now where that is not the journal's current document.
    """
    before = before or _read_document(connection, "current")
    connection.execute("DELETE FROM document WHERE slot = 'previous'")
    connection.execute("DELETE FROM unit WHERE slot = 'previous'")
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
    raise_floors(connection, floors)
    known = notes.read(connection, "tombstone", Grace)
    notes.write_all(connection, "tombstone", {name: grace for name, grace in tombstones.items() if name not in known})
    change_counters(connection, time_floor_s=time_floor_s)


def drop_objects(connection: Connection, needed: Iterable[Digest]) -> None:
    """Forget signed objects that neither the current nor the previous document names."""
    keep = set(needed)
    for (digest,) in connection.execute("SELECT digest FROM object").fetchall():
        if digest not in keep:
            connection.execute("DELETE FROM object WHERE digest = ?", (digest,))


def begin_session(connection: Connection, above: int = 0) -> Counters:
    """Raise the session epoch by one, beyond ``above`` too, and return the counters with it."""
    counters = read_counters(connection)
    return change_counters(connection, session_epoch=max(counters.session_epoch, above) + 1)


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan wants remembered before any of its actions is begun."""

    uid_ranges: dict[TenantName, int] = {}
    ended: dict[InstanceId, Ended] = {}
    #: Starts of instances that are stopped by order: their end is not their own.
    void_starts: frozenset[InstanceId] = frozenset()
    #: Instances that are neither wanted nor seen any more.
    gone: frozenset[InstanceId] = frozenset()
    graces: dict[Digest, Grace] = {}
    volumes: dict[VolumeId, int] = {}
    #: Volumes whose loss is no matter any more.
    forget_volumes: frozenset[VolumeId] = frozenset()
    judged: dict[AppId, Judged] = {}
    forget_judged: frozenset[AppId] = frozenset()
    contact: Contact | None = None
    confirming: Confirming | None = None
    reach: dict[AppId, Reach] = {}
    forget_reach: frozenset[AppId] = frozenset()
    traffic: Traffic | None = None
    said: dict[InstanceId, Said] = {}
    forget_said: frozenset[InstanceId] = frozenset()
    snapped: dict[VolumeId, Snapped] = {}
    forget_snapped: frozenset[VolumeId] = frozenset()
    restoring: dict[VolumeId, Restoring] = {}
    forget_restoring: frozenset[VolumeId] = frozenset()


def record_changes(connection: Connection, changes: Changes) -> None:
    """Remember what a plan relies on. Raises ``ValueError`` for a range of uids that another tenant has."""
    record_uid_ranges(connection, changes.uid_ranges)
    notes.write_all(connection, "ended", changes.ended)
    notes.forget(connection, "started", changes.void_starts | changes.gone)
    notes.forget(connection, "ended", changes.gone)
    notes.write_all(connection, "tombstone", changes.graces)
    notes.write_all(connection, "volume", changes.volumes)
    notes.forget(connection, "volume", changes.forget_volumes)
    notes.write_all(connection, "judged", changes.judged)
    notes.forget(connection, "judged", changes.forget_judged)
    notes.write_all(connection, "said", changes.said)
    notes.forget(connection, "said", changes.forget_said | changes.gone)
    notes.write_all(connection, "snapped", changes.snapped)
    notes.forget(connection, "snapped", changes.forget_snapped)
    notes.write_all(connection, "restoring", changes.restoring)
    notes.forget(connection, "restoring", changes.forget_restoring)
    notes.write_all(connection, "reach", changes.reach)
    notes.forget(connection, "reach", changes.forget_reach)
    if changes.contact is not None:
        notes.write(connection, "contact", "", changes.contact)
    if changes.confirming is not None:
        notes.write(connection, "confirming", "", changes.confirming)
    if changes.traffic is not None:
        notes.write(connection, "traffic", "", changes.traffic)


def apply_changes(kept: Kept, changes: Changes) -> Kept:
    """Return what is kept once ``changes`` are recorded."""
    void = changes.void_starts | changes.gone
    volumes = {**kept.volumes, **changes.volumes}
    judged = {**kept.judged, **changes.judged}
    return msgspec.structs.replace(
        kept,
        uid_ranges={**kept.uid_ranges, **changes.uid_ranges},
        started={name: start for name, start in kept.started.items() if name not in void},
        ended={name: end for name, end in {**kept.ended, **changes.ended}.items() if name not in changes.gone},
        tombstones={**kept.tombstones, **changes.graces},
        volumes={name: born for name, born in volumes.items() if name not in changes.forget_volumes},
        judged={name: each for name, each in judged.items() if name not in changes.forget_judged},
        contact=changes.contact or kept.contact,
        confirming=changes.confirming or kept.confirming,
        reach={
            name: each for name, each in {**kept.reach, **changes.reach}.items() if name not in changes.forget_reach
        },
        traffic=changes.traffic or kept.traffic,
        said={
            name: each
            for name, each in {**kept.said, **changes.said}.items()
            if name not in changes.forget_said | changes.gone
        },
        snapped={
            name: each
            for name, each in {**kept.snapped, **changes.snapped}.items()
            if name not in changes.forget_snapped
        },
        restoring={
            name: each
            for name, each in {**kept.restoring, **changes.restoring}.items()
            if name not in changes.forget_restoring
        },
    )


def record_uid_ranges(connection: Connection, ranges: Mapping[TenantName, int]) -> None:
    """Record ranges given to tenants now for the first time; a range is never given twice, nor a tenant a second."""
    known = notes.read(connection, "uid-range", int) if ranges else {}
    for tenant, start in ranges.items():
        if tenant in known or start in known.values():
            raise ValueError(f"the range of uids from {start}, or tenant {tenant}, is taken: it is UNIQUE")
        known[tenant] = start
        notes.write(connection, "uid-range", tenant, start)


def record_started(connection: Connection, instance: InstanceId, started: Started) -> None:
    """Record that an instance is about to be started in this boot; an earlier end is void."""
    notes.write(connection, "started", instance, started)
    notes.forget(connection, "ended", (instance,))


def begin_deletion(connection: Connection, volume: VolumeId, deleting: Deleting) -> None:
    """Remember that a volume is about to be deleted: it will be told once, whatever happens to this process."""
    notes.write(connection, "deleting", volume, deleting)


def end_deletions(connection: Connection, ended: "Mapping[VolumeId, Draft | None]") -> None:
    """Forget deletions that are done, each with what is to be told of it, or given up, with None.

    One that is not remembered any more was told before.
    """
    known = notes.read(connection, "deleting", Deleting)
    done = {volume: draft for volume, draft in ended.items() if draft is not None and volume in known}
    append_events(connection, done.values())
    notes.forget(connection, "deleting", ended)
    notes.forget(connection, "volume", done)


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
    counters = read_counters(connection)
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
        _insert_event(connection, event)
    excess = count_outbox(connection) - limits.OUTBOX_EVENTS_MAX
    if excess > 0:
        connection.execute(
            "DELETE FROM outbox WHERE sequence IN"
            " (SELECT sequence FROM outbox WHERE class = 'event' ORDER BY sequence LIMIT ?)",
            (excess,),
        )
        dropped += connection.changes()
    change_counters(connection, event_last=last, dropped=dropped)
    return last


def trim_outbox(connection: Connection, through: int) -> None:
    """The parent has committed every event up to ``through``: they need not be kept."""
    counters = read_counters(connection)
    if counters.event_acknowledged < through <= counters.event_last:
        change_counters(connection, event_acknowledged=through)
        connection.execute("DELETE FROM outbox WHERE sequence <= ?", (through,))


def raise_outbox(connection: Connection, floor: int, notice: Draft) -> None:
    """The parent holds events up to ``floor`` that were not written here: this disk was set back (faults.md P8).

    All that waits moves up by what the parent has more than was acknowledged here: it stays in order above ``floor``,
    no number means two things to the parent, and none is missing but that of a dropped event, for which the parent
    takes every gap. ``notice`` follows. What was done for this ``floor`` is not done a second time.
    """
    counters = read_counters(connection)
    shift = floor - counters.event_acknowledged
    if shift <= 0:
        return
    waiting = read_outbox(connection, 0, limits.OUTBOX_EVENTS_MAX * 2)
    connection.execute("DELETE FROM outbox")
    for event in waiting:
        _insert_event(connection, msgspec.structs.replace(event, sequence=event.sequence + shift))
    change_counters(connection, event_last=counters.event_last + shift, event_acknowledged=floor)
    append_events(connection, [notice])


# --- inside ----------------------------------------------------------------------------------------------------------


def read_counters(connection: Connection) -> Counters:
    """Return the counters."""
    return notes.find(connection, "counters", "", Counters) or Counters()


def change_counters(connection: Connection, **changes: int) -> Counters:
    """Write counters; the time floor and the numbers only rise."""
    before = read_counters(connection)
    for name in ("session_epoch", "event_last", "event_acknowledged", "time_floor_s"):
        if name in changes:
            changes[name] = max(changes[name], getattr(before, name))
    after = msgspec.structs.replace(before, **changes)
    if after != before:
        notes.write(connection, "counters", "", after)
    return after


def _read_document(connection: Connection, slot: str) -> StoredDocument | None:
    row = connection.execute("SELECT epoch, generation, head, verdict FROM document WHERE slot = ?", (slot,)).fetchone()
    if row is None:
        return None
    bodies = connection.execute("SELECT unit, body FROM unit WHERE slot = ?", (slot,))
    in_force, refused = VERDICT.decode(row[3])
    return StoredDocument(
        row[0], row[1], ENVELOPE.decode(row[2]), {UnitId(name): body for name, body in bodies}, in_force, refused
    )


def _insert_event(connection: Connection, event: Event) -> None:
    content = msgspec.msgpack.encode(event)
    connection.execute(
        "INSERT INTO outbox (sequence, class, event, checksum) VALUES (?, ?, ?, ?)",
        (event.sequence, event.klass, content, record_checksum(str(event.sequence).encode(), content)),
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


def raise_floors(connection: Connection, floors: Mapping[str, Floor]) -> None:
    """Record floors where they are above what is recorded."""
    known = notes.read(connection, "floor", Floor) if floors else {}
    for line, floor in floors.items():
        if line not in known or floor.number >= known[line].number:
            notes.write(connection, "floor", line, floor)
