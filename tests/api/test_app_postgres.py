"""The API over PostgreSQL while its server is away: problem details at once, and everything goes on afterwards."""

import pytest
from tests.api.http import Api
from tests.clocks import ManualClock
from tests.core.cores import Rig
from tests.store.postgres import find_programs, running_server
from tests.store.stores import PostgresDatabases

from skerry.safe.errors import StoreAway
from skerry.store import postgres

pytestmark = pytest.mark.postgres


async def test_a_core_whose_database_is_away_says_so_and_sites_go_on():
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed: ./dev setup")
    clock = ManualClock()
    with running_server() as server:
        databases = PostgresDatabases(server, clock)
        rig = await Rig(databases.open()).begin()
        api = Api(rig)
        token = await api.admin()
        site = await rig.add_site("oslo")
        await site.connect()
        await rig.apply("shop")
        await rig.plan()
        await site.fetch()
        server.kill()
        for method, target in (("GET", "/v1/sites"), ("GET", "/v1/apps"), ("GET", "/v1/images")):
            answer = await api.ask(method, target, token=token)
            assert (answer.status, answer.code) == (503, "E-STORE-AWAY")
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert int(answer.headers["retry-after"]) > 0
            assert "sites go on" in answer.json["hint"]
        # What a site has to say is not acknowledged, so the site keeps it.
        with pytest.raises(StoreAway):
            await site.send(1, 2)
        with pytest.raises(StoreAway):
            await site.connect()
        units = site.units
        server.start()
        await clock.advance(postgres.RETRY_US)
        assert (await api.ask("GET", "/v1/sites", token=token)).status == 200
        await site.connect()
        assert await site.send(1, 2) == 2
        # Nothing is ordered anew, and nothing away.
        await rig.plan()
        assert await site.fetch() is None
        assert site.units == units
        await rig.close()
        databases.clean()
