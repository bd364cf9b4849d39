"""What every transport owes its users: the real one and the simulation's run this same suite.

A test module derives a ``Test…`` class and provides the fixture ``rig``. Nothing here knows of sockets or TLS.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import msgspec
import pytest

from skerry.link.ports import (
    CloseReason,
    ConnectFailed,
    Connection,
    ConnectReason,
    Dialer,
    Endpoint,
    LinkClosed,
    Listener,
)
from skerry.model import limits


class Rig(msgspec.Struct):
    """One parent that is not listening yet, and one child that knows where it will."""

    listener: Listener
    dialer: Dialer
    endpoint: Endpoint


class Pair(msgspec.Struct):
    """The two ends of one open connection; the parent's handler ends when ``done`` is set."""

    child: Connection
    parent: Connection
    done: asyncio.Event


class Parents:
    """A handler that hands each connection to the test and stays until told."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[Pair] = asyncio.Queue()

    async def handle(self, connection: Connection) -> None:
        done = asyncio.Event()
        self.arrived.put_nowait(Pair(connection, connection, done))
        await done.wait()

    async def meet(self, rig: Rig) -> Pair:
        """Dial, say hello and find the parent's end of it."""
        child = await rig.dialer.dial(rig.endpoint)
        await child.send(b"hello")
        pair = await self.arrived.get()
        pair.child = child
        assert await pair.parent.receive() == b"hello"
        return pair


@contextlib.asynccontextmanager
async def connected(rig: Rig) -> AsyncGenerator[Pair, None]:
    parents = Parents()
    await rig.listener.serve(parents.handle)
    try:
        pair = await parents.meet(rig)
        yield pair
        pair.done.set()
        await pair.child.close()
    finally:
        await rig.listener.stop()


async def receive_end(connection: Connection) -> LinkClosed:
    with pytest.raises(LinkClosed) as caught:
        await connection.receive()
    return caught.value


class TransportContract:
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, limits.FRAME_BYTES_MAX])
    async def test_a_frame_arrives_whole_both_ways(self, rig: Rig, size: int):
        async with connected(rig) as pair:
            pair.child.raise_limit()
            pair.parent.raise_limit()
            frame = bytes(range(256)) * (size // 256) + bytes(size % 256)
            for one, other in ((pair.child, pair.parent), (pair.parent, pair.child)):
                sending = asyncio.ensure_future(one.send(frame))
                assert await other.receive() == frame
                await sending

    async def test_frames_arrive_in_the_order_in_which_they_were_sent(self, rig: Rig):
        async with connected(rig) as pair:
            sent = [str(number).encode() for number in range(500)]
            for frame in sent:
                await pair.child.send(frame)
            assert [await pair.parent.receive() for _ in sent] == sent

    async def test_both_ends_hold_the_same_nonce_and_certificate_digest(self, rig: Rig):
        parents = Parents()
        await rig.listener.serve(parents.handle)
        first, second = await parents.meet(rig), await parents.meet(rig)
        for pair in (first, second):
            assert pair.child.nonce == pair.parent.nonce
            assert len(pair.child.nonce) == 32
            assert pair.child.server_digest == pair.parent.server_digest
            assert len(pair.child.server_digest) == 32
        assert first.child.nonce != second.child.nonce
        assert first.parent.peer != second.parent.peer
        await rig.listener.stop()
        await first.child.close()
        await second.child.close()

    async def test_what_arrived_before_a_goodbye_is_still_received(self, rig: Rig):
        async with connected(rig) as pair:
            await pair.child.send(b"one")
            await pair.child.send(b"two")
            closing = asyncio.ensure_future(pair.child.close(4001, "moving on"))
            assert [await pair.parent.receive(), await pair.parent.receive()] == [b"one", b"two"]
            end = await receive_end(pair.parent)
            assert (end.reason, end.code) == (CloseReason.CLOSED, 4001)
            assert "moving on" in end.detail
            with pytest.raises(LinkClosed):
                await pair.parent.send(b"late")
            await closing

    async def test_the_parents_goodbye_reaches_the_child(self, rig: Rig):
        async with connected(rig) as pair:
            await pair.parent.close(1012, "restarting")
            end = await receive_end(pair.child)
            assert (end.reason, end.code) == (CloseReason.CLOSED, 1012)

    async def test_a_handler_that_returns_ends_its_connection(self, rig: Rig):
        async with connected(rig) as pair:
            pair.done.set()
            assert (await receive_end(pair.child)).reason is CloseReason.CLOSED

    async def test_after_closing_nothing_works_and_closing_again_does_nothing(self, rig: Rig):
        async with connected(rig) as pair:
            await pair.child.close()
            await pair.child.close()
            assert (await receive_end(pair.child)).reason is CloseReason.OURS
            with pytest.raises(LinkClosed):
                await pair.child.send(b"late")

    async def test_a_waiting_receiver_hears_of_the_end(self, rig: Rig):
        async with connected(rig) as pair:
            waiting = asyncio.ensure_future(receive_end(pair.parent))
            await asyncio.sleep(0)
            await pair.child.close()
            assert (await waiting).reason is CloseReason.CLOSED

    async def test_a_cancelled_receive_loses_nothing(self, rig: Rig):
        async with connected(rig) as pair:
            waiting = asyncio.ensure_future(pair.parent.receive())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            await pair.child.send(b"kept")
            assert await pair.parent.receive() == b"kept"

    async def test_an_unproven_child_may_send_small_frames_only(self, rig: Rig):
        async with connected(rig) as pair:
            await pair.child.send(bytes(limits.FRAME_BYTES_UNPROVEN_MAX))
            assert len(await pair.parent.receive()) == limits.FRAME_BYTES_UNPROVEN_MAX
            await pair.child.send(bytes(limits.FRAME_BYTES_UNPROVEN_MAX + 1))
            assert (await receive_end(pair.parent)).reason is CloseReason.TOO_BIG
            assert (await receive_end(pair.child)).code == 1009

    async def test_a_frame_above_the_limit_is_not_sent(self, rig: Rig):
        async with connected(rig) as pair:
            with pytest.raises(ValueError, match="at most"):
                await pair.child.send(bytes(limits.FRAME_BYTES_MAX + 1))
            await pair.child.send(b"still open")
            assert await pair.parent.receive() == b"still open"

    async def test_a_sender_waits_for_a_receiver_that_does_not_take(self, rig: Rig):
        async with connected(rig) as pair:
            pair.parent.raise_limit()
            frame = bytes(256 * 1024)
            count = 128  # 32 MiB: more than any transport may hold between two ends

            async def flood() -> None:
                for _ in range(count):
                    await pair.child.send(frame)

            flooding = asyncio.ensure_future(flood())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(flooding), 0.5)
            for _ in range(count):
                assert len(await pair.parent.receive()) == len(frame)
            await flooding

    async def test_both_ends_count_the_same_bytes(self, rig: Rig):
        async with connected(rig) as pair:
            for size in (0, 10, 1000):
                await pair.child.send(bytes(size))
                await pair.parent.receive()
            await pair.parent.send(bytes(7))
            await pair.child.receive()
            assert pair.child.bytes_sent == pair.parent.bytes_received == len(b"hello") + 1010
            assert pair.parent.bytes_sent == pair.child.bytes_received == 7

    async def test_dialling_where_nobody_listens_is_refused(self, rig: Rig):
        async with connected(rig):
            pass
        with pytest.raises(ConnectFailed) as caught:
            await rig.dialer.dial(rig.endpoint)
        assert caught.value.reason is ConnectReason.REFUSED

    async def test_stopping_says_goodbye_to_every_child(self, rig: Rig):
        parents = Parents()
        await rig.listener.serve(parents.handle)
        pairs = [await parents.meet(rig) for _ in range(3)]
        ends = [asyncio.ensure_future(receive_end(pair.child)) for pair in pairs]
        await rig.listener.stop()
        assert [(await end).code for end in ends] == [1001, 1001, 1001]
        for pair in pairs:
            await pair.child.close()
