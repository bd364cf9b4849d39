"""Whole messages over one connection: lanes out, parts in, compressed, counted by purpose.

Both ends of a link use it. It decides nothing: which message goes when is the lanes' order (sync/outgoing.py), what a
message means is its reader's business. A frame that does not unpack or decode ends the connection as garbage.
"""

import asyncio

from skerry import wire
from skerry.link.compress import BadPacking, Compressor
from skerry.link.meter import Meter
from skerry.link.ports import CloseReason, Connection, LinkClosed
from skerry.model.limits import FRAME_BYTES_MAX, FRAME_BYTES_UNPROVEN_MAX
from skerry.sync.lanes import Lane, lane_of, purpose_of
from skerry.sync.outgoing import Outgoing
from skerry.sync.parts import Assembler, PartError


class Pump:
    """Sends and receives messages; ``run`` must be running for anything to leave."""

    def __init__(self, connection: Connection, compressor: Compressor) -> None:
        self._connection = connection
        self._compressor = compressor
        self._outgoing = Outgoing()
        self._assembler = Assembler()
        self._more = asyncio.Event()
        self._moved = asyncio.Event()
        self._sending = False
        self._bytes_max = FRAME_BYTES_UNPROVEN_MAX
        self.meter = Meter()

    def trust_size(self) -> None:
        """The peer has proved itself, or is the parent: whole frames are taken from now on."""
        self._connection.raise_limit()
        self._bytes_max = FRAME_BYTES_MAX

    def push(self, message: wire.Message) -> None:
        """Queue a message; raise LinkClosed when the peer has not read its lane for far too long."""
        lane, frame = lane_of(message), wire.encode(message)
        if not self._outgoing.push(lane, purpose_of(message), frame):
            raise LinkClosed(CloseReason.STALLED, f"lane {lane.name.lower()} is full and nobody reads")
        self._more.set()

    async def run(self) -> None:
        """Send until the connection is over."""
        while True:
            piece = self._outgoing.pop()
            if piece is None:
                self._more.clear()
                await self._more.wait()
                continue
            self._sending = True
            try:
                packed = self._compressor.pack(piece.frame)
                await self._connection.send(packed)
            finally:
                self._sending = False
            self.meter = self.meter.count_sent(piece.purpose, len(packed))
            self._moved.set()

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()

    async def wait_room(self, lane: Lane) -> None:
        """Return once a producer of ``lane`` may go on."""
        while not self._outgoing.has_room(lane):
            self._moved.clear()
            await self._moved.wait()

    async def wait_sent(self, lane: Lane) -> None:
        """Return once nothing of ``lane`` waits any more."""
        while self._sending or not self._outgoing.is_empty(lane):
            self._moved.clear()
            await self._moved.wait()

    async def receive(self) -> wire.Message | wire.Unknown:
        """Return the next whole message; raise LinkClosed at the end, also when the peer sent garbage."""
        while True:
            packed = await self._connection.receive()
            try:
                message = wire.decode(self._compressor.unpack(packed, self._bytes_max))
                self.meter = self.meter.count_received(purpose_of(message), len(packed))
                if isinstance(message, wire.Part):
                    frame = self._assembler.add(message)
                    if frame is None:
                        continue
                    message = wire.decode(frame)
                    if isinstance(message, wire.Part):
                        raise PartError("a part of parts")
            except (BadPacking, PartError, wire.WireError) as error:
                raise LinkClosed(CloseReason.GARBAGE, str(error)) from error
            return message
