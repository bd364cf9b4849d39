"""Whole messages over one connection: lanes out, parts together in, packed, counted by purpose.

Both ends of a link use it. It decides nothing: which message goes when is the lanes' order (sync/outgoing.py), what a
message means is its reader's business. A frame that does not unpack or decode ends the connection as garbage.
"""

import asyncio
import contextlib
from typing import Any

from skerry import wire
from skerry.clock import SECOND_US, Clock, ClockTimeout, Tasks
from skerry.link.compress import BadPacking, Compressor
from skerry.link.meter import Meter
from skerry.link.ports import CloseReason, Connection, LinkClosed
from skerry.model.limits import FRAME_BYTES_MAX, FRAME_BYTES_UNPROVEN_MAX
from skerry.sync.lanes import Lane, lane_of, purpose_of
from skerry.sync.outgoing import Outgoing, Piece
from skerry.sync.parts import Assembler, PartError

#: A farewell gets so long before the connection is closed anyway.
_FAREWELL_US = 5 * SECOND_US


class Pump:
    """Sends and receives messages. What is pushed is sent by a task that exists only while something waits."""

    def __init__(self, connection: Connection, compressor: Compressor, tasks: Tasks, name: str) -> None:
        self._connection = connection
        self._compressor = compressor
        self._tasks = tasks
        self._name = name
        self._outgoing = Outgoing()
        self._assembler = Assembler()
        self._sender: asyncio.Task[Any] | None = None
        #: Lane of the piece that the connection has not taken yet.
        self._sending: Lane | None = None
        #: Made by who waits for room or for silence, and resolved when a frame has gone.
        self._moved: asyncio.Future[None] | None = None
        self._is_over = False
        self._bytes_max = FRAME_BYTES_UNPROVEN_MAX
        self.meter = Meter()

    def trust_size(self) -> None:
        """The peer has proved itself, or is the parent: whole frames are taken from now on."""
        self._connection.raise_limit()
        self._bytes_max = FRAME_BYTES_MAX

    # --- out ---------------------------------------------------------------------------------------------------------

    def push(self, message: wire.Message) -> None:
        """Queue a message; raise LinkClosed when the peer has not read its lane for far too long."""
        lane, frame = lane_of(message), wire.encode(message)
        if not self._outgoing.push(lane, purpose_of(message), frame):
            raise LinkClosed(CloseReason.STALLED, f"lane {lane.name.lower()} is full and nobody reads")
        if self._sender is None and not self._is_over:
            self._sender = self._tasks.start(f"send {self._name}", self._send())

    async def wait_room(self, lane: Lane) -> None:
        """Return once a producer of ``lane`` may go on, or when the connection is over."""
        while not self._is_over and not self._outgoing.has_room(lane):
            await self._wait_moved()

    async def wait_sent(self, lane: Lane) -> None:
        """Return once nothing of ``lane`` waits any more, or when the connection is over."""
        while self._sender is not None and (self._sending is lane or not self._outgoing.is_empty(lane)):
            await self._wait_moved()

    async def _wait_moved(self) -> None:
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._moved)

    def _note_moved(self) -> None:
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)
        self._moved = None

    async def _send(self) -> None:
        try:
            with contextlib.suppress(LinkClosed):  # the reader of this connection hears of it too, with the reason
                while (piece := self._outgoing.pop()) is not None:
                    await self._send_piece(piece)
                return
            self._is_over = True
        finally:
            self._sender = None
            self._note_moved()

    async def _send_piece(self, piece: Piece) -> None:
        packed = self._compressor.pack(piece.frame)
        self._sending = piece.lane
        await self._connection.send(packed)
        self._sending = None
        self.meter = self.meter.count_sent(piece.purpose, len(packed))
        self._note_moved()

    # --- in ----------------------------------------------------------------------------------------------------------

    async def receive(self) -> wire.Message | wire.Unknown:
        """Return the next whole message; raise LinkClosed at the end, also when the peer sent garbage."""
        while True:
            packed = await self._connection.receive()
            try:
                message = wire.decode(self._compressor.unpack(packed, self._bytes_max))
                self.meter = self.meter.count_received(purpose_of(message), len(packed))
                if not isinstance(message, wire.Part):
                    return message
                frame = self._assembler.add(message)
                if frame is not None:
                    whole = wire.decode(frame)
                    if isinstance(whole, wire.Part):
                        raise PartError("a part of parts")
                    return whole
            except (BadPacking, PartError, wire.WireError) as error:
                raise LinkClosed(CloseReason.GARBAGE, str(error)) from error

    async def part(self, clock: Clock) -> None:
        """Let what waits in the control lane go, a farewell perhaps, then close."""
        try:
            async with ClockTimeout(clock, self._tasks, _FAREWELL_US):
                await self.wait_sent(Lane.CONTROL)
        except TimeoutError:
            pass  # a peer that takes nothing gets no farewell
        finally:
            await self.close()

    async def close(self) -> None:
        """Send nothing more and end the connection."""
        self._is_over = True
        if self._sender is not None:
            self._sender.cancel()
        await self._connection.close()
