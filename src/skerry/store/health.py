"""What a doctor asks a core's database: are pages and indexes sound, and does every row stand on what it names?

Reads only. Which answer is bad is for ``core/doctor.py`` to say.
"""

from sqlalchemy import ColumnElement, Connection, Table, and_, func, select, text

from skerry.store.schema import (
    APPS,
    BLOBS,
    DEFINITIONS,
    DOCUMENTS,
    EVENTS,
    FACTS,
    IMAGE_BLOBS,
    OBJECTS,
    REVISIONS,
    SECRETS,
    SITE_STATE,
    SITES,
    UNITS,
)
from skerry.store.things import UNFINISHED

#: Rows named in one complaint.
NAMED_MAX = 3


def check_integrity(connection: Connection) -> str:
    """Say what is wrong with pages and indexes, or nothing."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("PRAGMA integrity_check(1)")).scalar_one()
        return "" if found == "ok" else str(found)
    query = text("SELECT string_agg(indexrelid::regclass::text, ', ') FROM pg_index WHERE NOT indisvalid")
    broken = connection.execute(query).scalar()
    return f"indexes that are not valid: {broken}" if broken else ""


def find_foreign_rows(connection: Connection) -> list[str]:
    """Describe rows that name what is not here."""
    known_sites, known_objects = select(SITES.c.site), select(OBJECTS.c.digest)
    whole = select(BLOBS.c.digest).where(BLOBS.c.size_bytes != UNFINISHED)
    questions: tuple[tuple[Table, ColumnElement[str], str, ColumnElement[bool]], ...] = (
        *(
            (table, table.c.site, "a site", table.c.site.not_in(known_sites))
            for table in (SITE_STATE, UNITS, FACTS, DOCUMENTS)
        ),
        (REVISIONS, REVISIONS.c.app, "a signed object", REVISIONS.c.digest.not_in(known_objects)),
        (
            APPS,
            APPS.c.app,
            "a signed object",
            and_(APPS.c.revision_number > 0, APPS.c.revision_digest.not_in(known_objects)),
        ),
        (SECRETS, SECRETS.c.name, "a signed object", SECRETS.c.digest.not_in(known_objects)),
        (DEFINITIONS, DEFINITIONS.c.name, "a signed object", DEFINITIONS.c.digest.not_in(known_objects)),
        (IMAGE_BLOBS, IMAGE_BLOBS.c.image, "a blob", IMAGE_BLOBS.c.blob.not_in(whole)),
    )
    found: list[str] = []
    for table, name, what, foreign in questions:
        count = connection.execute(select(func.count()).select_from(table).where(foreign)).scalar_one()
        if count:
            names = connection.execute(select(name).where(foreign).distinct().order_by(name).limit(NAMED_MAX)).scalars()
            found.append(f"{count} of {table.name} name {what} that is not here: {', '.join(names)}")
    return found


def list_whole_blobs(connection: Connection) -> list[str]:
    """Return the digests of all blobs whose bytes should be on the disk."""
    query = select(BLOBS.c.digest).where(BLOBS.c.size_bytes != UNFINISHED).distinct().order_by(BLOBS.c.digest)
    return list(connection.execute(query).scalars())


def newest_time_us(connection: Connection) -> int:
    """Return the newest time that the core has ever written down of itself, 0 when there is none."""
    own = connection.execute(select(func.max(EVENTS.c.time_us)).where(EVENTS.c.site == "")).scalar()
    changed = connection.execute(select(func.max(SITES.c.changed_us))).scalar()
    return max(own or 0, changed or 0)
