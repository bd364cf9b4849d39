import asyncio

import pytest
from tests.agent.shelf import Shelf
from tests.contract import alongside, runtime

from skerry.agent.perform import Performer
from skerry.clock import SECOND_US, SeededMint
from skerry.drivers.images import ImagesDriver
from skerry.model.ids import NodeName
from skerry.sim.disk import MemoryDisk
from skerry.sim.loop import SimClock, SimLoop, run_virtual
from skerry.sim.machines import FakeDriver, FakeMachine


class FakeRig:
    def __init__(self, *, wired: bool = False) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        clock = SimClock(loop)
        shelf = Shelf()
        self.image = shelf.add_image("web:1")
        images = ImagesDriver(MemoryDisk().root, shelf)
        self.console = FakeDriver(
            FakeMachine(NodeName("n1"), SeededMint("m"), wired=wired),
            clock,
            lambda image: sum(map(len, images.read_archive(image))),
        )
        self.performer = Performer((images, self.console))
        self.wait = lambda seconds: clock.sleep_until(clock.boot_us() + int(seconds * SECOND_US))


CHECKS = {**runtime.CHECKS, **alongside.CHECKS}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("wired", [False, True], ids=["by the runtime", "wired by Skerry"])
def test_the_fake_machine_keeps_the_contract(name: str, wired: bool):
    async def main() -> None:
        rig = FakeRig(wired=wired)
        await CHECKS[name](rig)
        await runtime.tidy(rig)

    run_virtual(SeededMint(name), main())
