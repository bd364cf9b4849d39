"""What a gauge owes, kept by the real machine and by the fake one alike."""

import asyncio
from pathlib import Path

import pytest
from tests.clocks import ManualClock

from skerry.clock import SeededMint
from skerry.drivers.base import Gauge
from skerry.drivers.host import HostDriver
from skerry.model.ids import NodeName
from skerry.sim.machines import FakeDriver, FakeMachine


def _real(folder: Path) -> HostDriver:
    return HostDriver(NodeName("n1"), folder, {})


def _fake(folder: Path) -> FakeDriver:
    return FakeDriver(FakeMachine(NodeName("n1"), SeededMint("m")), ManualClock(), lambda image: 0)


@pytest.mark.parametrize("make", [_real, _fake])
def test_use_lies_within_what_there_is_and_processor_time_only_grows(make, tmp_path):
    gauge = make(tmp_path)
    assert isinstance(gauge, Gauge)
    node = asyncio.run(gauge.observe()).node
    first, second = asyncio.run(gauge.read_use()), asyncio.run(gauge.read_use())
    assert 0 < first.cpu_us <= second.cpu_us
    assert 0 < first.memory_bytes <= node.memory_bytes
    assert 0 <= first.disk_bytes <= node.disk_bytes
    assert first.load_m >= 0
    assert 0 <= first.files_used <= first.files
    assert first.temperature_m >= 0
