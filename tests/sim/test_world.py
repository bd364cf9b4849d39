"""Things that a whole simulated fleet does which no transcript tells: a command with input, over the fake link."""

import asyncio

import pytest

from skerry.clock import SECOND_US, SeededMint
from skerry.model.asks import ExecQuery
from skerry.model.ids import AppName, ServiceName, TenantName
from skerry.model.signed import Call
from skerry.sim.apps import AppWords
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.world import World

TENANT = TenantName("default")


class Terminal:
    """The client's end of a command: signs for the nonce that comes, types, and keeps what is said."""

    def __init__(self, world: World, pieces: list[bytes]) -> None:
        self._world = world
        self._pieces = pieces
        self._call: Call | None = None
        self.output = b""
        self.exit_code: int | None = None

    async def send_nonce(self, site, node, nonce):
        self._call = Call(
            tenant=TENANT,
            site=site,
            node=node,
            nonce=nonce,
            verb="exec",
            app=AppName("shop"),
            service=ServiceName("web"),
            ordinal=0,
            argv=("cat",),
        )

    async def receive_call(self):
        return self._world.people.sign_as(TENANT, "call", self._call)

    async def send_output(self, channel, data):
        self.output += data

    async def send_exit(self, code):
        self.exit_code = code

    async def receive_input(self):
        for piece in self._pieces:
            yield 0, piece

    async def wait_left(self):
        await asyncio.Event().wait()


@pytest.mark.sim
def test_input_of_a_command_crosses_the_link_whole_and_its_end_closes_it():
    """More than the window of a stream, so that credit has to come back while the command reads."""
    mint = SeededMint("a command with input")
    pieces = [bytes([65 + number % 26]) * 20_000 for number in range(60)]

    async def story() -> Terminal:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        world = World(loop, mint)
        await world.begin(1)
        terminal = Terminal(world, pieces)
        try:
            assert await world.apply("shop", AppWords(services={"web": "web:1"}))
            await world.core.clock.sleep_until(world.core.clock.boot_us() + 120 * SECOND_US)
            query = ExecQuery(service="web", site=next(iter(world.sites)))
            await world.core.service.run_command(world.as_tenant(TENANT), app="shop", query=query, socket=terminal)
        finally:
            await world.end()
        return terminal

    terminal = run_virtual(mint.split("loop"), story())
    assert terminal.exit_code == 0
    assert terminal.output == b"cat" + b"".join(pieces)
