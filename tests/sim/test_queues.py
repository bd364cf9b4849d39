"""The fake queues keep the contract of the real ones."""

import asyncio

import pytest
from tests.contract import queues

from skerry.sim.queues import FakeQueues, FakeQueuesDriver


class FakeRig:
    def __init__(self) -> None:
        self.queues = FakeQueues(frozenset({queues.UPLINK, queues.OTHER, queues.BRIDGE}))
        self.driver = FakeQueuesDriver(self.queues)

    async def measure(self, way: queues.Way) -> float:
        device = queues.OTHER if way == "aside" else queues.UPLINK
        return self.queues.find_rate(queues.ADDRESS, device, up=way != "down", line_bps=10**9)

    async def queue_foreign(self, device: str) -> None:
        self.queues.foreign.add(device)

    async def is_foreign(self, device: str) -> bool:
        return device in self.queues.foreign


@pytest.mark.parametrize("name", queues.CHECKS)
def test_the_fake_keeps_the_contract(name: str):
    asyncio.run(queues.CHECKS[name](FakeRig()))
