"""The fake name server keeps the contract of the real one."""

import asyncio

import pytest
from tests.contract import names

from skerry.clock import SeededMint
from skerry.sim.loop import SimClock, SimLoop, run_virtual
from skerry.sim.names import FakeNamesDriver, FakeNameServer
from skerry.sim.overlays import FakeTunnels, Sea


class FakeRig:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.clock = SimClock(loop)
        self.server = FakeNameServer()
        self.driver: names.Driver = self._make()

    def _make(self) -> FakeNamesDriver:
        return FakeNamesDriver(self.server, FakeTunnels("192.0.2.1"), Sea(), self.clock, SeededMint("names"))

    async def ask(self, source: str, server: str, name: str, kind: str) -> names.Said:
        return self.server.answer(source, server, name, kind)

    async def begin_anew(self) -> None:
        self.driver = self._make()

    async def kill_server(self) -> None:
        self.server.is_alive = False


@pytest.mark.parametrize("name", names.CHECKS)
def test_the_fake_name_server_keeps_the_contract(name: str):
    async def main() -> None:
        await names.CHECKS[name](FakeRig())

    run_virtual(SeededMint(name), main())


def test_power_leaves_nothing():
    async def main() -> None:
        rig = FakeRig()
        await names.apply(rig, names.zone())
        rig.server.lose_power()
        assert await names.see(rig) == names.NamesSeen()

    run_virtual(SeededMint("power"), main())
