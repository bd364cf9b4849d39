"""The fake tunnels keep the contract of the real ones."""

import asyncio

import pytest
from tests.contract import overlay

from skerry.clock import SECOND_US, SeededMint
from skerry.keys.overlay import OverlayKeys
from skerry.model.ids import NodeName, SiteName
from skerry.sim.disk import MemoryDisk
from skerry.sim.loop import SimClock, SimLoop, run_virtual
from skerry.sim.overlays import FakeOverlay, FakeTunnels, Sea
from skerry.trust.keys import SigningKey


class FakeRig:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.clock = SimClock(loop)
        self.places = ("192.0.2.1", "192.0.2.2")
        self.sea = Sea()
        self.tunnels = [FakeTunnels(place) for place in self.places]
        for each in self.tunnels:
            self.sea.join(each)
        self.drivers = [self._make_driver(node) for node in (0, 1)]

    def _make_driver(self, node: int) -> FakeOverlay:
        whose = SiteName(f"s{node}"), NodeName("n1")
        device = SigningKey.from_seed(b"k" * 32)
        keys = OverlayKeys(MemoryDisk().root, SeededMint(f"keys {node}"), device, lambda: whose)
        return FakeOverlay(self.tunnels[node], keys, self.clock)

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.boot_us() + int(seconds * SECOND_US))

    async def reaches(self, source: int, target: str) -> bool:
        own = overlay.ADDRESSES[source][":" in target]
        there = self.sea.carry(self.tunnels[source], own, target)
        return there is not None and self.sea.carry(there, target, own) is self.tunnels[source]


@pytest.mark.parametrize("name", overlay.CHECKS)
def test_fake_tunnels_keep_the_contract(name: str):
    async def main() -> None:
        rig = FakeRig()
        await overlay.CHECKS[name](rig)
        await overlay.tidy(rig)

    run_virtual(SeededMint(name), main())


def test_nothing_passes_where_the_sea_is_cut_and_power_leaves_nothing():
    async def main() -> None:
        rig = FakeRig()
        await overlay.connect(rig)
        rig.sea.part(*rig.tunnels)
        assert not await rig.reaches(0, overlay.ADDRESSES[1][0])
        rig.sea.unite(*rig.tunnels)
        assert await rig.reaches(0, overlay.ADDRESSES[1][0])
        rig.tunnels[1].lose_power()
        assert not await rig.reaches(0, overlay.ADDRESSES[1][0])

    run_virtual(SeededMint("cut"), main())
