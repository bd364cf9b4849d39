"""An agent's link and a core's sessions on virtual time, with a simulated WAN in between."""

import asyncio
import functools
from collections.abc import Awaitable, Callable

from tests.sync.desks import AgentDisk, CoreDesk

from skerry.agent.session import LinkSession
from skerry.clock import SECOND_US, ClockTimeout, SeededMint, Tasks
from skerry.core.sessions import Sessions
from skerry.link.dictionary import link_compressor
from skerry.link.ports import Endpoint
from skerry.link.pump import Pump
from skerry.sim.loop import SimClock, SimLoop, run_virtual
from skerry.sim.network import SimConnection, SimDialer, SimLink, SimListener
from skerry.sync.admission import Admission

CORE = Endpoint("core.sim")
#: A test that waits for what never comes fails after this much virtual time.
_LIMIT_US = 3_600 * SECOND_US


class Scene:
    """Everything of one test; ``start`` begins what the test wants to be real."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.mint = SeededMint("scene")
        self.clock = SimClock(loop)
        self.tasks = Tasks()
        self.agent = AgentDisk()
        self.core = CoreDesk()
        self.wan = SimLink(loop, self.mint.split("wan"))
        self.listener = SimListener(self.mint.split("nonce"), self.tasks)
        self.dialer = SimDialer(self.wan, lambda endpoint: self.listener if endpoint == CORE else None)
        self.sessions = self.make_sessions_with(Admission(100, 200, 1_000))
        self.link = self.make_link()

    def make_sessions_with(self, admission: Admission) -> Sessions:
        return Sessions(desk=self.core, clock=self.clock, mint=self.mint, tasks=self.tasks, admission=admission)

    def make_link(self, *endpoints: Endpoint) -> LinkSession:
        return LinkSession(
            desk=self.agent,
            dialer=self.dialer,
            endpoints=endpoints or (CORE,),
            clock=self.clock,
            mint=self.mint,
            tasks=self.tasks,
        )

    async def start_core(self) -> None:
        await self.listener.serve(self.sessions.handle)

    def start_agent(self) -> None:
        self.tasks.start("link", self.link.run())

    async def start(self) -> None:
        await self.start_core()
        self.start_agent()

    async def wait(self, us: int) -> None:
        await self.clock.sleep_until(self.clock.boot_us() + us)

    async def wait_until(self, what: Callable[[], bool], limit_us: int = 600 * SECOND_US) -> None:
        """Let virtual time pass until something holds."""
        end = self.clock.boot_us() + limit_us
        while not what():
            assert self.clock.boot_us() < end, "it never came to that"
            await self.wait(SECOND_US // 10)

    async def dial(self) -> tuple[SimConnection, Pump]:
        """Connect as a child of the test's own making."""
        connection = await self.dialer.dial(CORE)
        pump = Pump(connection, link_compressor(), self.tasks, "hand")
        pump.trust_size()
        return connection, pump

    def play(self, act: Callable[[SimConnection, Pump], Awaitable[None]]) -> Callable[[SimConnection], Awaitable[None]]:
        """Make a handler for a parent of the test's own making."""

        async def handle(connection: SimConnection) -> None:
            await act(connection, Pump(connection, link_compressor(), self.tasks, "hand"))

        return handle


def scene(test: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on virtual time; at its end no task may have failed."""

    async def run() -> None:
        made = Scene()
        try:
            async with ClockTimeout(made.clock, made.tasks, _LIMIT_US):
                await test(made)
        finally:
            await made.tasks.stop()
        assert made.tasks.failed == []

    @functools.wraps(test)
    def outer() -> None:
        run_virtual(SeededMint(test.__name__), run())

    # pytest looks through ``wraps`` for fixtures.
    del outer.__wrapped__  # type: ignore[attr-defined]
    return outer
