"""Owners of apps in the simulation, who have what they say of instances and volumes signed for the node's nonce."""

from collections.abc import AsyncIterator

import msgspec

from skerry.model.ids import NodeName, SiteName
from skerry.model.signed import Call, Envelope
from skerry.sim.world import World


class Owner:
    """An owner's client: has the node's nonce signed for one word from afar (``core.calls.CallSocket``)."""

    def __init__(self, world: World, call: Call) -> None:
        self._world = world
        #: The site said yes.
        self.is_done = False
        self._call = call

    async def send_nonce(self, site: SiteName, node: NodeName, nonce: bytes) -> None:
        """Take the nonce up."""
        self._call = msgspec.structs.replace(self._call, site=site, node=node, nonce=nonce)

    async def receive_call(self) -> Envelope:
        """Have the call signed by its tenant."""
        return self._world.people.sign_as(self._call.tenant, "call", self._call)

    async def send_output(self, channel: int, data: bytes) -> None:
        """Such a word has no output."""

    async def send_end(self) -> None:
        """It carries no connection."""

    async def send_exit(self, code: int) -> None:
        """The site said yes."""
        self.is_done = True

    async def receive_input(self) -> AsyncIterator[tuple[int, bytes]]:
        """There is none."""
        for nothing in ():
            yield nothing

    async def wait_left(self) -> None:
        """It stays to the end."""
