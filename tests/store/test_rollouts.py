from sqlalchemy import Connection
from tests.store.stores import fresh_db

from skerry.model.ids import AppName, TenantName, digest_of
from skerry.plan.rollout import Progress
from skerry.store import rollouts
from skerry.store.scope import Scope


def progress(app: str, tenant: str = "default", **words: object) -> Progress:
    return Progress(tenant=TenantName(tenant), app=AppName(app), number=3, revision=digest_of(app.encode()), **words)  # type: ignore[arg-type]


async def test_the_newest_progress_of_each_app_is_kept() -> None:
    db = fresh_db()

    def job(connection: Connection) -> None:
        for each in (
            progress("shop"),
            progress("shop", stage=2, reason="why"),
            progress("bar"),
            progress("shop", "other"),
        ):
            rollouts.record_progress(connection, each)

    await db.run(job)
    default, other = Scope(TenantName("default")), Scope(TenantName("other"))
    found = await db.read(lambda c: rollouts.find_progress(c, TenantName("default"), "shop"))
    assert found == progress("shop", stage=2, reason="why")
    assert await db.read(lambda c: rollouts.find_progress(c, TenantName("default"), "none")) is None
    assert [each.app for each in await db.read(lambda c: rollouts.list_progress(c, default))] == ["bar", "shop"]
    assert len(await db.read(lambda c: rollouts.list_progress(c, other))) == 1
    assert await db.read(lambda c: rollouts.list_progress(c, default, "shop")) == []
    assert len(await db.read(rollouts.read_all_progress)) == 3
