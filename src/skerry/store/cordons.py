"""Cordons: the operators' unsigned word that a site or a node gets nothing new, or gives away what can go.

Unsigned, because a core may place an app at any site that its owner's selector admits, and so may leave one out.
"""

import msgspec
from sqlalchemy import Connection, delete, select

from skerry.model.ids import NodeName, SiteName
from skerry.plan.snapshot import CordonMode
from skerry.store.rows import put_row
from skerry.store.schema import CORDONS, NODE_CORDONS

_OF_SITES, _OF_NODES = select(CORDONS), select(NODE_CORDONS)


class Cordon(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator said of a site, and when; the time is the core's wall clock in microseconds."""

    site: SiteName
    mode: CordonMode
    since_us: int


def record_cordon(connection: Connection, cordon: Cordon) -> None:
    """Keep new instances away from a site, in the place of what was said of it before."""
    put_row(connection, CORDONS, {"site": cordon.site}, {"mode": cordon.mode, "since_us": cordon.since_us})


def end_cordon(connection: Connection, site: SiteName) -> None:
    """Let new instances come to a site again."""
    connection.execute(delete(CORDONS).where(CORDONS.c.site == site))


def read_cordons(connection: Connection) -> dict[SiteName, Cordon]:
    """Return all cordons by site: operators set them by hand, so they are few."""
    return {row["site"]: Cordon(**row) for row in connection.execute(_OF_SITES).mappings()}


class NodeCordon(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator said of one node of a site, and when."""

    site: SiteName
    node: NodeName
    mode: CordonMode
    since_us: int


def record_node_cordon(connection: Connection, cordon: NodeCordon) -> None:
    """Keep new instances away from a node, in the place of what was said of it before."""
    key = {"site": cordon.site, "node": cordon.node}
    put_row(connection, NODE_CORDONS, key, {"mode": cordon.mode, "since_us": cordon.since_us})


def end_node_cordon(connection: Connection, site: SiteName, node: NodeName) -> None:
    """Let new instances come to a node again."""
    connection.execute(delete(NODE_CORDONS).where(NODE_CORDONS.c.site == site, NODE_CORDONS.c.node == node))


def read_node_cordons(connection: Connection) -> dict[SiteName, dict[NodeName, NodeCordon]]:
    """Return all cordons of nodes by site and node."""
    found: dict[SiteName, dict[NodeName, NodeCordon]] = {}
    for row in connection.execute(_OF_NODES).mappings():
        found.setdefault(row["site"], {})[row["node"]] = NodeCordon(**row)
    return found
