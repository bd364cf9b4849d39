"""Sites: the registrar's signed records, and what the core knows of each site's session and document."""

import functools
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update

from skerry.model.ids import Digest, SiteName, TenantName, digest_of
from skerry.model.signed import Envelope, SiteRecord
from skerry.store.objects import pack_envelope, record_object, unpack_envelope
from skerry.store.rows import among, named, put_row
from skerry.store.schema import (
    CORDONS,
    DOCUMENTS,
    FACTS,
    LINK_BYTES,
    NODE_CORDONS,
    SITE_STATE,
    SITE_TENANTS,
    SITES,
    UNITS,
)
from skerry.store.scope import PLATFORM, Scope, visible_sites
from skerry.wire import LinkClass

#: Scopes whose statements are kept: the core's own, and those of tenants that ask just now.
_SCOPES_KNOWN = 64

#: Payloads are JSON of the strict parser's making; they were verified before they were stored.
_RECORD: msgspec.json.Decoder[SiteRecord] = msgspec.json.Decoder(SiteRecord)


_SITE = select(SITES).where(named(SITES, "site"))
_STATE = select(SITE_STATE).where(named(SITE_STATE, "site"))
_STATES = select(SITE_STATE)
_SOME_STATES = _STATES.where(among(SITE_STATE.c.site, "sites"))
_CHANGE_STATE = update(SITE_STATE).where(named(SITE_STATE, "site"))
_RAISE_BYTES = (
    update(LINK_BYTES)
    .where(named(LINK_BYTES, "site", "purpose"))
    .values(
        sent=LINK_BYTES.c.sent + bindparam("more_sent"), received=LINK_BYTES.c.received + bindparam("more_received")
    )
)
_ADD_BYTES = insert(LINK_BYTES)


class SiteRow(msgspec.Struct, frozen=True, kw_only=True):
    """A site's newest record."""

    site: SiteName
    enrolment: int
    number: int
    digest: Digest
    envelope: Envelope
    record: SiteRecord
    removed: bool


class SiteState(msgspec.Struct, frozen=True, kw_only=True):
    """What the core knows of a site besides its record; the defaults are those of a site never heard."""

    site: SiteName
    session_epoch: int = 0
    link_class: LinkClass = "wired"
    agent: str = ""
    epoch: int = 1
    generation: int = 0
    units_digest: str = ""
    wanted_digest: str = ""
    held_epoch: int = 0
    held_generation: int = 0
    refused_code: str = ""
    refused_reason: str = ""
    learning: bool = False
    facts_current: bool = False
    facts_digest: bytes = b""
    event_acknowledged: int = 0
    events_dropped: int = 0
    #: The address from which its link comes; empty while nobody knows.
    seen_from: str = ""

    @property
    def pending(self) -> bool:
        """The wish has changed since the newest document was numbered."""
        return self.wanted_digest != self.units_digest

    @property
    def acknowledged(self) -> bool:
        """The site holds exactly what is wished."""
        return not self.pending and (self.held_epoch, self.held_generation) == (self.epoch, self.generation)


def record_site(connection: Connection, record: SiteRecord, envelope: Envelope, now_us: int) -> None:
    """Keep the newest record of a site, for its peers too; a site is enrolled with its first one."""
    record_object(connection, "", "site", envelope, now_us)
    enrolment = connection.execute(select(SITES.c.enrolment).where(SITES.c.site == record.site)).scalar()
    if enrolment is None:
        enrolment = (connection.execute(select(func.max(SITES.c.enrolment))).scalar() or 0) + 1
    values = {
        "enrolment": enrolment,
        "number": record.number,
        "digest": digest_of(envelope.payload),
        "envelope": pack_envelope(envelope),
        "removed": False,
        "changed_us": now_us,
    }
    put_row(connection, SITES, {"site": record.site}, values)
    connection.execute(delete(SITE_TENANTS).where(SITE_TENANTS.c.site == record.site))
    if record.tenants:
        rows = [{"site": record.site, "tenant": tenant} for tenant in sorted(record.tenants)]
        connection.execute(insert(SITE_TENANTS), rows)
    if connection.execute(select(SITE_STATE.c.site).where(SITE_STATE.c.site == record.site)).first() is None:
        connection.execute(insert(SITE_STATE).values(**msgspec.structs.asdict(SiteState(site=record.site))))


def remove_site(connection: Connection, site: SiteName, now_us: int) -> None:
    """Forget a site but for its number lines: record number, session epoch, document generation, event sequence."""
    connection.execute(update(SITES).where(SITES.c.site == site).values(removed=True, changed_us=now_us))
    for table in (UNITS, FACTS, SITE_TENANTS, LINK_BYTES, DOCUMENTS, CORDONS, NODE_CORDONS):
        connection.execute(delete(table).where(table.c.site == site))
    change_state(
        connection, site, units_digest="", wanted_digest="", facts_digest=b"", facts_current=False, learning=False
    )


def find_site(connection: Connection, site: str, scope: Scope | None = None) -> SiteRow | None:
    """Return a site that stands and that the scope may see; without a scope any site, removed ones too."""
    query = _SITE if scope is None else _find_visible(scope)
    row = connection.execute(query, {"of_site": site}).first()
    return None if row is None else _read(row)


@functools.lru_cache(_SCOPES_KNOWN)
def _find_visible(scope: Scope) -> Select[Any]:
    return visible_sites(_SITE, SITES.c.site, scope)


def list_sites(connection: Connection, scope: Scope, after: str = "", limit: int = 1_000_000) -> list[SiteRow]:
    """Return visible sites in the order of their names."""
    return [_read(row) for row in connection.execute(_list_visible(scope), {"after": after, "most": limit})]


@functools.lru_cache(_SCOPES_KNOWN)
def _list_visible(scope: Scope) -> Select[Any]:
    query = visible_sites(select(SITES), SITES.c.site, scope).where(SITES.c.site > bindparam("after"))
    return query.order_by(SITES.c.site).limit(bindparam("most"))


def list_named(connection: Connection, scope: Scope, names: Collection[SiteName]) -> list[SiteRow]:
    """Return those of ``names`` that are visible sites, in the order of their names."""
    query = visible_sites(select(SITES), SITES.c.site, scope).where(SITES.c.site.in_(sorted(names)))
    return [_read(row) for row in connection.execute(query.order_by(SITES.c.site))]


def list_admitting(connection: Connection, tenant: TenantName) -> frozenset[SiteName]:
    """Return the names of the standing sites that admit a tenant."""
    scope = Scope(tenant=tenant)
    query = visible_sites(select(SITES.c.site), SITES.c.site, scope)
    return frozenset(SiteName(name) for name in connection.execute(query).scalars())


def read_state(connection: Connection, site: str) -> SiteState:
    """Return what is known of a site's session and document."""
    row = connection.execute(_STATE, {"of_site": site}).mappings().first()
    return SiteState(site=SiteName(site)) if row is None else SiteState(**row)


def read_states(connection: Connection, sites: Collection[SiteName] | None = None) -> dict[SiteName, SiteState]:
    """Return the states of the sites named, or of all."""
    rows = connection.execute(_STATES) if sites is None else connection.execute(_SOME_STATES, {"sites": sorted(sites)})
    return {row["site"]: SiteState(**row) for row in rows.mappings()}


def read_link_classes(connection: Connection) -> dict[SiteName, LinkClass]:
    """Return the class of link of every standing site that ever had a session."""
    query = select(SITE_STATE.c.site, SITE_STATE.c.link_class).where(SITE_STATE.c.session_epoch > 0)
    return {row.site: row.link_class for row in connection.execute(visible_sites(query, SITE_STATE.c.site, PLATFORM))}


def change_state(connection: Connection, site: SiteName, **values: object) -> None:
    """Change some words of a site's state."""
    connection.execute(_CHANGE_STATE, {**values, "of_site": site})


def change_states(connection: Connection, changes: Mapping[SiteName, Mapping[str, object]]) -> None:
    """Change the same words of the states of many sites."""
    if changes:
        connection.execute(_CHANGE_STATE, [{**values, "of_site": site} for site, values in changes.items()])


def add_link_bytes(connection: Connection, site: SiteName, sent: dict[str, int], received: dict[str, int]) -> None:
    """Add bytes by purpose to a site's totals."""
    for purpose in sorted(set(sent) | set(received)):
        more_sent, more_received = sent.get(purpose, 0), received.get(purpose, 0)
        more = {"of_site": site, "of_purpose": purpose, "more_sent": more_sent, "more_received": more_received}
        if not connection.execute(_RAISE_BYTES, more).rowcount:
            row = {"site": site, "purpose": purpose, "sent": more_sent, "received": more_received}
            connection.execute(_ADD_BYTES, row)


def read_link_bytes(connection: Connection, site: SiteName) -> list[tuple[str, int, int]]:
    """Return purpose, bytes sent and bytes received of a site."""
    query = select(LINK_BYTES).where(LINK_BYTES.c.site == site).order_by(LINK_BYTES.c.purpose)
    return [(row.purpose, row.sent, row.received) for row in connection.execute(query)]


def read_all_link_bytes(
    connection: Connection, sites: Collection[SiteName]
) -> dict[SiteName, list[tuple[str, int, int]]]:
    """Return the same of many sites; those that have moved none are left out."""
    query = select(LINK_BYTES).where(LINK_BYTES.c.site.in_(sorted(sites)))
    found: dict[SiteName, list[tuple[str, int, int]]] = {}
    for row in connection.execute(query.order_by(LINK_BYTES.c.site, LINK_BYTES.c.purpose)):
        found.setdefault(SiteName(row.site), []).append((row.purpose, row.sent, row.received))
    return found


def _read(row: Row[Any]) -> SiteRow:
    envelope = unpack_envelope(row.envelope, row.digest)
    return SiteRow(
        site=SiteName(row.site),
        enrolment=row.enrolment,
        number=row.number,
        digest=Digest(row.digest),
        envelope=envelope,
        record=_RECORD.decode(envelope.payload),
        removed=row.removed,
    )
