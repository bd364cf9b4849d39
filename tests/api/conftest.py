import pytest
from tests.api.http import Api
from tests.core.cores import Rig


@pytest.fixture
async def api():
    rig = await Rig().begin()
    yield Api(rig)
    await rig.close()
