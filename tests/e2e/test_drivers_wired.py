"""The real drivers keep the same contract where Skerry makes the links, in all that may change with them."""

import pytest
from tests.e2e.driver_lab import observe
from tests.e2e.driver_probe import PARTS, list_checks

pytestmark = pytest.mark.e2e

LINKS = "skerry"


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return observe(LINKS)


@pytest.mark.parametrize("name", [name for part in PARTS for name in list_checks(part, LINKS)])
def test_podman_keeps_the_contract_with_links_by_skerry(found: dict[str, str], name: str):
    assert found[name] == ""
