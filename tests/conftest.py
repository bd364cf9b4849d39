"""What tests of many rooms share: the two databases, and one PostgreSQL server for the whole run.

The server is started by the first test that wants it and stopped at the end. What collecting has made, some hundred
megabytes, stays to the end: the garbage collector is spared from looking through it while it grows and in every test.
"""

import gc
from collections.abc import Generator, Iterator

import pytest

from tests.store import stores
from tests.store.postgres import Server, find_programs, running_server


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


BOTH = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed: ./dev setup")
    with running_server() as server:
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[stores.Databases]:
    """The kind of database a test runs on; parametrize it with ``BOTH``."""
    on_postgres = getattr(request, "param", "sqlite") == "postgres"
    server = request.getfixturevalue("postgres_server") if on_postgres else None
    stores.use(stores.PostgresDatabases(server) if server else stores.Databases())
    yield stores._current[0]
    stores.use(stores.Databases())
