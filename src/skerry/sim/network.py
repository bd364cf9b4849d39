"""The simulated WAN: authenticated streams with delay, jitter, rate, cuts of either way, stalls and lost goodbyes.

Frames of one direction arrive whole and in order or not at all, as over TCP; what a bad network does shows as delay,
as silence, and as connections that only one end still believes in. TLS itself is not modelled. Both ends implement the
same ports as the real transport and pass its contract (tests/contract/transport.py).
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable

import msgspec

from skerry.clock import SECOND_US, Mint, Tasks
from skerry.link.ports import (
    CloseReason,
    ConnectFailed,
    ConnectReason,
    Endpoint,
    Handler,
    LinkClosed,
)
from skerry.model import limits
from skerry.sim.loop import SimLoop

#: Sent bytes that get no acknowledgement end a connection after this: the real one's TCP user timeout.
STALL_US = 30 * SECOND_US
#: A dial into silence is given up after this.
DIAL_US = 15 * SECOND_US
#: Bytes on their way in one direction before a sender waits: the real transport's own buffer and the kernel's.
FLIGHT_BYTES_MAX = 2 * limits.LINK_UNSENT_BYTES_MAX


class LinkFaults(msgspec.Struct):
    """How one child's access link behaves now. ``up`` is towards the parent."""

    up: bool = True
    down: bool = True
    delay_us: int = 20_000
    jitter_us: int = 0
    #: Bits per second of each way; 0 is without limit.
    rate_bit_s: int = 0


#: Devices of a simulated node: by the first it goes unless it is told otherwise.
DEVICES = ("eth0", "wwan0")


class SimLink:
    """One child's access link, over which all its connections go."""

    def __init__(self, loop: SimLoop, mint: Mint) -> None:
        self.loop = loop
        self.mint = mint
        self.faults = LinkFaults()
        #: The device that the link goes over, as the last dial chose it, and those that carry nothing.
        self.device = DEVICES[0]
        self.dead: set[str] = set()
        #: Says that a network at the node has locked it out: nothing passes by any device.
        self.is_locked: Callable[[], bool] = lambda: False
        self.bytes_up = 0
        self.bytes_down = 0
        #: Called with each frame as it is sent: upward or not, and the frame.
        self.witness: Callable[[bool, bytes], None] = lambda upward, frame: None
        #: Called when a frame has arrived at an end that still has its connection, upward or not.
        self.on_arrival: Callable[[bool], None] = lambda upward: None
        self._streams: set[_Stream] = set()
        #: When the line of each way has sent what was given to it.
        self._free_us = {True: 0, False: 0}

    def change(self, **words: int | bool) -> None:
        """Change the link; what was held back by a cut moves on when its way is open again."""
        for name, value in words.items():
            setattr(self.faults, name, value)
        for stream in sorted(self._streams, key=lambda stream: stream.serial):
            stream.resume()

    def is_open(self, upward: bool, device: str = "") -> bool:
        """Say whether bytes pass that way now, by ``device`` or by the present one."""
        if self.is_locked():
            return False
        return (device or self.device) not in self.dead and (self.faults.up if upward else self.faults.down)

    def draw_delay_us(self) -> int:
        """How long a bit takes from one end to the other now."""
        return self.faults.delay_us + int(self.faults.jitter_us * self.mint.uniform())

    def schedule(self, size: int, *, upward: bool) -> int:
        """Give the line ``size`` bytes; return when they arrive. All connections of one way share its rate."""
        start_us = max(self._free_us[upward], self.loop.now_us)
        rate = self.faults.rate_bit_s
        self._free_us[upward] = start_us + (size * 8 * SECOND_US // rate if rate else 0)
        return self._free_us[upward] + self.draw_delay_us()

    def join(self, stream: "_Stream") -> None:
        """A connection begins."""
        self._streams.add(stream)

    def leave(self, stream: "_Stream") -> None:
        """A connection is over."""
        self._streams.discard(stream)


class _Goodbye(msgspec.Struct, frozen=True):
    reason: CloseReason
    code: int
    detail: str


_Item = bytes | _Goodbye
_serials = iter(range(1 << 62))


class _Stream:
    """One direction of one connection."""

    def __init__(self, link: SimLink, upward: bool, on_stall: Callable[[], None]) -> None:
        self.serial = next(_serials)
        self._link = link
        self._upward = upward
        self._on_stall = on_stall
        self._flying: deque[tuple[int, _Item]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._last_us = 0
        self.flight_bytes = 0
        self.arrived: deque[_Item] = deque()
        self.arrived_bytes = 0
        #: Who would read has given the connection up: its kernel answers what still comes with a reset.
        self.is_left = False
        self.readable = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        link.join(self)

    def put(self, item: _Item) -> None:
        size = len(item) if isinstance(item, bytes) else 4
        self._last_us = max(self._last_us, self._link.schedule(size, upward=self._upward))
        self._flying.append((self._last_us, item))
        self.flight_bytes += size
        if isinstance(item, bytes):
            self._link.witness(self._upward, item)
            if self._upward:
                self._link.bytes_up += size
            else:
                self._link.bytes_down += size
        self._measure_room()
        self.resume()

    def resume(self) -> None:
        """Set the timer for the next arrival, or for giving up while the way is shut."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._flying:
            self._end_stall()
            return
        if not self._link.is_open(self._upward):
            if self._stall is None:
                self._stall = self._link.loop.call_later(STALL_US / SECOND_US, self._give_up)
            return
        self._end_stall()
        at_us = max(self._flying[0][0], self._link.loop.now_us)
        self._timer = self._link.loop.call_at(at_us / SECOND_US, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        if not self._link.is_open(self._upward):
            self.resume()
            return
        _, item = self._flying.popleft()
        self.flight_bytes -= len(item) if isinstance(item, bytes) else 4
        self.arrived.append(item)
        self.arrived_bytes += len(item) if isinstance(item, bytes) else 0
        if isinstance(item, bytes) and not self.is_left:
            self._link.on_arrival(self._upward)
        self.readable.set()
        self._measure_room()
        self.resume()

    def _give_up(self) -> None:
        self._stall = None
        self._on_stall()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def take(self) -> _Item | None:
        if not self.arrived:
            return None
        item = self.arrived[0]
        if isinstance(item, bytes):
            self.arrived.popleft()
            self.arrived_bytes -= len(item)
            self._measure_room()
        if not self.arrived:
            self.readable.clear()
        return item

    def _measure_room(self) -> None:
        if self.flight_bytes + self.arrived_bytes < FLIGHT_BYTES_MAX:
            self.room.set()
        else:
            self.room.clear()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end_stall()
        self._flying.clear()
        self._link.leave(self)


class SimConnection:
    """One end of a connection; implements ``link.ports.Connection``."""

    def __init__(self, inward: _Stream, nonce: bytes, server_digest: bytes, peer: str) -> None:
        self._inward = inward
        self.outward: _Stream | None = None
        self.nonce = nonce
        self.server_digest = server_digest
        self.peer = peer
        self.bytes_sent = 0
        self.bytes_received = 0
        self._limit = limits.FRAME_BYTES_UNPROVEN_MAX
        self._over: LinkClosed | None = None

    async def send(self, frame: bytes) -> None:
        """Wait for room, then send."""
        if len(frame) > limits.FRAME_BYTES_MAX:
            raise ValueError(f"a frame has at most {limits.FRAME_BYTES_MAX} bytes, this has {len(frame)}")
        assert self.outward is not None
        while self._over is None and not self.outward.room.is_set():
            await self.outward.room.wait()
        self._note_goodbye()
        if self._over is not None:
            raise self._over
        self.bytes_sent += len(frame)
        self.outward.put(bytes(frame))

    async def receive(self) -> bytes:
        """Return the next frame."""
        while True:
            item = self._inward.take()
            if isinstance(item, bytes):
                if len(item) > self._limit:
                    await self._refuse_big()
                    continue
                self.bytes_received += len(item)
                return item
            self._note_goodbye()
            if self._over is not None:
                raise self._over
            await self._inward.readable.wait()

    async def _refuse_big(self) -> None:
        self._over = LinkClosed(CloseReason.TOO_BIG, f"a frame of more than {self._limit} bytes", code=1009)
        assert self.outward is not None
        self.outward.put(_Goodbye(CloseReason.CLOSED, 1009, "too big"))
        raise self._over

    def raise_limit(self) -> None:
        """Accept large frames from now on."""
        self._limit = limits.FRAME_BYTES_MAX

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye."""
        if self._over is None:
            assert self.outward is not None
            self._leave(LinkClosed(CloseReason.OURS, "closed at this end", code=code))
            self.outward.put(_Goodbye(CloseReason.CLOSED, code, reason))

    def lose(self, reason: CloseReason, detail: str) -> None:
        """The connection is over at this end without a goodbye."""
        if self._over is None:
            self._leave(LinkClosed(reason, detail))

    def abandon(self, *, tell: bool) -> None:
        """The process at this end died; ``tell`` says whether its machine still answers for it with a reset."""
        self.lose(CloseReason.LOST, "this end died")
        if tell and self.outward is not None:
            self.outward.put(_Goodbye(CloseReason.LOST, 1006, "reset by the peer's machine"))
        self._inward.end()

    def _note_goodbye(self) -> None:
        head = self._inward.arrived[0] if self._inward.arrived else None
        if self._over is None and isinstance(head, _Goodbye):
            self._over = LinkClosed(head.reason, head.detail, code=head.code)

    def _leave(self, over: LinkClosed) -> None:
        self._over = over
        self._inward.is_left = True
        self._inward.readable.set()
        if self.outward is not None:
            self.outward.room.set()


def _connect(link: SimLink, nonce: bytes, server_digest: bytes, peer: str) -> tuple[SimConnection, SimConnection]:
    """Make both ends: child's, parent's."""
    up = _Stream(link, True, lambda: child.lose(CloseReason.STALLED, "nothing gets through"))
    down = _Stream(link, False, lambda: parent.lose(CloseReason.STALLED, "nothing gets through"))
    child = SimConnection(down, nonce, server_digest, "parent")
    parent = SimConnection(up, nonce, server_digest, peer)
    child.outward, parent.outward = up, down
    return child, parent


class SimListener:
    """The parent's end; implements ``link.ports.Listener``."""

    def __init__(self, mint: Mint, tasks: Tasks, name: str = "core") -> None:
        self._mint = mint
        self._tasks = tasks
        self.server_digest = hashlib.sha256(name.encode()).digest()
        self._handler: Handler | None = None
        self._open: dict[asyncio.Task[None], SimConnection] = {}
        self._serial = 0

    async def serve(self, handler: Handler) -> None:
        """Begin to listen."""
        self._handler = handler

    async def stop(self) -> None:
        """Say goodbye to every child."""
        self._handler = None
        for connection in list(self._open.values()):
            await connection.close(1001, "going away")
        if self._open:
            for task in list(self._open):
                task.cancel()
            await asyncio.wait(list(self._open))

    def kill(self) -> None:
        """The process died: children's machines get a reset when they next hear from this one."""
        self._handler = None
        for connection in list(self._open.values()):
            connection.abandon(tell=True)
        self._open.clear()

    def accept(self, link: SimLink) -> SimConnection | None:
        """Take a child's connection; None when nobody listens."""
        if self._handler is None:
            return None
        self._serial += 1
        child, parent = _connect(link, self._mint.draw(32), self.server_digest, f"peer:{self._serial}")
        task = self._tasks.start(f"handle {parent.peer}", self._run(self._handler, parent))
        self._open[task] = parent
        task.add_done_callback(lambda done: self._open.pop(done, None))
        return child

    async def _run(self, handler: Handler, connection: SimConnection) -> None:
        try:
            await handler(connection)
        except LinkClosed:
            pass
        finally:
            await connection.close()


class SimDialer:
    """The child's end; implements ``link.ports.Dialer``."""

    def __init__(self, link: SimLink, find: Callable[[Endpoint], SimListener | None]) -> None:
        self._link = link
        self._find = find
        self.open: list[SimConnection] = []

    async def dial(self, endpoint: Endpoint) -> SimConnection:
        """Open a connection: two round trips for TCP and TLS, and the upgrade's."""
        loop = self._link.loop
        device = endpoint.device or DEVICES[0]
        if not (self._link.is_open(True, device) and self._link.is_open(False, device)):
            await _sleep(loop, DIAL_US)
            raise ConnectFailed(ConnectReason.TIMEOUT, f"{endpoint} does not answer")
        await _sleep(loop, 6 * self._link.draw_delay_us())
        listener = self._find(msgspec.structs.replace(endpoint, device=""))
        if listener is None:
            raise ConnectFailed(ConnectReason.REFUSED, f"nobody listens at {endpoint}")
        if not (self._link.is_open(True, device) and self._link.is_open(False, device)):
            await _sleep(loop, DIAL_US)
            raise ConnectFailed(ConnectReason.STALLED, f"{endpoint} fell silent")
        connection = listener.accept(self._link)
        if connection is None:
            raise ConnectFailed(ConnectReason.REFUSED, f"nobody listens at {endpoint}")
        self._link.device = device
        self.open = [*self.open[-7:], connection]
        return connection

    def kill(self, *, machine: bool) -> None:
        """The child's process died, or its whole ``machine``."""
        for connection in self.open:
            connection.abandon(tell=not machine)
        self.open = []


async def _sleep(loop: SimLoop, duration_us: int) -> None:
    done: asyncio.Future[None] = loop.create_future()
    handle = loop.call_at((loop.now_us + duration_us) / SECOND_US, lambda: done.done() or done.set_result(None))
    try:
        await done
    finally:
        handle.cancel()
