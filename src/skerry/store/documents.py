"""Units wished for each site, and the numbered documents they became.

What a change does to many sites is read and written for many at a time: a statement costs 0.1 to 0.2 ms of processor,
a further row of it a twentieth of that.
"""

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, delete, insert, select

from skerry.model.document import (
    Assignment,
    ImageHold,
    NetworkMember,
    NetworkPart,
    Peer,
    RelayDuty,
    SecretHold,
    Unit,
    decode_unit,
    digest_bodies,
    digest_units,
    encode_unit,
    named_objects,
)
from skerry.model.ids import AppName, Digest, SiteName, TenantName, UnitId
from skerry.model.signed import Envelope
from skerry.store.objects import pack_envelope
from skerry.store.rows import among, named
from skerry.store.schema import DOCUMENTS, SITE_STATE, UNITS
from skerry.store.scope import Scope, owned
from skerry.store.sites import change_states

#: Older documents kept per site as bases of differences: a site that missed more gets the whole map once.
DOCUMENTS_KEPT = 16
#: Sites named in one statement: SQLite allows 32,766 placeholders, and pages of a thousand keep its cache small.
_PAGE = 1_000
#: Bodies of units whose named objects are remembered: sites that run the same app have equal ones.
_BODIES_KNOWN = 4_096

_DIGESTS: msgspec.msgpack.Decoder[dict[UnitId, Digest]] = msgspec.msgpack.Decoder(dict[UnitId, Digest])
_NAMES: msgspec.msgpack.Decoder[tuple[Digest, ...]] = msgspec.msgpack.Decoder(tuple[Digest, ...])
_ENVELOPE: msgspec.msgpack.Decoder[Envelope] = msgspec.msgpack.Decoder(Envelope)


_DIGESTS_OF_SITES = select(UNITS.c.site, UNITS.c.unit, UNITS.c.digest).where(among(UNITS.c.site, "sites"))
_DIGESTS_OF_SITE = select(UNITS.c.unit, UNITS.c.digest).where(named(UNITS, "site"))
_BODIES_OF_SITES = (
    select(UNITS.c.site, UNITS.c.unit, UNITS.c.body)
    .where(among(UNITS.c.site, "sites"))
    .order_by(UNITS.c.site, UNITS.c.unit)
)
_ALL_UNITS = select(UNITS.c.site, UNITS.c.unit, UNITS.c.body)
_DOCUMENT = select(DOCUMENTS).where(named(DOCUMENTS, "site", "epoch", "generation"))
_NEWEST = (
    select(DOCUMENTS)
    .join(
        SITE_STATE,
        and_(
            SITE_STATE.c.site == DOCUMENTS.c.site,
            SITE_STATE.c.epoch == DOCUMENTS.c.epoch,
            SITE_STATE.c.generation == DOCUMENTS.c.generation,
        ),
    )
    .where(among(SITE_STATE.c.site, "sites"))
)


class DocumentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered document: its signed head, its map by digest, and the signed objects that its units name."""

    site: SiteName
    epoch: int
    generation: int
    head: Envelope
    digests: dict[UnitId, Digest]
    objects: tuple[Digest, ...]


def record_units(connection: Connection, wished: Mapping[SiteName, Mapping[UnitId, Unit]]) -> None:
    """Make these maps what is wished of these sites now; only rows that differ are touched."""
    names = sorted(wished)
    for start in range(0, len(names), _PAGE):
        _record_page(connection, {name: wished[name] for name in names[start : start + _PAGE]})


def _record_page(connection: Connection, wished: Mapping[SiteName, Mapping[UnitId, Unit]]) -> None:
    present: dict[SiteName, dict[UnitId, Digest]] = {}
    for site, unit, digest in connection.execute(_DIGESTS_OF_SITES, {"sites": list(wished)}):
        present.setdefault(site, {})[unit] = digest
    gone: list[dict[str, object]] = []
    fresh: list[dict[str, object]] = []
    states: list[dict[str, object]] = []
    for site, units in wished.items():
        bodies = {name: encode_unit(unit) for name, unit in units.items()}
        digests, known = digest_bodies(bodies), present.get(site, {})
        left = [name for name in sorted(known) if digests.get(name) != known[name]]
        gone.extend({"of": site, "named": name} for name in left)
        fresh += [
            _row(site, name, units[name], digests[name], bodies[name])
            for name in sorted(units)
            if known.get(name) != digests[name]
        ]
        states.append({"wanted_digest": digest_units(digests)})
    if gone:
        where = UNITS.c.site == bindparam("of"), UNITS.c.unit == bindparam("named")
        connection.execute(delete(UNITS).where(*where), gone)
    if fresh:
        connection.execute(insert(UNITS), fresh)
    change_states(connection, dict(zip(wished, states, strict=True)))


def read_unit_digests(connection: Connection, site: SiteName) -> dict[UnitId, Digest]:
    """Return the wished map of a site by digest."""
    rows = connection.execute(_DIGESTS_OF_SITE, {"of_site": site})
    return {UnitId(unit): Digest(digest) for unit, digest in rows}


def read_bodies(connection: Connection, sites: Collection[SiteName]) -> dict[SiteName, dict[UnitId, bytes]]:
    """Return the wished units of sites, encoded, in the order of their names."""
    found: dict[SiteName, dict[UnitId, bytes]] = {site: {} for site in sites}
    for site, unit, body in connection.execute(_BODIES_OF_SITES, {"sites": sorted(sites)}):
        found[site][unit] = body
    return found


def read_all_units(connection: Connection) -> dict[SiteName, dict[UnitId, Unit]]:
    """Return the wished units of all sites."""
    found: dict[SiteName, dict[UnitId, Unit]] = {}
    for site, unit, body in connection.execute(_ALL_UNITS):
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


def list_network_units(
    connection: Connection, tenant: TenantName, app: AppName
) -> list[tuple[SiteName, NetworkPart | NetworkMember]]:
    """Return the parts and members of an app's networks at every site, in the order of site and unit."""
    query = select(UNITS.c.site, UNITS.c.body).where(
        UNITS.c.kind.in_(("network", "member")), UNITS.c.tenant == tenant, UNITS.c.app == app
    )
    found: list[tuple[SiteName, NetworkPart | NetworkMember]] = []
    for name, body in connection.execute(query.order_by(UNITS.c.site, UNITS.c.unit)):
        unit = decode_unit(body)
        if isinstance(unit, NetworkPart | NetworkMember):
            found.append((SiteName(name), unit))
    return found


def list_ways(
    connection: Connection, tenant: TenantName, apps: Iterable[AppName]
) -> dict[SiteName, tuple[NetworkPart | NetworkMember | Peer, ...]]:
    """Return by site what documents say of the networks of some apps, and of all peers of sites that have a part."""
    found: dict[SiteName, list[NetworkPart | NetworkMember | Peer]] = {}
    for app in apps:
        for site, unit in list_network_units(connection, tenant, app):
            found.setdefault(site, []).append(unit)
    names = sorted(found)
    for start in range(0, len(names), _PAGE):
        query = select(UNITS.c.site, UNITS.c.body).where(
            UNITS.c.kind == "peer", UNITS.c.site.in_(names[start : start + _PAGE])
        )
        for site, body in connection.execute(query.order_by(UNITS.c.site, UNITS.c.unit)):
            unit = decode_unit(body)
            if isinstance(unit, Peer):
                found[SiteName(site)].append(unit)
    return {site: tuple(units) for site, units in found.items()}


def find_peers(connection: Connection, sites: Iterable[SiteName]) -> dict[SiteName, Peer]:
    """Return how others are told to reach sites; nothing of one that nobody is told of."""
    names = sorted(f"peer/{site}" for site in sites)
    found: dict[SiteName, Peer] = {}
    for start in range(0, len(names), _PAGE):
        query = select(UNITS.c.body).where(UNITS.c.kind == "peer", UNITS.c.unit.in_(names[start : start + _PAGE]))
        for (body,) in connection.execute(query.order_by(UNITS.c.unit, UNITS.c.site).distinct()):
            unit = decode_unit(body)
            if isinstance(unit, Peer):
                found.setdefault(unit.site, unit)
    return found


def list_held_images(connection: Connection) -> set[Digest]:
    """Return the images that any site should have."""
    query = select(UNITS.c.unit).where(UNITS.c.kind == "image").distinct()
    return {Digest(unit.removeprefix("image/")) for unit in connection.execute(query).scalars()}


def record_documents(connection: Connection, rows: Sequence[DocumentRow]) -> None:
    """Keep numbered documents, each as its site's newest that nobody has refused yet.

    Those that nobody will need as a base are forgotten.
    """
    if not rows:
        return
    values = [
        {
            "site": row.site,
            "epoch": row.epoch,
            "generation": row.generation,
            "head": pack_envelope(row.head),
            "digests": msgspec.msgpack.encode(row.digests),
            "objects": msgspec.msgpack.encode(row.objects),
        }
        for row in rows
    ]
    connection.execute(insert(DOCUMENTS), values)
    old = [{"of": row.site, "edge": row.generation - DOCUMENTS_KEPT} for row in rows if row.generation > DOCUMENTS_KEPT]
    if old:
        where = DOCUMENTS.c.site == bindparam("of"), DOCUMENTS.c.generation <= bindparam("edge")
        connection.execute(delete(DOCUMENTS).where(*where), old)
    changes: dict[SiteName, dict[str, object]] = {
        row.site: {
            "epoch": row.epoch,
            "generation": row.generation,
            "units_digest": digest_units(row.digests),
            "refused_code": "",
            "refused_reason": "",
        }
        for row in rows
    }
    change_states(connection, changes)


def find_document(connection: Connection, site: SiteName, epoch: int, generation: int) -> DocumentRow | None:
    """Return one numbered document of a site, if it is still kept."""
    named_so = {"of_site": site, "of_epoch": epoch, "of_generation": generation}
    row = connection.execute(_DOCUMENT, named_so).first()
    return None if row is None else _read(row)


def read_newest(connection: Connection, sites: Collection[SiteName]) -> dict[SiteName, DocumentRow]:
    """Return the newest numbered document of each of these sites that has one."""
    return {row.site: _read(row) for row in connection.execute(_NEWEST, {"sites": sorted(sites)})}


def names_of(bodies: Iterable[bytes]) -> tuple[Digest, ...]:
    """Return the digests of all signed objects that units name, sorted."""
    return tuple(sorted({digest for body in bodies for digest in _name_objects(body)}))


@functools.lru_cache(_BODIES_KNOWN)
def _name_objects(body: bytes) -> tuple[Digest, ...]:
    return named_objects(decode_unit(body))


def _read(row: Row[Any]) -> DocumentRow:
    return DocumentRow(
        site=SiteName(row.site),
        epoch=row.epoch,
        generation=row.generation,
        head=_ENVELOPE.decode(row.head),
        digests=_DIGESTS.decode(row.digests),
        objects=_NAMES.decode(row.objects),
    )


def _row(site: SiteName, name: UnitId, unit: Unit, digest: Digest, body: bytes) -> dict[str, object]:
    tenant = "" if isinstance(unit, ImageHold | Peer | RelayDuty) else unit.tenant
    app = "" if isinstance(unit, ImageHold | SecretHold | Peer | RelayDuty) else unit.app
    kind = str(name).partition("/")[0]
    return {"site": site, "unit": name, "kind": kind, "tenant": tenant, "app": app, "digest": digest, "body": body}
