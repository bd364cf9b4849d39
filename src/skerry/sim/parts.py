"""Machines of a simulated fleet: the core's and the sites', each with a disk that outlives its processes.

``SimCore`` and ``SimSite`` compose the product's own core and agent exactly as the real programs do, on virtual time,
simulated network and fake machines. ``start`` is a boot of the process, ``kill`` a SIGKILL: tasks end where they wait,
memory is gone, what was not committed is lost.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from skerry.agent import journal
from skerry.agent.agent import Agent
from skerry.agent.bundles import BundleDesk
from skerry.agent.session import LinkSession
from skerry.clock import SeededMint, Tasks
from skerry.core.delivery import Delivery
from skerry.core.link_desk import StoreDesk
from skerry.core.runner import Runner
from skerry.core.service import Service
from skerry.core.sessions import Sessions
from skerry.core.state import Core
from skerry.drivers.bundles import BundleSource
from skerry.drivers.images import ImagesDriver
from skerry.keys.overlay import OverlayKeys
from skerry.link.ports import Endpoint
from skerry.model.ids import Digest, NodeName, SiteName
from skerry.model.signed import SiteRecord
from skerry.plan.gates import list_needed, return_to_proven
from skerry.plan.site_plan import HeldSite
from skerry.safe.blobs import BlobDirectory
from skerry.safe.db import Db, plain
from skerry.safe.errors import StoreFailed
from skerry.safe.paths import Directory
from skerry.safe.sqlite import Connection as JournalConnection
from skerry.sim.backups import Backups
from skerry.sim.disk import MemoryDisk
from skerry.sim.disk_file import DiskFile, SlowDb, Trouble, cut_disk, draw_fates
from skerry.sim.loop import SimClock, SimLoop
from skerry.sim.machines import FakeDriver, FakeMachine
from skerry.sim.memory import MemoryFile
from skerry.sim.names import FakeNamesDriver, FakeNameServer
from skerry.sim.network import SimDialer, SimLink, SimListener
from skerry.sim.overlays import FakeOverlay, FakeTunnels, Sea
from skerry.sim.queues import FakeQueues, FakeQueuesDriver
from skerry.sim.relays import CORE_RELAY, FakeRelay, FakeRelayDriver
from skerry.store import Connection
from skerry.store.apsw_dialect import core_connection
from skerry.store.blobs import BlobStore
from skerry.store.migrations import CORE_OPTIONS
from skerry.trust.keys import SigningKey
from skerry.trust.seal import sealing_public

ENDPOINT = Endpoint("core.sim")


class SimCore:
    """The core's machine."""

    def __init__(self, loop: SimLoop, mint: SeededMint) -> None:
        self.clock = SimClock(loop)
        self._mint = mint
        self.file = MemoryFile(CORE_OPTIONS)
        self._blobs = MemoryDisk()
        self._seed = mint.split("delivery").draw(32)
        self.delivery = Delivery(self._seed)
        self.starts = 0
        self.tasks = Tasks()
        self.db: Db[Connection]
        self.core: Core
        self.service: Service
        self.sessions: Sessions
        self.listener = SimListener(mint.split("nonce"), self.tasks)
        self.running = False
        #: The database as checkers read it, between two steps.
        self.view: Connection = core_connection(self.file.raw)
        self.backups = Backups()
        #: The relay beside it, where it has one.
        self.relay: FakeRelay | None = None

    def back_up(self) -> Any:
        """Take a backup, as the product does; the process may run."""
        return self.backups.take(self.view, self._seed, self.clock.wall_us())

    def restore(self, backup: Any) -> None:
        """Set the database back; only while the process is dead."""
        self.file.restore(self.backups.make_database(backup))
        self.view = core_connection(self.file.raw)

    async def start(self) -> None:
        """Boot the process."""
        self.starts += 1
        mint = self._mint.split(f"start {self.starts}")
        self.tasks = Tasks()
        # Over the same plain connection: what statements were compiled to is kept over a restart.
        db = Db(self.file.open(), lambda _: self.view, group_s=0, inline=True)
        self.db = db
        self.core = Core(
            db=db,
            blobs=BlobStore(BlobDirectory(self._blobs.root), inline=True),
            clock=self.clock,
            mint=mint,
            tasks=self.tasks,
            delivery=self.delivery,
            endpoints=(str(ENDPOINT),),
            relay=CORE_RELAY if self.relay is not None else None,
            tell_relay=self.relay.apply if self.relay is not None else lambda _: None,
        )
        await self.core.load()
        self.service = Service(self.core)
        self.sessions = Sessions(desk=StoreDesk(self.core), clock=self.clock, mint=mint, tasks=self.tasks)
        self.core.sites = self.sessions
        self.listener = SimListener(mint.split("nonce"), self.tasks)
        await self.listener.serve(self.sessions.handle)
        Runner(self.core).start()
        self.running = True

    async def kill(self) -> None:
        """SIGKILL."""
        self.running = False
        self.listener.kill()
        await self.tasks.stop()
        self.db.abandon()


class _LateSource:
    def __init__(self) -> None:
        self.session: LinkSession | None = None

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        assert self.session is not None
        async for content in self.session.fetch(blob, offset):
            yield content


class SimSite:
    """A site of one node, with its access link."""

    def __init__(
        self,
        loop: SimLoop,
        mint: SeededMint,
        name: SiteName,
        find: Callable[[Endpoint], SimListener | None],
        *,
        sea: Sea,
        address: str,
        on_disk: bool = False,
        with_names: bool = False,
        wired: bool = False,
    ) -> None:
        """``address`` is where its tunnels are found in the ``sea``; ``with_names``: it has a name server.

        ``wired``: Skerry makes the links of its instances.
        """
        self.name = name
        self.node = NodeName("n1")
        self.clock = SimClock(loop)
        self._mint = mint
        self.link = SimLink(loop, mint.split("link"))
        self._find = find
        self.machine = FakeMachine(self.node, mint.split("machine"), wired=wired)
        #: Networks of apps, as ``TENANT/APP/NETWORK``: while one is at the machine, the core is not reached from it.
        self.locks: set[str] = set()
        self.link.is_locked = lambda: (
            bool(self.locks) and any("/".join(key) in self.locks for key in self.machine.networks)
        )
        self.tunnels = FakeTunnels(address)
        sea.join(self.tunnels)
        self._sea = sea
        self.names = FakeNameServer()
        self.tunnels.names = self.names if with_names else None
        self.queues = FakeQueues()
        self.device = SigningKey.from_seed(mint.split("device").draw(32))
        self.sealing_seed = mint.split("sealing").draw(32)
        self.sealing = sealing_public(self.sealing_seed)
        self._loop = loop
        self._fates = mint.split("fates")
        self.trouble = Trouble()
        self.file = DiskFile(journal.OPTIONS, self.trouble) if on_disk else MemoryFile(journal.OPTIONS)
        self.disk = MemoryDisk()
        self.disk.before = self.trouble.meet
        #: Times at which its process ended because the disk had failed it, in microseconds of the loop.
        self.failures: list[int] = []
        self._dying: asyncio.Task[None] | None = None
        self.starts = 0
        self.identity: journal.Identity | None = None
        self.tasks = Tasks()
        self.dialer = SimDialer(self.link, find)
        self.db: Db[JournalConnection]
        self.agent: Agent
        self.session: LinkSession
        self.bundles: BundleDesk
        #: What a person has brought, while it is in the box.
        self.stick: MemoryDisk | None = None
        self.running = False
        #: Its outbox was filled beyond what sites usually have to say.
        self.flooded = False

    @property
    def record(self) -> SiteRecord | None:
        """The site's record as its agent holds it now."""
        return self.agent.holdings.record if self.agent.holdings is not None else None

    def _measure_blobs(self) -> int:
        return self.disk.bytes_held()

    async def start(self) -> None:
        """Boot the agent's process; on a bad or full disk raises ``StoreFailed`` or ``StoreFull`` and stays down."""
        await self.settle()
        self.starts += 1
        mint = self._mint.split(f"start {self.starts}")
        self.tasks = Tasks()
        source = _LateSource()
        bundles = BundleSource(source.fetch, self._open_folder)
        images = ImagesDriver(self.disk.root, bundles)
        self.machine.blob_bytes = self._measure_blobs
        driver = FakeDriver(
            self.machine,
            self.clock,
            lambda image: sum(map(len, images.read_archive(image))),
            lambda: self.agent.list_device_patterns(),
        )
        keys = OverlayKeys(self.disk.root, mint.split("overlay"), self.device, lambda: self.agent.whose)
        names = FakeNamesDriver(self.names, self.tunnels, self._sea, self.clock, mint.split("names"))
        self.db = db = self._open()
        self.agent = Agent(
            clock=self.clock,
            mint=mint,
            db=db,
            drivers=(
                images,
                driver,
                FakeOverlay(self.tunnels, keys, self.clock),
                FakeRelayDriver(self.tunnels.relay),
                FakeQueuesDriver(self.queues),
                *((names,) if self.tunnels.names is not None else ()),
            ),
            console=driver,
            tasks=self.tasks,
            device=self.device,
            sealing_seed=self.sealing_seed,
            boot=self.machine.boot,
            list_carried=bundles.list_whole,
        )
        self.bundles = BundleDesk(self.agent, bundles, self.clock)
        try:
            await self.agent.load()
            if self.agent.holdings is None and self.identity is not None:
                denied = await self.agent.adopt_identity(self.identity)
                assert denied is None, denied
        except BaseException:
            db.abandon()
            raise
        self.agent.start()
        self.dialer = SimDialer(self.link, self._find)
        self.session = LinkSession(
            desk=self.agent,
            dialer=self.dialer,
            endpoints=(ENDPOINT,),
            clock=self.clock,
            mint=mint,
            tasks=self.tasks,
            link_class="wired",
        )
        source.session = self.session
        self.tasks.start("link", self.session.run())
        self.running = True

    def _open_folder(self, folder: str) -> Directory:
        if self.stick is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return self.stick.root

    def _open(self) -> Db[JournalConnection]:
        if isinstance(self.file, MemoryFile):
            return Db(self.file.open(), plain, group_s=0, inline=True)
        return SlowDb(self.file.open(), self.clock, self.trouble, self._note_failure)

    def _note_failure(self, failure: StoreFailed) -> None:
        """The disk has failed the store: the process ends (faults.md §3.4), and its supervisor will start it again."""
        self.failures.append(self._loop.now_us)
        self.running = False
        self._dying = self._loop.create_task(self.kill())

    async def settle(self) -> None:
        """Wait until a process whose disk has failed it is gone."""
        if self._dying is not None:
            await self._dying
            self._dying = None

    def followed(self) -> HeldSite | None:
        """Return what its agent follows: its document, and where a revision was given up the one before it."""
        if self.agent.holdings is None:
            return None
        kept = self.agent.reconciler.history.kept
        self.agent.holdings.proven = list_needed(kept)
        held = self.agent.holdings.as_site()
        if held is None:
            return None
        return msgspec.structs.replace(return_to_proven(held, kept.judged), linked=self.agent.link.is_up)

    async def kill(self, *, machine: bool = False) -> None:
        """SIGKILL the agent, or cut the power of its whole ``machine``."""
        self.running = False
        self.dialer.kill(machine=machine)
        await self.tasks.stop()
        self.db.abandon()
        if machine:
            self.lose_power()

    def lose_power(self) -> None:
        """The machine goes off and on; of its files on a simulated disk only what was synced is certain."""
        self.machine.reboot()
        self.tunnels.lose_power()
        self.names.lose_power()
        self.queues.lose_power()
        self.clock.reboot()
        if isinstance(self.file, DiskFile):
            choose = draw_fates(self._fates)
            self.file.cut(choose)
            self.disk = cut_disk(self.disk, choose, self.trouble)
