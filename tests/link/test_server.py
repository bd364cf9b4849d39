import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator

import pytest
from tests.link.rig import UPGRADE, hostile_child, make_dialer, make_listener, read_all

from skerry.clock import Tasks
from skerry.link.admission import Quota, Verdict
from skerry.link.channel import Channel
from skerry.link.client import fetch_roots
from skerry.link.frames import FrameReader, Opcode, decode_close, encode_frame
from skerry.link.ports import CloseReason, ConnectFailed, Connection, ConnectReason, Endpoint, LinkClosed, Patience
from skerry.link.server import LinkListener
from skerry.model import limits

MASK = b"\x01\x02\x03\x04"
ROOM = Quota(arrivals_per_second=10_000, arrivals_burst=10_000)


class Parent:
    """A listening parent whose handler notes what it received and how each connection ended."""

    def __init__(self, listener: LinkListener, tasks: Tasks) -> None:
        self.listener = listener
        self.tasks = tasks
        self.received: list[bytes] = []
        self.connections: asyncio.Queue[Channel] = asyncio.Queue()
        self.ends: asyncio.Queue[LinkClosed] = asyncio.Queue()

    async def handle(self, connection: Connection) -> None:
        assert isinstance(connection, Channel)
        self.connections.put_nowait(connection)
        try:
            while True:
                self.received.append(await connection.receive())
        except LinkClosed as end:
            self.ends.put_nowait(end)
            raise

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.listener.port)


@contextlib.asynccontextmanager
async def listening(**settings) -> AsyncGenerator[Parent, None]:
    tasks = Tasks()
    settings.setdefault("quota", ROOM)
    parent = Parent(make_listener(tasks, **settings), tasks)
    await parent.listener.serve(parent.handle)
    try:
        yield parent
    finally:
        await parent.listener.stop()
        await tasks.stop()
    assert tasks.failed == []
    assert parent.listener._admission.unproven == 0, "every admitted connection was released"
    assert parent.listener.counters.open == 0


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(UPGRADE)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


async def read_goodbye(reader: asyncio.StreamReader) -> int:
    """The close code in what a parent still sends."""
    frames = list(FrameReader(masked=False, limit=1 << 20).feed(memoryview(await read_all(reader))))
    return decode_close(frames[-1].payload)[0] if frames and frames[-1].opcode is Opcode.CLOSE else 0


# --- heads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/link/ HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/link?x=1 HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/../v1/link HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /v1/link HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/apps HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/roots HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/roots?after=-1 HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/roots?after=1&after=2 HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /v1/link HTTP/1.1\r\nHost: core\r\n\r\n", b"426"),
        (UPGRADE.replace(b"Version: 13", b"Version: 12"), b"400"),
        (UPGRADE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), b"400"),
        (UPGRADE + b"\x82\x80\x00\x00\x00\x00", b"404"),  # frames before the answer: no nonce can be in them
        (b"\x16\x03\x01 garbage\r\n\r\n", b"400"),
        (b"x" * (limits.LINK_HEAD_BYTES_MAX + 1), b"400"),
    ],
)
async def test_whatever_is_no_upgrade_is_answered_and_cut(request_head: bytes, status: bytes):
    async with listening() as parent, hostile_child(parent.listener.port) as (reader, writer):
        writer.write(request_head)
        assert (await read_all(reader)).startswith(b"HTTP/1.1 " + status)
        assert parent.listener.counters.refused == 1
        assert parent.received == []


async def test_a_head_without_end_is_cut_however_much_comes():
    async with listening() as parent, hostile_child(parent.listener.port) as (reader, writer):
        with contextlib.suppress(OSError):
            for _ in range(200):
                writer.write(b"X-Filler: 0123456789abcdef\r\n" * 400)
                await writer.drain()
        await read_all(reader)
        assert parent.listener.counters.upgraded == 0


async def test_plain_tcp_and_garbage_in_place_of_tls_are_cut():
    async with listening() as parent:
        for content in (b"GET /v1/link HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" + bytes(500)):
            reader, writer = await asyncio.open_connection("127.0.0.1", parent.listener.port)
            writer.write(content)
            assert not (await read_all(reader)).startswith(b"HTTP")
            writer.close()
        assert parent.listener.counters.tls_failed == 3


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"GET /v1/li", UPGRADE, UPGRADE + b"FRAME"])
async def test_who_drips_is_cut_at_the_deadline(begun: bytes):
    async with (
        listening(patience=Patience(first_frame_us=150_000)) as parent,
        hostile_child(parent.listener.port) as (reader, writer),
    ):
        writer.write(begun.removesuffix(b"FRAME"))
        if begun.startswith(UPGRADE):
            await reader.readuntil(b"\r\n\r\n")
        if begun.endswith(b"FRAME"):
            writer.write(encode_frame(Opcode.BINARY, bytes(100), MASK)[:50])
        assert await read_all(reader) == b""
        assert parent.listener.counters.late == 1
        assert parent.received == []


async def test_silence_in_place_of_tls_is_cut_at_the_deadline():
    async with listening(patience=Patience(first_frame_us=150_000)) as parent:
        reader, writer = await asyncio.open_connection("127.0.0.1", parent.listener.port)
        assert await read_all(reader) == b""
        writer.close()
        assert parent.listener.counters.late == 1


# --- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (b"\x82\xff" + (2**40).to_bytes(8, "big"), 1009, CloseReason.TOO_BIG),
        (b"\x82\xfe\x40\x01", 1009, CloseReason.TOO_BIG),
        (b"\x81\x80" + MASK, 1003, CloseReason.GARBAGE),
        (b"\x82\x00", 1002, CloseReason.GARBAGE),
        (b"\xff" * 64, 1002, CloseReason.GARBAGE),
        (b"\x88\x82" + bytes(4) + b"\x00\x01", 1002, CloseReason.GARBAGE),
    ],
)
async def test_broken_framing_gets_a_code_and_an_end(content: bytes, code: int, reason: CloseReason):
    async with listening() as parent, hostile_child(parent.listener.port) as (reader, writer):
        await upgrade(reader, writer)
        writer.write(encode_frame(Opcode.BINARY, b"hello", MASK) + content)
        assert await read_goodbye(reader) == code
        assert (await parent.ends.get()).reason is reason
        assert parent.received == [b"hello"]


async def test_endless_frames_wait_outside_while_nobody_receives():
    tasks = Tasks()
    listener = make_listener(tasks, quota=ROOM)
    arrived: asyncio.Queue[Channel] = asyncio.Queue()
    done = asyncio.Event()

    async def handle(connection: Connection) -> None:
        assert isinstance(connection, Channel)
        arrived.put_nowait(connection)
        await done.wait()

    await listener.serve(handle)
    for frame in (encode_frame(Opcode.BINARY, bytes(16_000), MASK), encode_frame(Opcode.BINARY, b"", MASK)):
        async with hostile_child(listener.port) as (reader, writer):
            await upgrade(reader, writer)

            async def flood(writer: asyncio.StreamWriter = writer, frame: bytes = frame) -> None:
                while True:
                    writer.write(frame * (1 + 100_000 // len(frame)))
                    await writer.drain()

            flooding = asyncio.ensure_future(flood())
            channel = await arrived.get()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(flooding, 0.4)
            # One full inbox and what one read of the shared buffer brought on top.
            assert channel._inbox_bytes <= limits.FRAME_BYTES_UNPROVEN_MAX + 64 * 1024 * (1 + 128 // len(frame))
            assert channel._reading_paused
    done.set()
    await listener.stop()
    await tasks.stop()
    assert tasks.failed == []


async def test_pings_whose_answers_nobody_reads_do_not_pile_up():
    async with listening() as parent, hostile_child(parent.listener.port) as (reader, writer):
        await upgrade(reader, writer)
        writer.write(encode_frame(Opcode.BINARY, b"hello", MASK))
        channel = await parent.connections.get()
        ping = encode_frame(Opcode.PING, bytes(125), MASK)
        reader._transport.pause_reading()
        for _ in range(400):
            writer.write(ping * 200)
            await writer.drain()
        while channel._transport is not None and channel.bytes_received == 0:
            await asyncio.sleep(0)
        assert channel._transport is not None
        assert channel._transport.get_write_buffer_size() < 4 * limits.LINK_UNSENT_BYTES_MAX


async def test_a_reset_in_the_middle_of_a_frame_is_a_loss():
    async with listening() as parent:
        async with hostile_child(parent.listener.port) as (reader, writer):
            await upgrade(reader, writer)
            frame = encode_frame(Opcode.BINARY, bytes(100), MASK)
            writer.write(frame + frame[:60])
            await parent.connections.get()
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert (await parent.ends.get()).reason is CloseReason.LOST
        assert parent.received == [bytes(100)]


async def test_a_ping_is_answered():
    async with listening() as parent, hostile_child(parent.listener.port) as (reader, writer):
        await upgrade(reader, writer)
        writer.write(encode_frame(Opcode.PING, b"there?", MASK))
        assert await reader.readexactly(8) == encode_frame(Opcode.PONG, b"there?")


# --- admission -------------------------------------------------------------------------------------------------------


async def is_admitted(port: int) -> bool:
    try:
        async with hostile_child(port) as (reader, writer):
            await upgrade(reader, writer)
            return True
    except OSError:
        return False


async def test_too_many_arrivals_of_one_source_are_reset_before_tls():
    async with listening(quota=Quota(arrivals_per_second=1, arrivals_burst=3)) as parent:
        assert [await is_admitted(parent.listener.port) for _ in range(5)] == [True] * 3 + [False] * 2
        assert parent.listener.counters.arrivals[Verdict.TOO_FAST] == 2


async def test_the_unproven_are_few_and_the_proven_do_not_count():
    quota = Quota(unproven=2, unproven_per_source=2)
    async with listening(quota=quota) as parent, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            reader, writer = await stack.enter_async_context(hostile_child(parent.listener.port))
            await upgrade(reader, writer)
            writer.write(encode_frame(Opcode.BINARY, b"hello", MASK))
        channels = [await parent.connections.get() for _ in range(2)]
        assert not await is_admitted(parent.listener.port)
        channels[0].raise_limit()
        channels[0].raise_limit()  # proving twice releases once
        assert await is_admitted(parent.listener.port)


async def test_a_full_listener_asks_to_come_back_later():
    async with listening(children_max=0) as parent:
        with pytest.raises(ConnectFailed) as caught:
            await make_dialer().dial(parent.endpoint)
        assert caught.value.reason is ConnectReason.BUSY
        assert caught.value.retry_after_us == 30_000_000


async def test_a_thousand_strangers_leave_nothing_behind():
    async with listening() as parent:
        for _ in range(40):
            socks = [socket.create_connection(("127.0.0.1", parent.listener.port)) for _ in range(25)]
            for sock in socks:
                sock.close()
            await asyncio.sleep(0)
        while parent.listener._greeting:
            await asyncio.sleep(0.01)
        assert parent.listener.counters.arrivals[Verdict.ADMITTED] <= 1000
        assert await is_admitted(parent.listener.port)


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_roots_are_the_only_plain_get():
    async with listening() as parent:
        assert await fetch_roots(parent.endpoint, 41) == b"roots after 41"
        assert parent.listener.counters.roots_served == 1
        assert parent.connections.empty()


async def test_a_handler_that_breaks_closes_its_connection_and_is_reported():
    tasks = Tasks()
    listener = make_listener(tasks)

    async def handle(_connection: Connection) -> None:
        raise LookupError("a defect")

    await listener.serve(handle)
    child = await make_dialer().dial(Endpoint("127.0.0.1", listener.port))
    await child.send(b"hello")
    with pytest.raises(LinkClosed) as caught:
        await child.receive()
    assert caught.value.code == 1011
    await child.close()
    await listener.stop()
    assert [repr(error) for _name, error in tasks.failed] == ["LookupError('a defect')"]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this kernel has no IPv6")
async def test_both_families_are_listened_on_and_counted_alike():
    async with listening(host="::") as parent:
        child = await make_dialer().dial(parent.endpoint)
        await child.send(b"hello")
        channel = await parent.connections.get()
        assert list(parent.listener._admission._sources) == ["127.0.0.1"]
        assert channel.peer.startswith("[::ffff:127.0.0.1]:")
        await child.close()


async def test_a_port_in_use_is_an_error_at_once():
    async with listening() as parent:
        tasks = Tasks()
        second = make_listener(tasks)
        second._bind = ("127.0.0.1", parent.listener.port)
        with pytest.raises(OSError, match="in use"):
            await second.serve(parent.handle)
        await second.stop()
