"""Every test of a query file runs on both databases."""

import pytest
from tests.conftest import BOTH


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if hasattr(metafunc.module, "fresh_db") and "database" not in metafunc.fixturenames:
        metafunc.fixturenames.insert(0, "database")
        metafunc.parametrize("database", BOTH, indirect=True)
