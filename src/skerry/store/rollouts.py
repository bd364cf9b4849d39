"""How far the newest rollout of each app has come: one row an app, written with the plan that it is of."""

import msgspec
from sqlalchemy import Connection, select

from skerry.model.ids import AppName, TenantName
from skerry.plan.rollout import Progress
from skerry.store.rows import put_row
from skerry.store.schema import ROLLOUTS
from skerry.store.scope import Scope, owned

_ALL = select(ROLLOUTS.c.body)


def record_progress(connection: Connection, progress: Progress) -> None:
    """Keep how far the rollout of an app has come."""
    key = {"tenant": progress.tenant, "app": progress.app}
    put_row(connection, ROLLOUTS, key, {"body": msgspec.json.encode(progress)})


def find_progress(connection: Connection, tenant: TenantName, app: str) -> Progress | None:
    """Return how far an app's newest rollout has come; None when it had none."""
    query = select(ROLLOUTS.c.body).where(ROLLOUTS.c.tenant == tenant, ROLLOUTS.c.app == app)
    body = connection.execute(query).scalar()
    return None if body is None else msgspec.json.decode(body, type=Progress)


def list_progress(connection: Connection, scope: Scope, after: str = "", limit: int = 1_000_000) -> list[Progress]:
    """Return the newest rollout of each app that had one, in the order of their names."""
    query = owned(select(ROLLOUTS.c.body), ROLLOUTS.c.tenant, scope).where(ROLLOUTS.c.app > after)
    rows = connection.execute(query.order_by(ROLLOUTS.c.app, ROLLOUTS.c.tenant).limit(limit))
    return [msgspec.json.decode(row.body, type=Progress) for row in rows]


def read_all_progress(connection: Connection) -> dict[tuple[TenantName, AppName], Progress]:
    """Return the newest rollout of every app of every tenant, for planning."""
    rows = connection.execute(_ALL)
    found = [msgspec.json.decode(row.body, type=Progress) for row in rows]
    return {(each.tenant, each.app): each for each in found}
