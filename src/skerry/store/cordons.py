"""Cordons: the operators' unsigned word that a site gets nothing new, or gives away what can go; one row a site.

Unsigned, because a core may place an app at any site that its owner's selector admits, and so may leave one out.
"""

import msgspec
from sqlalchemy import Connection, delete, select

from skerry.model.ids import SiteName
from skerry.plan.snapshot import CordonMode
from skerry.store.rows import put_row
from skerry.store.schema import CORDONS


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
    return {row["site"]: Cordon(**row) for row in connection.execute(select(CORDONS)).mappings()}
