"""Units wished for each site, and the numbered documents they became."""

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import Connection, delete, insert, select

from skerry.model.document import (
    Assignment,
    ImageHold,
    SecretHold,
    Unit,
    decode_unit,
    digest_units,
    encode_unit,
    named_objects,
)
from skerry.model.ids import Digest, SiteName, UnitId, digest_of
from skerry.model.signed import Envelope
from skerry.store.objects import pack_envelope
from skerry.store.schema import DOCUMENTS, UNITS
from skerry.store.scope import Scope, owned
from skerry.store.sites import change_state

#: Older documents kept per site as bases of differences: a site that missed more gets the whole map once.
DOCUMENTS_KEPT = 16

_DIGESTS: msgspec.msgpack.Decoder[dict[UnitId, Digest]] = msgspec.msgpack.Decoder(dict[UnitId, Digest])
_NAMES: msgspec.msgpack.Decoder[tuple[Digest, ...]] = msgspec.msgpack.Decoder(tuple[Digest, ...])
_ENVELOPE: msgspec.msgpack.Decoder[Envelope] = msgspec.msgpack.Decoder(Envelope)


class DocumentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered document: its signed head, its map by digest, and the signed objects that its units name."""

    site: SiteName
    epoch: int
    generation: int
    head: Envelope
    digests: dict[UnitId, Digest]
    objects: tuple[Digest, ...]


def record_units(connection: Connection, site: SiteName, units: Mapping[UnitId, Unit]) -> Digest:
    """Make ``units`` what is wished for the site now; only rows that differ are touched. Return the map's digest."""
    bodies = {name: encode_unit(unit) for name, unit in units.items()}
    digests = {name: digest_of(body) for name, body in bodies.items()}
    present = read_unit_digests(connection, site)
    gone = sorted(name for name in present if digests.get(name) != present[name])
    for start in range(0, len(gone), 1000):
        chosen = UNITS.c.unit.in_(gone[start : start + 1000])
        connection.execute(delete(UNITS).where(UNITS.c.site == site, chosen))
    fresh = [
        _row(site, name, units[name], digests[name], bodies[name])
        for name in sorted(units)
        if present.get(name) != digests[name]
    ]
    if fresh:
        connection.execute(insert(UNITS), fresh)
    wanted = digest_units(digests)
    change_state(connection, site, wanted_digest=wanted)
    return wanted


def read_unit_digests(connection: Connection, site: SiteName) -> dict[UnitId, Digest]:
    """Return the wished map of a site by digest."""
    rows = connection.execute(select(UNITS.c.unit, UNITS.c.digest).where(UNITS.c.site == site))
    return {UnitId(unit): Digest(digest) for unit, digest in rows}


def read_bodies(connection: Connection, site: SiteName) -> dict[UnitId, bytes]:
    """Return the wished units of a site, encoded, in the order of their names."""
    query = select(UNITS.c.unit, UNITS.c.body).where(UNITS.c.site == site).order_by(UNITS.c.unit)
    return {UnitId(unit): body for unit, body in connection.execute(query)}


def read_all_units(connection: Connection) -> dict[SiteName, dict[UnitId, Unit]]:
    """Return the wished units of all sites."""
    found: dict[SiteName, dict[UnitId, Unit]] = {}
    for site, unit, body in connection.execute(select(UNITS.c.site, UNITS.c.unit, UNITS.c.body)):
        found.setdefault(SiteName(site), {})[UnitId(unit)] = decode_unit(body)
    return found


def list_assignments(
    connection: Connection, scope: Scope | None, *, app: str = "", sites: Collection[str] = ()
) -> list[tuple[SiteName, Assignment]]:
    """Return assignments, of an app or of sites, in the order of site and unit; without a scope everybody's."""
    query = select(UNITS.c.site, UNITS.c.body).where(UNITS.c.kind == "assignment")
    if scope is not None:
        query = owned(query, UNITS.c.tenant, scope)
    if app:
        query = query.where(UNITS.c.app == app)
    if sites:
        query = query.where(UNITS.c.site.in_(sorted(sites)))
    found: list[tuple[SiteName, Assignment]] = []
    for name, body in connection.execute(query.order_by(UNITS.c.site, UNITS.c.unit)):
        unit = decode_unit(body)
        if isinstance(unit, Assignment):
            found.append((SiteName(name), unit))
    return found


def record_document(connection: Connection, row: DocumentRow) -> None:
    """Keep a numbered document as the site's newest, and forget those that nobody will need as a base."""
    connection.execute(
        insert(DOCUMENTS).values(
            site=row.site,
            epoch=row.epoch,
            generation=row.generation,
            head=pack_envelope(row.head),
            digests=msgspec.msgpack.encode(row.digests),
            objects=msgspec.msgpack.encode(row.objects),
        )
    )
    old = DOCUMENTS.c.site == row.site, DOCUMENTS.c.generation <= row.generation - DOCUMENTS_KEPT
    connection.execute(delete(DOCUMENTS).where(*old))
    change_state(
        connection, row.site, epoch=row.epoch, generation=row.generation, units_digest=digest_units(row.digests)
    )


def find_document(connection: Connection, site: SiteName, epoch: int, generation: int) -> DocumentRow | None:
    """Return one numbered document of a site, if it is still kept."""
    where = DOCUMENTS.c.site == site, DOCUMENTS.c.epoch == epoch, DOCUMENTS.c.generation == generation
    row = connection.execute(select(DOCUMENTS).where(*where)).first()
    if row is None:
        return None
    return DocumentRow(
        site=site,
        epoch=row.epoch,
        generation=row.generation,
        head=_ENVELOPE.decode(row.head),
        digests=_DIGESTS.decode(row.digests),
        objects=_NAMES.decode(row.objects),
    )


def names_of(bodies: Mapping[UnitId, bytes]) -> tuple[Digest, ...]:
    """Return the digests of all signed objects that units name, sorted."""
    return tuple(sorted({digest for body in bodies.values() for digest in named_objects(decode_unit(body))}))


def _row(site: SiteName, name: UnitId, unit: Unit, digest: Digest, body: bytes) -> dict[str, object]:
    tenant = "" if isinstance(unit, ImageHold) else unit.tenant
    app = "" if isinstance(unit, ImageHold | SecretHold) else unit.app
    kind = str(name).partition("/")[0]
    return {"site": site, "unit": name, "kind": kind, "tenant": tenant, "app": app, "digest": digest, "body": body}
