"""The planted bugs. Each names a file of src/skerry, the text it replaces, and the invariants that may notice it.

The text must be there exactly once: a bug whose text is gone is reported as stale, never skipped. ``siege`` marks bugs
that only an attacker meets; the evil core of the transcripts looks for those.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """One bug: where, what becomes of it, and who should notice."""

    name: str
    area: str
    file: str
    marker: str
    replacement: str
    trips: tuple[str, ...]
    siege: bool = False


BUGS = (
    Bug(
        "the core forgets every third revision it confirms",
        "durability",
        "core/wishes.py",
        "        apps.record_revision(\n            connection,",
        "        row.known_number % 3 and apps.record_revision(\n            connection,",
        ("I1", "I17", "I22", "crash"),
    ),
    Bug(
        "every seventh event is acknowledged and not stored",
        "inbox",
        "core/link_desk.py",
        "        events.append_site_event(connection, site, event,",
        "        event.sequence % 7 and events.append_site_event(connection, site, event,",
        ("I2",),
    ),
    Bug(
        "one event more than acknowledged is dropped",
        "outbox",
        "agent/journal.py",
        'connection.execute("DELETE FROM outbox WHERE sequence <= ?", (through,))',
        'connection.execute("DELETE FROM outbox WHERE sequence <= ?", (through + 1,))',
        ("I2", "I23", "I26"),
    ),
    Bug(
        "a session does not raise its epoch",
        "link",
        "agent/journal.py",
        "session_epoch=max(counters.session_epoch, above) + 1)",
        "session_epoch=max(counters.session_epoch, above, 1))",
        ("I8", "I23"),
    ),
    Bug(
        "the journal keeps the predecessor as the current document",
        "documents",
        "agent/journal.py",
        '_insert_document(connection, "current", document)',
        '_insert_document(connection, "current", before or document)',
        ("I3", "I6", "I22"),
    ),
    Bug(
        "floors are not journaled with their document",
        "documents",
        "agent/journal.py",
        "    raise_floors(connection, floors)\n    known =",
        "    known =",
        ("I32", "I3", "I6"),
    ),
    Bug(
        "the time floor is not journaled",
        "documents",
        "agent/journal.py",
        "    change_counters(connection, time_floor_s=time_floor_s)\n",
        "",
        ("I32",),
    ),
    Bug(
        "the journal is not synced at each commit",
        "durability",
        "agent/journal.py",
        "OPTIONS = Options(",
        'OPTIONS = Options(synchronous="NORMAL", ',
        ("I2", "I3", "I6", "I8", "I32"),
    ),
    Bug(
        "a tombstone's grace is ignored",
        "volumes",
        "plan/volumes.py",
        "left_us = tombstone.grace_us - passed_us",
        "left_us = 0",
        ("I11",),
    ),
    Bug(
        "what has passed of a grace is counted again after each reboot",
        "volumes",
        "plan/history.py",
        "return self.passed_us + (max(now_us - self.mark_us, 0) if boot == self.boot else 0)",
        "return self.passed_us + (max(now_us - self.mark_us, 0) if boot == self.boot else self.passed_us + 10**8)",
        ("I11",),
    ),
    Bug(
        "a doomed volume is deleted while it is in use",
        "volumes",
        "plan/volumes.py",
        "            if _volume_in_use(volume, wanted, observed):\n                draft.wait",
        "            if False:\n                draft.wait",
        ("I11",),
    ),
    Bug(
        "all tenants share one range of uids",
        "tenancy",
        "plan/volumes.py",
        "        while not own and _overlaps(start, taken):",
        "        while False:",
        ("I27", "crash"),
    ),
    Bug(
        "queries are not filtered by tenant",
        "tenancy",
        "store/scope.py",
        "    return column.in_(tenants) if tenants else false()",
        "    return column == column if tenants else false()",
        ("I27",),
    ),
    Bug(
        "a site without its link does nothing",
        "autonomy",
        "agent/agent.py",
        "    def _read_held(self) -> HeldSite | None:\n",
        '    def _read_held(self) -> HeldSite | None:\n        if self.link.state != "up":\n            return None\n',
        ("I18", "I22"),
    ),
    Bug(
        "images that wait for the link take every place",
        "autonomy",
        "agent/loop.py",
        "self._count(kind) < ACTIONS_MAX[kind]:",
        "len(self._busy) < 4:",
        ("I18", "I24"),
    ),
    Bug(
        "images may use the reserve",
        "autonomy",
        "plan/images.py",
        "free - (fetch.size_bytes - arrived) < DISK_RESERVE_BYTES:",
        "free - (fetch.size_bytes - arrived) < 0:",
        ("I15",),
    ),
    Bug(
        "what runs is stopped when its unit is gone from what can be read",
        "autonomy",
        "plan/site.py",
        "    if observed.unavailable:\n        draft.wait(",
        "    if not held.units:\n        draft.wait(",
        ("I6", "I17", "I18", "I24", "I26", "crash"),
    ),
    Bug(
        "a failed action is never tried again",
        "liveness",
        "agent/loop.py",
        "        finally:\n            del self._busy[name]\n",
        "        finally:\n            if outcome.ok:\n                del self._busy[name]\n",
        ("I18", "I24", "I22", "crash"),
    ),
    Bug(
        "back-off has no cap",
        "liveness",
        "plan/pace.py",
        "return min(limits.RESTART_DELAY_US_MIN << min(failures - 1, 30), limits.RESTART_DELAY_US_MAX)",
        "return limits.RESTART_DELAY_US_MIN << min(4 * failures, 40)",
        ("I18", "I24", "I25", "I22"),
    ),
    Bug(
        "nobody tells a session of a newer document",
        "liveness",
        "core/session.py",
        "        self.feed(parent_ports.Nudged())",
        "        return",
        ("I22",),
    ),
    Bug(
        "a core that was set back overrules its sites",
        "restore",
        "core/link_desk.py",
        '"units_digest": "", "learning": True}',
        '"units_digest": "", "learning": False}',
        ("I17", "I22", "I26"),
    ),
    Bug(
        "signatures are not checked",
        "trust",
        "trust/keys.py",
        "def verify_signature(",
        "def verify_signature(*_: object) -> bool:\n    return True\n\n\ndef _unused_verify_signature(",
        ("I33",),
        siege=True,
    ),
    Bug(
        "a unit may name another tenant's object",
        "trust",
        "trust/verify.py",
        "            same = (unit.tenant, unit.app) == (payload.tenant, payload.app)\n        case SecretHold()",
        "            same = True\n        case SecretHold()",
        ("I33",),
        siege=True,
    ),
    Bug(
        "a tombstone for another site deletes here",
        "trust",
        "trust/verify.py",
        "            if same and unmet:",
        "            if False and unmet:",
        ("I33",),
        siege=True,
    ),
    Bug(
        "old numbers of an app are accepted",
        "trust",
        "trust/floors.py",
        "    if number < floor.number:\n        return Denied",
        '    if number < floor.number and not line.startswith("app/"):\n        return Denied',
        ("I33",),
        siege=True,
    ),
    Bug(
        "what was never proven is what a site goes back to",
        "update",
        "plan/gate.py",
        'return judged.revision if judged.verdict == "proven" else judged.fallback',
        "return judged.revision",
        ("I7", "I36"),
    ),
    Bug(
        "the bytes of a proven revision are forgotten with its document",
        "update",
        "agent/agent.py",
        "needed = set(accepted.needed) | holdings.proven\n",
        "needed = set(accepted.needed)\n",
        ("I7", "I24", "I36"),
    ),
)
