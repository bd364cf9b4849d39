"""Test packets where a node cannot send them; that it can is shown with the kernel's own bridges (tests/e2e)."""

import pytest
from tests.clocks import ManualClock
from tests.plan.test_chain_frames import make

from skerry.clock import SeededMint
from skerry.drivers import chain_probes
from skerry.drivers.chain_probes import ChainProbesDriver
from skerry.model.observed import Observation
from skerry.plan.actions import UnpauseContainer


@pytest.fixture
def driver() -> ChainProbesDriver:
    return ChainProbesDriver(ManualClock(), SeededMint("probes"))


async def test_a_node_without_tun_says_so_and_that_is_no_failure(driver, monkeypatch, tmp_path):
    monkeypatch.setattr(chain_probes, "_TUN", tmp_path / "tun")
    outcome = await driver.perform(make("icmp", six=False))
    assert (outcome.ok, outcome.passes) == (True, ())
    assert outcome.reason.startswith("this node sends no test packets: ")


async def test_it_shows_nothing_and_does_nothing_else(driver):
    assert await driver.observe() == Observation(driver="chain-probes")
    other = await driver.perform(UnpauseContainer(container="c", instance="t/a/s/0"))  # type: ignore[arg-type]
    assert (other.ok, other.code) == (False, "E-DRIVER")
