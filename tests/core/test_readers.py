"""Places of readers, and what becomes of those that do not keep up."""

import asyncio

import pytest
from tests.clocks import ManualClock

from skerry.api.streams import stream_events
from skerry.clock import Tasks
from skerry.core.platform import EventItem
from skerry.core.readers import Readers, TooMany
from skerry.model.errors import Unavailable
from skerry.model.limits import READER_SLOW_US_MAX, READER_STALL_US_MAX, STREAMS_MAX, STREAMS_PER_TOKEN_MAX


class Scene:
    """Items on one side, a connection that takes them when it is let on the other."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tasks = Tasks()
        self.readers = Readers(self.clock, self.tasks)
        self.items: asyncio.Queue[EventItem | None] = asyncio.Queue()
        self.sent: list[bytes] = []
        self.has_room = asyncio.Event()
        self.has_room.set()

    def follow(self) -> asyncio.Task[None]:
        return asyncio.ensure_future(self._send(self.readers.admit("one")))

    async def _send(self, reader) -> None:
        async for piece in stream_events(self._give(), reader):
            await self.has_room.wait()
            self.sent.append(piece)

    async def _give(self):
        while (item := await self.items.get()) is not None:
            yield item

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def scene():
    made = Scene()
    yield made
    await made.tasks.stop()


async def test_a_stream_that_ends_gives_its_place_back(scene):
    following = scene.follow()
    await scene.settle()
    assert scene.readers.count == 1
    scene.items.put_nowait(EventItem("alive"))
    scene.items.put_nowait(None)
    await following
    assert scene.sent == [b": connected\n\n", b": alive\n\n"]
    assert scene.readers.count == 0


async def test_a_token_has_so_many_places_and_others_have_theirs(scene):
    kept = [scene.readers.admit("one") for _ in range(STREAMS_PER_TOKEN_MAX)]
    with pytest.raises(TooMany):
        scene.readers.admit("one")
    scene.readers.admit("two")
    kept[0].leave()
    kept[0].leave()
    scene.readers.admit("one")


async def test_the_core_has_so_many_places(scene):
    for number in range(STREAMS_MAX):
        scene.readers.admit(str(number))
    with pytest.raises(Unavailable, match="open already"):
        scene.readers.admit("late")


async def test_a_slow_reader_is_told_so_and_its_stream_ends(scene):
    scene.items.put_nowait(EventItem("alive"))
    scene.has_room.clear()
    following = scene.follow()
    await scene.settle()
    await scene.clock.advance(READER_SLOW_US_MAX + 1)
    scene.has_room.set()
    await following
    assert scene.sent[0] == b": connected\n\n"
    assert scene.sent[1].startswith(b'event: end\ndata: {"code":"E-READER-SLOW"')
    assert scene.readers.count == 0


async def test_a_reader_that_takes_nothing_is_cut_off(scene):
    scene.has_room.clear()
    following = scene.follow()
    await scene.settle()
    await scene.clock.advance(READER_STALL_US_MAX)
    await asyncio.wait([following])
    assert following.cancelled()
    assert scene.readers.count == 0


async def test_a_quiet_stream_is_nobodys_fault(scene):
    following = scene.follow()
    await scene.settle()
    await scene.clock.advance(3 * READER_STALL_US_MAX)
    scene.items.put_nowait(EventItem("alive"))
    await scene.settle()
    assert scene.sent[-1] == b": alive\n\n"
    following.cancel()
    await asyncio.wait([following])
    assert scene.readers.count == 0


async def test_a_stream_that_never_began_gives_its_place_back(scene):
    scene.readers.admit("gone")
    await scene.clock.advance(READER_STALL_US_MAX)
    assert scene.readers.count == 0
