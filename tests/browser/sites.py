"""Light sites for a real core: the product's own agent, link and trust, on machines that are kept in memory.

Each has a real TLS link over loopback and a journal of its own; only the containers are not there. What they put out
and what goes wrong with them is up to whoever starts them.
"""

import math
from collections.abc import AsyncIterator

import msgspec

from skerry.agent import journal
from skerry.agent.agent import Agent
from skerry.agent.host import link_trust
from skerry.agent.session import LinkSession
from skerry.clock import SeededMint, SystemClock, SystemMint, Tasks
from skerry.drivers.base import Chunk, ContainerStats
from skerry.drivers.images import ImagesDriver
from skerry.link.client import LinkDialer
from skerry.link.ports import parse_endpoint
from skerry.model.ids import AppName, Digest, NetworkName, NodeName, SiteName, TenantName
from skerry.model.samples import HostUse, NetworkUse, PeerUse, Sample, UplinkUse
from skerry.model.signed import Envelope, NodeRecord, Root
from skerry.safe.db import Db, plain
from skerry.sim.disk import MemoryDisk
from skerry.sim.machines import FakeDriver, FakeMachine
from skerry.sim.memory import MemoryFile
from skerry.trust.keys import SigningKey
from skerry.trust.seal import sealing_public

NODE = NodeName("n1")


#: How long the load of a light site takes to rise and to fall again, in seconds.
_WAVE_S = 1_500


#: Sites with tunnels to each other, how the way is, and what it costs in round trips and loss.
TUNNELS = (
    ("oslo-1", "bergen-1", "direct", 11_000, 2),
    ("oslo-1", "stockholm-1", "relayed", 64_000, 31),
    ("oslo-1", "tromso-1", "cut", 0, 0),
    ("hamburg-1", "rotterdam-1", "quiet", 0, 0),
    ("hostile", "<img src=x onerror=planted=1>", "direct", 1_000, 0),
)


class _TellingAgent(Agent):
    """An agent whose samples say what real tunnels, counters and uplinks would."""

    async def read_sample(self) -> Sample | None:
        sample = await super().read_sample()
        name = self.holdings.site if self.holdings is not None else ""
        if sample is None or not name:
            return sample
        peers = tuple(
            PeerUse(
                SiteName(there),
                way == "relayed",
                {"direct": 12, "relayed": 40, "quiet": 900, "cut": 700}[way],
                way == "cut",
                48_000_000,
                9_000_000,
                rtt_us,
                1_000 if rtt_us else 0,
                loss_m,
            )
            for here, there, way, rtt_us, loss_m in TUNNELS
            if here == name
        )
        moved = NetworkUse(
            TenantName("default"), AppName("beacon"), NetworkName("default"), 900, 7_000_000, 800, 64_000, 3, 400
        )
        purposes = {"documents": 40_000, "images": 2_100_000_000, "tunnels": 57_000_000}
        uplinks = (UplinkUse("fibre", True, "2026-12", 2_400_000_000, purposes),) if peers else ()
        return msgspec.structs.replace(sample, networks=(moved,), peers=peers, uplinks=uplinks)


class _TalkingDriver(FakeDriver):
    """A machine whose instances say what they were told to say, and whose load rises and falls."""

    lines: tuple[str, ...] = ()
    _seen_us = 0
    _spent_us = 0

    def _wave(self) -> float:
        """Return the present load, from 0 to 1; each machine has its own moment."""
        shift = sum(self.machine.mint.split("wave").draw(2)) * 7
        return 0.5 + 0.5 * math.sin(2 * math.pi * (self._clock.boot_us() / 1e6 + shift) / _WAVE_S)

    async def read_use(self) -> HostUse:
        use, now_us, load = await super().read_use(), self._clock.boot_us(), self._wave()
        self._spent_us += int((now_us - self._seen_us) * (0.3 + 1.9 * load)) if self._seen_us else 0
        self._seen_us = now_us
        return msgspec.structs.replace(
            use,
            cpu_us=self._spent_us,
            load_m=int(2_500 * load),
            memory_bytes=(2 << 30) + int(load * (2 << 30)),
            temperature_m=41_000 + int(14_000 * load),
        )

    async def read_stats(self) -> tuple[ContainerStats, ...]:
        spent_us, load = self._spent_us, self._wave()
        return tuple(
            msgspec.structs.replace(
                each,
                cpu_us=spent_us // 7,
                memory_bytes=(60 << 20) + int(load * (90 << 20)),
                received_bytes=spent_us // 40,
                sent_bytes=spent_us // 11,
            )
            for each in await super().read_stats()
        )

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
        #: What was on the disk before: tens of gigabytes, each machine's own.
        self.machine.grown["before"] = sum(mint.split("disk").draw(2)) << 26
        self.machine.grown["default/till/data"] = sum(mint.split("data").draw(2)) << 22
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
        agent = _TellingAgent(
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
