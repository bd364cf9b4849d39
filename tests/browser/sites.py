"""Light sites for a real core: the product's own agent, link and trust, on machines that are kept in memory.

Each has a real TLS link over loopback and a journal of its own; only the containers are not there. What they put out
and what goes wrong with them is up to whoever starts them.
"""

from collections.abc import AsyncIterator

from skerry.agent import journal
from skerry.agent.agent import Agent
from skerry.agent.host import link_trust
from skerry.agent.session import LinkSession
from skerry.clock import SeededMint, SystemClock, SystemMint, Tasks
from skerry.drivers.base import Chunk
from skerry.drivers.images import ImagesDriver
from skerry.link.client import LinkDialer
from skerry.link.ports import parse_endpoint
from skerry.model.ids import Digest, NodeName, SiteName
from skerry.model.signed import Envelope, NodeRecord, Root
from skerry.safe.db import Db, plain
from skerry.sim.disk import MemoryDisk
from skerry.sim.machines import FakeDriver, FakeMachine
from skerry.sim.memory import MemoryFile
from skerry.trust.keys import SigningKey
from skerry.trust.seal import sealing_public

NODE = NodeName("n1")


class _TalkingDriver(FakeDriver):
    """A machine whose instances say what they were told to say."""

    lines: tuple[str, ...] = ()

    async def read_logs(self, container: str, *, tail: int, follow: bool) -> AsyncIterator[Chunk]:
        for number, line in enumerate(self.lines):
            yield Chunk(1 + number % 2, f"{line}\n".encode())
        async for chunk in super().read_logs(container, tail=tail, follow=follow):
            yield chunk


class _LateSource:
    def __init__(self) -> None:
        self.session: LinkSession | None = None

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        assert self.session is not None
        async for content in self.session.fetch(blob, offset):
            yield content


class LightSite:
    """One site of one node. All methods belong to one event loop."""

    def __init__(self, name: str, lines: tuple[str, ...] = ()) -> None:
        mint = SeededMint(name)
        self.name = SiteName(name)
        self.clock = SystemClock()
        self.machine = FakeMachine(NODE, mint.split("machine"))
        self.device = SigningKey.from_seed(mint.split("device").draw(32))
        self.sealing_seed = mint.split("sealing").draw(32)
        self.record = NodeRecord(device=self.device.public, sealing=sealing_public(self.sealing_seed))
        self._lines = lines
        self._file = MemoryFile(journal.OPTIONS)
        self._disk = MemoryDisk()
        self._tasks = Tasks()

    async def start(self, root: Envelope, payload: Root, record: Envelope) -> None:
        """Start the agent as that of a box that has joined."""
        tasks = self._tasks = Tasks()
        mint = SystemMint()
        source = _LateSource()
        images = ImagesDriver(self._disk.root, source)
        driver = _TalkingDriver(self.machine, self.clock, lambda image: sum(map(len, images.read_archive(image))))
        driver.lines = self._lines
        agent = Agent(
            clock=self.clock,
            mint=mint,
            db=Db(self._file.open(), plain, group_s=0, inline=True),
            drivers=(images, driver),
            console=driver,
            tasks=tasks,
            device=self.device,
            sealing_seed=self.sealing_seed,
            boot=self.machine.boot,
        )
        await agent.load()
        if agent.holdings is None:
            denied = await agent.adopt_identity(journal.Identity(self.name, NODE, root, record))
            assert denied is None, denied
        agent.start()
        source.session = LinkSession(
            desk=agent,
            dialer=LinkDialer(link_trust(root, payload.delivery_ca), mint),
            endpoints=tuple(parse_endpoint(text) for text in payload.endpoints),
            clock=self.clock,
            mint=mint,
            tasks=tasks,
            link_class="wired",
        )
        tasks.start("link", source.session.run())

    async def stop(self) -> None:
        """Switch it off; its disk stays."""
        await self._tasks.stop()
