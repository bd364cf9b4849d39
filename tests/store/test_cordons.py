from sqlalchemy import Connection
from tests.store.stores import fresh_db

from skerry.model.ids import SiteName
from skerry.store.cordons import Cordon, end_cordon, read_cordons, record_cordon


async def test_the_newest_word_about_a_site_is_kept_until_it_ends() -> None:
    db = fresh_db()
    oslo, rome = SiteName("oslo"), SiteName("rome")

    def job(connection: Connection) -> None:
        record_cordon(connection, Cordon(site=oslo, mode="cordon", since_us=1))
        record_cordon(connection, Cordon(site=rome, mode="cordon", since_us=2))
        record_cordon(connection, Cordon(site=oslo, mode="drain", since_us=3))
        end_cordon(connection, rome)
        end_cordon(connection, rome)

    await db.run(job)
    assert await db.read(read_cordons) == {oslo: Cordon(site=oslo, mode="drain", since_us=3)}
