import pytest
import stamina
from tests.cli.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """One core and signer for all tests of a file; each test has names of its own."""
    town = Town(tmp_path_factory.mktemp("town"))
    yield town
    town.close()


@pytest.fixture(autouse=True)
def no_waiting():
    """A core that is not there is asked again at once."""
    with stamina.set_testing(True, attempts=5):
        yield
