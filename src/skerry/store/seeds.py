"""Seeds: a tenant's unsigned wish that an image be at sites ahead of need, until a time; one row an image.

Unsigned, because a site runs nothing that a signed revision does not name: a seed only moves bytes sooner.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select

from skerry.model.app import Sites
from skerry.model.ids import Digest, TenantName
from skerry.store.rows import put_row
from skerry.store.schema import SEEDS

_SITES: msgspec.json.Decoder[Sites] = msgspec.json.Decoder(Sites)


_ALL = select(SEEDS).order_by(SEEDS.c.tenant, SEEDS.c.digest)


class SeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Which image is wanted at which sites, and until when; times are the core's wall clock in microseconds."""

    tenant: TenantName
    digest: Digest
    sites: Sites
    since_us: int
    ends_us: int


def record_seed(connection: Connection, row: SeedRow) -> None:
    """Keep a wish, in the place of what was wished of the same image before."""
    values = {"sites": msgspec.json.encode(row.sites), "since_us": row.since_us, "ends_us": row.ends_us}
    put_row(connection, SEEDS, {"tenant": row.tenant, "digest": row.digest}, values)


def end_seed(connection: Connection, tenant: TenantName, digest: str) -> None:
    """Forget a wish."""
    connection.execute(delete(SEEDS).where(SEEDS.c.tenant == tenant, SEEDS.c.digest == digest))


def find_seed(connection: Connection, tenant: TenantName, digest: str) -> SeedRow | None:
    """Return what is wished of an image; None when nothing is."""
    query = select(SEEDS).where(SEEDS.c.tenant == tenant, SEEDS.c.digest == digest)
    row = connection.execute(query).mappings().first()
    return None if row is None else _read({**row})


def list_seeds(connection: Connection, tenant: TenantName, after: str = "", limit: int = 1_000_000) -> list[SeedRow]:
    """Return a tenant's wishes in the order of their images' digests."""
    query = select(SEEDS).where(SEEDS.c.tenant == tenant, SEEDS.c.digest > after)
    return [_read({**row}) for row in connection.execute(query.order_by(SEEDS.c.digest).limit(limit)).mappings()]


def list_all_seeds(connection: Connection) -> list[SeedRow]:
    """Return everybody's wishes, for planning."""
    return [_read({**row}) for row in connection.execute(_ALL).mappings()]


def end_overdue(connection: Connection, now_us: int) -> list[SeedRow]:
    """Forget and return the wishes whose time is over."""
    over = [row for row in list_all_seeds(connection) if row.ends_us <= now_us]
    for row in over:
        end_seed(connection, row.tenant, row.digest)
    return over


def _read(row: dict[str, Any]) -> SeedRow:
    sites = _SITES.decode(row.pop("sites"))
    return SeedRow(sites=sites, **row)
