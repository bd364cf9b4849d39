from sqlalchemy import Connection
from tests.store.stores import fresh_db

from skerry.model.app import Sites
from skerry.model.ids import Digest, TenantName
from skerry.store.seeds import SeedRow, end_overdue, end_seed, find_seed, list_all_seeds, list_seeds, record_seed

MINE, THEIRS = TenantName("mine"), TenantName("theirs")
ONE, TWO = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)


def _seed(tenant: TenantName, digest: Digest, ends_us: int = 10, **sites: tuple[str, ...]) -> SeedRow:
    return SeedRow(tenant=tenant, digest=digest, sites=Sites(**sites), since_us=1, ends_us=ends_us)


async def test_the_newest_wish_about_an_image_stands_and_each_tenant_has_its_own() -> None:
    db = fresh_db()

    def job(connection: Connection) -> None:
        record_seed(connection, _seed(MINE, ONE))
        record_seed(connection, _seed(MINE, TWO, match=("tier=store",)))
        record_seed(connection, _seed(THEIRS, ONE))
        record_seed(connection, _seed(MINE, ONE, names=("oslo",), ends_us=20))
        end_seed(connection, THEIRS, TWO)

    await db.run(job)
    mine = await db.read(lambda connection: list_seeds(connection, MINE))
    assert mine == [_seed(MINE, ONE, names=("oslo",), ends_us=20), _seed(MINE, TWO, match=("tier=store",))]
    assert await db.read(lambda connection: list_seeds(connection, MINE, ONE)) == mine[1:]
    assert await db.read(lambda connection: find_seed(connection, THEIRS, TWO)) is None
    over = await db.run(lambda connection: end_overdue(connection, 15))
    assert [(row.tenant, row.digest) for row in over] == [(MINE, TWO), (THEIRS, ONE)]
    assert await db.read(list_all_seeds) == mine[:1]
    await db.run(lambda connection: end_seed(connection, MINE, ONE))
    assert await db.read(list_all_seeds) == []
