import asyncio
import functools
import inspect

import pytest
from tests.contract.transport import Parents, Rig, TransportContract, connected

from skerry.clock import SECOND_US, SeededMint, Tasks
from skerry.link.ports import CloseReason, ConnectFailed, ConnectReason, Endpoint, LinkClosed
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.network import SimDialer, SimLink, SimListener

CORE = Endpoint("core.example")


def virtual_loop() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


class World:
    def __init__(self) -> None:
        mint = SeededMint("network")
        self.tasks = Tasks()
        self.link = SimLink(virtual_loop(), mint)
        self.listener = SimListener(mint, self.tasks)
        self.dialer = SimDialer(self.link, lambda endpoint: self.listener if endpoint == CORE else None)
        self.rig = Rig(self.listener, self.dialer, CORE)


def virtually(test):
    @functools.wraps(test)
    def run(self, **words):
        async def main() -> None:
            world = World()
            await test(self, world.rig, **words)
            assert world.tasks.failed == []
            await world.tasks.stop()

        run_virtual(SeededMint(test.__name__), main())

    parameters = [item for item in inspect.signature(test).parameters.values() if item.name != "rig"]
    run.__signature__ = inspect.Signature(parameters)
    del run.__wrapped__
    return run


class TestSimulatedTransport(TransportContract):
    """The same contract on virtual time."""


for _name, _test in inspect.getmembers(TransportContract, inspect.iscoroutinefunction):
    if _name.startswith("test_"):
        setattr(TestSimulatedTransport, _name, virtually(_test))


def scene(test):
    @functools.wraps(test)
    def run():
        async def main() -> None:
            world = World()
            await test(world)
            await world.tasks.stop()

        run_virtual(SeededMint(test.__name__), main())

    del run.__wrapped__
    return run


@scene
async def test_delay_and_rate_are_kept(world: World):
    world.link.change(delay_us=300_000, rate_bit_s=64_000)
    async with connected(world.rig) as pair:
        loop = virtual_loop()
        before = loop.now_us
        await pair.child.send(bytes(8000))
        await pair.parent.receive()
        assert loop.now_us - before == pytest.approx(1_300_000, abs=1000)


@scene
async def test_a_short_cut_delays_and_loses_nothing(world: World):
    async with connected(world.rig) as pair:
        world.link.change(up=False, down=False)
        await pair.child.send(b"through")
        virtual_loop().call_later(10, functools.partial(world.link.change, up=True, down=True))
        assert await pair.parent.receive() == b"through"
        assert virtual_loop().now_us >= 10 * SECOND_US


@scene
async def test_a_long_cut_ends_only_the_end_that_sends(world: World):
    parents = Parents()
    await world.listener.serve(parents.handle)
    pair = await parents.meet(world.rig)
    world.link.change(up=False)
    await pair.child.send(b"lost")
    with pytest.raises(LinkClosed) as caught:
        await pair.child.receive()
    assert caught.value.reason is CloseReason.STALLED
    waiting = asyncio.ensure_future(pair.parent.receive())
    await asyncio.wait([waiting], timeout=3600)
    assert not waiting.done(), "the other end believes in it still"
    waiting.cancel()


@scene
async def test_what_comes_to_an_end_that_has_given_up_arrives_nowhere(world: World):
    arrivals: list[bool] = []
    world.link.on_arrival = arrivals.append
    parents = Parents()
    await world.listener.serve(parents.handle)
    pair = await parents.meet(world.rig)
    await pair.child.send(b"heard")
    assert await pair.parent.receive() == b"heard"
    assert arrivals
    arrivals.clear()
    world.link.change(up=False, down=False)
    await pair.child.send(b"late")
    await pair.parent.send(b"nothing gets through")
    with pytest.raises(LinkClosed):
        await pair.parent.receive()
    world.link.change(up=True, down=True)
    await asyncio.sleep(3600)
    assert not arrivals


@scene
async def test_a_killed_child_is_told_by_its_machine_and_a_dead_machine_tells_nothing(world: World):
    parents = Parents()
    await world.listener.serve(parents.handle)
    first = await parents.meet(world.rig)
    world.dialer.kill(machine=False)
    with pytest.raises(LinkClosed) as caught:
        await first.parent.receive()
    assert caught.value.reason is CloseReason.LOST
    second = await parents.meet(world.rig)
    world.dialer.kill(machine=True)
    waiting = asyncio.ensure_future(second.parent.receive())
    await asyncio.wait([waiting], timeout=3600)
    assert not waiting.done()
    waiting.cancel()


@scene
async def test_dialling_into_silence_times_out(world: World):
    world.link.change(down=False)
    with pytest.raises(ConnectFailed) as caught:
        await world.dialer.dial(CORE)
    assert caught.value.reason is ConnectReason.TIMEOUT
