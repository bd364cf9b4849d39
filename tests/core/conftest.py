"""Every test of a real core runs on both databases, but where it makes files of its own."""

import pytest
from tests.conftest import BOTH


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wants_both = hasattr(metafunc.module, "Rig") and not hasattr(metafunc.module, "open_sqlite")
    if wants_both and "database" not in metafunc.fixturenames:
        metafunc.fixturenames.insert(0, "database")
        metafunc.parametrize("database", BOTH, indirect=True)
