"""The fake volumes keep the contract of the real ones."""

import asyncio

import pytest
from tests.contract import storage

from skerry.model.ids import VolumeId
from skerry.model.observed import Observation
from skerry.model.volume import VolumeDriverName
from skerry.plan.actions import Action, Outcome
from skerry.sim.volumes import FakeVolumes, VolumeAction


class FakeVolumesDriver:
    name = "volumes"
    performs = ()

    def __init__(self, volumes: FakeVolumes) -> None:
        self.volumes = volumes

    async def observe(self) -> Observation:
        return Observation(driver=self.name, volumes=tuple(self.volumes.seen.values()))

    async def perform(self, action: Action) -> Outcome:
        assert isinstance(action, VolumeAction)
        return self.volumes.do(action)


class FakeRig:
    def __init__(self, driver: VolumeDriverName) -> None:
        self.volumes = FakeVolumes(driver)
        self.driver = FakeVolumesDriver(self.volumes)

    def write(self, volume: VolumeId, text: str) -> None:
        self.volumes.contents[volume] = text

    def read(self, volume: VolumeId) -> str:
        return self.volumes.contents[volume]

    def fill(self, volume: VolumeId, count: int) -> int:
        held = self.volumes.grown.get(volume, 0)
        added = min(count, (self.volumes.seen[volume].limit_bytes or held + count) - held)
        self.volumes.grown[volume] = held + added
        return added


@pytest.mark.parametrize("driver", ["btrfs", "directory"])
@pytest.mark.parametrize("name", storage.CHECKS)
def test_the_fake_keeps_the_contract(name: str, driver: VolumeDriverName):
    asyncio.run(storage.CHECKS[name](FakeRig(driver)))
