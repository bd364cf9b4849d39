"""The newest fact per resource of each site: the core's replica of what sites say about themselves."""

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, delete, insert, select

from skerry.model.ids import SiteName
from skerry.model.observed import Fact, InstanceFact, NodeFact, SiteFact, VolumeFact, decode_fact
from skerry.store.rows import put_row
from skerry.store.schema import FACTS
from skerry.store.scope import Scope, owned, visible_sites


class FactOwner(msgspec.Struct, frozen=True):
    """Whom a fact belongs to: a tenant's app, or (both empty) the site."""

    tenant: str = ""
    app: str = ""


def owner_of(fact: Fact) -> FactOwner:
    """Read the owner off the fact's own id."""
    match fact:
        case InstanceFact():
            tenant, app, *_ = fact.instance.split("/")
            return FactOwner(tenant, app)
        case VolumeFact():
            tenant, app, *_ = fact.volume.split("/")
            return FactOwner(tenant, app)
        case _:
            return FactOwner()


def change_facts(
    connection: Connection,
    site: SiteName,
    changed: Mapping[str, bytes],
    owners: Mapping[str, FactOwner],
    removed: Iterable[str],
    *,
    whole: bool,
) -> None:
    """Store changed facts and forget removed ones; ``whole`` forgets everything that is not in ``changed``."""
    if whole:
        connection.execute(delete(FACTS).where(FACTS.c.site == site))
    else:
        for key in sorted(removed):
            connection.execute(delete(FACTS).where(FACTS.c.site == site, FACTS.c.key == key))
    rows = [
        {
            "tenant": owners[key].tenant,
            "app": owners[key].app,
            "kind": key.partition("/")[0],
            "body": changed[key],
        }
        for key in sorted(changed)
    ]
    keys = sorted(changed)
    if whole:
        if rows:
            connection.execute(
                insert(FACTS), [{"site": site, "key": key, **row} for key, row in zip(keys, rows, strict=True)]
            )
        return
    for key, row in zip(keys, rows, strict=True):
        put_row(connection, FACTS, {"site": site, "key": key}, row)


def read_raw_facts(connection: Connection, site: SiteName) -> dict[str, bytes]:
    """Return all facts of a site, encoded, in the order of their keys."""
    query = select(FACTS.c.key, FACTS.c.body).where(FACTS.c.site == site).order_by(FACTS.c.key)
    return {row.key: row.body for row in connection.execute(query)}


def list_instance_facts(
    connection: Connection, scope: Scope | None, *, app: str = "", site: str = ""
) -> list[tuple[SiteName, InstanceFact]]:
    """Return instance facts, of an app or a site, in the order of site and instance; without a scope everybody's."""
    query = select(FACTS.c.site, FACTS.c.body).where(FACTS.c.kind == "instance")
    if scope is not None:
        query = owned(query, FACTS.c.tenant, scope)
    for column, word in ((FACTS.c.app, app), (FACTS.c.site, site)):
        if word:
            query = query.where(column == word)
    found: list[tuple[SiteName, InstanceFact]] = []
    for name, body in connection.execute(query.order_by(FACTS.c.site, FACTS.c.key)):
        fact = decode_fact(body)
        if isinstance(fact, InstanceFact):
            found.append((SiteName(name), fact))
    return found


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


def read_site_facts(connection: Connection, site: str = "") -> dict[SiteName, tuple[list[NodeFact], SiteFact | None]]:
    """Return what sites say of their machines and of themselves: one site, or all."""
    query = select(FACTS.c.site, FACTS.c.body).where(FACTS.c.kind.in_(("node", "site")))
    if site:
        query = query.where(FACTS.c.site == site)
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
    """Return what the planner needs of all sites: nodes, instances and volumes."""
    query = select(FACTS.c.site, FACTS.c.body).where(FACTS.c.kind.in_(("node", "instance", "volume")))
    found: dict[SiteName, list[Fact]] = {}
    for name, body in connection.execute(query.order_by(FACTS.c.site, FACTS.c.key)):
        found.setdefault(SiteName(name), []).append(decode_fact(body))
    return found
