import asyncio

import pytest

from skerry import wire
from skerry.clock import SeededMint, Tasks
from skerry.link.compress import Compressor
from skerry.link.ports import CloseReason, Endpoint, LinkClosed
from skerry.link.pump import Pump
from skerry.model.limits import FRAME_BYTES_UNPROVEN_MAX, LANE_BYTES_BROKEN
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.network import SimDialer, SimLink, SimListener
from skerry.sync.lanes import Lane

CORE = Endpoint("core.example")


class Ends:
    """Two pumps over one simulated connection; only the child's sends by itself."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        mint = SeededMint("pump")
        self.tasks = Tasks()
        self.link = SimLink(loop, mint)
        self._listener = SimListener(mint, self.tasks)
        self._arrived: asyncio.Future[Pump] = loop.create_future()

    async def meet(self) -> tuple[Pump, Pump]:
        done = asyncio.Event()

        async def handle(connection) -> None:
            self._arrived.set_result(Pump(connection, Compressor(), self.tasks, "pump"))
            await done.wait()

        await self._listener.serve(handle)
        connection = await SimDialer(self.link, lambda _: self._listener).dial(CORE)
        self.raw = connection
        child = Pump(connection, Compressor(), self.tasks, "pump")
        parent = await self._arrived
        return child, parent


def scene(test):
    def run() -> None:
        async def main() -> None:
            ends = Ends()
            child, parent = await ends.meet()
            try:
                await test(ends, child, parent)
            finally:
                await ends.tasks.stop()

        run_virtual(SeededMint(test.__name__), main())

    run.__name__ = test.__name__
    return run


@scene
async def test_messages_arrive_and_are_counted_alike(ends: Ends, child: Pump, parent: Pump):
    child.push(wire.Beat(want=True))
    child.push(wire.FactsAnswer(3))
    assert [await parent.receive(), await parent.receive()] == [wire.Beat(want=True), wire.FactsAnswer(3)]
    assert child.meter.sent == parent.meter.received
    assert child.meter.sent["heartbeat"].frames == 1


@scene
async def test_a_heartbeat_overtakes_a_long_document_and_the_document_comes_whole(
    ends: Ends, child: Pump, parent: Pump
):
    parent.trust_size()
    long = wire.Need(tuple(f"sha256:{number:064d}" for number in range(20_000)))
    child.push(long)
    child.push(wire.Beat())
    assert await parent.receive() == wire.Beat()
    assert await parent.receive() == long


@scene
async def test_an_unproven_peer_cannot_unpack_much(ends: Ends, child: Pump, parent: Pump):
    bomb = Compressor().pack(wire.encode(wire.StreamData("c", 1, bytes(10 * FRAME_BYTES_UNPROVEN_MAX))))
    assert len(bomb) < FRAME_BYTES_UNPROVEN_MAX
    await ends.raw.send(bomb)
    with pytest.raises(LinkClosed) as caught:
        await parent.receive()
    assert caught.value.reason is CloseReason.GARBAGE


@pytest.mark.parametrize("frame", [b"", b"\x07rubbish", b"\x00\xff\xff\xff", b"\x01not zstd", b"\x00" + b"\x91" * 2000])
def test_garbage_ends_the_connection(frame: bytes):
    @scene
    async def garbage(ends: Ends, child: Pump, parent: Pump):
        await ends.raw.send(frame)
        with pytest.raises(LinkClosed) as caught:
            await parent.receive()
        assert caught.value.reason is CloseReason.GARBAGE

    garbage()


@scene
async def test_a_lane_that_nobody_reads_is_given_up(ends: Ends, child: Pump, parent: Pump):
    def flood() -> None:
        for _ in range(LANE_BYTES_BROKEN // (256 * 1024) + 2):
            child.push(wire.StreamData("c", 1, bytes(256 * 1024)))

    with pytest.raises(LinkClosed) as caught:
        flood()
    assert caught.value.reason is CloseReason.STALLED


@scene
async def test_a_producer_waits_for_room_and_a_farewell_for_its_lane(ends: Ends, child: Pump, parent: Pump):
    parent.trust_size()
    while True:
        waiting = asyncio.ensure_future(child.wait_room(Lane.CALL))
        await asyncio.sleep(0)
        if not waiting.done():
            break
        child.push(wire.StreamData("c", 1, bytes(64 * 1024)))
    child.push(wire.Beat())
    farewell = asyncio.ensure_future(child.wait_sent(Lane.CONTROL))
    await farewell
    while not waiting.done():
        await parent.receive()
