"""The newest fact per resource of each site: the core's replica of what sites say about themselves."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import Connection, delete, insert, select

from skerry.model.facts import (
    AppFact,
    ChainFact,
    Fact,
    ImageFact,
    InstanceFact,
    NodeFact,
    SiteFact,
    UnitFact,
    VolumeFact,
    decode_fact,
    fact_key,
)
from skerry.model.ids import SiteName, is_name
from skerry.store.rows import named, put_row
from skerry.store.schema import FACTS
from skerry.store.scope import Scope, owned, visible_sites

_OF_SITE = select(FACTS.c.key, FACTS.c.body).where(named(FACTS, "site")).order_by(FACTS.c.key)
_FORGET = delete(FACTS).where(named(FACTS, "site", "key"))
_FOR_PLANS = (
    select(FACTS.c.site, FACTS.c.body)
    .where(FACTS.c.kind.in_(("node", "instance", "volume", "app", "overlay")))
    .order_by(FACTS.c.site, FACTS.c.key)
)


class FactLabel(msgspec.Struct, frozen=True):
    """How a fact is filed. ``kind`` is ``unknown`` for what this release cannot read or does not believe."""

    kind: str
    #: Whom it belongs to: a tenant's app, or (both empty) the site.
    tenant: str = ""
    app: str = ""


class LabelledFact(msgspec.Struct, frozen=True):
    """A fact and how it is filed; None for one that is not believed."""

    label: FactLabel
    fact: Fact | None


def label_fact(key: str, body: bytes, tenants: Collection[str]) -> LabelledFact:
    """File one fact of a site that admits ``tenants``.

    A site speaks for itself only: what names a tenant that it does not admit is kept, because the digest of all facts
    counts it, and is shown to nobody.
    """
    try:
        fact = decode_fact(body)
    except msgspec.DecodeError:
        return LabelledFact(FactLabel("unknown"), None)
    if fact_key(fact) != key:
        return LabelledFact(FactLabel("unknown"), None)
    parts = _owner_parts(fact)
    if parts is None:
        return LabelledFact(FactLabel(key.partition("/")[0]), fact)
    if not all(is_name(part) for part in parts[:2]) or parts[0] not in tenants:
        return LabelledFact(FactLabel("unknown"), None)
    if isinstance(fact, InstanceFact) and (len(parts) != 4 or not is_name(parts[2]) or not parts[3].isdecimal()):
        return LabelledFact(FactLabel("unknown"), None)
    return LabelledFact(FactLabel(key.partition("/")[0], parts[0], parts[1]), fact)


def _owner_parts(fact: Fact) -> list[str] | None:
    match fact:
        case InstanceFact():
            return fact.instance.split("/")
        case VolumeFact():
            return fact.volume.split("/")
        case AppFact() | ChainFact():
            return [fact.tenant, fact.app]
        case UnitFact():
            kind, _, rest = fact.unit.partition("/")
            parts = rest.split("/")
            return [*parts, ""][:2] if kind in ("assignment", "tombstone") else None
        case _:
            return None


def change_facts(
    connection: Connection,
    site: SiteName,
    changed: Mapping[str, bytes],
    labels: Mapping[str, FactLabel],
    removed: Iterable[str],
    *,
    whole: bool,
) -> None:
    """Store changed facts and forget removed ones; ``whole`` forgets everything that is not in ``changed``."""
    rows = {key: msgspec.structs.asdict(labels[key]) | {"body": changed[key]} for key in sorted(changed)}
    if whole:
        connection.execute(delete(FACTS).where(FACTS.c.site == site))
        if rows:
            connection.execute(insert(FACTS), [{"site": site, "key": key} | row for key, row in rows.items()])
        return
    for key in sorted(removed):
        connection.execute(_FORGET, {"of_site": site, "of_key": key})
    for key, row in rows.items():
        put_row(connection, FACTS, {"site": site, "key": key}, row)


def read_raw_facts(connection: Connection, site: SiteName) -> dict[str, bytes]:
    """Return all facts of a site, encoded, in the order of their keys."""
    return {row.key: row.body for row in connection.execute(_OF_SITE, {"of_site": site})}


def list_instance_facts(
    connection: Connection, scope: Scope | None, *, app: str = "", sites: Collection[str] = ()
) -> list[tuple[SiteName, InstanceFact]]:
    """Return instance facts, of an app or of sites, in the order of site and instance; without a scope everybody's."""
    query = select(FACTS.c.site, FACTS.c.body).where(FACTS.c.kind == "instance")
    if scope is not None:
        query = owned(query, FACTS.c.tenant, scope)
    if app:
        query = query.where(FACTS.c.app == app)
    if sites:
        query = query.where(FACTS.c.site.in_(sorted(sites)))
    found: list[tuple[SiteName, InstanceFact]] = []
    for name, body in connection.execute(query.order_by(FACTS.c.site, FACTS.c.key)):
        fact = decode_fact(body)
        if isinstance(fact, InstanceFact):
            found.append((SiteName(name), fact))
    return found


def list_unit_facts(connection: Connection, scope: Scope, *, app: str) -> list[tuple[SiteName, UnitFact]]:
    """Return the units of an app that sites refuse, in the order of site and unit."""
    query = owned(select(FACTS.c.site, FACTS.c.body), FACTS.c.tenant, scope)
    query = query.where(FACTS.c.kind == "unit", FACTS.c.app == app).order_by(FACTS.c.site, FACTS.c.key)
    found: list[tuple[SiteName, UnitFact]] = []
    for name, body in connection.execute(query):
        fact = decode_fact(body)
        if isinstance(fact, UnitFact):
            found.append((SiteName(name), fact))
    return found


def list_fallbacks(connection: Connection, site: SiteName) -> list[AppFact]:
    """Return what the health gates of a site say of apps that have a revision to go back to there."""
    query = select(FACTS.c.body).where(FACTS.c.site == site, FACTS.c.kind == "app").order_by(FACTS.c.key)
    told = (decode_fact(body) for (body,) in connection.execute(query))
    return [fact for fact in told if isinstance(fact, AppFact) and fact.fallback]


def list_gate_facts(connection: Connection, scope: Scope, *, app: str) -> list[tuple[SiteName, AppFact]]:
    """Return what the health gates of sites say of an app, in the order of site and node."""
    query = owned(select(FACTS.c.site, FACTS.c.body), FACTS.c.tenant, scope)
    query = query.where(FACTS.c.kind == "app", FACTS.c.app == app).order_by(FACTS.c.site, FACTS.c.key)
    found: list[tuple[SiteName, AppFact]] = []
    for name, body in connection.execute(query):
        fact = decode_fact(body)
        if isinstance(fact, AppFact):
            found.append((SiteName(name), fact))
    return found


def list_chain_facts(
    connection: Connection, scope: Scope, *, app: str = "", sites: Collection[SiteName] = ()
) -> list[tuple[SiteName, ChainFact]]:
    """Return what sites, or these, say of the chains of a scope's apps, in the order of chain, node and site."""
    query = owned(select(FACTS.c.site, FACTS.c.body), FACTS.c.tenant, scope).where(FACTS.c.kind == "chain")
    query = visible_sites(query, FACTS.c.site, scope)
    if app:
        query = query.where(FACTS.c.app == app)
    if sites:
        query = query.where(FACTS.c.site.in_(sorted(sites)))
    rows = connection.execute(query.order_by(FACTS.c.key, FACTS.c.site))
    decoded = ((SiteName(name), decode_fact(body)) for name, body in rows)
    return [(name, fact) for name, fact in decoded if isinstance(fact, ChainFact)]


def list_volume_facts(
    connection: Connection, scope: Scope, *, app: str = "", site: str = ""
) -> list[tuple[SiteName, VolumeFact]]:
    """Return the volumes a scope may see at standing sites, in the order of volume and site."""
    query = owned(select(FACTS.c.site, FACTS.c.body), FACTS.c.tenant, scope).where(FACTS.c.kind == "volume")
    query = visible_sites(query, FACTS.c.site, scope)
    for column, word in ((FACTS.c.app, app), (FACTS.c.site, site)):
        if word:
            query = query.where(column == word)
    found: list[tuple[SiteName, VolumeFact]] = []
    for name, body in connection.execute(query.order_by(FACTS.c.key, FACTS.c.site)):
        fact = decode_fact(body)
        if isinstance(fact, VolumeFact):
            found.append((SiteName(name), fact))
    return found


def read_image_facts(connection: Connection, image: str) -> dict[SiteName, ImageFact]:
    """Return what each site says of an image."""
    query = select(FACTS.c.site, FACTS.c.body).where(FACTS.c.key == f"image/{image}").order_by(FACTS.c.site)
    found: dict[SiteName, ImageFact] = {}
    for name, body in connection.execute(query):
        fact = decode_fact(body)
        if isinstance(fact, ImageFact):
            found[SiteName(name)] = fact
    return found


def read_site_facts(
    connection: Connection, sites: Collection[str] = ()
) -> dict[SiteName, tuple[list[NodeFact], SiteFact | None]]:
    """Return what sites say of their machines and of themselves: those named, or all."""
    query = select(FACTS.c.site, FACTS.c.body).where(FACTS.c.kind.in_(("node", "site")))
    if sites:
        query = query.where(FACTS.c.site.in_(sorted(sites)))
    found: dict[SiteName, tuple[list[NodeFact], SiteFact | None]] = {}
    for name, body in connection.execute(query.order_by(FACTS.c.site, FACTS.c.key)):
        fact = decode_fact(body)
        nodes, whole = found.get(SiteName(name), ([], None))
        if isinstance(fact, NodeFact):
            nodes.append(fact)
        elif isinstance(fact, SiteFact):
            whole = fact
        found[SiteName(name)] = (nodes, whole)
    return found


def read_all_facts(connection: Connection) -> dict[SiteName, list[Fact]]:
    """Return what the planner needs of all sites: nodes, instances, volumes, health gates, and ways through tunnels."""
    found: dict[SiteName, list[Fact]] = {}
    for name, body in connection.execute(_FOR_PLANS):
        found.setdefault(SiteName(name), []).append(decode_fact(body))
    return found
