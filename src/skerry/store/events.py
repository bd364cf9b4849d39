"""The log of all that happened: what sites report, exactly once and in order, and the core's own events.

A site's event is known by (site, sequence); storing it twice is impossible, so an acknowledgement lost on the way costs
nothing. ``id`` orders the whole log and is what readers resume by; an id is never used twice.
"""

import functools
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select

from skerry.model.event import Event, EventClass
from skerry.model.ids import CauseId, SiteName
from skerry.store.rows import named
from skerry.store.schema import EVENTS
from skerry.store.scope import Scope, owned

#: Types that ``skerry status`` shows.
WARNINGS = (
    "action.failed",
    "document.refused",
    "events.dropped",
    "placement.refused",
    "site.learning",
    "site.set-back",
    "site.silent",
    "unit.refused",
)


#: Choices of events whose statements are kept: what the core asks for itself, and what screens follow just now.
_CHOICES_KNOWN = 64

_APPEND = insert(EVENTS).returning(EVENTS.c.id)
_OF_SITE = select(EVENTS).where(named(EVENTS, "site", "sequence"))
_NEWEST_OWN = select(func.max(EVENTS.c.sequence)).where(EVENTS.c.site == "")
_NEWEST_ID = select(func.max(EVENTS.c.id))
_EDGE = select(EVENTS.c.id).order_by(EVENTS.c.id.desc()).offset(bindparam("keep")).limit(1)


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the core's log. ``site`` is empty for the core's own."""

    id: int
    site: SiteName
    event: Event


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events; empty words mean all."""

    site: str = ""
    app: str = ""
    #: Beginning of the event's type.
    kind: str = ""
    cause: str = ""
    #: The very thing it is about, for example ``instance/TENANT/APP/SERVICE/0``.
    subject: str = ""
    #: Events of this site, and the core's own about it.
    about: str = ""
    #: Only what a person should look at: ``WARNINGS`` and everything of class ``security``.
    warnings: bool = False


def _app_of(event: Event) -> str:
    """Read the app off an event's subject: ``app/NAME`` or ``instance/TENANT/APP/…``."""
    parts = event.subject.split("/")
    if parts[0] == "app" and len(parts) >= 2:
        return parts[1]
    if parts[0] in ("instance", "volume", "assignment") and len(parts) >= 3:
        return parts[2]
    return ""


def append_site_event(connection: Connection, site: SiteName, event: Event, tenant: str) -> int:
    """Store one event of a site and return its id; the caller knows that it is the next one of its site."""
    values = {
        "site": site,
        "sequence": event.sequence,
        "tenant": tenant,
        "app": _app_of(event) if tenant else "",
        "time_us": event.time_us,
        "type": event.type,
        "klass": event.klass,
        "subject": event.subject,
        "cause": event.cause,
        "message": event.message,
        "data": msgspec.json.encode(event.data),
    }
    return connection.execute(_APPEND, values).scalar_one()


def find_site_event(connection: Connection, site: SiteName, sequence: int) -> Event | None:
    """Return a site's event by its number; None when it was dropped, forgotten or never there."""
    row = connection.execute(_OF_SITE, {"of_site": site, "of_sequence": sequence}).one_or_none()
    return None if row is None else _read(row).event


def append_core_event(
    connection: Connection,
    type_: str,
    *,
    time_us: int,
    subject: str,
    tenant: str = "",
    klass: EventClass = "event",
    cause: str = "",
    message: str = "",
    data: dict[str, str] | None = None,
) -> int:
    """Write an event of the core itself and return its id."""
    newest = connection.execute(_NEWEST_OWN).scalar() or 0
    event = Event(
        sequence=newest + 1,
        time_us=time_us,
        type=type_,
        klass=klass,
        subject=subject,
        tenant=tenant,
        cause=CauseId(cause),
        message=message,
        data=data or {},
    )
    return append_site_event(connection, SiteName(""), event, tenant)


def newest_of(connection: Connection, subject: str, types: Collection[str]) -> str:
    """Return which of ``types`` the core told last of a subject; empty when none."""
    query = select(EVENTS.c.type).where(EVENTS.c.site == "", EVENTS.c.subject == subject)
    query = query.where(EVENTS.c.type.in_(sorted(types))).order_by(EVENTS.c.id.desc()).limit(1)
    return connection.execute(query).scalar() or ""


def newest_event_id(connection: Connection) -> int:
    """Return the id of the newest event, 0 when there was none."""
    return connection.execute(_NEWEST_ID).scalar() or 0


def oldest_event_id(connection: Connection) -> int:
    """Return the id of the oldest event still here, 0 when there is none."""
    return connection.execute(select(func.min(EVENTS.c.id))).scalar() or 0


def list_events(connection: Connection, scope: Scope, after: int, limit: int, chosen: EventFilter) -> list[LoggedEvent]:
    """Return visible events above id ``after``, oldest first."""
    rows = connection.execute(_choose_above(scope, chosen), {"after": after, "most": limit})
    return [_read(row) for row in rows]


@functools.lru_cache(_CHOICES_KNOWN)
def _choose_above(scope: Scope, chosen: EventFilter) -> Select[Any]:
    query = _choose(scope, chosen).where(EVENTS.c.id > bindparam("after"))
    return query.order_by(EVENTS.c.id).limit(bindparam("most"))


def last_events(connection: Connection, scope: Scope, count: int, chosen: EventFilter) -> list[LoggedEvent]:
    """Return the newest visible events, newest last."""
    rows = connection.execute(_choose(scope, chosen).order_by(EVENTS.c.id.desc()).limit(count))
    return [_read(row) for row in reversed(list(rows))]


def find_tail(connection: Connection, scope: Scope, count: int, chosen: EventFilter) -> int:
    """Return the id after which the newest ``count`` visible events come."""
    rows = last_events(connection, scope, count, chosen)
    return rows[0].id - 1 if rows else newest_event_id(connection)


def trim_events(connection: Connection, keep: int) -> int:
    """Forget the oldest events of class ``event`` beyond the newest ``keep``; return how many went."""
    edge = connection.execute(_EDGE, {"keep": keep}).scalar()
    if edge is None:
        return 0
    where = EVENTS.c.id <= edge, EVENTS.c.klass != "security"
    return connection.execute(delete(EVENTS).where(*where)).rowcount


def _choose(scope: Scope, chosen: EventFilter) -> Select[Any]:
    query = owned(select(EVENTS), EVENTS.c.tenant, scope)
    for column, word in (
        (EVENTS.c.site, chosen.site),
        (EVENTS.c.app, chosen.app),
        (EVENTS.c.cause, chosen.cause),
        (EVENTS.c.subject, chosen.subject),
    ):
        if word:
            query = query.where(column == word)
    if chosen.kind:
        query = query.where(EVENTS.c.type.startswith(chosen.kind, autoescape=True))
    if chosen.warnings:
        query = query.where(EVENTS.c.type.in_(WARNINGS) | (EVENTS.c.klass == "security"))
    if chosen.about:
        query = query.where((EVENTS.c.site == chosen.about) | (EVENTS.c.subject == f"site/{chosen.about}"))
    return query


def _read(row: Row[Any]) -> LoggedEvent:
    event = Event(
        sequence=row.sequence,
        time_us=row.time_us,
        type=row.type,
        klass=row.klass,
        subject=row.subject,
        tenant=row.tenant,
        cause=CauseId(row.cause),
        message=row.message,
        data=msgspec.json.decode(row.data, type=dict[str, str]),
    )
    return LoggedEvent(id=row.id, site=SiteName(row.site), event=event)
